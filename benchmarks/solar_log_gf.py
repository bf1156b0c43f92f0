"""Log gf of lines that are plainly too strong or too weak in the Sun and in Procyon.

    python benchmarks/solar_log_gf.py --spectra spectra --grid build/wide/wide.toml --output benchmarks/wide_log_gf.csv

Lists of lines hold many log gf from theory that no star confirms. The synthesis of ``--grid`` (without the changes that
it may name) is compared with two stars whose labels are known, the Sun from 4400 to 6860 Å and Procyon from 4803 to
6800 Å, as HARPS saw them (further to the blue there is no continuum to see); nothing but log gf is changed. A line, or
a group of lines of one species closer than it is wide, is changed where it has most of the opacity at its centre and
its depth is off by more than 0.02 and 0.1 dex; in both stars alike, if both show it. Depths are compared as odds,
d / (1 - d), which grow in proportion to a weak line's strength, and the synthesis is repeated until they agree. Prints
how well the two stars fit before and after, and a third one, which changes nothing: eps Eri.
"""

from __future__ import annotations

import argparse
import csv
import tomllib
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.ndimage import gaussian_filter1d
from synthesis_stars import PROCYON, SUN, Fit, fit, observed, opacities, rms, robust, spectra

from bayne.precision import double
from bayne.spectrum import FloatArray
from bayne.synthesis.grid_config import read_grid_config
from bayne.synthesis.grids import Maker
from bayne.synthesis.line_strengths import COLUMNS
from bayne.synthesis.linelist import LineList
from bayne.synthesis.lte import LTE
from bayne.wavelength import C_KMS, within

#: Vacuum Å that are compared, and of the synthesis; its resolving power and pixels (km/s).
WINDOW, SYNTHESIS, RESOLUTION, STEP = (4400.0, 6860.0), (4385.0, 6875.0), 300_000.0, 1.0

#: Vacuum Å of the spectra that are shorter.
SHORT = (4803.0, 6800.0)


class Star(NamedTuple):
    """File of a star, its labels, and vacuum Å that are compared."""

    file: str
    labels: dict[str, float]
    window: tuple[float, float]


#: Labels: see `synthesis_stars`. eps Eri: Heiter et al. 2015 (A&A 582, A49), Jofré et al. 2014 (A&A 564, A133).
STARS = {
    "Sun": Star("Sun_HARPS.fits", SUN, WINDOW),
    "Procyon": Star("HARPS.GBOG_Procyon.fits", PROCYON, SHORT),
}
EPS_ERI = {"teff": 5076.0, "logg": 4.60, "fe_h": -0.09, "vmic": 1.1}
OTHERS = {"eps Eri": Star("UVES_epsEri-2_47000.fits", EPS_ERI, SHORT)}
AIR = ("Sun_HARPS.fits",)

#: Vacuum Å where lines stand in wings of hydrogen or sodium, or among those of the Earth's oxygen.
LEFT_OUT = ((4850.0, 4875.0), (5885.0, 5905.0), (6277.0, 6324.0), (6550.0, 6580.0))

#: Lines of a species closer than this (km/s) are a group; opacities are blurred by as much. Share of the opacity.
CLOSE, SHARE = 3.0, 0.6

#: Smallest misfit in depth and in dex, smallest depth; smallest depth that is told from none; half of what is averaged
#: (km/s); by how much two stars may differ (dex).
OFF, OFF_DEX, SEEN, FLOOR, CORE_KMS, APART = 0.02, 0.1, 0.02, 0.003, 1.5, 0.4

#: Repetitions, the largest change in one, and in all (dex).
ROUNDS, STEP_DEX, LIMITS = 3, (-1.0, 0.2), (-3.0, 0.3)


class Groups(NamedTuple):
    """Groups of lines: number of the group of each line (n,), and centres (g,), vacuum Å."""

    of_line: np.ndarray
    centre: FloatArray


def maker_of(path: Path) -> Maker:
    """Spectra of the grid's physics, as its lists are."""
    table, folder = tomllib.loads(path.read_text()), path.resolve().parent
    own = {
        "linelists": [each | {"file": str(folder / each["file"])} for each in table["linelists"]],
        "atmospheres": str(folder / table["atmospheres"]),
        "windows": [SYNTHESIS],
        "population": "",
        "log_gf": "",
        "resolution": RESOLUTION,
        "step_kms": STEP,
    }
    return Maker(read_grid_config(table | own))


def groups(lines: LineList, opacity: FloatArray) -> Groups:
    """Lines of atoms by species and wavelength."""
    order = np.lexsort((lines.wavelength, lines.kind))
    wave, kind = lines.wavelength[order], lines.kind[order]
    new = np.append(True, (np.diff(kind) != 0) | (np.diff(np.log(wave)) > CLOSE / C_KMS))
    number = np.empty(len(lines), dtype=int)
    number[order] = np.cumsum(new) - 1
    weight = opacity + 1e-300
    return Groups(number, np.bincount(number, weight * lines.wavelength) / np.bincount(number, weight))


def shares(lines: LineList, opacity: FloatArray, found: Groups) -> FloatArray:
    """(g,) of the opacity at the centre of each group that is its own."""
    at = np.arange(np.log(lines.wavelength[0]) - 20 / C_KMS, np.log(lines.wavelength[-1]) + 20 / C_KMS, 1 / C_KMS)
    total = gaussian_filter1d(np.bincount(np.searchsorted(at, np.log(lines.wavelength)), opacity, at.size), CLOSE)
    own = np.bincount(found.of_line, opacity) / (np.sqrt(2 * np.pi) * CLOSE)
    return own / np.maximum(total[np.searchsorted(at, np.log(found.centre))], 1e-300)


class Changeable:
    """The synthesis with other log gf, laid out once."""

    def __init__(self, maker: Maker) -> None:
        assert isinstance(maker.synthesiser, LTE)
        self.maker, self.synthesiser = maker, maker.synthesiser
        lines = maker.synthesiser.lines
        keys = zip(np.log(lines.wavelength), np.log(10.0) * lines.log_gf, lines.energy, strict=True)
        place = {key: i for i, key in enumerate(keys)}
        self.first = list(maker.synthesiser.laid)
        self.index = []
        for _, laid, _ in self.first:
            columns = (np.asarray(c)[:-1] for c in (laid.data.log_wavelength, laid.data.log_gf, laid.data.energy))
            self.index.append(np.array([place[key] for key in zip(*columns, strict=True)]))

    @double
    def spectrum(self, labels: dict[str, float], change: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Wavelength and flux of a star, with changes to log gf (n,) in dex."""
        self.synthesiser.laid = [
            (
                hydrogen,
                laid._replace(
                    data=laid.data._replace(
                        log_gf=laid.data.log_gf + jnp.asarray(np.append(np.log(10.0) * change[index], 0.0))
                    )
                ),
                wave,
            )
            for (hydrogen, laid, wave), index in zip(self.first, self.index, strict=True)
        ]
        (found,) = spectra(self.maker, labels)
        return found


def depths(found: Fit, centre: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(g,) depth of the star and of the synthesis around each centre; NaN outside, or where pixels are not used."""
    low, high = (np.searchsorted(found.wavelength, centre * (1 + s * CORE_KMS / C_KMS)) for s in (-1, 1))
    count = np.append(0, np.cumsum(found.used))
    inside = count[high] - count[low]
    good = (inside > 0) & (inside == high - low)
    out = []
    for values in (found.flux, found.model):
        summed = np.append(0.0, np.cumsum(np.where(found.used, 1 - values, 0.0)))
        out.append(np.where(good, (summed[high] - summed[low]) / np.maximum(inside, 1), np.nan))
    return out[0], out[1]


def by_blocks(found: Fit) -> str:
    """Root mean square residuals in windows of 400 Å."""
    block = (found.wavelength // 400).astype(int)
    each = {k: rms(found.residual[found.used & (block == k)]) for k in np.unique(block[found.used])}
    return ", ".join(f"{400 * k} Å: {value:.3f}" for k, value in each.items())


def odds(depth: FloatArray) -> FloatArray:
    depth = np.clip(depth, FLOOR, 0.97)
    return np.log10(depth / (1 - depth))


def main() -> None:
    """Change, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=Path, required=True, help="folder with benchmark/")
    parser.add_argument("--grid", type=Path, required=True, help="configuration of bayne grid (TOML)")
    parser.add_argument("--output", type=Path, required=True, help="CSV file of changes")
    options = parser.parse_args()
    maker = maker_of(options.grid)
    synthesis, lines = Changeable(maker), maker.synthesiser.lines
    known = STARS | OTHERS
    seen = {}
    for name, star in known.items():
        medium = {"medium": "air"} if star.file in AIR else {}
        wave, flux = observed(options.spectra / "benchmark" / star.file, **medium)
        seen[name] = wave, flux / np.percentile(flux, 95)
    opacity = {name: opacities(maker, star.labels) for name, star in STARS.items()}
    group = groups(lines, opacity["Sun"])
    mine = {name: shares(lines, opacity[name], group) > SHARE for name in STARS}
    atoms = np.array([not one.is_molecule for one in lines.species])[lines.kind]
    free = np.bincount(group.of_line, atoms) > 0
    free &= within(group.centre, [WINDOW]) & ~within(group.centre, LEFT_OUT)
    change, chosen = np.zeros(group.centre.size), np.zeros(group.centre.size, dtype=bool)
    for number in range(ROUNDS + 1):
        wanted = {}
        for name, star in known.items():
            if name in OTHERS and 0 < number < ROUNDS:
                continue
            found = fit(seen[name], synthesis.spectrum(star.labels, change[group.of_line]), star.window)
            rest = found.residual[found.used]
            print(
                f"round {number}, {name}: rms {rms(rest):.4f}, robust {robust(rest):.4f}; {by_blocks(found)}",
                flush=True,
            )
            if name in STARS:
                deep, made = depths(found, group.centre)
                off = odds(deep) - odds(made)
                judged = free & mine[name] & np.isfinite(off) & ((made > SEEN) | (deep > SEEN) | chosen)
                wanted[name] = np.where(judged, off, np.nan)
                if number == 0:
                    chosen |= judged & (np.abs(deep - made) > OFF) & (np.abs(off) > OFF_DEX)
        both = np.stack(list(wanted.values()))
        if number == 0:
            chosen &= ~(np.abs(both[0] - both[1]) > APART)
        if number < ROUNDS:
            count = np.isfinite(both).sum(axis=0)
            mean = np.where(count > 0, np.nansum(both, axis=0) / np.maximum(count, 1), 0.0)
            change = np.clip(change + np.where(chosen, np.clip(mean, *STEP_DEX), 0.0), *LIMITS)
    with options.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for i in np.flatnonzero(np.abs(change[group.of_line]) > OFF_DEX):
            name = lines.species[lines.kind[i]].name
            place = f"{lines.wavelength[i]:.4f}", f"{lines.energy[i]:.3f}"
            writer.writerow([name, *place, f"{change[group.of_line[i]]:.2f}"])
    changed = np.abs(change) > OFF_DEX
    print(f"{changed.sum()} groups of lines changed, {(change[changed] < 0).sum()} of them made weaker")


if __name__ == "__main__":
    main()

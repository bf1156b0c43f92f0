"""The synthesis behind the wide grid against real stars whose labels are known; no label is fitted.

    python benchmarks/synthesis_stars.py --spectra spectra --grid build/wide/wide.toml --output build/synthesis-stars

`--spectra` is a folder with `h_band/` (the Sun and Arcturus, and APOGEE's synthesis of the Sun), `benchmark/` (the Sun
and Procyon) and `gaia_rvs/` (Kepler-93). `--grid` is a configuration of `bayne grid`, from which line lists and model
atmospheres are taken. Free are, for each star and each synthesis alike, a radial velocity, one Gaussian that broadens
the synthesis, and a smooth continuum. Writes `tables.md`, `results.json` and a picture of each star.
"""

from __future__ import annotations

import argparse
import copy
import json
import tomllib
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import matplotlib
import numpy as np
from numpy.polynomial.chebyshev import chebvander
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import bayne
from bayne.lsf import FWHM_PER_SIGMA, smoothed
from bayne.precision import double
from bayne.reports.style import BLUE, GREY, INK, ORANGE, STYLE
from bayne.spectrum import FloatArray
from bayne.synthesis.abundances import abundances
from bayne.synthesis.constants import BOLTZMANN_EV
from bayne.synthesis.gas import equilibrium
from bayne.synthesis.grid_config import read_grid_config
from bayne.synthesis.grids import Maker
from bayne.synthesis.isotopes import FRACTIONS
from bayne.synthesis.line_layout import line_data
from bayne.synthesis.linelist import LineList
from bayne.synthesis.lte import LTE, log_tau_5000
from bayne.synthesis.models import place_of
from bayne.synthesis.species import SYMBOLS
from bayne.wavelength import C_KMS, air_to_vacuum, within

Spectrum = tuple[FloatArray, FloatArray]
Row = dict[str, Any]

#: Vacuum Å that are compared, and how much more is synthesised on both sides. H band: that of APOGEE.
OPTICAL, TRIPLET, H_BAND = (4803.0, 6800.0), (8461.0, 8698.0), (15_150.0, 16_950.0)
AROUND = 15.0

#: Resolving power and pixels (km/s) of the synthesis: sharper than the grid, so that it does not limit the comparison.
RESOLUTION, STEP = 300_000.0, 1.0

#: Oxygen's gamma band in the Earth's atmosphere, vacuum Å: left out.
TELLURIC = ((6277.0, 6324.0),)

#: Sun: IAU 2015 resolution B3. Procyon: Heiter et al. 2015 (A&A 582, A49), [Fe/H] and microturbulence Jofré et al. 2014
#: (A&A 564, A133). Kepler-93: Ballard et al. 2014 (ApJ 790, 12); its microturbulence is the Sun's.
SUN = {"teff": 5772.0, "logg": 4.44, "fe_h": 0.0, "vmic": 1.0}
PROCYON = {"teff": 6554.0, "logg": 4.0, "fe_h": 0.01, "vmic": 1.66}
KEPLER_93 = {"teff": 5669.0, "logg": 4.47, "fe_h": -0.18, "vmic": 1.0}

#: Ramírez & Allende Prieto 2011 (ApJ 743, 135), from atomic lines; Sc and Ti from the neutral ones.
ATOMS = {
    **{"teff": 4286.0, "logg": 1.66, "fe_h": -0.52, "vmic": 1.74, "na_fe": 0.11, "mg_fe": 0.37, "al_fe": 0.34},
    **{"si_fe": 0.33, "k_fe": 0.20, "ca_fe": 0.11, "sc_fe": 0.15, "ti_fe": 0.27, "v_fe": 0.20, "cr_fe": -0.05},
    **{"mn_fe": -0.21, "co_fe": 0.09, "ni_fe": 0.06, "zn_fe": 0.22, "c_fe": 0.43, "o_fe": 0.50},
}
#: C, N and O from CO, CN and OH in the H band: A = 7.96, 7.64, 8.64 (Smith et al. 2013, ApJ 765, 16). 12C/13C: Abia et
#: al. 2012 (A&A 548, A55).
ARCTURUS = ATOMS | {"c_fe": 0.05, "n_fe": 0.33, "o_fe": 0.47}
CARBON_RATIO = 9.0

#: Flux between which pixels are used; Å of continuum to a coefficient; standard deviations up to which it is fitted.
USABLE, STIFF, CLIP = (0.02, 1.15), 100.0, 4.0

#: Velocities (km/s) of the cross-correlation, and standard deviation of the broadening there.
VELOCITIES, START_KMS = np.arange(-60.0, 60.5, 1.0), 3.0

#: Resolving power to which residuals are smoothed.
COMMON = 22_500.0

#: Lines are told apart by their opacities at this optical depth (5000 Å), blurred by so many km/s; the wings' share. An
#: element has the pixels where its part of them and the depth of the synthesis are above these; fewest of a row.
TAU, BLUR_KMS, DAMPED, PART, DEPTH, FEWEST = 0.2, 3.0, 0.005, 0.7, 0.02, 150

#: Å of a row of the optical table and of a panel of the pictures; misfits listed; differences that count as large.
WIDE, PANEL, LISTED, FAR = 200.0, 40.0, 12, 0.05


class Fit(NamedTuple):
    """A synthesis on a star's pixels.

    Parameters
    ----------
    wavelength, flux, model
        (p,) vacuum Å at rest; flux of the star over its continuum; synthesis.
    used
        (p,) False where pixels do not count.
    velocity, width
        km/s; the width is the FWHM by which the synthesis was broadened.
    """

    wavelength: FloatArray
    flux: FloatArray
    model: FloatArray
    used: np.ndarray
    velocity: float
    width: float

    @property
    def residual(self) -> FloatArray:
        """(p,) star less synthesis, 0 where not used."""
        return np.where(self.used, self.flux - self.model, 0.0)

    def smooth(self) -> Spectrum:
        """Wavelength and residual at the common resolving power, in steps of 1 km/s."""
        log_wave = np.log(self.wavelength)
        at = np.arange(log_wave[0], log_wave[-1], 1 / C_KMS)
        values = np.interp(at, log_wave, self.residual)
        return np.exp(at), smoothed(values, at, at, C_KMS / COMMON / FWHM_PER_SIGMA)


def maker_of(path: Path) -> Maker:
    """Spectra of a grid's physics, with log gf as the lists have them, in the windows of this script."""
    table, folder = tomllib.loads(path.read_text()), path.resolve().parent
    own = {
        "linelists": [each | {"file": str(folder / each["file"])} for each in table["linelists"]],
        "atmospheres": str(folder / table["atmospheres"]),
        "windows": [(low - AROUND, high + AROUND) for low, high in (OPTICAL, TRIPLET, H_BAND)],
        "population": "",
        "log_gf": "",
        "resolution": RESOLUTION,
        "step_kms": STEP,
    }
    return Maker(read_grid_config(table | own))


def in_h_band(maker: Maker, ratio: float) -> Maker:
    """The H band alone, with another 12C/13C than the Earth's."""
    lines, fine = maker.synthesiser.lines, maker.synthesiser.windows[-1]
    share = {12: ratio / (1 + ratio), 13: 1 / (1 + ratio)}
    shift = [sum(np.log10(share[m] / FRACTIONS[6, m]) for m in masses if m in share) for masses in lines.isotopes]
    lines = replace(lines, log_gf=lines.log_gf + np.array(shift)[lines.isotope]).between(fine[0], fine[-1])
    other = copy.copy(maker)
    other.wavelength, other.synthesiser = maker.wavelength[-1:], LTE(lines, [fine])
    return other


def spectra(maker: Maker, labels: dict[str, float]) -> list[Spectrum]:
    """Wavelength and flux of a star, window by window; labels not given are 0."""
    flux = maker.spectrum(np.array([labels.get(name, 0.0) for name in maker.config.labels]))
    ends = np.cumsum([wave.size for wave in maker.wavelength])[:-1]
    return list(zip(maker.wavelength, np.split(flux, ends), strict=True))


def observed(path: Path, **reading: Any) -> Spectrum:
    """Vacuum Å and flux of a star: the good pixels of a file that Bayne reads, or a text of air Å and flux."""
    if path.name.endswith(".txt.gz"):
        wave, flux = np.loadtxt(path).T
        return air_to_vacuum(wave), flux
    (arm,) = bayne.read_spectrum(path, **reading).arms
    return arm.wavelength[arm.good], arm.flux[arm.good]


def continuum(wave: FloatArray, flux: FloatArray, model: FloatArray, used: np.ndarray) -> FloatArray:
    """(p,) of the star: the Chebyshev series that makes it most like the synthesis, large misfits left out."""
    length = wave[-1] - wave[0]
    basis = chebvander(2 * (wave - wave[0]) / length - 1, max(int(length / STIFF), 2))
    kept, level = used, np.ones_like(flux)
    for _ in range(4):
        level = basis @ np.linalg.lstsq(basis[kept] * model[kept, None], flux[kept], rcond=None)[0]
        off = np.abs(flux / level - model)
        kept = used & (off < CLIP * robust(off[used]))
    return level


def fit(star: Spectrum, synthesis: Spectrum, window: tuple[float, float]) -> Fit:
    """Velocity, broadening and continuum with which a synthesis is most like a star."""
    here = within(star[0], [window])
    wave, flux = star[0][here], star[1][here]
    log_wave, log_model = np.log(wave), np.log(synthesis[0])
    used = (flux > USABLE[0]) & (flux < USABLE[1]) & ~within(wave, TELLURIC)

    def at(velocity: float, sigma: float) -> FloatArray:
        wanted = np.clip(log_wave - np.log1p(velocity / C_KMS), log_model[0], log_model[-1])
        return smoothed(synthesis[1], log_model, wanted, abs(sigma))

    alike = [np.corrcoef(at(v, START_KMS)[used], flux[used])[0, 1] for v in VELOCITIES]
    best = np.array([VELOCITIES[np.argmax(alike)], START_KMS])
    for _ in range(3):
        normalised = flux / continuum(wave, flux, at(*best), used)

        def cost(x: FloatArray, normalised: FloatArray = normalised) -> float:
            return float(np.mean(np.minimum(np.abs(normalised - at(*x))[used], 0.1)))

        simplex = best + np.array([(-0.7, 0.0), (0.7, 0.0), (0.0, 1.0)])
        best = minimize(cost, best, method="Nelder-Mead", options={"initial_simplex": simplex, "maxiter": 80}).x
    velocity, sigma = float(best[0]), float(abs(best[1]))
    model = at(velocity, sigma)
    normalised = flux / continuum(wave, flux, model, used)
    return Fit(wave / (1 + velocity / C_KMS), normalised, model, used, velocity, sigma * FWHM_PER_SIGMA)


def rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def robust(values: FloatArray) -> float:
    """Standard deviation by the median of absolute values."""
    return float(1.4826 * np.median(np.abs(values)))


@double
def opacities(maker: Maker, labels: dict[str, float]) -> FloatArray:
    """(n,) opacity of each line in a star, integrated over the line, in any unit."""
    star = maker.models.at(*map(float, place_of(maker.models, labels)))
    share = jnp.asarray(abundances(labels, maker.config.solar_scale))
    layer = int(np.argmin(np.abs(np.asarray(log_tau_5000(star, share)) - np.log10(TAU))))
    one = slice(layer, layer + 1)
    gas = equilibrium(jnp.asarray(star.temperature[one]), jnp.asarray(star.pressure[one]), share)
    data = line_data(maker.synthesiser.lines)
    number = np.asarray(gas.numbers / gas.partition)[np.asarray(data.row), 0]
    exponent = np.asarray(data.log_gf - data.energy / (BOLTZMANN_EV * star.temperature[layer]))
    return np.asarray(number * np.exp(exponent))


def owners(lines: LineList, opacity: FloatArray, wave: FloatArray) -> np.ndarray:
    """(p,) element, or molecule, whose lines have most of the opacity at vacuum Å; empty where none has."""
    at = np.arange(np.log(wave[0]), np.log(wave[-1]) + 2 / C_KMS, 1 / C_KMS)
    each = [one.name if one.is_molecule else SYMBOLS[one.atoms[0]] for one in lines.species]
    names, kind = np.unique(each, return_inverse=True)
    near = (lines.wavelength > wave[0]) & (lines.wavelength < wave[-1])
    place = kind[lines.kind[near]] * at.size + np.searchsorted(at, np.log(lines.wavelength[near]))
    summed = np.bincount(place, opacity[near], names.size * at.size).reshape(names.size, at.size)
    blurred = gaussian_filter1d(summed, BLUR_KMS, axis=1)
    alone = np.max(blurred, axis=0) > PART * np.maximum(np.sum(blurred, axis=0), 1e-300)
    return np.where(alone, names[np.argmax(blurred, axis=0)], "")[np.searchsorted(at, np.log(wave))]


def by_element(fits: dict[str, Fit], owner: np.ndarray) -> list[Row]:
    """Table of all syntheses on the same pixels, chosen by the first."""
    first, rows = next(iter(fits.values())), []
    for name in np.unique(owner[owner != ""]):
        mine = (owner == name) & first.used & (first.model < 1 - DEPTH)
        if mine.sum() < FEWEST:
            continue
        row: Row = {"lines of": str(name), "pixels": int(mine.sum()), "depth": float(np.mean(1 - first.flux[mine]))}
        for what, found in fits.items():
            row[f"rms, {what}"] = rms(found.residual[mine])
            row[f"strength, {what}"] = float(np.sum(1 - found.model[mine]) / np.sum(1 - found.flux[mine]))
        rows.append(row)
    return sorted(rows, key=lambda row: -row["pixels"])


def misfits(found: Fit, lines: LineList, opacity: FloatArray) -> list[Row]:
    """Table of the largest differences: what the synthesis absorbs too much, and the strongest line there."""
    wave, smooth = found.smooth()
    raw = np.interp(wave, found.wavelength, found.residual)
    left, rows = np.abs(smooth), []
    for _ in range(LISTED):
        k = int(np.argmax(left))
        some = slice(max(k - 20, 0), k + 21)
        left[max(k - 40, 0) : k + 41] = 0
        away = ((lines.wavelength / wave[k] - 1) * C_KMS / BLUR_KMS) ** 2
        line = int(np.argmax(opacity * (np.exp(-away) + DAMPED / (1 + away))))
        row: Row = {"Å": float(wave[k]), "excess (mÅ)": 1e3 * float(np.sum(raw[some] * wave[some])) / C_KMS}
        row |= {what: float(np.interp(wave[k], found.wavelength, getattr(found, what))) for what in ("flux", "model")}
        told = f"{lines.wavelength[line]:.2f}, {lines.energy[line]:.2f} eV, log gf {lines.log_gf[line]:.2f}"
        rows.append(row | {"strongest line": lines.species[lines.kind[line]].name, "its Å, level, log gf": told})
    return rows


def overall(star: str, what: str, found: Fit) -> Row:
    """Row of the first table."""
    off = found.residual[found.used]
    row: Row = {"star": star, "synthesis": what, "pixels": off.size, "velocity": found.velocity, "width": found.width}
    row |= {"rms": rms(off), "robust rms": robust(off), f"rms, R = {COMMON:.0f}": rms(found.smooth()[1])}
    for name, far in (("too deep", off > FAR), ("too shallow", off < -FAR)):
        shares = float(np.mean(far)), float(np.sum(off[far] ** 2) / np.sum(off**2))
        row |= dict(zip((f"pixels {name} (%)", f"squares {name} (%)"), np.multiply(100, shares).tolist(), strict=True))
    return row


def by_wavelength(fits: dict[str, Fit]) -> list[Row]:
    """Table of the optical spectra, window by window."""
    rows = []
    for low in np.arange(4800.0, OPTICAL[1], WIDE):
        row: Row = {"Å": f"{low:.0f}-{low + WIDE:.0f}"}
        for star, found in fits.items():
            here = found.used & within(found.wavelength, [(low, low + WIDE)])
            row |= {f"{star}: pixels": int(here.sum()), f"{star}: depth": float(np.mean(1 - found.flux[here]))}
            row |= {f"{star}: rms": rms(found.residual[here]), f"{star}: robust rms": robust(found.residual[here])}
        rows.append(row)
    return rows


def picture(star: str, fits: dict[str, Fit], listed: list[Row], path: Path) -> None:
    """Residuals of the whole range; below, pieces where the misfit is typical, large, and largest."""
    colours, first = dict(zip(fits, (ORANGE, BLUE), strict=True)) if len(fits) > 1 else {}, next(iter(fits.values()))
    lowest, highest = first.wavelength[[0, -1]]
    long = PANEL if highest - lowest > 10 * PANEL else (highest - lowest) / 3
    edges = lowest + long * np.arange(int((highest - lowest) / long + 1e-6))
    size = [rms(first.residual[within(first.wavelength, [(low, low + long)])]) for low in edges]
    rank = [len(size) // 2, int(0.9 * len(size)), -1]
    chosen = dict(zip(edges[np.argsort(size)[rank]], (", the median", ", 90th percentile", ", the worst"), strict=True))
    if len(edges) == 3:
        chosen = dict.fromkeys(edges, "")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(4, 1, figsize=(11, 10), height_ratios=(1.1, 2, 2, 2), layout="constrained")
        axes[0].axhline(0, color=GREY, lw=0.6)
        axes[0].set(ylim=(-0.15, 0.15), xlim=(lowest, highest), ylabel="star - synthesis")
        axes[0].set_title(f"{star}: differences at R = {COMMON:.0f}; shaded, the pieces below", loc="left")
        for axis, (low, rated) in zip(axes[1:], chosen.items(), strict=True):
            here = within(first.wavelength, [(low, low + long)])
            axes[0].axvspan(low, low + long, color=GREY, alpha=0.25, lw=0)
            base = float(min(first.flux[here].min(), first.model[here].min())) - 0.15
            axis.plot(first.wavelength[here], first.flux[here], color=INK, lw=1.4, label="star")
            axis.axhline(base, color=GREY, lw=0.6)
            for name, found in fits.items():
                own = within(found.wavelength, [(low, low + long)])
                colour = colours.get(name, ORANGE)
                axis.plot(found.wavelength[own], found.model[own], color=colour, lw=0.9, label=name)
                axis.plot(found.wavelength[own], found.residual[own] + base, color=colour, lw=0.7)
            for row in listed:
                if low < row["Å"] < low + long and abs(row["flux"] - row["model"]) > FAR / 2:
                    name = "no line" if row["model"] > 0.95 else row["strongest line"]
                    axis.annotate(name, (row["Å"], 1.04), ha="center", fontsize=7.5)
            axis.set(xlim=(low, low + long), ylim=(base - 0.2, 1.13), ylabel="flux; below, difference")
            axis.set_title(f"rms {rms(first.residual[here]):.3f}{rated}", loc="left")
        for name, found in fits.items():
            axes[0].plot(*found.smooth(), color=colours.get(name, ORANGE), lw=0.5)
        axes[1].legend(loc="lower right", ncols=3)
        axes[-1].set_xlabel("vacuum wavelength at rest (Å)")
        figure.savefig(path, dpi=80)
        plt.close(figure)


def markdown(title: str, rows: list[Row]) -> str:
    """A table with a title."""

    def cell(key: str, value: Any) -> str:
        digits = 4 if "rms" in key else 0 if "mÅ" in key else 1 if "%" in key else 2
        return f"{value:.{digits}f}" if isinstance(value, float) else str(value)

    body = ["| " + " | ".join(cell(*item) for item in row.items()) + " |" for row in rows]
    return "\n".join([f"\n{title}\n", "| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0]), *body]) + "\n"


def main() -> None:
    """Synthesise, compare, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=Path, required=True, help="folder")
    parser.add_argument("--grid", type=Path, required=True, help="configuration of a grid (TOML)")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    folder, maker = options.spectra, maker_of(options.grid)
    sun, procyon, kepler = (spectra(maker, labels) for labels in (SUN, PROCYON, KEPLER_93))
    giant = {"Bayne": spectra(maker, ARCTURUS)[2], "Bayne, C and O of atoms": spectra(maker, ATOMS)[2]}
    giant["Bayne, 12C/13C = 9"] = spectra(in_h_band(maker, CARBON_RATIO), ARCTURUS)[0]
    wave, flux = observed(folder / "h_band/sun_turbospectrum_dr16.txt.gz")
    at = np.arange(np.log(wave[0]), np.log(wave[-1]), 0.4 / C_KMS)
    dr16 = np.exp(at), np.interp(at, np.log(wave), flux)
    todo: dict[str, tuple[str, dict[str, float], tuple[float, float], dict[str, Spectrum]]] = {
        "Sun, H band": ("h_band/sun_observed.txt.gz", SUN, H_BAND, {"Bayne": sun[2], "APOGEE DR16": dr16}),
        "Arcturus, H band": ("h_band/arcturus_observed.txt.gz", ARCTURUS, H_BAND, giant),
        "Sun, optical": ("benchmark/ATLAS.Sun_47000.fits", SUN, OPTICAL, {"Bayne": sun[0]}),
        "Procyon, optical": ("benchmark/HARPS.GBOG_Procyon.fits", PROCYON, OPTICAL, {"Bayne": procyon[0]}),
        "Kepler-93, Ca II": ("gaia_rvs/Kepler-93.csv.gz", KEPLER_93, TRIPLET, {"Bayne": kepler[1]}),
    }
    lines, optical = maker.synthesiser.lines, {}
    told: dict[str, list[Row]] = {"All": []}
    for star, (file, labels, window, made) in todo.items():
        fits = {what: fit(observed(folder / file), synthesis, window) for what, synthesis in made.items()}
        opacity, first = opacities(maker, labels), fits["Bayne"]
        told["All"] += [overall(star, what, found) for what, found in fits.items()]
        if window != TRIPLET:
            told[f"{star}: by element"] = by_element(fits, owners(lines, opacity, first.wavelength))
        told[f"{star}: largest misfits"] = misfits(first, lines, opacity)
        name = star.lower().replace(", ", "-").replace(" ", "-")
        shown = dict(list(fits.items())[:2])
        picture(star, shown, told[f"{star}: largest misfits"], options.output / f"synthesis-{name}.png")
        if window == OPTICAL:
            optical[star.split(",")[0]] = first
    told["By wavelength"] = by_wavelength(optical)
    about = f"{date.today()}, bayne {version('bayne')}, jax {version('jax')}, {len(lines)} lines"
    written = about + "\n" + "".join(markdown(title, rows) for title, rows in told.items() if rows)
    (options.output / "tables.md").write_text(written, encoding="utf-8")
    (options.output / "results.json").write_text(json.dumps({"about": about} | told, indent=1, ensure_ascii=False))
    print(written)


if __name__ == "__main__":
    main()

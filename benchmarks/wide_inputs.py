"""What the wide grid needs besides line lists and atmospheres: TiO with its common isotope, and the stars it is about.

    python benchmarks/wide_inputs.py --tio tio_plez_strong_3700-9900_air.moog.gz --output build/wide
    cp benchmarks/wide.toml benchmarks/wide_log_gf.csv build/wide/   # and the line lists and networks that it names
    bayne grid build/wide/wide.toml --output build/wide/wide.h5 --workers 2

The list of TiO lines (Plez 1998, A&A 337, 495, the strong ones) has the isotopes 46, 47, 49 and 50 of titanium, and
not 48, which is 74% of it. Wavelength and energy of a line go with the inverse square root of the reduced mass: a line
of 47 and one of 49 with the same log gf are the same transition where 46 and 50 have one on the straight line through
them, and 48 lies on it too.
"""

from __future__ import annotations

import argparse
import gzip
from collections import defaultdict
from pathlib import Path

import numpy as np
from astropy.table import Table

#: Masses in u (Wang et al. 2021, Chinese Physics C 45, 030003).
OXYGEN, TITANIUM = 15.994915, {46: 45.952627, 47: 46.951758, 48: 47.947941, 49: 48.947865, 50: 49.944786}
PLACE = {mass: np.sqrt(1 / OXYGEN + 1 / m) for mass, m in TITANIUM.items()}

#: Largest shift from 47 to 49 (Å; eV), and how well 46 and 50 must fit (Å; eV).
SHIFT, FALL, FIT, LEVEL = 12.0, 0.02, 0.03, 0.0025

#: Corners (Teff, log g) of the region where stars are, dwarfs to giants, horizontal branch included, with room around.
REGION = np.array(
    [
        (3800, 5.0),
        (5200, 5.0),
        (6200, 4.8),
        (8000, 4.7),
        (8000, 3.0),
        (6500, 2.0),
        (5200, 0.6),
        (4600, 0.0),
        (3800, 0.0),
    ]
)

#: Share of the stars by [Fe/H], and their number.
METALLICITY, STARS = {(-0.9, 0.5): 0.5, (-2.4, -0.9): 0.3, (-4.0, -2.4): 0.2}, 4000


def transitions(path: Path) -> tuple[dict[int, np.ndarray], dict[int, dict[int, np.ndarray]]]:
    """By isotope, (n, 3) wavelength, energy and log gf, and which have a log gf in thousandths."""
    rows, where = defaultdict(list), {}
    with gzip.open(path, "rt") as file:
        for line in file:
            wavelength, code, energy, log_gf, *_ = line.split()
            rows[int(code[-2:])].append((float(wavelength), float(energy), float(log_gf)))
    lines = {mass: np.array(values) for mass, values in rows.items()}
    for mass, values in lines.items():
        found = defaultdict(list)
        for i, value in enumerate(np.rint(1000 * values[:, 2]).astype(int)):
            found[value].append(i)
        where[mass] = {value: np.array(index) for value, index in found.items()}
    return lines, where


def common_isotope(lines: dict[int, np.ndarray], where: dict[int, dict[int, np.ndarray]]) -> np.ndarray:
    """(n, 3) lines of 48TiO."""
    made = []
    for wave, energy, log_gf in lines[47]:
        key = round(1000 * log_gf)
        if not all(key in where[mass] for mass in (46, 49, 50)):
            continue
        others = lines[49][where[49][key]]
        near = (np.abs(others[:, 0] - wave) < SHIFT) & (others[:, 1] < energy + LEVEL) & (others[:, 1] > energy - FALL)
        best, found = FIT, None
        for other in others[near]:
            slope = (other[:2] - (wave, energy)) / (PLACE[49] - PLACE[47])
            miss = 0.0
            for mass in (46, 50):
                there = np.array((wave, energy)) + slope * (PLACE[mass] - PLACE[47])
                gap = np.abs(lines[mass][where[mass][key], :2] - there)
                miss += np.min(np.where(gap[:, 1] < LEVEL, gap[:, 0], np.inf))
            if miss < best:
                best, found = miss, np.array((wave, energy)) + slope * (PLACE[48] - PLACE[47])
        if found is not None:
            made.append((*found, log_gf))
    return np.array(sorted(made))


def stars(seed: int) -> Table:
    """Stars evenly over the region in log g and ln Teff, with a microturbulence that goes with log g, of solar ratios.

    Cool stars have the richer spectra: evenly in Teff they would be too few.
    """
    from matplotlib.path import Path as Polygon

    rng = np.random.default_rng(seed)
    low, high = (np.array([np.log(teff), logg]) for teff, logg in (REGION.min(axis=0), REGION.max(axis=0)))
    points = rng.uniform(low, high, (10 * STARS, 2))
    points[:, 0] = np.exp(points[:, 0])
    points = points[Polygon(REGION / (1000, 1)).contains_points(points / (1000, 1))][:STARS]
    ranges = np.array(list(METALLICITY))[rng.choice(len(METALLICITY), STARS, p=list(METALLICITY.values()))]
    return Table(
        {
            "teff": points[:, 0].round(1),
            "logg": points[:, 1].round(3),
            "fe_h": rng.uniform(*ranges.T).round(3),
            "vmic": np.clip(2.1 - 0.25 * points[:, 1] + (points[:, 0] - 5500) / 4000, 0.9, 2.4).round(3),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tio", type=Path, required=True, help="MOOG list of TiO without 48")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    lines, where = transitions(options.tio)
    made = common_isotope(lines, where)
    rows = [
        f"{w:.3f} 822.016{mass} {e:.3f} {g:.3f}\n" for mass, each in (lines | {48: made}).items() for w, e, g in each
    ]
    (options.output / "tio_air.moog").write_text("".join(rows))
    table = stars(seed=32)
    text = (Path(__file__).parent / "wide.toml").read_text()
    for line in text.split("[labels]")[1].splitlines():
        name = line.split("=")[0].strip()
        if name.endswith("_fe"):
            table[name] = 0.0
    table.write(options.output / "stars.csv", overwrite=True)
    print(f"{len(made)} lines of 48TiO, {len(table)} stars, in {options.output}")


if __name__ == "__main__":
    main()

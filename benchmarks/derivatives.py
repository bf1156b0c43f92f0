"""True derivatives: of `lte` by automatic differentiation and by differences, of PySME by differences, of emulators.

    python benchmarks/derivatives.py --config lte.toml --derivatives galah_pysme_derivatives.h5 --output derivatives \
        --emulators galah

`lte.toml` is a configuration of `bayne grid` for `lte`, with the labels and, by ``like``, the pixels of the file of
derivatives, whose stars and steps are taken. Prints, for every pair, how many labels with a measurable line
(`bayne.training.derivatives`) have a correlation above 0.99, the median correlation and slope, and the worst labels.
Then, of `lte` and PySME, the wavelengths where the worst labels, and carbon, differ most, with both derivatives.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import h5py
import jax
import numpy as np

from bayne.emulators import Emulator, load_emulator
from bayne.synthesis.grid_config import read_grid_config
from bayne.synthesis.grids import Maker
from bayne.training.derivatives import StarDerivatives, compare_derivatives
from bayne.training.grid import text


def write(path: Path, like: h5py.File, stars: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """A file of derivatives beside another of the same stars."""
    with h5py.File(path, "w") as file:
        file.attrs["label_names"] = like.attrs["label_names"]
        like.copy("wavelength", file)
        for name, (base, derivative) in stars.items():
            for key, value in (("base", base), ("derivative", derivative), ("labels", like[name]["labels"][:])):
                file[f"{name}/{key}"] = value


def synthesise(config: Path, physical: Path, exact: Path, differences: Path) -> None:
    """Write the derivatives of `lte`, both ways."""
    maker = Maker(read_grid_config(config))
    with h5py.File(physical) as file:
        names = list(map(text, file.attrs["label_names"]))
        order = [names.index(name) for name in maker.config.labels]
        back = np.argsort(order)
        found: dict[Path, dict[str, tuple[np.ndarray, np.ndarray]]] = {exact: {}, differences: {}}
        for star in [name for name, group in file.items() if isinstance(group, h5py.Group)]:
            labels, step = file[star]["labels"][:][order], file[star]["delta"][:][order]
            start = time.perf_counter()
            base, slopes = maker.derivatives(labels)
            between = time.perf_counter()
            moves = np.diag(step)
            pairs = [maker.spectrum(labels + move) - maker.spectrum(labels - move) for move in moves]
            print(f"{star}: {between - start:.0f} s exact, {time.perf_counter() - between:.0f} s by differences")
            for path, derivative in ((exact, slopes), (differences, np.array(pairs) / (2 * step[:, None]))):
                found[path][star] = base, derivative[back]
        for path, stars in found.items():
            write(path, file, stars)


def told(name: str, against: str, star: StarDerivatives, names: tuple[str, ...]) -> str:
    """A line of the table."""
    some = np.flatnonzero(star.measurable)
    good = star.correlation[some]
    worst = ", ".join(f"{names[i]} {star.correlation[i]:.3f}" for i in some[np.argsort(good)][:3])
    return (
        f"| {name} | {against} | {star.name} | {(good > 0.99).sum()} of {some.size} | {np.median(good):.4f} | "
        f"{np.median(star.slope[some]):.3f} | {worst} |"
    )


def apart(star: StarDerivatives, names: tuple[str, ...], wavelength: np.ndarray) -> str:
    """Where the derivatives by the worst labels, and carbon, differ most: vacuum Å, and both derivatives there."""
    some = np.flatnonzero(star.measurable)
    rows = []
    for i in dict.fromkeys([*some[np.argsort(star.correlation[some])][:3], names.index("c_fe")]):
        order, places = np.argsort(-np.abs(star.emulated[i] - star.physical[i])), list[int]()
        for p in order:
            if len(places) < 5 and all(abs(wavelength[p] - wavelength[q]) > 1 for q in places):
                places.append(p)
        found = ", ".join(f"{wavelength[p]:.2f} ({star.emulated[i][p]:.3f}, {star.physical[i][p]:.3f})" for p in places)
        rows.append(f"{star.name} {names[i]}: {found}")
    return "\n".join(rows)


def main() -> None:
    """Synthesise where that is not done, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="configuration of bayne grid (TOML)")
    parser.add_argument("--derivatives", type=Path, required=True, help="file of physical derivatives (HDF5)")
    parser.add_argument("--emulators", nargs="*", default=["galah"], help="names or folders")
    parser.add_argument("--output", type=Path, required=True, help="folder for the derivatives of lte")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    exact, differences = (options.output / f"lte-{kind}.h5" for kind in ("exact", "differences"))
    if not (exact.exists() and differences.exists()):
        synthesise(options.config, options.derivatives, exact, differences)
    emulators = {name: load_emulator(name) for name in options.emulators}
    frame = next(iter(emulators.values()))
    names = frame.label_names

    def linear(path: Path) -> dict[str, Emulator]:
        return {star.name: star.as_emulator(frame) for star in compare_derivatives(frame, path)}

    rivals = {"`lte`, exact": linear(exact), "PySME": linear(options.derivatives)}
    lines = [("`lte`, exact", "`lte`, differences", differences), ("`lte`, exact", "PySME", options.derivatives)]
    lines += [(name, other, path) for name in emulators for other, path in (("`lte`, exact", exact), lines[1][1:])]
    places: list[str] = []
    print("| derivatives of | against | star | above 0.99 | median correlation | slope | worst |")
    print("|---" * 7 + "|")
    for name, against, path in lines:
        stars = [star for star in compare_derivatives(emulators.get(name, frame), path)]
        for star in stars:
            if name in rivals:
                (star,) = [s for s in compare_derivatives(rivals[name][star.name], path) if s.name == star.name]
            print(told(name, against, star, names))
            if (name, path) == lines[1][::2]:
                places.append(apart(star, names, frame.wavelength))
    print("", *places, sep="\n")
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax"))
    print(f"\n{date.today()}, {versions}, {jax.devices()[0].platform}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()

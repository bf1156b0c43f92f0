"""Derivatives of the survey emulators against those of the synthesis that they learnt, for three stars.

    python benchmarks/survey_derivatives.py --config wide.toml --emulators rvs apogee --output derivatives
    python benchmarks/survey_derivatives.py --config wide.toml --emulators optical-high --range 5100 5300 \\
        --output derivatives

The synthesis of ``--config`` (see ``benchmarks/wide.toml``) is differentiated on the pixels of each emulator and at its
resolution, by automatic differentiation (`bayne.synthesis.lte.LTE.derivatives`). What is there already is not made
again. `--range` limits the wavelengths, because all of the optical takes more than twenty minutes per star. Prints, for
every emulator and star, how many labels with a measurable line have a correlation above 0.99.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

import h5py
import jax
import numpy as np
from derivatives import told

from bayne.emulators import Emulator, load_emulator
from bayne.synthesis.grid_config import GridConfig, read_grid_config
from bayne.synthesis.grids import Maker
from bayne.training.derivatives import compare_derivatives
from bayne.wavelength import C_KMS

#: A dwarf, a cool giant and a metal-poor giant; abundances that are not named are solar.
ALPHA = dict.fromkeys(("o_fe", "mg_fe", "si_fe", "ca_fe", "ti_fe"), 0.4)
STARS = {
    "dwarf": {"teff": 5770.0, "logg": 4.44, "fe_h": 0.0, "vmic": 1.0},
    "cool giant": {"teff": 4500.0, "logg": 2.0, "fe_h": -0.3, "vmic": 1.5, "c_fe": -0.2, "n_fe": 0.3},
    "metal-poor giant": {"teff": 5000.0, "logg": 2.2, "fe_h": -2.0, "vmic": 1.6, **ALPHA},
}


def like(config: GridConfig, emulator: Emulator) -> GridConfig:
    """The configuration on the pixels of an emulator."""
    step = C_KMS * float(np.median(np.diff(np.log(emulator.wavelength))))
    # half a pixel more, for the last pixel to be inside
    windows = tuple((low, high * (1 + 0.5 * step / C_KMS)) for low, high in emulator.windows())
    return replace(config, windows=windows, step_kms=step, resolution=emulator.card.resolution)


def synthesise(config: GridConfig, emulator: Emulator, path: Path) -> None:
    """Write spectra and derivatives of the stars that are not in the file."""
    with h5py.File(path, "a") as file:
        missing = [star for star in STARS if star not in file]
        if not missing:
            return
        maker = Maker(like(config, emulator))
        if "wavelength" not in file:
            file.attrs["label_names"] = list(emulator.label_names)
            file["wavelength"] = np.concatenate(maker.wavelength)
            file["wavelength"].attrs["medium"] = "vacuum"
        for star in missing:
            labels = np.array([STARS[star].get(name, 0.0) for name in emulator.label_names])
            start = time.perf_counter()
            base, derivative = maker.derivatives(labels)
            print(f"{emulator.card.name}, {star}: {time.perf_counter() - start:.0f} s", flush=True)
            for key, value in (("base", base), ("derivative", derivative), ("labels", labels)):
                file[f"{star}/{key}"] = value


def main() -> None:
    """Differentiate where that is not done, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="configuration of bayne grid (TOML)")
    parser.add_argument("--emulators", nargs="+", required=True, help="names or folders, of the labels of the grid")
    parser.add_argument("--range", type=float, nargs=2, default=(0.0, np.inf), help="vacuum Å to compare in")
    parser.add_argument("--output", type=Path, required=True, help="folder for the derivatives of the synthesis")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    config, rows = read_grid_config(options.config), []
    for source in options.emulators:
        emulator = load_emulator(source)
        emulator = emulator.cut((emulator.wavelength > options.range[0]) & (emulator.wavelength < options.range[1]))
        name = emulator.card.name.removesuffix("-payne")
        synthesise(config, emulator, path := options.output / f"{name}.h5")
        for star in compare_derivatives(emulator, path):
            rows.append(told(emulator.card.name, "`lte`, exact", star, emulator.label_names))
    print("| derivatives of | against | star | above 0.99 | median correlation | slope | worst |")
    print("|---" * 7 + "|", *rows, sep="\n")
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax"))
    print(f"\n{date.today()}, {versions}, {jax.devices()[0].platform}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()

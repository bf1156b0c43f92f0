"""Train the default emulator ``galah`` and make the star of ``bayne demo``.

    python benchmarks/train_default.py --grid galah_pysme_stagger.h5

The emulator is a kernel emulator of the grid (`bayne.training.train_kernel`). The star is a mock observation made
with the emulator itself, so that what the fit should find is known: rotation, a velocity, HERMES pixels and
resolution, a continuum and noise. One arm keeps the demo short.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import jax
import numpy as np
from astropy.table import Table, vstack
from mocks import hermes_mock

from bayne.emulators import Emulator, save_emulator
from bayne.spectrum import vacuum_to_air
from bayne.training import read_grid, train_kernel

PACKAGE = Path(__file__).parents[1] / "src" / "bayne"

#: The demo's star: a little hotter and more metal-poor than the Sun, with more of the alpha elements.
STAR = {"teff": 5850.0, "logg": 4.2, "fe_h": -0.25, "vmic": 1.2}
ALPHA = {"mg_fe": 0.15, "si_fe": 0.1, "ca_fe": 0.1, "ti_fe": 0.12, "o_fe": 0.2}
ARMS = ("blue",)
RV, VSINI, SNR = 23.4, 12.0, 80.0


def star(emulator: Emulator, labels: np.ndarray) -> Table:
    """The mock observation as a table: counts and errors at air wavelengths."""
    rest = emulator.flux(labels)
    made = hermes_mock(emulator, rest, arms=ARMS, rv=RV, vsini=VSINI, snr=SNR, seed=1)
    tables = []
    for arm in made.arms:
        error = np.where(arm.good, 1 / np.sqrt(np.where(arm.good, arm.ivar, 1.0)), 0.0)
        columns = {"arm": [arm.name] * error.size, "wavelength": vacuum_to_air(arm.wavelength)}
        tables.append(Table(columns | {"flux": arm.flux, "error": error}))
    table = vstack(tables)
    table["wavelength"].unit = "Angstrom"
    for name, digits in (("wavelength", 4), ("flux", 1), ("error", 2)):
        table[name].info.format = f".{digits}f"
    table.meta = {
        "id": "demo-star",
        "medium": "air",
        "frame": made.frame,
        "instrument": made.instrument,
        "origin": "mock observation made with the emulator galah by benchmarks/train_default.py",
    }
    return table


def main() -> None:
    """Train, measure, save, and make the star."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, required=True, help="grid file (HDF5)")
    grid = read_grid(parser.parse_args().grid)
    start = time.perf_counter()
    emulator, errors = train_kernel(grid, steps=100, name="galah", tell=print)
    where = f"{time.perf_counter() - start:.0f} s on {jax.devices()[0].platform}"
    print(f"{where}; on {grid.test.sum()} test spectra: {errors}")
    save_emulator(emulator, PACKAGE / "emulators" / "weights" / "galah")
    truth = dict.fromkeys(grid.names, 0.0) | STAR | ALPHA
    examples = PACKAGE / "examples"
    examples.mkdir(exist_ok=True)
    star(emulator, np.array(list(truth.values()))).write(examples / "demo_star.ecsv", overwrite=True)
    (examples / "demo_truth.json").write_text(json.dumps(truth | {"rv": RV, "vsini": VSINI}, indent=2) + "\n")


if __name__ == "__main__":
    main()

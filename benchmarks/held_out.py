"""Are the errors true? Fits of physical spectra that the emulator was not trained on.

    python benchmarks/held_out.py --grid galah_pysme_stagger.h5 --emulator galah --stars 30

Test rows of the grid (row % 10 == 0) become HERMES mocks, are fitted by ``method="map"``, and the differences from the
truth are divided by the errors: with true errors 68% lie within 1 and 99.7% within 3.
"""

from __future__ import annotations

import argparse
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from mocks import fit_mock

import bayne
from bayne.training import read_grid


def main() -> None:
    """Fit, and print the pulls per label."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", required=True, type=Path)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--stars", default=30, type=int)
    parser.add_argument("--snr", default=100.0, type=float)
    parser.add_argument("--no-emulator-error", action="store_true")
    arguments = parser.parse_args()
    print(date.today(), ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax")), f"S/N {arguments.snr:g}")
    grid, emulator = read_grid(arguments.grid), bayne.load_emulator(arguments.emulator)
    rows = np.flatnonzero(grid.test)[: arguments.stars]
    pulls, ratio, ok = [], [], []
    for row in rows:
        result, found = fit_mock(
            emulator, grid, int(row), arguments.snr, emulator_error=not arguments.no_emulator_error
        )
        pulls.append(found[:, 0] / found[:, 1])
        ratio.append(found[:, 1] / [result.prior_std[result.names.index(name)] for name in grid.names])
        ok.append(result.ok)
    pull, wide = np.abs(np.array(pulls)), np.median(ratio, axis=0)
    print(f"{len(rows)} stars, {sum(ok)} ok; within 1: {np.mean(pull < 1):.2f}, within 3: {np.mean(pull < 3):.2f}")
    for name, column, width in zip(grid.names, pull.T, wide, strict=True):
        print(
            f"{name:6} within 1: {np.mean(column < 1):.2f}, within 3: {np.mean(column < 3):.2f}, median pull "
            f"{np.median(column):.2f}, median sigma over prior {width:.3f}"
        )


if __name__ == "__main__":
    main()

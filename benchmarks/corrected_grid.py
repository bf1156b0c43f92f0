"""Thousands of simple spectra brought to careful physics: what the default emulator learns first.

    bayne grid lte.toml --output lte.h5 --workers 8
    bayne grid lte_cool.toml --output lte_cool.h5 --workers 8
    python benchmarks/corrected_grid.py --grid galah_pysme_stagger.h5 --simple lte.h5 lte_cool.h5 --config lte.toml \\
        --output corrected.h5

`lte.toml` is the configuration of `bayne grid` that made `lte.h5`, with ``like`` for the pixels of the careful grid;
other simple grids differ from it in the stars only.
The difference of careful and simple spectra of the same labels, in absorbance, changes little from star to star: the
kernel emulator learns it from the careful grid, all rows but the test rows, and it is added to the simple spectra (two
fidelities: Kennedy & O'Hagan 2000, Biometrika 87, 1).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import h5py
import numpy as np
from scipy.special import expit
from two_stage import difference, simple_twins

from bayne.emulators.coordinates import absorbance
from bayne.files import replacing
from bayne.training import read_grid

#: Spectra that are changed at a time.
CHUNK = 64


def add(file: h5py.File, start: int, labels: np.ndarray, flux: np.ndarray) -> None:
    """Write spectra to a grid file that `bayne grid` made, from one of its rows on."""
    packed = np.rint(flux * file["flux"].attrs["scale"]).astype(file["flux"].dtype)
    for name, values in (("labels", labels), ("flux", packed)):
        file[name].resize(max(len(file[name]), start + len(values)), axis=0)
        file[name][start : start + len(values)] = values


def main() -> None:
    """Write the grid, and say how good its spectra are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, required=True, help="careful grid (HDF5)")
    parser.add_argument("--simple", type=Path, required=True, nargs="+", help="simple grids (HDF5)")
    parser.add_argument("--config", type=Path, required=True, help="configuration of the first of them (TOML)")
    parser.add_argument("--output", type=Path, required=True, help="grid file (HDF5)")
    options = parser.parse_args()
    grid = read_grid(options.grid)
    twins = simple_twins(grid, options.config, options.output.with_suffix(".twins.npy"))
    correction = difference(grid, twins)
    found = expit(-absorbance(twins[grid.test]) - correction(grid.labels[grid.test]))
    for what, flux in (("simple", twins[grid.test]), ("corrected", found)):
        print(f"{what}: MAE {np.abs(flux - grid.flux[grid.test]).mean():.5f} on {grid.test.sum()} test spectra")
    with replacing(options.output) as part:
        shutil.copyfile(options.simple[0], part)
        with h5py.File(part, "r+") as file:
            del file["index"]  # `bayne grid --append` would not know the rest
            done = 0
            for simple in map(read_grid, options.simple):
                order = [simple.names.index(name) for name in grid.names]
                for i in range(0, len(simple.labels), CHUNK):
                    labels = simple.labels[i : i + CHUNK]
                    flux = expit(-absorbance(simple.flux[i : i + CHUNK]) - correction(labels[:, order]))
                    add(file, done + i, labels, flux)
                done += len(simple.labels)
            file.attrs.update({key: grid.attributes[key] for key in ("atmospheres", "linelist")})  # the same, by name
            file.attrs["synthesis"] = f"{file.attrs['synthesis']}; difference from: {grid.attributes['synthesis']}"
    print(options.output)


if __name__ == "__main__":
    main()

"""A small grid of toy spectra, on which training is a matter of seconds."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy.stats import qmc

from bayne.training import Grid, read_grid
from toy import LABELS, LOWER, RESOLUTION, UPPER, toy_flux, toy_wavelength

UNITS = ("K", "dex", "dex", "dex")


def write_toy_grid(path: Path, rows: int = 60, *, strength: float = 1.0, upper: np.ndarray = UPPER) -> Path:
    """Grid file of `rows` toy spectra up to the labels `upper`; `strength` multiplies the lines: other physics."""
    points = qmc.Sobol(len(LABELS), rng=np.random.default_rng(11)).random(256)[:rows]
    labels = LOWER + points * (upper - LOWER)
    wavelength = toy_wavelength(8.0)
    with h5py.File(path, "w") as file:
        file["labels"] = labels
        file["wavelength"] = wavelength
        file["segment"] = (wavelength > 5050).astype(int)
        file["flux"] = 1 - strength * (1 - toy_flux(labels, wavelength))
        file["labels"].attrs["names"], file["labels"].attrs["units"] = LABELS, UNITS
        file["wavelength"].attrs["medium"] = "vacuum"
        file.attrs["resolution"], file.attrs["solar_scale"] = RESOLUTION, "made up"
    return path


def toy_grid(folder: Path, rows: int = 60, *, strength: float = 1.0, upper: np.ndarray = UPPER) -> Grid:
    """The grid of such a file."""
    return read_grid(write_toy_grid(folder / f"toy-{rows}-{strength}.h5", rows, strength=strength, upper=upper))

"""A linear emulator with lines where stars have them, and files of grids and derivatives made from it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from bayne.emulators import Card, Emulator, ErrorModel
from bayne.emulators.linear import Linear
from bayne.training import Grid, read_grid
from toy import log_grid

LABELS = ("teff", "logg", "fe_h", "mg_fe", "ba_fe")
UNITS = ("K", "dex", "dex", "dex", "dex")
LOWER, UPPER = np.array([4500.0, 1.0, -2.0, -0.5, -0.5]), np.array([6500.0, 5.0, 0.5, 0.5, 0.5])
ORIGIN = np.array([5500.0, 4.0, 0.0, 0.0, 0.0])
RESOLUTION = 50_000.0

#: Lines of NIST ASD in the windows below, vacuum Å.
IRON = (4728.72, 4729.87, 4732.78, 4734.92, 5707.05, 5710.96, 5861.21, 5863.98, 6496.77, 6500.73)
MAGNESIUM, BARIUM = (4731.35, 5712.67), (5855.29, 6498.69)


def wavelength() -> np.ndarray:
    """Four short windows."""
    return np.concatenate([log_grid(a, b, 4.0) for a, b in ((4722, 4738), (5706, 5718), (5848, 5868), (6492, 6504))])


def profile(lines: tuple[float, ...], wave: np.ndarray) -> np.ndarray:
    """(p,) Gaussian lines, 0.06 Å wide."""
    return sum(np.exp(-0.5 * ((wave - line) / 0.06) ** 2) for line in lines)


def slopes() -> np.ndarray:
    """(l, p) derivatives of the linear emulator: lines answer to [X/H], all of them to temperature."""
    wave = wavelength()
    iron, magnesium, barium = (-0.3 * profile(lines, wave) for lines in (IRON, MAGNESIUM, BARIUM))
    every = iron + magnesium + barium
    return np.array([-every / 2000.0, 0.1 * magnesium, every, magnesium, barium])


def linear_emulator(offset: float = 0.0, error: ErrorModel | None = None, **changes: object) -> Emulator:
    """The linear emulator, with `offset` added to its flux; its card or its slopes may be changed."""
    wave = wavelength()
    slope = np.asarray(changes.pop("slope", slopes()))
    base = 1 - 0.5 * profile(IRON + MAGNESIUM + BARIUM, wave)
    params = {
        "base": (base + offset).astype(np.float32),
        "slope": slope.astype(np.float32),
        "origin": ORIGIN,
    }
    about = {"name": "line", "network": "linear", "labels": LABELS, "units": UNITS, "medium": "vacuum"}
    domain = {"lower": tuple(LOWER), "upper": tuple(UPPER), "resolution": RESOLUTION}
    return Emulator(Linear(), params, wave, Card(**(about | domain | changes)), error)  # type: ignore[arg-type]


def write_grid(path: Path, rows: int = 60, **changes: object) -> Path:
    """Grid file of the linear emulator; datasets and attributes may be changed, or left out by None."""
    emulator = linear_emulator()
    labels = np.random.default_rng(3).uniform(LOWER, UPPER, (rows, len(LABELS)))
    datasets = {
        "labels": labels,
        "wavelength": emulator.wavelength,
        "segment": emulator.segment,
        "flux": emulator.evaluate(labels),
    }
    attributes: dict[str, dict[str, object]] = {
        "labels": {"names": LABELS, "units": UNITS},
        "wavelength": {"medium": "vacuum"},
        "/": {"resolution": RESOLUTION, "solar_scale": "made up"},
    }
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            chosen = changes.pop(name, values)
            if chosen is not None:
                file[name] = chosen
        for place, pairs in attributes.items():
            for name, value in pairs.items():
                chosen = changes.pop(name, value)
                if chosen is not None:
                    file[place].attrs[name] = chosen
    assert not changes
    return path


def linear_grid(path: Path, **changes: object) -> Grid:
    """The grid of such a file."""
    return read_grid(write_grid(path / "grid.h5", **changes))


def write_derivatives(path: Path, derivative: np.ndarray, names: tuple[str, ...] = LABELS) -> Path:
    """File of derivatives of one star, ``sun``."""
    emulator = linear_emulator()
    with h5py.File(path, "w") as file:
        file.attrs["label_names"] = names
        file["wavelength"] = emulator.wavelength
        file["wavelength"].attrs["medium"] = "vacuum"
        file["sun/base"] = emulator.evaluate(ORIGIN)
        file["sun/labels"] = ORIGIN
        file["sun/derivative"] = derivative
    return path

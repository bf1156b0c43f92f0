"""Grids of synthetic spectra: reading, checking, splitting."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..errors import ReadError
from ..spectrum import FloatArray, to_vacuum


@dataclass(frozen=True)
class Grid:
    """A grid of synthetic spectra.

    Parameters
    ----------
    labels
        (n, l), with `names` and `units`.
    wavelength
        (p,) vacuum Å, increasing.
    flux
        (n, p) continuum-normalised, float32.
    attributes
        What the file says of itself: resolution, solar_scale, synthesis, ...
    hash
        SHA-256 of labels and flux as stored, 16 digits.
    """

    labels: FloatArray
    names: tuple[str, ...]
    units: tuple[str, ...]
    wavelength: FloatArray
    flux: np.ndarray
    attributes: dict[str, str]
    hash: str

    @property
    def test(self) -> np.ndarray:
        """(n,) True for rows that touch no training: row % 10 == 0."""
        return np.arange(len(self.labels)) % 10 == 0

    @property
    def validation(self) -> np.ndarray:
        """(n,) True for rows that decide when a training run stops: row % 10 == 1."""
        return np.arange(len(self.labels)) % 10 == 1

    @property
    def train(self) -> np.ndarray:
        """(n,) True for the other rows."""
        return ~(self.test | self.validation)


def read_grid(path: str | Path) -> Grid:
    """Read a grid file (HDF5).

    Raises
    ------
    ReadError
        The file is missing or is no HDF5; a dataset or attribute is missing (it is named); values are not
        finite; a label is constant.
    """
    path = Path(path)
    if not path.exists():
        raise ReadError(f"{path}: no such grid")
    try:
        with h5py.File(path) as file:
            return _read(path, file)
    except OSError as error:
        raise ReadError(f"{path}: not a readable HDF5 file ({error})") from None


def _read(path: Path, file: h5py.File) -> Grid:
    for name in ("labels", "wavelength", "segment", "flux"):
        if name not in file:
            raise ReadError(f"{path}: the grid lacks the dataset {name!r}; it has {', '.join(file)}")
    needed = {"labels": ("names", "units"), "wavelength": ("medium",), "/": ("resolution", "solar_scale")}
    for place, wanted in needed.items():
        for name in wanted:
            if name not in file[place].attrs:
                raise ReadError(f"{path}: attribute {name!r} of {place!r} is missing")
    labels, stored = file["labels"][:], file["flux"][:]
    flux = (stored / float(file["flux"].attrs.get("scale", 1.0))).astype(np.float32)
    for what, values in (("labels", labels), ("flux", flux)):
        rows = np.flatnonzero(~np.isfinite(values).all(1))
        if rows.size:
            raise ReadError(f"{path}: {what} of {rows.size} rows are not finite, the first is row {rows[0]}")
    names, units = ([text(v) for v in file["labels"].attrs[key]] for key in ("names", "units"))
    for label, spread in zip(names, np.ptp(labels, axis=0), strict=True):
        if spread == 0:
            raise ReadError(f"{path}: label {label!r} is the same in all rows: nothing can be learned of it")
    digest = hashlib.sha256(np.ascontiguousarray(labels).tobytes() + np.ascontiguousarray(stored).tobytes())
    return Grid(
        labels=labels,
        names=tuple(names),
        units=tuple(units),
        wavelength=to_vacuum(file["wavelength"][:], text(file["wavelength"].attrs["medium"])),
        flux=flux,
        attributes={key: text(value) for key, value in file.attrs.items()},
        hash=digest.hexdigest()[:16],
    )


def text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

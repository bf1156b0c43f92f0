"""Grids of synthetic spectra: reading, checking, splitting."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from scipy.stats import ks_2samp

from ..emulators.coordinates import GAP, segments
from ..errors import BayneError, ReadError
from ..files import digest
from ..lsf import FWHM_PER_SIGMA, KERNEL_SIGMAS, smoothed
from ..spectrum import FloatArray
from ..wavelength import C_KMS, to_vacuum

#: Spectra that are smoothed at a time, and how far a spline feels a pixel (km/s).
ROWS, SPLINE_KMS = 16, 100.0

#: Chance that a grid in random order is called uneven.
FALSE_ALARM = 1e-3


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
        SHA-256 of labels, their names, wavelengths and flux, 16 digits.
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

    def uneven(self) -> str:
        """Labels whose test or validation rows are not spread like the training rows, in words; empty for none.

        Two-sample Kolmogorov-Smirnov tests, one for each label and kind of row (Bonferroni).
        """
        limit = FALSE_ALARM / (2 * len(self.names))
        found = [
            f"{name} of the {what} rows (p = {chance:.0e})"
            for name, values in zip(self.names, self.labels.T, strict=True)
            for what, rows in (("test", self.test), ("validation", self.validation))
            if (chance := ks_2samp(values[rows], values[self.train]).pvalue) < limit
        ]
        return ", ".join(found)

    def observed(self, wavelength: FloatArray, resolution: float) -> Grid:
        """The same spectra on other pixels and at a lower resolution, of a Gaussian.

        Parameters
        ----------
        wavelength
            (q,) vacuum Å.
        resolution
            R = λ/FWHM.

        Raises
        ------
        BayneError
            A sharper resolution than the grid has, or wavelengths outside its windows.
        """
        own = float(self.attributes["resolution"])
        if np.array_equal(wavelength, self.wavelength) and resolution == own:
            return self
        if resolution > own:
            raise BayneError(f"resolution {resolution:g}: the grid is of {own:g}, and cannot be made sharper")
        sigma = C_KMS / FWHM_PER_SIGMA * np.sqrt(1 / resolution**2 - 1 / own**2)
        grid, wanted, window = np.log(self.wavelength), np.log(wavelength), segments(self.wavelength)
        reach = (KERNEL_SIGMAS * sigma + SPLINE_KMS) / C_KMS  # what is further away does not matter
        flux = np.full((len(self.flux), wanted.size), np.nan, np.float32)
        for k in np.unique(window):
            low, high = grid[window == k][[0, -1]]
            mine = (wanted >= low) & (wanted <= high)
            if mine.any():
                near = (window == k) & (grid > wanted[mine][0] - reach) & (grid < wanted[mine][-1] + reach)
                for i in range(0, len(flux), ROWS):
                    some = slice(i, i + ROWS)
                    flux[some, mine] = smoothed(self.flux[some, near], grid[near], wanted[mine], sigma)
        if missing := int(np.isnan(flux[0]).sum()):
            low, high = self.wavelength[[0, -1]]
            raise BayneError(
                f"{missing} of the wavelengths {wavelength[0]:.1f} to {wavelength[-1]:.1f} are outside "
                f"the windows of the grid, {low:.1f} to {high:.1f} vacuum Å"
            )
        return replace(
            self,
            wavelength=wavelength,
            flux=flux,
            attributes=self.attributes | {"resolution": f"{resolution:g}"},
            hash=digest({"wavelength": wavelength}, self.hash, f"{resolution:g}"),
        )


def read_grid(path: str | Path) -> Grid:
    """Read a grid file (HDF5).

    Raises
    ------
    ReadError
        The file is missing or is no HDF5; a dataset or attribute is missing (it is named) or has another shape than
        the rest; values are not finite; wavelengths do not increase; windows are not apart; a label is constant.
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
    names, units = ([text(v) for v in file["labels"].attrs[key]] for key in ("names", "units"))
    _check_shapes(path, file, names, units)
    labels, stored = file["labels"][:], file["flux"][:]
    flux = (stored / float(file["flux"].attrs.get("scale", 1.0))).astype(np.float32)
    wavelength = to_vacuum(file["wavelength"][:], text(file["wavelength"].attrs["medium"]))
    if not (np.isfinite(wavelength).all() and np.all(np.diff(wavelength) > 0)):
        raise ReadError(f"{path}: wavelengths must be finite and increase")
    if not np.array_equal(np.diff(file["segment"][:]) != 0, np.diff(segments(wavelength)) != 0):
        raise ReadError(
            f"{path}: the windows of 'segment' are not those of the wavelengths: a new one begins where a step in ln λ "
            f"is more than {GAP:g} times the median step, and nowhere else"
        )
    for what, values in (("labels", labels), ("flux", flux)):
        rows = np.flatnonzero(~np.isfinite(values).all(1))
        if rows.size:
            raise ReadError(f"{path}: {what} of {rows.size} rows are not finite, the first is row {rows[0]}")
    for label, spread in zip(names, np.ptp(labels, axis=0), strict=True):
        if spread == 0:
            raise ReadError(f"{path}: label {label!r} is the same in all rows: nothing can be learned about it")
    content = hashlib.sha256(repr(names).encode())
    for values in (labels, wavelength, flux):
        content.update(np.ascontiguousarray(values).tobytes())
    return Grid(
        labels=labels,
        names=tuple(names),
        units=tuple(units),
        wavelength=wavelength,
        flux=flux,
        attributes={key: text(value) for key, value in file.attrs.items()},
        hash=content.hexdigest()[:16],
    )


def _check_shapes(path: Path, file: h5py.File, names: list[str], units: list[str]) -> None:
    """Raise where the sizes of datasets do not go together, or the resolution is no number."""
    shape = file["flux"].shape
    if len(shape) != 2 or 0 in shape:
        raise ReadError(f"{path}: 'flux' has shape {shape}, not (spectra, pixels)")
    expected = {"labels": (shape[0], len(names)), "wavelength": shape[1:], "segment": shape[1:]}
    for name, wanted in expected.items():
        if file[name].shape != wanted:
            raise ReadError(f"{path}: {name!r} has shape {file[name].shape}, expected {wanted}")
    if len(units) != len(names):
        raise ReadError(f"{path}: {len(names)} names of labels, but {len(units)} units")
    try:
        float(text(file.attrs["resolution"]))
    except ValueError:
        raise ReadError(f"{path}: attribute 'resolution' is {file.attrs['resolution']!r}, not a number") from None


def text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

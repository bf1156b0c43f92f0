"""APOGEE spectra as the binspec package distributes them: npz files on the 7,214 pixels of the Payne networks."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from ..errors import ReadError
from ..spectrum import Spectrum
from .apogee import INSTRUMENT, chip_arms
from .build import origin
from .fits_files import MOST_VALUES
from .registry import Peek, register

#: File with the wavelengths of these pixels, in the folder of the spectrum or in ``networks`` beside it.
WAVELENGTH_FILE = "binspec_apogee_wavelength.npz"

#: From this error on (flux is normalised) a pixel is masked: the convention of binspec (El-Badry et al. 2018).
MASKED_ERROR = 1.0


def recognise(peek: Peek) -> bool:
    """An npz archive with the arrays ``spectrum`` and ``spec_err``."""
    if peek.kind != "npz" or not zipfile.is_zipfile(peek.path):
        return False
    with zipfile.ZipFile(peek.path) as archive:
        return {"spectrum.npy", "spec_err.npy"} <= set(archive.namelist())


@register("apogee-npz", "APOGEE spectrum in the npz format of binspec", recognise)
def read(path: Path, wavelength: str | PathLike[str] | None = None) -> Spectrum:
    """Read a binspec npz file: normalised, in the rest frame, vacuum wavelengths.

    Parameters
    ----------
    wavelength
        npz file whose array ``wavelength`` gives the pixels (vacuum Å); None looks for
        `WAVELENGTH_FILE` beside the spectrum and in the folder ``networks`` beside the spectrum's folder.
    """
    with _opened(path) as arrays:
        flux, error = (_array(path, arrays, name) for name in ("spectrum", "spec_err"))
    source = _find(path) if wavelength is None else Path(fspath(wavelength))
    with _opened(source) as arrays:
        grid = _array(source, arrays, "wavelength")
    if not flux.shape == error.shape == grid.shape or grid.ndim != 1:
        raise ReadError(
            f"{path.name}: spectrum {flux.shape}, spec_err {error.shape} and the wavelengths of {source.name} "
            f"{grid.shape} differ in shape"
        )
    counts: dict[str, int] = {}
    return Spectrum(
        arms=chip_arms(grid, flux, error, counts, unmeasured=error >= MASKED_ERROR),
        frame="rest",
        normalized=True,
        id=path.stem,
        instrument=INSTRUMENT,
        provenance=origin(path.name, "apogee-npz", wavelength=source.name),
        counts=counts,
    )


@contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    with path.open("rb") as file:  # by itself NumPy leaves a file open that is no archive
        arrays = np.load(file, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ReadError(f"{path.name} is no npz archive but a single array")
        yield arrays


def _array(path: Path, arrays: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    if name not in arrays:
        raise ReadError(f"{path.name} has no array {name!r}; it has {', '.join(arrays.files)}")
    assert arrays.zip is not None  # it is open
    with arrays.zip.open(f"{name}.npy") as member:  # NumPy makes room for whatever shape is claimed
        header = npy.read_array_header_1_0 if npy.read_magic(member) == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = header(member)
    if kind.kind not in "iuf" or math.prod(shape) > MOST_VALUES:
        raise ReadError(f"{path.name} is damaged: {name!r} claims the shape {shape} of {kind}")
    return np.asarray(arrays[name], dtype=np.float64)


def _find(path: Path) -> Path:
    folder = path.resolve().parent
    for place in (folder / WAVELENGTH_FILE, folder.parent / "networks" / WAVELENGTH_FILE):
        if place.is_file():
            return place
    raise ReadError(
        f"{path.name} holds no wavelengths and {WAVELENGTH_FILE} is not beside it; name the file with wavelength="
    )

"""Echelle spectra in HDF5, as Starfish and its forerunners write them: arrays of (order, pixel)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import ReadError
from ..spectrum import Frame, Medium, Spectrum, make_arm
from ..wavelength import check_plausible
from .build import origin
from .fits_files import MOST_VALUES
from .registry import Peek, register
from .stated import choose_medium, stated_spectrum

#: Names of the arrays of wavelength, flux and error: those of the early files, then those of Starfish.
LAYOUTS = (("wls", "fls", "sigmas"), ("waves", "fluxes", "sigmas"))

#: Starfish's mask is true for pixels to keep.
KEEP = "masks"


def recognise(peek: Peek) -> bool:
    """An HDF5 file with the arrays of either layout."""
    if peek.kind != "hdf5":
        return False
    with h5py.File(peek.path, "r") as file:
        return _layout(file) is not None


@register("echelle-hdf5", "echelle orders in HDF5 (Starfish)", recognise)
def read(
    path: Path,
    medium: Medium | None = None,
    frame: Frame | None = None,
    instrument: str | None = None,
    normalized: bool | None = None,
) -> Spectrum:
    """Read echelle orders from HDF5: wavelengths (Å), fluxes and errors of shape (orders, pixels).

    Parameters
    ----------
    medium
        Needed where the file has no attribute ``medium``.
    frame
        Barycentric where the file has an attribute ``BCV``, the correction that was applied; else as the
        attribute ``frame`` states, else observed.
    instrument, normalized
        See `bayne.read_spectrum`.
    """
    with h5py.File(path, "r") as file:
        layout = _layout(file)
        if layout is None:
            raise ReadError(f"{path.name} has no arrays {', '.join(LAYOUTS[0])}; it has {', '.join(file) or 'none'}")
        wave, flux, sigma = (_array(file, name, path).astype(np.float64) for name in layout)
        kept = _array(file, KEEP, path).astype(bool) if KEEP in file else None
        attributes = {key: _plain(item) for key, item in file.attrs.items()}
    shapes = [array.shape for array in (wave, flux, sigma, kept) if array is not None]
    if wave.ndim != 2 or len(set(shapes)) > 1:
        raise ReadError(f"{path.name}: {', '.join(layout)} differ in shape ({', '.join(map(str, shapes))})")
    check_plausible(wave, path.name)
    said = choose_medium(medium, attributes.get("medium"))
    counts: dict[str, int] = {}
    arms = [
        make_arm(
            wave[order],
            flux[order],
            counts=counts,
            error=sigma[order],
            reasons={} if kept is None else {"masked": ~kept[order]},
            medium=said,
            name=f"order_{order:02d}",
        )
        for order in range(len(wave))
    ]
    stated = "barycentric" if "BCV" in attributes else attributes.get("frame")
    return stated_spectrum(
        arms,
        {"frame": stated, "star_id": attributes.get("name")},
        frame=frame,
        normalized=normalized,
        id=path.stem,
        instrument=instrument,
        provenance=origin(path.name, "echelle-hdf5", attributes),
        counts=counts,
    )


def _layout(file: Any) -> tuple[str, str, str] | None:
    return next((names for names in LAYOUTS if all(name in file for name in names)), None)


def _array(file: Any, name: str, path: Path) -> np.ndarray:
    """(orders, pixels) numbers of a dataset. One that was never written can claim any size."""
    data = file[name]
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "iufb" or data.size is None:
        raise ReadError(f"{path.name}: {name!r} is no array of numbers")
    if data.size > MOST_VALUES:
        raise ReadError(f"{path.name} is damaged: {name!r} claims the shape {data.shape}")
    return np.atleast_2d(data[()])


def _plain(item: Any) -> Any:
    if isinstance(item, bytes):
        return item.decode()
    return item.tolist() if isinstance(item, np.generic | np.ndarray) else item

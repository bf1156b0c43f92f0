"""Opening FITS files so that a damaged one is an error, and taking values out of headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from ..errors import ReadError


@contextmanager
def open_fits(path: Path) -> Iterator[Any]:
    """Open a FITS file that is complete; data are read when they are asked for.

    Raises
    ------
    ReadError
        The file ends before its last HDU does.
    """
    # without a memory map the arrays stay valid after the file is closed
    with fits.open(path, memmap=False) as hdus:
        _check_complete(path, hdus)
        yield hdus


def read_headers(path: Path) -> tuple[Any, ...]:
    """Headers of all HDUs of a complete FITS file."""
    with open_fits(path) as hdus:
        return tuple(hdu.header for hdu in hdus)


def _check_complete(path: Path, hdus: Any) -> None:
    """Raise where the file is shorter than its headers say: astropy only warns, and not always."""
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            return  # a truncated gzip stream raises by itself when it is unpacked
    size = path.stat().st_size
    end = 0
    for index, hdu in enumerate(hdus):
        if not hasattr(hdu, "fileinfo"):  # what astropy makes of a header that it cannot parse
            raise ReadError(f"{path.name} is damaged: the header of HDU {index} cannot be parsed; fetch it again")
        info = hdu.fileinfo()
        end = info["datLoc"] + info["datSpan"]
        if end > size:
            raise ReadError(
                f"{path.name} is truncated: HDU {index} {hdu.name!r} ends at byte {end}, the file at {size}; "
                "fetch it again"
            )
    if end < size:
        with path.open("rb") as file:
            file.seek(end)
            if file.read(8) == b"XTENSION":
                raise ReadError(f"{path.name} is truncated in the header of HDU {len(hdus)}; fetch it again")


def extension(hdus: Any, name: str | int, path: Path) -> Any:
    """One HDU by name or number.

    Raises
    ------
    ReadError
        There is none; those that exist are listed.
    """
    try:
        return hdus[name]
    except (KeyError, IndexError) as error:
        known = ", ".join(f"{i} {hdu.name!r}" for i, hdu in enumerate(hdus))
        raise ReadError(f"{path.name} has no extension {name!r}; it has {known}") from error


def image(hdus: Any, name: str | int, path: Path) -> np.ndarray:
    """Data of one HDU as they are stored.

    Raises
    ------
    ReadError
        The extension is missing or holds no data.
    """
    data = getattr(extension(hdus, name, path), "data", None)
    if data is None:
        raise ReadError(f"{path.name}: extension {name!r} holds no data")
    return np.asarray(data)


def records(hdus: Any, name: str | int, path: Path) -> Any:
    """Table of one HDU, as `astropy.io.fits.FITS_rec`.

    Raises
    ------
    ReadError
        The extension is missing or is no table.
    """
    hdu = extension(hdus, name, path)
    if not isinstance(hdu, fits.BinTableHDU):
        raise ReadError(f"{path.name}: extension {name!r} is no table")
    return hdu.data


def value(header: Any, key: str) -> Any:
    """A header value as a plain Python object; None where it is missing, blank, or says so (GALAH: 'None')."""
    found = header.get(key)
    if isinstance(found, str):
        found = found.strip()
        return None if found in ("", "None", "NaN", "nan") else found
    if found is None or isinstance(found, fits.card.Undefined):
        return None
    return found.item() if isinstance(found, np.generic) else found


def number(header: Any, key: str) -> float | None:
    """A header value as a finite float; None where it is not one."""
    found = value(header, key)
    if isinstance(found, bool) or not isinstance(found, int | float) or not np.isfinite(found):
        return None
    return float(found)


def keep(header: Any, keys: Iterable[str]) -> dict[str, Any]:
    """Those of the keys that the header has, for the provenance of a spectrum."""
    found = {key: value(header, key) for key in keys}
    return {key: item for key, item in found.items() if item is not None}


def log_grid(header: Any, n: int) -> np.ndarray:
    """(n,) wavelengths of a header whose first axis is linear in log10 of the wavelength."""
    with np.errstate(over="ignore"):  # a damaged header; arms refuse wavelengths that are not finite
        return 10.0 ** (float(header["CRVAL1"]) + float(header["CDELT1"]) * pixels(header, n))


def pixels(header: Any, n: int) -> np.ndarray:
    """(n,) offsets of the pixels from the reference pixel: FITS counts from one."""
    return np.arange(n) + 1.0 - float(header.get("CRPIX1", 1.0))

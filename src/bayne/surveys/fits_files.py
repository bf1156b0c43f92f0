"""Opening FITS files so that a damaged one is an error, and taking values out of headers."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ..errors import ReadError

#: First bytes of a file packed with gzip.
GZIP = b"\x1f\x8b"

#: Bytes of a block and of a card (FITS standard 4.0, section 3), axes and columns that an HDU may have (section 4.4.1).
BLOCK, CARD, MOST_AXES = 2880, 80, 999

#: Values of one array beyond which a file is damaged: some ten times those of an atlas of the solar spectrum.
MOST_VALUES = 20_000_000

#: Bytes that a packed file may have when it is unpacked.
MOST_UNPACKED = 2 << 30

_KEYWORD = re.compile(rb"[ -~]{8}")


@contextmanager
def open_fits(path: Path) -> Iterator[Any]:
    """Open a FITS file that is complete; data are read when they are asked for.

    Raises
    ------
    ReadError
        The file is no FITS file, ends before its last HDU does, or has headers that contradict themselves.
    """
    with unpacked(path) as file:
        number = _check_structure(path.name, file)
        file.seek(0)
        # without a memory map the arrays stay valid after the file is closed
        with fits.open(file, memmap=False) as hdus:
            if len(hdus) != number:  # astropy stops at the first header that it cannot parse
                raise ReadError(f"{path.name} is damaged: the header of HDU {len(hdus)} cannot be parsed")
            yield hdus


def read_headers(path: Path) -> tuple[Any, ...]:
    """Headers of all HDUs of a complete FITS file."""
    with open_fits(path) as hdus:
        return tuple(hdu.header for hdu in hdus)


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """The file, or what is packed in it with gzip, in memory."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        if not packed:
            yield file
            return
        content = BytesIO()
        with gzip.GzipFile(fileobj=file) as stream:
            for piece in iter(partial(stream.read, 1 << 20), b""):
                if content.tell() > MOST_UNPACKED:
                    raise ReadError(f"{path.name} unpacks to more than {MOST_UNPACKED >> 30} GiB; is it damaged?")
                content.write(piece)
        content.seek(0)
        yield content


def _check_structure(name: str, file: BinaryIO) -> int:
    """Number of HDUs, found by walking along the headers.

    astropy believes what headers say: it loops over the axes and columns that one claims, and only warns where the
    file is too short or a header runs on into the data.
    """
    size = file.seek(0, SEEK_END)
    number = end = 0
    while end < size:
        file.seek(end)
        start = file.read(9)
        if not number and start != b"SIMPLE  =":
            raise ReadError(f"{name} is no FITS file: it does not begin with SIMPLE")
        if number and start != b"XTENSION=":
            file.seek(end)
            if any(piece.strip(b"\0 ") for piece in iter(partial(file.read, 1 << 20), b"")):
                raise ReadError(f"{name} is damaged: what follows HDU {number - 1}, from byte {end}, is no HDU")
            break  # padding
        file.seek(end)
        hdu = f"HDU {number}"
        header = _header(name, hdu, file)
        end = file.tell() + _data_size(header, f"{name}: {hdu} is damaged")
        if end > size:
            raise ReadError(
                f"{name} is truncated: {hdu} {header.get('EXTNAME', '')!r} ends at byte {end}, the file at {size}; "
                "fetch it again"
            )
        number += 1
    if not number:
        raise ReadError(f"{name} is empty")
    return number


def _header(name: str, hdu: str, file: BinaryIO) -> Any:
    """The header that begins here; the file is left where it ends."""
    content = bytearray()
    while len(block := file.read(BLOCK)) == BLOCK:
        content += block
        for card in range(0, BLOCK, CARD):
            if block.startswith(b"END     ", card):
                return fits.Header.fromstring(bytes(content))
            if not _KEYWORD.match(block, card):
                raise ReadError(f"{name} is damaged: the header of {hdu} has no end, or a keyword that is no text")
    raise ReadError(f"{name} is truncated in the header of {hdu}; fetch it again")


def _data_size(header: Any, damaged: str) -> int:
    """Bytes of an HDU's data with their padding, as the header says (FITS standard 4.0, equations 1 and 2)."""
    if not isinstance(kind := header.get("XTENSION", ""), str):
        raise ReadError(f"{damaged}: XTENSION is {kind!r}")
    lengths = _lengths(header, "", damaged)
    bits = header.get("BITPIX")
    if type(bits) is not int or bits not in (8, 16, 32, 64, -32, -64):
        raise ReadError(f"{damaged}: BITPIX is {bits!r}")
    _count(header, "TFIELDS", damaged, MOST_AXES)
    if "ZIMAGE" in header and math.prod(_lengths(header, "Z", damaged)) > MOST_VALUES:
        raise ReadError(f"{damaged}: its image would have more than {MOST_VALUES} pixels")
    values = _count(header, "PCOUNT", damaged) + (math.prod(lengths) if lengths else 0)
    size = _count(header, "GCOUNT", damaged, default=1) * values * abs(bits) // 8
    return size + -size % BLOCK


def _lengths(header: Any, prefix: str, damaged: str) -> list[int]:
    axes = _count(header, f"{prefix}NAXIS", damaged, MOST_AXES)
    return [_count(header, f"{prefix}NAXIS{axis + 1}", damaged) for axis in range(axes)]


def _count(header: Any, key: str, damaged: str, most: int = 1 << 62, default: int = 0) -> int:
    found = header.get(key, default)
    if type(found) is not int or not 0 <= found <= most:
        raise ReadError(f"{damaged}: {key} is {found!r}")
    return found


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


def row_of(hdus: Any, name: str | int, index: int, path: Path) -> np.ndarray:
    """One row of an image: a file may hold hundreds of them, and only this one is read.

    Raises
    ------
    ReadError
        The extension is missing, is no image, or has no such row.
    """
    hdu = extension(hdus, name, path)
    if not hdu.is_image or len(hdu.shape) < 2 or hdu.shape[0] <= index:
        raise ReadError(f"{path.name}: extension {name!r} has no row {index}")
    return np.asarray(hdu.section[index])


def records(hdus: Any, name: str | int, path: Path) -> Any:
    """Table of one HDU, as `astropy.io.fits.FITS_rec`.

    Raises
    ------
    ReadError
        The extension is missing, is no table, or its columns do not fill its rows.
    """
    hdu = extension(hdus, name, path)
    if not isinstance(hdu, fits.BinTableHDU):
        raise ReadError(f"{path.name}: extension {name!r} is no table")
    check_row(hdu, name, path)
    return hdu.data


def columns(hdus: Any, name: str | int, wanted: Iterable[str], path: Path) -> dict[str, np.ndarray]:
    """Columns of numbers of one HDU, by their names in lower case, whatever their case in the file.

    Raises
    ------
    ReadError
        As `records`, or a column is missing or holds something else than numbers; those that exist are listed.
    """
    data = records(hdus, name, path)
    own = {column.lower(): column for column in data.columns.names}
    for key in wanted:
        if key not in own:
            known = ", ".join(data.columns.names)
            raise ReadError(f"{path.name}: the table {name!r} has no column {key!r}; it has {known}")
    return {key: real(data[own[key]], f"{path.name}: column {own[key]!r}") for key in wanted}


def one_row(column: np.ndarray, path: Path) -> np.ndarray:
    """(n,) values of a column that has a pixel in every row, or all pixels in its only row.

    Raises
    ------
    ReadError
        There are several rows of arrays, and with them several spectra.
    """
    if column.ndim > 1 and len(column) != 1:
        raise ReadError(f"{path.name} holds {len(column)} spectra where one is expected; give each a file of its own")
    return np.ravel(column)


def check_row(hdu: Any, name: str | int, path: Path) -> None:
    """Raise where a binary table's columns do not fill its rows: values would be those of other columns.

    Raises
    ------
    ReadError
        Names both widths.
    """
    if not isinstance(hdu, fits.BinTableHDU):
        return
    width, row = hdu.columns.dtype.itemsize, hdu.header["NAXIS1"]
    if width != row:
        raise ReadError(f"{path.name} is damaged: the columns of extension {name!r} have {width} bytes, its rows {row}")


def real(values: Any, what: str) -> np.ndarray:
    """An array of real numbers.

    Raises
    ------
    ReadError
        It holds something else.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iufb":
        raise ReadError(f"{what} holds no real numbers but {array.dtype}")
    return array


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


def column_names(header: Any, key: str = "TTYPE") -> list[str]:
    """Names of a table's columns in lower case, or what else `key` says of each."""
    return [str(header.get(f"{key}{i + 1}", "")).strip().lower() for i in range(int(header.get("TFIELDS", 0)))]


def linear_grid(header: Any, n: int) -> np.ndarray:
    """(n,) values along the first axis of a header, which is linear."""
    return float(header["CRVAL1"]) + float(header["CDELT1"]) * pixels(header, n)


def exact_grid(stored: np.ndarray, start: float | None, step: float | None) -> NDArray[np.float64]:
    """log10 wavelengths in full precision, where a grid of this start and step explains the stored ones.

    Files store them as float32, which rounds by up to 0.08 km/s. Where the grid is further off than that, or unknown,
    the stored values are right.
    """
    values: NDArray[np.float64] = stored.astype(np.float64)
    if start is None or not step:
        return values
    exact = start + step * np.round((values - start) / step)
    return exact if np.all(np.abs(exact - values) < 5e-7) else values


def pixels(header: Any, n: int) -> np.ndarray:
    """(n,) offsets of the pixels from the reference pixel: FITS counts from one."""
    return np.arange(n) + 1.0 - float(header.get("CRPIX1", 1.0))

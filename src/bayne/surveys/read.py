"""`read_spectrum`: one call for every file format."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from astropy.io.fits import VerifyError

from ..errors import BayneError, ReadError
from ..spectrum import Frame, Medium, Spectrum
from .registry import Peek, Reader, format_names, reader_named, readers

#: What astropy, h5py, numpy and the standard library raise when a file is damaged or not what it seems.
#: BayneError is among them, as a ValueError. Anything else is a defect of the reader and surfaces as such.
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    RuntimeError,
    ArithmeticError,
    SyntaxError,
    tokenize.TokenError,
    VerifyError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_spectrum(
    path: str | PathLike[str],
    format: str | None = None,
    *,
    medium: Medium | None = None,
    frame: Frame | None = None,
    instrument: str | None = None,
    normalized: bool | None = None,
    unit: str | None = None,
    visit: int | str | None = None,
    targetid: int | None = None,
    row: int | None = None,
    wavelength: str | PathLike[str] | None = None,
) -> Spectrum:
    """Read a spectrum from a file of any known format.

    Parameters
    ----------
    path
        The file. For GALAH also the common stem of a star's four files: any of the four brings the others.
    format
        Name of the format, see `bayne.surveys.format_names`; recognised from the content where None.
    medium
        ``"vacuum"`` or ``"air"``: needed by formats that do not state it (``fits-1d``, ``table``,
        ``echelle-hdf5``), and there it overrides what a file states.
    frame
        ``"observed"``, ``"barycentric"`` or ``"rest"``, for the same formats; ``"observed"`` where neither
        file nor caller states it.
    instrument
        Name of a profile (`bayne.load_instrument`) that gives the line-spread function, same formats.
    normalized
        Whether the flux has been divided by a continuum, same formats.
    unit
        Unit of wavelengths that carry none, such as ``"Angstrom"`` or ``"nm"`` (``fits-1d``, ``table``).
    visit
        ``apstar``: 1, 2, ... for a visit, ``"global"`` for the combination with global weights; None is the
        combination with weights per pixel.
    targetid, row
        ``desi-coadd``: which of the spectra in the file, by TARGETID or by row from 0.
    wavelength
        ``apogee-npz``: file with the wavelengths; looked for beside the spectrum where None.

    Returns
    -------
    Spectrum
        Wavelengths are in vacuum Å, in the frame of the file; masked pixels are counted by reason.

    Raises
    ------
    ReadError
        The file is missing, damaged, or of no known format; an option is missing or does not belong to
        the format. The message says which and what would be right.

    Examples
    --------
    >>> spectrum = read_spectrum("hd122563.fits", medium="air", frame="rest")  # doctest: +SKIP
    """
    given = {
        "medium": medium,
        "frame": frame,
        "instrument": instrument,
        "normalized": normalized,
        "unit": unit,
        "visit": visit,
        "targetid": targetid,
        "row": row,
        "wavelength": wavelength,
    }
    options = {name: option for name, option in given.items() if option is not None}
    file = Path(fspath(path))
    if file.is_dir():
        raise ReadError(f"{file.name} is a directory; give the path of one spectrum")
    try:
        reader = reader_named(format) if format is not None else _recognise(file)
    except ReadError:
        raise
    except _DAMAGED as error:
        raise ReadError(f"{file.name} could not be opened: {_what(error)}; is the file damaged?") from error
    _check_options(file, reader, options)
    try:
        return reader.read(file, **options)
    except ReadError:
        raise
    except FileNotFoundError as error:
        raise ReadError(f"no such file: {error.filename or file}") from error
    except BayneError as error:
        raise ReadError(f"{file.name}: {error}") from error
    except _DAMAGED as error:
        raise ReadError(
            f"{file.name} could not be read as {reader.name} ({reader.description}): {_what(error)}; "
            "the file is damaged, or has another format, which format= would name"
        ) from error


def _recognise(file: Path) -> Reader:
    peek = Peek(file)
    for reader in readers():
        if reader.recognise(peek):
            return reader
    if peek.kind == "missing":
        raise ReadError(f"no such file: {file}")
    what = {"fits": f"a FITS file with the HDUs {peek.extensions}", "unknown": "neither FITS, HDF5, npz nor text"}
    raise ReadError(
        f"{file.name}: the format was not recognised ({what.get(peek.kind, f'kind of file: {peek.kind}')}). "
        f"Known formats: {', '.join(format_names())}; name one with format="
    )


def _check_options(file: Path, reader: Reader, options: dict[str, Any]) -> None:
    for name in options:
        if name not in reader.options:
            takes = f"it takes {', '.join(reader.options)}" if reader.options else "it takes none"
            raise ReadError(f"{file.name}: the format {reader.name!r} has no option {name!r}; {takes}")


def _what(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

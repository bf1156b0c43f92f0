"""`read_spectrum`: one call for every file format."""

from __future__ import annotations

import lzma
import struct
import tokenize
import traceback
import warnings
import zipfile
import zlib
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io.fits import VerifyError
from astropy.table.meta import YamlParseError
from astropy.utils.exceptions import AstropyWarning

from ..errors import BayneError, ReadError
from ..lsf import BandedLSF, GaussianLSF
from ..spectrum import Frame, Medium, Spectrum
from .registry import Peek, Reader, format_names, reader_named, readers

#: What astropy, h5py, numpy and the standard library raise when a file is damaged or not what it seems.
#: BayneError is among them, as a ValueError.
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
    YamlParseError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)

#: Damage as well where another package raised them: astropy takes it that the cards of a header have the right types.
#: Where this package did, they are defects of a reader and surface as such, as all others do.
_DAMAGED_ELSEWHERE = (AttributeError, AssertionError, NameError)

#: Packages that read files.
_ELSEWHERE = ("astropy", "h5py", "numpy")

#: Wavelengths that any spectrum of a star can have, Å.
RANGE = (100.0, 1e6)

#: Resolving powers that any spectrum of a star can have.
RESOLUTIONS = (5.0, 1e7)

#: Barycentric correction that the Earth's motion does not reach, nor that of a spacecraft near it, km/s.
MOST_CORRECTION = 100.0


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
    targetid: int | str | None = None,
    source_id: int | str | None = None,
    row: int | None = None,
    hdu: int | str | None = None,
    exposure: int | str | None = None,
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
        ``echelle-hdf5``), and there it overrides what a file states; so it does in ``eso-phase3``, ``4most-l1``
        and ``weave-l1``.
    frame
        ``"observed"``, ``"barycentric"`` or ``"rest"``, for the same formats; ``"observed"`` where neither
        file nor caller states it. Also for ``gaia-benchmark``, at rest by default.
    instrument
        Name of a profile (`bayne.load_instrument`) that gives the line-spread function, for ``fits-1d``, ``table``,
        ``echelle-hdf5``, ``eso-phase3`` and ``gaia-benchmark``.
    normalized
        Whether the flux has been divided by a continuum, same formats.
    unit
        Unit of wavelengths that carry none, such as ``"Angstrom"`` or ``"nm"`` (``fits-1d``, ``table``).
    visit
        ``apstar``: 1, 2, ... for a visit, ``"global"`` for the combination with global weights; None is the
        combination with weights per pixel. ``mwm``: 1, 2, ... for a visit.
    targetid, row
        Which of the spectra in the file, by TARGETID (``desi-coadd``), by CNAME or TARGID (``weave-l1``), or by row
        from 0 in both.
    source_id
        ``gaia-rvs``: which of the sources in the file.
    hdu
        Number or name of the HDU, where a FITS file has several spectra (``fits-1d``, ``table``, ``mwm``).
    exposure
        ``lamost-mrs``: number of a single exposure; None is the combination.
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
    given = dict(
        medium=medium, frame=frame, instrument=instrument, normalized=normalized, unit=unit, visit=visit,
        targetid=targetid, source_id=source_id, row=row, hdu=hdu, exposure=exposure, wavelength=wavelength,
    )  # fmt: skip
    options = {name: option for name, option in given.items() if option is not None}
    file = Path(fspath(path))
    if file.is_dir():
        raise ReadError(f"{file.name} is a directory; give the path of one spectrum")
    if file.exists() and not file.is_file():
        raise ReadError(f"{file.name} is no file but a pipe or a device")  # which could be waited for without end
    # astropy warns of every card that is off the standard, by the hundred: what matters is an error here
    with warnings.catch_warnings(action="ignore", category=AstropyWarning):
        spectrum = _read(file, format, options)
    return replace(spectrum, provenance=spectrum.provenance | {"hash": spectrum.hash})


def _read(file: Path, format: str | None, options: dict[str, Any]) -> Spectrum:
    try:
        reader = reader_named(format) if format is not None else _recognise(file)
    except ReadError:
        raise
    except (*_DAMAGED, *_DAMAGED_ELSEWHERE) as error:
        if _is_defect(error):
            raise
        raise ReadError(f"{file.name} could not be opened: {_what(error)}; is the file damaged?") from error
    _check_options(file, reader, options)
    try:
        with np.errstate(all="ignore"):  # what overflows or is no number is masked, or refused as a wavelength
            spectrum = reader.read(file, **options)
        _check_sane(spectrum)
    except ReadError:
        raise
    except FileNotFoundError as error:
        raise ReadError(f"no such file: {error.filename or file}") from error
    except BayneError as error:
        raise ReadError(f"{file.name}: {error}") from error
    except (*_DAMAGED, *_DAMAGED_ELSEWHERE) as error:
        if _is_defect(error):
            raise
        raise ReadError(
            f"{file.name} could not be read as {reader.name} ({reader.description}): {_what(error)}; "
            "the file is damaged, or has another format, which format= would name"
        ) from error
    return spectrum


def _is_defect(error: BaseException) -> bool:
    """Whether an error says that a reader is wrong, and not the file."""
    if not isinstance(error, _DAMAGED_ELSEWHERE):
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).split(".")[0] not in _ELSEWHERE


def _check_sane(spectrum: Spectrum) -> None:
    """Raise where the wavelengths, widths or correction of a spectrum cannot be true; fluxes may be anything.

    Raises
    ------
    BayneError
        Names what was found, and in which arm.
    """
    if abs(spectrum.bary_kms or 0.0) > MOST_CORRECTION:
        raise BayneError(f"a barycentric correction of {spectrum.bary_kms:.6g} km/s cannot be")
    for arm in spectrum.arms:
        wave, lsf = arm.wavelength, arm.lsf
        if wave[0] < RANGE[0] or wave[-1] > RANGE[1]:
            raise BayneError(
                f"arm {arm.name!r} has wavelengths from {wave[0]:.6g} to {wave[-1]:.6g} Å; is the unit wrong?"
            )
        least, most = RESOLUTIONS
        if isinstance(lsf, GaussianLSF) and not np.all((lsf.fwhm > wave / most) & (lsf.fwhm < wave / least)):
            raise BayneError(
                f"arm {arm.name!r} has a line-spread function of {lsf.fwhm.min():.3g} to {lsf.fwhm.max():.3g} Å (FWHM)"
            )
        if isinstance(lsf, BandedLSF) and lsf.bands.shape != (lsf.offsets.size, wave.size):
            raise BayneError(f"arm {arm.name!r} has {wave.size} pixels and a resolution matrix of {lsf.bands.shape}")


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

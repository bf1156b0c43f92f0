"""Line lists: reading files of several formats into the arrays that the synthesis takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import BayneError, ReadError
from ..registry import Registry
from . import korg_lines, kurucz_lines, moog_lines, turbospectrum_lines, vald
from .transitions import LineList, assemble

__all__ = ["LineList", "Reader", "assemble", "format_names", "read_linelist", "register"]


@dataclass(frozen=True)
class Reader:
    """How one format of line lists is recognised and read.

    Parameters
    ----------
    description
        One line for people.
    recognise
        Whether a file has this format, from its content: ``recognise(path)``.
    read
        ``read(path, medium)``, with ``"air"``, ``"vacuum"`` or, where the caller did not say, None; raises `ReadError`
        when the file contradicts the medium, or needs and lacks it. `assemble` makes the result.
    """

    description: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path, str | None], LineList]


_READERS = Registry[Reader]("format {!r} of line lists")

#: Add a format: ``register(name, reader)``.
register = _READERS.add

register("vald", Reader("VALD3, extract all, element or stellar, short or long", vald.recognise, vald.read))
register("korg", Reader("HDF5 of Korg", korg_lines.recognise, korg_lines.read))
register("kurucz", Reader("Kurucz, gfall or molecules", kurucz_lines.recognise, kurucz_lines.read))
register("turbospectrum", Reader("Turbospectrum", turbospectrum_lines.recognise, turbospectrum_lines.read))
register("moog", Reader("MOOG, log gf of single isotopes", moog_lines.recognise, moog_lines.read))
register(
    "moog-scaled",
    Reader("MOOG, isotopic fractions in log gf; only by format=", lambda path: False, moog_lines.read_scaled),
)


def format_names() -> list[str]:
    """Names that ``format=`` accepts."""
    return sorted(_READERS)


def read_linelist(path: str | Path, *, format: str | None = None, medium: str | None = None) -> LineList:
    """Read a line list.

    Parameters
    ----------
    path
        The file.
    format
        One of `format_names`; None recognises it by its content.
    medium
        ``"air"`` or ``"vacuum"``: of the wavelengths in the file, needed where it does not say.

    Returns
    -------
    LineList
        In vacuum; air wavelengths are converted by `bayne.wavelength.air_to_vacuum`.

    Raises
    ------
    ReadError
        The file is missing, has no known format, contradicts `medium` or cannot be understood: says where and why.
    BayneError
        `format` or `medium` is none.
    """
    path = Path(path)
    if medium not in (None, "air", "vacuum"):
        raise BayneError(f"medium {medium!r}: say 'vacuum' or 'air'")
    reader = None if format is None else _READERS.named(format)
    if not path.is_file():
        raise ReadError(f"{path}: no such file")
    newest_first = reversed(list(_READERS.values()))
    reader = reader or next((one for one in newest_first if one.recognise(path)), None)
    if reader is None:
        known = "; ".join(f"{name!r} ({one.description})" for name, one in _READERS.items())
        raise ReadError(f"{path}: the format of this line list is not known. Known: {known}")
    try:
        return reader.read(path, medium)
    except BayneError as error:
        raise ReadError(f"{path}: {error}") from error

"""The table of readers, and the first look at a file that decides between them."""

from __future__ import annotations

import gzip
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ..errors import ReadError
from ..registry import Registry
from ..spectrum import Spectrum
from .fits_files import read_headers

Kind = Literal["fits", "hdf5", "npz", "text", "missing", "unknown"]


@dataclass(frozen=True)
class Peek:
    """A first look at a file: what kind it is and, for FITS, its headers. No data are read.

    Parameters
    ----------
    path
        The file; it need not exist, since some formats accept the common stem of several files.
    """

    path: Path

    @cached_property
    def kind(self) -> Kind:
        """Kind of file by its first bytes, whatever its name says."""
        if not self.path.exists():
            return "missing"
        with self.path.open("rb") as file:
            start = file.read(4096)
        if start.startswith(b"\x1f\x8b"):
            with gzip.open(self.path) as unpacked:
                start = unpacked.read(4096)
        if start.startswith(b"SIMPLE  ="):
            return "fits"
        if start.startswith(b"\x89HDF\r\n\x1a\n"):
            return "hdf5"
        if start.startswith(b"PK\x03\x04"):
            return "npz"
        return "text" if start.strip() and b"\0" not in start else "unknown"

    @cached_property
    def headers(self) -> tuple[Any, ...]:
        """`astropy.io.fits.Header` of every HDU; empty for other kinds of file."""
        return read_headers(self.path) if self.kind == "fits" else ()

    def header(self, index: int) -> Any:
        """Header of one HDU; an empty mapping where there is none."""
        return self.headers[index] if index < len(self.headers) else {}

    @property
    def extensions(self) -> list[str]:
        """Names of the HDUs, in capitals."""
        return [str(header.get("EXTNAME", "")).strip().upper() for header in self.headers]


@dataclass(frozen=True)
class Reader:
    """How one file format is recognised and read.

    Parameters
    ----------
    name
        What ``format=`` calls it.
    description
        One line for people.
    recognise
        Whether a file has this format, from its content.
    read
        Reads it: ``read(path, **options)``; the keyword arguments it takes are the options of the format.
    generic
        Tried after all others, because it recognises many files.
    """

    name: str
    description: str
    recognise: Callable[[Peek], bool]
    read: Callable[..., Spectrum]
    generic: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that this format takes."""
        return tuple(inspect.signature(self.read).parameters)[1:]


_READERS = Registry[Reader]("format {!r}", ReadError)

#: The reader of a format.
reader_named = _READERS.named


def register(
    name: str, description: str, recognise: Callable[[Peek], bool], *, generic: bool = False
) -> Callable[[Callable[..., Spectrum]], Callable[..., Spectrum]]:
    """Decorate the reading function of a new format.

    Parameters
    ----------
    name, description, recognise, generic
        See `Reader`.

    Raises
    ------
    BayneError
        The name is taken.
    """

    def decorate(read: Callable[..., Spectrum]) -> Callable[..., Spectrum]:
        _READERS.add(name, Reader(name, description, recognise, read, generic))
        return read

    return decorate


def readers() -> tuple[Reader, ...]:
    """All readers, those of particular surveys before the generic ones, else by name."""
    return tuple(sorted(_READERS.values(), key=lambda reader: (reader.generic, reader.name)))


def format_names() -> list[str]:
    """Names that ``format=`` accepts."""
    return sorted(_READERS)

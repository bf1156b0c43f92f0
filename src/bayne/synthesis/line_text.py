"""What readers of line lists in text share: unpacking, air or vacuum, and lines gathered one by one."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import BayneError
from ..spectrum import FloatArray
from ..wavelength import air_to_vacuum
from .constants import HC_EV
from .isotopes import fraction
from .species import Species
from .transitions import LineList, assemble

#: cm^-1 per eV.
WAVENUMBER_PER_EV = 1e8 / HC_EV

#: Å up to which wavelengths of line lists are in vacuum in any case.
ALWAYS_VACUUM = 2000.0


def open_text(path: Path, size: int = -1) -> str:
    """Text of a file, or its first `size` bytes, unpacked where it is gzipped."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        return file.read(size).decode("utf-8", errors="replace")


def beginning(path: Path) -> str:
    """The first bytes of a text, by which a format is recognised; empty for what is no text."""
    try:
        start = open_text(path, 16_384)
    except (OSError, EOFError):
        return ""
    return "" if "\0" in start else start


def check_medium(medium: str | None) -> str:
    """The medium that was given, of a format that does not state it.

    Raises
    ------
    BayneError
        None was given.
    """
    if medium is None:
        raise BayneError("this format does not say whether wavelengths are in air or vacuum; give medium=")
    return medium


class Rows:
    """Lines of a list, gathered one by one."""

    def __init__(self) -> None:
        self.values: list[Sequence[float]] = []
        self.kinds: list[int] = []
        self.known: dict[tuple[Species, tuple[int, ...]], int] = {}

    def add(self, kind: tuple[Species, tuple[int, ...]], values: Sequence[float]) -> None:
        """One line.

        Parameters
        ----------
        kind
            Species, and the mass numbers of its atoms (0: natural mixture).
        values
            Wavelength (Å), log gf, lower level (eV), and rad, stark and vdw as `assemble` takes them.
        """
        self.kinds.append(self.known.setdefault(kind, len(self.known)))
        self.values.append(values)

    def finish(self, medium: str, *, scaled: bool) -> LineList:
        """The list.

        Parameters
        ----------
        medium
            ``"air"`` or ``"vacuum"``; below 2000 Å wavelengths are in vacuum in any case.
        scaled
            Whether log gf have the fractions of the isotopes in them already; if not, natural ones are put in.

        Raises
        ------
        BayneError
            As `assemble`; an isotope that does not occur in nature.
        """
        species = tuple(dict.fromkeys(one for one, _ in self.known))
        isotopes = tuple(dict.fromkeys(masses for _, masses in self.known))
        shift = np.array([0.0 if scaled else np.log10(fraction(*both)) for both in self.known])
        places = [(species.index(one), isotopes.index(masses)) for one, masses in self.known]
        kinds = np.array(self.kinds, dtype=np.intp)
        kind, isotope = np.array(places, dtype=np.intp).reshape(-1, 2)[kinds].T
        wavelength, log_gf, energy, rad, stark, vdw = np.array(self.values, dtype=float).reshape(-1, 6).T
        return assemble(
            _vacuum(wavelength, medium),
            species,
            kind,
            log_gf + shift[kinds],
            energy,
            rad,
            stark,
            vdw,
            isotopes,
            isotope,
        )


def _vacuum(wavelength: FloatArray, medium: str) -> FloatArray:
    air = (wavelength >= ALWAYS_VACUUM) if medium == "air" else np.zeros(len(wavelength), dtype=bool)
    return np.where(air, air_to_vacuum(np.where(air, wavelength, 5000.0)), wavelength)

"""Reader of line lists for MOOG (Sneden 1973, PhD thesis, Texas): one line of numbers for each spectral line."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import BayneError, ReadError
from .constants import BOLTZMANN, DALTON
from .damping import REFERENCE_TEMPERATURE
from .line_text import Rows, beginning, check_medium, open_text
from .species import MASSES, Species, parse_species
from .transitions import LineList

_CODE = re.compile(r"(\d+)\.(\d)(\d*)")

#: Positive van der Waals values below this are C6 in cm^6 s^-1, others factors, as MOOG has it.
_LARGEST_C6 = 1e-10

#: Columns of the van der Waals value in the fixed format; where they are blank, the fifth number is a dissociation
#: energy.
_VDW = slice(40, 50)


def recognise(path: Path) -> bool:
    """Whether the first or second line has the numbers of MOOG: wavelength, species, lower level in eV, log gf."""
    return any(map(_is_row, beginning(path).splitlines()[:2]))


def _is_row(line: str) -> bool:
    numbers = line.split()
    if not 4 <= len(numbers) <= 7 or not _CODE.fullmatch(numbers[1]):
        return False
    try:
        wavelength, _, energy, log_gf = (float(number) for number in numbers[:4])
        code_of(numbers[1])
    except (ValueError, BayneError):
        return False
    return wavelength > 100 and 0 <= energy < 100 and -30 < log_gf < 5


def read(path: Path, medium: str | None = None) -> LineList:
    """Read a list of MOOG: log gf of single isotopes, which MOOG scales with the fractions that its user gives.

    Natural fractions are used here. The columns are wavelength (Å), species, lower level (eV), log gf, van der Waals
    broadening, dissociation energy (of molecules; not used). The broadening is log10 of the width per hydrogen atom
    at 10,000 K where negative, C6 (cm^6 s^-1) below 1e-10, else a factor on Unsöld's width; 0 or blank: not given.

    Parameters
    ----------
    path
        Text, or packed by gzip. One title line may come first.
    medium
        ``"air"`` or ``"vacuum"``, which the format does not say.

    Raises
    ------
    ReadError
        No medium; a line that is cut short or no numbers, with its number; an unknown species or isotope.
    """
    return _read(path, medium, scaled=False)


def read_scaled(path: Path, medium: str | None = None) -> LineList:
    """Read a list whose log gf have the natural fractions of the isotopes in them, as in VALD; else see `read`."""
    return _read(path, medium, scaled=True)


def _read(path: Path, medium: str | None, scaled: bool) -> LineList:
    rows, medium = Rows(), check_medium(medium)
    for number, line in enumerate(open_text(path).splitlines(), start=1):
        if not line.strip() or (number == 1 and not _is_row(line)):
            continue
        numbers = line.split()
        try:
            wavelength, energy, log_gf = (float(numbers[i]) for i in (0, 2, 3))
            vdw = _vdw(numbers, line)
        except (IndexError, ValueError):
            raise ReadError(
                f"line {number}: a list of MOOG has wavelength, species, lower level and log gf: {line.strip()[:60]!r}"
            ) from None
        rows.add(code_of(numbers[1]), (wavelength, log_gf, energy, 0.0, 0.0, vdw))
    return rows.finish(medium, scaled=scaled)


def _vdw(numbers: list[str], line: str) -> float:
    """Van der Waals column as `assemble` takes it."""
    if len(numbers) < 5 or (len(numbers) == 5 and (float(numbers[1]) >= 100 or not line[_VDW].strip())):
        return 0.0
    value = float(numbers[4])
    if not 0 < value < _LARGEST_C6:
        return value
    # Unsöld's width 17 C6^(2/5) v^(3/5) (Gray 2005, chapter 11), per hydrogen atom
    mass = MASSES[int(float(numbers[1]))]
    reduced = DALTON * mass * MASSES[1] / (mass + MASSES[1])
    speed = np.sqrt(8 * BOLTZMANN * REFERENCE_TEMPERATURE / (np.pi * reduced))
    return float(np.log10(17 * value**0.4 * speed**0.6))


@cache
def code_of(code: str) -> tuple[Species, tuple[int, ...]]:
    """Species and mass numbers of a code: ``26.1`` Fe II, ``63.1151`` Eu II of mass 151, ``607.01314`` CN of C 13.

    Raises
    ------
    BayneError
        No such species, or isotopes for some of its atoms only.
    """
    match = _CODE.fullmatch(code)
    if match is None:
        raise BayneError(f"species {code!r}: MOOG writes 26.0 for Fe I, 26.1 for Fe II, 607.0 for CN")
    species = parse_species(f"{match[1]}.{match[2]}")
    digits, atoms = match[3], len(species.atoms)
    if not digits.strip("0"):
        return species, (0,) * atoms
    if atoms == 1:
        return species, (int(digits),)
    if len(digits) != 2 * atoms:
        raise BayneError(f"species {code!r}: {atoms} atoms need {2 * atoms} digits of isotopes")
    return species, tuple(int(digits[i : i + 2]) for i in range(0, len(digits), 2))

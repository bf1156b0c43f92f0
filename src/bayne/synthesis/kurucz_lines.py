"""Reader of Kurucz's line lists (kurucz.harvard.edu) in fixed columns: atoms as in ``gfall``, or a molecule."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import BayneError, ReadError
from ..spectrum import FloatArray
from ..wavelength import vacuum_to_air
from .isotopes import FRACTIONS
from .line_text import ALWAYS_VACUUM, WAVENUMBER_PER_EV, Rows, beginning, open_text
from .species import Species, parse_species
from .transitions import LineList

_ATOM = re.compile(r"[ \d]{6}\.\d{4}[ \d.-]{7}[ \d]{3}\.\d\d[ \d.-]{12}[ \d.]{5} .{10}[ \d.-]{12}[ \d.]{5}")
_MOLECULE = re.compile(r"[ \d]{5}\.\d{4}[ \d.-]{7}[ \d.]{5}[ \d.-]{10}[ \d.]{5}[ \d.-]{11}[ \d]{4}(?=.|$)")

#: Columns of an atomic line: code, the two levels (cm^-1), log10 of radiative, Stark and van der Waals widths, log10 of
#: the hyperfine component's and of the isotope's fractions, mass number.
_CODE, _LEVELS = slice(18, 24), (slice(24, 36), slice(52, 64))
_DAMPING, _FRACTIONS, _ISOTOPE = (
    (slice(80, 86), slice(86, 92), slice(92, 98)),
    (slice(109, 115), slice(118, 124)),
    slice(106, 109),
)

#: Half of the relative difference between air and vacuum: wavelengths of measured levels agree to 1e-6.
_CLOSE = 1e-4

#: Columns of a molecular line: code, the two levels, isotope, 100 log10 of the radiative width.
_MOLECULE_CODE, _MOLECULE_LEVELS = slice(48, 52), (slice(22, 32), slice(37, 48))
_MOLECULE_ISOTOPE, _MOLECULE_RAD = slice(68, 70), slice(70, 74)


def recognise(path: Path) -> bool:
    """Whether the first line has Kurucz's columns."""
    first = beginning(path).partition("\n")[0]
    return bool(_ATOM.match(first) or _MOLECULE.match(first))


def read(path: Path, medium: str | None = None) -> LineList:
    """Read a list of Kurucz.

    Wavelengths (nm) are in air above 200 nm in the original lists; which it is follows from the levels. Levels that are
    predicted and not measured are negative in the file. Of atoms, the fractions of isotopes and of hyperfine
    components are those of the file; of molecules, natural ones.

    Parameters
    ----------
    path
        Text, or packed by gzip.
    medium
        ``"air"``, ``"vacuum"``, or None; must not contradict the levels.

    Raises
    ------
    ReadError
        A line that has not the columns, with its number; another medium than was said; an unknown species or isotope.
    """
    text = open_text(path).splitlines()
    atomic = bool(text and _ATOM.match(text[0]))
    rows, wavelength, gap = Rows(), [], []
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            code, values, difference = (_atom if atomic else _molecule)(line)
        except ValueError:
            raise ReadError(f"line {number}: not the columns of Kurucz's lists: {line.strip()[:60]!r}") from None
        rows.add(_kind(*code), values)
        wavelength.append(values[0])
        gap.append(difference)
    found = _medium(np.array(wavelength), np.array(gap))
    if medium is not None and medium != found:
        raise ReadError(f"medium={medium!r} was given, but the levels say that the wavelengths are in {found}")
    return rows.finish(found, scaled=atomic)


def _atom(line: str) -> tuple[tuple[str, int], tuple[float, ...], float]:
    """Code and isotope, what `Rows` takes, and the difference of the levels (cm^-1)."""
    low, high = sorted(abs(float(line[columns])) for columns in _LEVELS)
    rad, stark, vdw = (float(line[columns].strip() or 0) for columns in _DAMPING)
    log_gf = float(line[11:18]) + sum(float(line[columns].strip() or 0) for columns in _FRACTIONS)
    values = (10 * float(line[:11]), log_gf, low / WAVENUMBER_PER_EV, rad, stark, vdw)
    return (line[_CODE].strip(), int(line[_ISOTOPE].strip() or 0)), values, high - low


def _molecule(line: str) -> tuple[tuple[str, int], tuple[float, ...], float]:
    """The same of a molecular line."""
    low, high = sorted(abs(float(line[columns])) for columns in _MOLECULE_LEVELS)
    rad = float(line[_MOLECULE_RAD].strip() or 0) / 100
    values = (10 * float(line[:10]), float(line[10:17]), low / WAVENUMBER_PER_EV, rad, 0.0, 0.0)
    return (line[_MOLECULE_CODE].strip(), int(line[_MOLECULE_ISOTOPE].strip() or 0)), values, high - low


@cache
def _kind(code: str, isotope: int) -> tuple[Species, tuple[int, ...]]:
    """Species and mass numbers of 26.00 and 56 (Fe I of mass 56), 106 and 13 (CH of C 13), 606 and 33 (C2 of C 13)."""
    species = parse_species(code)
    if isotope == 33 and species.atoms == (6, 6):
        return species, (13, 13)
    # one number for the molecule: that of its rare atom, or of the commonest one that has it
    mine = [i for i, z in enumerate(species.atoms) if (z, isotope) in FRACTIONS]
    if isotope and not mine:
        raise BayneError(f"species {code!r} has no natural isotope {isotope}")
    return species, tuple(isotope if mine and i == mine[0] else 0 for i in range(len(species.atoms)))


def _medium(wavelength: FloatArray, gap: FloatArray) -> str:
    """Which of air and vacuum the wavelengths (Å) are in, by the differences of the levels (cm^-1)."""
    visible = (wavelength > ALWAYS_VACUUM) & (gap > 0)
    if not visible.any():
        return "vacuum"
    of_levels = 1e8 / gap[visible]
    media = {"air": vacuum_to_air(of_levels), "vacuum": of_levels}
    error = {medium: np.median(np.abs(wavelength[visible] / there - 1)) for medium, there in media.items()}
    best = min(error, key=lambda medium: error[medium])
    if error[best] > _CLOSE:
        raise ReadError("wavelengths (nm) and levels (cm^-1) do not agree, in air nor in vacuum: not a list of Kurucz")
    return best

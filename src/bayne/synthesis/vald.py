"""Reader of line lists as VALD3 sends them: extract all, element and stellar, in short and long format.

The forms are those of the VALD wiki (www.astro.uu.se/valdwiki) and of answers of its e-mail service.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import BayneError, ReadError
from .line_text import WAVENUMBER_PER_EV, Rows, beginning, open_text
from .species import SYMBOLS, Species, parse_species
from .transitions import LineList

_WAVELENGTH = re.compile(r"\bWL(?:_(air|vac))?\(([^)]*)\)")
_ENERGY = re.compile(r"\b(?:Excit|E_low)\(([^)]*)\)")
_COUNT = re.compile(r"\s*[\d.]+\s*,\s*[\d.]+\s*,\s*(\d+)\s*,\s*\d+\s*,.*Wavelength region")
_ROW = re.compile(r"\s*'([^':]*)'\s*,\s*([^'\s].*)")
_MODEL = re.compile(r"\s*'([^':]*)'\s*,?\s*$")
_END = re.compile(r"\s*(\*|References|BIBTEX)")
_ISOTOPE = re.compile(r"\((\d{1,3})\)([A-Z][a-z]?)(\d?)")

_DAMPING = ("rad", "stark", "vdw")
_LEVELS = ("energy", "J_low", "E_up", "J_up", "lande_low", "lande_up", "lande")
#: Numbers of a line of the list, by whether the format is long and whether the request was "extract stellar".
_COLUMNS: dict[tuple[bool, bool], tuple[str, ...]] = {
    (True, False): ("wavelength", "log_gf", *_LEVELS, *_DAMPING),
    (True, True): ("wavelength", "log_gf", *_LEVELS, *_DAMPING, "depth"),
    (False, False): ("wavelength", "energy", "log_gf", *_DAMPING, "lande"),
    (False, True): ("wavelength", "energy", "vmic", "log_gf", *_DAMPING, "lande", "depth"),
}
_KEPT = ("wavelength", "log_gf", "energy", *_DAMPING)


class Header(NamedTuple):
    """What the heading of the table says.

    Parameters
    ----------
    medium
        ``"air"`` or ``"vacuum"``; None in lists of VALD2, which do not say.
    scale
        Å per unit of wavelength.
    per_ev
        Units of energy per eV.
    columns
        Names of the numbers of a line.
    long
        Whether a line of the list takes four lines of the file.
    stellar
        Whether a model atmosphere and abundances follow the list.
    """

    medium: str | None
    scale: float
    per_ev: float
    columns: tuple[str, ...]
    long: bool
    stellar: bool


def recognise(path: Path) -> bool:
    """Whether a file is a text with VALD's heading near its beginning."""
    start = beginning(path)
    return bool(_WAVELENGTH.search(start)) and bool(_ENERGY.search(start))


def read(path: Path, medium: str | None = None) -> LineList:
    """Read a list of VALD.

    Parameters
    ----------
    path
        The answer as a text, or packed by gzip.
    medium
        Needed for lists of VALD2 alone, whose heading ``WL(A)`` does not say it; must not contradict the heading.

    Raises
    ------
    ReadError
        Truncated or otherwise broken, with the number of the line; an unknown species; no remark on isotopes where
        there are some.

    Warns
    -----
    UserWarning
        VALD left lines out because there were more than it sends.

    Notes
    -----
    Where VALD did not scale the oscillator strengths with the fractions of the isotopes, it is done here, with those of
    `bayne.synthesis.isotopes`. Wavelengths below 2000 Å are in vacuum also in lists "in air". Hydrogen lines are left
    out: they have their own opacity.
    """
    lines = open_text(path).splitlines()
    text = [(number, line) for number, line in enumerate(lines, start=1) if not line.startswith("#")]
    if any("Output was truncated" in line for _, line in text[:3]):
        warnings.warn(f"{path}: VALD left lines out of this list; ask for shorter ranges of wavelength", stacklevel=2)
    first = next((i for i, (_, line) in enumerate(text) if _WAVELENGTH.search(line)), None)
    if first is None:
        raise ReadError("no heading with a column WL_air or WL_vac: not a list of VALD")
    header = _header(*text[first])
    if header.medium and medium and header.medium != medium:
        raise ReadError(f"medium={medium!r} was given, but the heading of the list says {header.medium}")
    if not (header.medium or medium):
        raise ReadError("the heading does not say whether wavelengths are in air or vacuum; give medium=")

    rows = Rows()
    for number, name, numbers, reference in _rows(text[first + 1 :], header):
        values = _numbers(number, numbers, header.columns)
        wave, log_gf, energy, *damping = (values[column] for column in _KEPT)
        rows.add(_kind(number, name, reference), (wave * header.scale, log_gf, energy / header.per_ev, *damping))
    footer = "\n".join(line for _, line in text[first + 1 :] if line.startswith("*"))
    declared = next((int(match[1]) for _, line in text[:first] if (match := _COUNT.match(line))), 0)
    if not footer and len(rows.values) < max(declared, 1):
        raise ReadError(f"the file ends after {len(rows.values)} of {declared or 'its'} lines")
    return rows.finish(str(header.medium or medium), scaled=_scaled(rows, footer))


def _kind(number: int, name: str, reference: str) -> tuple[Species, tuple[int, ...]]:
    """Species and mass numbers of a line."""
    try:
        species = parse_species(name)
    except BayneError as error:
        raise ReadError(f"line {number}: {error}") from error
    return species, _isotopes(species, reference)


def _scaled(rows: Rows, footer: str) -> bool:
    """Whether log gf have the fractions of isotopes in them, as VALD remarks at the end."""
    if "were NOT scaled" in footer or not any(any(masses) for _, masses in rows.known):
        return False
    if "were scaled" not in footer:
        raise ReadError(
            "the list has isotopes, but its end, with VALD's remark whether oscillator strengths were scaled "
            "by their ratios, is missing"
        )
    return True


def _header(number: int, line: str) -> Header:
    wave, energy = _WAVELENGTH.search(line), _ENERGY.search(line)
    scales, energies = {"A": 1.0, "nm": 10.0}, {"eV": 1.0, "cm^-1": WAVENUMBER_PER_EV}
    if wave is None or energy is None:
        raise ReadError(f"line {number}: the heading has no column Excit or E_low")
    if wave[2] not in scales or energy[1] not in energies:
        raise ReadError(
            f"line {number}: wavelengths in {wave[2]!r} and energies in {energy[1]!r}; known are A and nm, eV and cm^-1"
        )
    long, stellar = "J lo" in line, "depth" in line
    medium = {"air": "air", "vac": "vacuum"}.get(wave[1])
    return Header(medium, scales[wave[2]], energies[energy[1]], _COLUMNS[long, stellar], long, stellar)


def _rows(text: list[tuple[int, str]], header: Header) -> Iterator[tuple[int, str, str, str]]:
    """Number in the file, species, numbers and references of each line of the list."""
    place = 0
    while place < len(text):
        number, line = text[place]
        row = _ROW.match(line)
        if row is None:
            if not line.strip():
                place += 1
                continue
            _check_end(text[place:], header)
            return
        values, _, reference = row[2].partition("'")
        place += 1
        if header.long:
            rest = [line for _, line in text[place : place + 3]]
            if len(rest) < 3 or not rest[2].lstrip().startswith("'") or any(_ROW.match(one) for one in rest):
                raise ReadError(
                    f"line {number}: cut short; in the long format a line has two lines of terms and one of references"
                )
            reference = rest[2]
            place += 3
        yield number, row[1], values, reference


def _check_end(text: list[tuple[int, str]], header: Header) -> None:
    """Refuse text after the list that belongs to it, or to another list."""
    number, line = text[0]
    model = _MODEL.match(line) if header.stellar else None
    if model:
        try:
            parse_species(model[1])
        except BayneError:
            pass
        else:
            raise ReadError(f"line {number}: {line.strip()} is cut short")
    elif not _END.match(line):
        raise ReadError(f"line {number}: neither a line of the list nor its end: {line.strip()[:60]!r}")
    for number, line in text[1:]:
        if _ROW.match(line) or _WAVELENGTH.search(line):
            raise ReadError(f"line {number}: the list goes on after its end; are these two lists in one file?")


def _numbers(number: int, text: str, columns: tuple[str, ...]) -> dict[str, float]:
    entries = [entry.strip() for entry in text.strip().rstrip(",").split(",")]
    if len(entries) != len(columns):
        raise ReadError(
            f"line {number}: {len(entries)} numbers after the species, not {len(columns)} "
            f"({', '.join(columns)}); is it cut short?"
        )
    values = {}
    for column, entry in zip(columns, entries, strict=True):
        try:
            values[column] = float(entry)
        except ValueError:
            values[column] = math.nan
        if not math.isfinite(values[column]) and column in _KEPT:
            raise ReadError(f"line {number}: {entry!r} in the column {column} is not a number")
    return values


def _isotopes(species: Species, reference: str) -> tuple[int, ...]:
    """Mass numbers in the order of the atoms, from ``"(48)TiO"`` or ``"(12)C(14)N"`` in the references."""
    masses = [0] * len(species.atoms)
    for mass, symbol, count in _ISOTOPE.findall(reference):
        for _ in range(int(count or 1)):
            free = [i for i, z in enumerate(species.atoms) if SYMBOLS[z] == symbol and not masses[i]]
            if free:
                masses[free[0]] = int(mass)
    pairs = sorted(zip(species.atoms, masses, strict=True))
    return tuple(mass for _, mass in pairs)

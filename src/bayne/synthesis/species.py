"""Atoms, ions and molecules: their names, masses and solar abundances."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from ..errors import BayneError

_ELEMENTS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc
Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi
Po At Rn Fr Ra Ac Th Pa U
"""

#: Symbols of the elements by atomic number, 1 to 92; the first is empty.
SYMBOLS: tuple[str, ...] = ("", *_ELEMENTS.split())

#: Standard atomic weights in u by atomic number: IUPAC 2021 (Prohaska et al. 2022, Pure Appl. Chem. 94, 573, Table 1;
#: the abridged value where an interval is given, Table 2). Elements without one have the mass number of their
#: longest-lived isotope: Tc, Pm, Po to Ac.
MASSES: tuple[float, ...] = (
    *(math.nan, 1.008, 4.002602, 6.94, 9.0121831, 10.81, 12.011, 14.007, 15.999, 18.998403162),
    *(20.1797, 22.98976928, 24.305, 26.9815384, 28.085, 30.973761998, 32.06, 35.45, 39.95, 39.0983),
    *(40.078, 44.955907, 47.867, 50.9415, 51.9961, 54.938043, 55.845, 58.933194, 58.6934, 63.546),
    *(65.38, 69.723, 72.630, 74.921595, 78.971, 79.904, 83.798, 85.4678, 87.62, 88.905838),
    *(91.224, 92.90637, 95.95, 97.0, 101.07, 102.90549, 106.42, 107.8682, 112.414, 114.818),
    *(118.710, 121.760, 127.60, 126.90447, 131.293, 132.90545196, 137.327, 138.90547, 140.116, 140.90766),
    *(144.242, 145.0, 150.36, 151.964, 157.25, 158.925354, 162.500, 164.930329, 167.259, 168.934219),
    *(173.045, 174.9668, 178.486, 180.94788, 183.84, 186.207, 190.23, 192.217, 195.084, 196.966570),
    *(200.592, 204.38, 207.2, 208.98040, 209.0, 210.0, 222.0, 223.0, 226.0, 227.0),
    *(232.0377, 231.03588, 238.02891),
)

_NONE = math.nan

#: Solar abundances log10(N_X / N_H) + 12 by atomic number. "asplund2009": Asplund, Grevesse, Sauval & Scott (2009,
#: ARA&A 47, 481), Table 1: the photospheric value, the meteoritic one where there is none.
SOLAR: dict[str, tuple[float, ...]] = {
    "asplund2009": (
        *(_NONE, 12.00, 10.93, 1.05, 1.38, 2.70, 8.43, 7.83, 8.69, 4.56),
        *(7.93, 6.24, 7.60, 6.45, 7.51, 5.41, 7.12, 5.50, 6.40, 5.03),
        *(6.34, 3.15, 4.95, 3.93, 5.64, 5.43, 7.50, 4.99, 6.22, 4.19),
        *(4.56, 3.04, 3.65, 2.30, 3.34, 2.54, 3.25, 2.52, 2.87, 2.21),
        *(2.58, 1.46, 1.88, _NONE, 1.75, 0.91, 1.57, 0.94, 1.71, 0.80),
        *(2.04, 1.01, 2.18, 1.55, 2.24, 1.08, 2.18, 1.10, 1.58, 0.72),
        *(1.42, _NONE, 0.96, 0.52, 1.07, 0.30, 1.10, 0.48, 0.92, 0.10),
        *(0.84, 0.10, 0.85, -0.12, 0.85, 0.26, 1.40, 1.38, 1.62, 0.92),
        *(1.17, 0.90, 1.75, 0.65, _NONE, _NONE, _NONE, _NONE, _NONE, _NONE),
        *(0.02, _NONE, -0.54),
    )
}

_NUMBERS = {symbol: z for z, symbol in enumerate(SYMBOLS) if symbol}
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")

#: Order of non-metals in a molecule's formula; all other elements come before them: TiO, CN, CH.
_LAST = ("B", "Si", "C", "P", "N", "H", "Se", "S", "I", "Br", "Cl", "O", "F")
#: Molecules that are written otherwise.
_HABIT = {(1, 8): "OH", (1, 16): "SH", (1, 6, 7): "HCN"}


@dataclass(frozen=True, order=True)
class Species:
    """An atom, an ion or a molecule.

    Parameters
    ----------
    atoms
        Atomic numbers in increasing order; one for an atom, two or more for a molecule.
    charge
        0 neutral, 1 singly ionised, -1 for a negative ion.

    Raises
    ------
    BayneError
        An atomic number outside 1 to 92, unsorted atoms, or a charge that the species cannot have.
    """

    atoms: tuple[int, ...]
    charge: int = 0

    def __post_init__(self) -> None:
        if not self.atoms or list(self.atoms) != sorted(self.atoms):
            raise BayneError(f"atoms {self.atoms}: give atomic numbers in increasing order")
        if not all(1 <= z < len(SYMBOLS) for z in self.atoms):
            raise BayneError(f"atoms {self.atoms}: atomic numbers are 1 (H) to 92 (U)")
        highest = 1 if self.is_molecule else min(self.atoms[0], len(_ROMAN) - 1)
        if not -1 <= self.charge <= highest:
            raise BayneError(f"{_formula(self.atoms)} with charge {self.charge}: charges are -1 to {highest}")

    @property
    def is_molecule(self) -> bool:
        """Whether it has more than one atom."""
        return len(self.atoms) > 1

    @property
    def name(self) -> str:
        """``"Fe I"``, ``"Fe II"``, ``"TiO"``, ``"CH+"``, ``"H-"``."""
        formula = _formula(self.atoms)
        if self.charge < 0:
            return formula + "-"
        if self.is_molecule:
            return formula + "+" * self.charge
        return f"{formula} {_ROMAN[self.charge]}"

    @property
    def mass(self) -> float:
        """Mass in u, natural mixture of isotopes: the sum over the atoms, electrons not counted."""
        return sum(MASSES[z] for z in self.atoms)


def _formula(atoms: tuple[int, ...]) -> str:
    """Chemical formula without charge: ``"TiO"``, ``"H2O"``."""
    if atoms in _HABIT:
        return _HABIT[atoms]
    count = Counter(SYMBOLS[z] for z in atoms)
    order = sorted(count, key=lambda symbol: _LAST.index(symbol) if symbol in _LAST else -1)
    return "".join(symbol + (str(count[symbol]) if count[symbol] > 1 else "") for symbol in order)


@lru_cache(maxsize=4096)
def parse_species(text: str) -> Species:
    """Read the name of a species as line lists and people write it.

    Parameters
    ----------
    text
        ``"Fe 1"``, ``"Fe I"``, ``"FeI"``, ``"Fe"`` for neutral iron; ``"Fe 2"``, ``"Fe II"``, ``"Fe+"`` for its ion;
        ``"TiO"``, ``"TiO 1"``, ``"C2"``, ``"CH+"`` for molecules; ``"H-"``; numbers as in Kurucz's lists, ``"26.00"``,
        ``"26.01"`` (Fe II; MOOG's ``"26.1"`` is the same), ``"606.00"`` (C2), ``"10108"`` (H2O). A symbol with a Roman
        number without space is an ion: ``"VI"`` is V I.

    Raises
    ------
    BayneError
        Not a species of the elements H to U; says what is known.
    """
    clean = " ".join(text.split())
    try:
        species = _numeric(clean) if clean[:1].isdigit() else _symbolic(clean)
    except BayneError as error:
        raise BayneError(f"species {text!r}: {error}") from error
    if species is None:
        raise BayneError(
            f"unknown species {text!r}. Known: the elements H to U and molecules of them, "
            "written like 'Fe 1', 'Fe II', '26.01', 'TiO', 'C2 1', '606.00', 'H-'"
        )
    return species


def _numeric(text: str) -> Species | None:
    """Kurucz's code: pairs of digits for the atoms, the charge after the point."""
    match = re.fullmatch(r"(\d+)(?:\.(\d{0,2}))?", text)
    if match is None:
        return None
    digits = match[1].zfill(len(match[1]) + len(match[1]) % 2)
    atoms = sorted(int(digits[i : i + 2]) for i in range(0, len(digits), 2))
    return Species(tuple(atoms), int(match[2] or 0)) if all(z in _NUMBERS.values() for z in atoms) else None


def _symbolic(text: str) -> Species | None:
    """Symbols, then the ionisation stage as a number or in Roman numerals, or the charge as a sign."""
    stage = re.fullmatch(r"(\w+) (\d+|[IVX]+)", text) or re.fullmatch(r"([A-Z][a-z]?)([IVX]+)", text)
    if stage and (atoms := _atoms(stage[1])) and (stage[2].isdigit() or stage[2] in _ROMAN):
        number = int(stage[2]) if stage[2].isdigit() else _ROMAN.index(stage[2]) + 1
        if number == 0:
            raise BayneError("ionisation stages begin with 1 (neutral)")
        return Species(atoms, number - 1)
    formula = text.rstrip("+-")
    charge = {"": 0, "+": 1, "-": -1}.get(text[len(formula) :])
    atoms = _atoms(formula)
    return None if atoms is None or charge is None else Species(atoms, charge)


def _atoms(formula: str) -> tuple[int, ...] | None:
    """Sorted atomic numbers of ``"TiO"``, ``"C2"``, ``"H2O"``; None where it is no formula."""
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    if not parts or "".join(a + n for a, n in parts) != formula:
        return None
    if any(symbol not in _NUMBERS or count in ("0", "1") or len(count) > 1 for symbol, count in parts):
        return None
    return tuple(sorted(_NUMBERS[symbol] for symbol, count in parts for _ in range(int(count or 1))))

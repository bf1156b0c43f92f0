"""Reader of line lists for Turbospectrum (Plez 2012, ASCL 1205.004): blocks of lines of one species."""

from __future__ import annotations

import math
import re
from pathlib import Path

from ..errors import BayneError, ReadError
from .line_text import Rows, beginning, check_medium, open_text
from .species import Species, parse_species
from .transitions import LineList

#: The species with its isotopes, the stage of ionisation from 1 and the number of lines.
_BLOCK = re.compile(r"\s*'\s*(\d+)\.(\d*)\s*'\s+(\d+)\s+(\d+)\s*$")
_NAME = re.compile(r"\s*'.*")


def recognise(path: Path) -> bool:
    """Whether a file begins with the heading of a block and a name."""
    heading, name, *_ = [*beginning(path).splitlines(), "", ""]
    return bool(_BLOCK.match(heading)) and bool(_NAME.match(name))


def read(path: Path, medium: str | None = None) -> LineList:
    """Read a list of Turbospectrum.

    The columns are wavelength (Å), lower level (eV), log gf of the isotope, van der Waals broadening as in
    `bayne.synthesis.damping.complete`, statistical weight of the upper level, radiative width (s^-1; 1 and less: not
    given), in newer lists log10 of the Stark width, and texts. Natural fractions of the isotopes are used.

    Parameters
    ----------
    path
        Text, or packed by gzip.
    medium
        ``"air"`` or ``"vacuum"``, which the format does not say.

    Raises
    ------
    ReadError
        No medium; a block that ends before its number of lines or goes on after it; a line that is no numbers, with
        its number; an unknown species or isotope.
    """
    rows, medium = Rows(), check_medium(medium)
    lines = iter([(number, line) for number, line in enumerate(open_text(path).splitlines(), start=1) if line.strip()])
    for number, heading in lines:
        block = _BLOCK.match(heading)
        if block is None:
            raise ReadError(f"line {number}: the block has more lines than its heading says: {heading.strip()[:60]!r}")
        kind = _kind(block[1], block[2], int(block[3]))
        next(lines, None)  # the name
        for left in range(int(block[4]), 0, -1):
            number, line = next(lines, (0, ""))
            if not line:
                raise ReadError(f"the file ends {left} lines before the end of its last block")
            rows.add(kind, _numbers(line, number))
    return rows.finish(medium, scaled=False)


def _numbers(line: str, number: int) -> tuple[float, ...]:
    numbers = line.split("'")[0].split()
    try:
        wavelength, energy, log_gf, vdw, _, rad = (float(text) for text in numbers[:6])
        stark = float(numbers[6]) if len(numbers) > 6 else 0.0
    except ValueError:
        raise ReadError(
            f"line {number}: a line of Turbospectrum begins with wavelength, lower level, log gf, van der Waals "
            f"broadening, weight and radiative width: {line.strip()[:60]!r}"
        ) from None
    return wavelength, log_gf, energy, math.log10(rad) if rad > 1 else 0.0, stark, vdw


def _kind(atoms: str, digits: str, stage: int) -> tuple[Species, tuple[int, ...]]:
    """Species and mass numbers of ``26.000`` 1 (Fe I), ``56.137`` 2 (Ba II of mass 137), ``0607.012014`` 1 (CN)."""
    species = parse_species(f"{atoms}.{stage - 1:02d}")
    if not digits.strip("0"):
        return species, (0,) * len(species.atoms)
    if len(digits) != 3 * len(species.atoms):
        raise BayneError(f"species {atoms}.{digits}: three digits are needed for the mass number of each atom")
    return species, tuple(int(digits[i : i + 3]) for i in range(0, len(digits), 3))

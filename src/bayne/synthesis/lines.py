"""Well-known absorption lines, placed where a star shows them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from ..wavelength import C_KMS


@dataclass(frozen=True)
class Line:
    """One entry of the table ``lines.csv``, which names its sources.

    Parameters
    ----------
    wavelength
        Vacuum Å; at rest in the table, as observed from `lines_between`.
    species
        ``"Fe I"``, ``"Br 11"``, ``"CO 3-0"``.
    kind
        ``"line"``, or ``"band"`` for the head or the middle of a molecular band.
    """

    wavelength: float
    species: str
    kind: str


@cache
def known_lines() -> tuple[Line, ...]:
    """All lines of the table, by increasing wavelength at rest."""
    text = files("bayne").joinpath("synthesis", "lines.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(row for row in text.splitlines() if not row.startswith("#"))
    return tuple(Line(float(row["wavelength"]), row["species"], row["kind"]) for row in rows)


def lines_between(low: float, high: float, velocity: float = 0.0) -> list[Line]:
    """The lines that a star of this velocity shows between two wavelengths.

    Parameters
    ----------
    low, high
        Vacuum Å, in the frame of the spectrum.
    velocity
        km/s in the frame of the spectrum, positive for a star that recedes.

    Returns
    -------
    list of Line
        With the wavelengths shifted by the relativistic Doppler factor.
    """
    beta = velocity / C_KMS
    factor = float(np.sqrt((1.0 + beta) / (1.0 - beta)))
    shifted = (Line(line.wavelength * factor, line.species, line.kind) for line in known_lines())
    return [line for line in shifted if low <= line.wavelength <= high]

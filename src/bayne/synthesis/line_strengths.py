"""Changes to the log gf of single lines, such as those that make them as strong as in the Sun."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import BayneError, ReadError
from .species import parse_species
from .transitions import LineList

COLUMNS = ("species", "wavelength", "energy", "change")

#: A row means a line of its species within this (Å; eV).
SAME_ANGSTROM, SAME_EV = 0.002, 0.002


def change_log_gf(lines: LineList, path: str | Path) -> LineList:
    """A line list with other log gf.

    Parameters
    ----------
    lines
        See `LineList`.
    path
        CSV file with the columns ``species`` ("Fe I"), ``wavelength`` (vacuum Å), ``energy`` (of the lower level, eV)
        and ``change`` (dex, added to log gf). A row is for all lines within 0.002 Å and 0.002 eV.

    Raises
    ------
    ReadError
        The file is missing, or a column; a value is no number, or no species.
    BayneError
        More than half of the rows that lie among the lines meet none: the file is for another list.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise ReadError(f"{path}: no such file of changes to log gf") from None
    if not rows or not set(COLUMNS) <= set(rows[0]):
        raise ReadError(f"{path}: changes to log gf have a header {', '.join(COLUMNS)}, and rows")
    log_gf, inside, met = lines.log_gf.copy(), 0, 0
    for number, row in enumerate(rows, start=2):
        try:
            species, (wave, energy, change) = parse_species(row["species"]), (float(row[key]) for key in COLUMNS[1:])
        except (ValueError, TypeError, BayneError) as error:
            raise ReadError(f"{path}, line {number}: {error}") from None
        if not (len(lines) and lines.wavelength[0] <= wave <= lines.wavelength[-1]):
            continue
        inside += 1
        low, high = np.searchsorted(lines.wavelength, (wave - SAME_ANGSTROM, wave + SAME_ANGSTROM))
        near = np.arange(low, high)
        kind = lines.species.index(species) if species in lines.species else -1
        same = near[(lines.kind[near] == kind) & (np.abs(lines.energy[near] - energy) < SAME_EV)]
        met += bool(same.size)
        log_gf[same] += change
    if 2 * met < inside:
        raise BayneError(f"{path}: only {met} of {inside} changes to log gf meet a line: it is for another line list")
    return replace(lines, log_gf=log_gf)

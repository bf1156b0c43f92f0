"""Departures from LTE that a user supplies: line by line, as changes of the abundance that a line gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from ..emulators import Emulator
from ..emulators.corrections import correctable, corrected_by
from ..emulators.species import species
from ..errors import ReadError, did_you_mean
from ..spectrum import FloatArray
from ..wavelength import to_vacuum

#: Columns of a table of departures.
COLUMNS = ("element", "wavelength", "teff", "logg", "fe_h", "correction")

#: Pixels within this of a line (Å) where its element absorbs most belong to it.
HALF_WIDTH = 1.0


def read_departures(source: str | Path | Table) -> Table:
    """A table of departures from LTE, checked.

    Parameters
    ----------
    source
        ECSV or a table with one row for each line and star: ``element`` (such as ``"Na"``), ``wavelength`` (Å),
        ``teff``, ``logg``, ``fe_h``, and ``correction``: abundance in NLTE minus that in LTE (dex). The metadata must
        have ``medium``: ``"air"`` or ``"vacuum"``.

    Raises
    ------
    ReadError
        A column or the medium is missing, or values are not finite.
    """
    table = source if isinstance(source, Table) else _read(Path(source))
    for name in COLUMNS:
        if name not in table.colnames:
            raise ReadError(f"departures: no column {name!r}. {did_you_mean(name, table.colnames)}")
    if table.meta.get("medium") not in ("air", "vacuum"):
        raise ReadError("departures: say in the table's metadata whether wavelengths are in air: medium: air or vacuum")
    values = np.array([np.asarray(table[name], dtype=float) for name in COLUMNS[1:]])
    if not np.isfinite(values).all():
        raise ReadError("departures: wavelengths, labels and corrections must be finite")
    return table


def _read(path: Path) -> Table:
    try:
        return Table.read(path, format="ascii.ecsv")
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: not a readable ECSV table of departures ({error})") from None


def strengths(departures: Table, emulator: Emulator, absorber: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Change of ln of the lines' strengths that departures make: for the Sun (p,), and slopes (3, p) by its labels.

    In LTE a line of a star with abundance A looks as if it were A - correction: its strength changes by as much, times
    its response to the abundance, which is less for a saturated line. A plane in Teff, log g and [Fe/H] goes through
    what the stars of the table have.
    """
    start, slopes = np.zeros(emulator.wavelength.size), np.zeros((3, emulator.wavelength.size))
    found = list(species(emulator.label_names, correctable(emulator).molecules))
    wavelength = to_vacuum(np.asarray(departures["wavelength"], dtype=float), departures.meta["medium"])
    element = np.array([str(name).lower() for name in departures["element"]])
    for name, line in sorted(set(zip(element.tolist(), wavelength, strict=True))):
        label = "fe_h" if name == "fe" else f"{name}_fe"
        if name not in found or label not in emulator.label_names:
            raise ReadError(f"departures: the emulator has no abundance of {name!r}. {did_you_mean(name, found)}")
        near = np.abs(emulator.wavelength - line) < HALF_WIDTH
        own = np.flatnonzero(near & (absorber == found.index(name)))
        rows: Any = departures[(element == name) & (wavelength == line)]
        if not own.size:
            continue
        changes, by = [], []
        for row in rows:
            labels = 0.5 * (emulator.lower + emulator.upper)
            for key in ("teff", "logg", "fe_h"):
                i = emulator.label_names.index(key)
                labels[i] = np.clip(row[key], emulator.lower[i], emulator.upper[i])
            for i, key in enumerate(emulator.label_names):
                if key.endswith("_fe"):
                    labels[i] = np.clip(0.0, emulator.lower[i], emulator.upper[i])
            flux = emulator.evaluate(labels)[own].astype(float)
            gradient = emulator.gradient(labels)[emulator.label_names.index(label)][own]
            changes.append(row["correction"] * gradient / np.maximum(flux * (1 - flux), 1e-3))
            by.append([1.0, *corrected_by(emulator, labels)])
        plane = np.linalg.lstsq(np.array(by), np.array(changes), rcond=1e-6)[0]
        start[own], slopes[:, own] = plane[0], plane[1:]
    return start, slopes

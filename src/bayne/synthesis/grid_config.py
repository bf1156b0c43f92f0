"""Configuration of a grid of spectra: read from TOML and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BayneError, ReadError, did_you_mean
from ..settings import table_of, typed
from ..spectrum import FloatArray
from .abundances import ATMOSPHERE, element_of
from .species import SOLAR

#: Settings that are paths.
_FILES = ("linelist", "log_gf", "atmospheres", "population", "like")


@dataclass(frozen=True)
class LineFile:
    """One of several line lists.

    Parameters
    ----------
    file
        Path.
    medium, format
        Of `bayne.synthesis.linelist.read_linelist`; empty where the file says it.
    """

    file: str
    medium: str = ""
    format: str = ""


@dataclass(frozen=True)
class GridConfig:
    """Everything that a grid depends on.

    Parameters
    ----------
    synthesiser
        Registered name: ``"lte"``, ``"pysme"``.
    linelist, linelist_medium
        File, and ``"air"`` or ``"vacuum"`` where it does not say.
    linelists
        Several files in place of `linelist`, joined as `bayne.synthesis.merge.merge` does: the preferred one first.
    log_gf
        CSV file of changes to single log gf: see `bayne.synthesis.line_strengths.change_log_gf`; empty for none.
    atmospheres
        File or folder of a grid of model atmospheres, file of a network of them, or ``"grey"``.
    number
        Of spectra.
    windows
        Vacuum Å.
    like
        Grid file whose pixels these spectra get, in place of `windows` and `step_kms`: for training in two stages.
    labels
        Lowest and highest value by label. `teff`, `logg` and `fe_h` are needed; with a population, offsets from it.
    population
        CSV file whose columns are labels of observed stars; empty for none.
    resolution, step_kms
        R = λ/FWHM, and pixels of the spectra (km/s).
    solar_scale
        Of the abundances.
    seed
        Of the labels.
    """

    synthesiser: str
    number: int
    labels: dict[str, tuple[float, float]]
    linelist: str = ""
    linelists: tuple[LineFile, ...] = ()
    windows: tuple[tuple[float, float], ...] = ()
    like: str = ""
    linelist_medium: str = ""
    log_gf: str = ""
    atmospheres: str = "grey"
    population: str = ""
    resolution: float = 50_000.0
    step_kms: float = 2.0
    solar_scale: str = "asplund2009"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ATMOSPHERE:
            if name not in self.labels:
                raise BayneError(f"[labels] lacks {name!r}: {', '.join(ATMOSPHERE)} are needed")
        for name, (low, high) in self.labels.items():
            if name not in ATMOSPHERE:
                element_of(name)
            if not low < high:
                raise BayneError(f"[labels]: {name} = [{low}, {high}]; give the lowest value, then the highest")
        for low, high in self.windows:
            if not 0 < low < high:
                raise BayneError(f"window {low} to {high}: give the shorter wavelength first, vacuum Å")
        if not (self.linelist or self.linelists):
            raise BayneError("'linelist' is missing: give one, or several as [[linelists]]")
        if self.linelist and self.linelists:
            raise BayneError("give linelist, or several as [[linelists]], not both")
        edges = [edge for window in sorted(self.windows) for edge in window]
        if bool(self.windows) == bool(self.like):
            raise BayneError("give windows, or like = a grid file whose pixels are wanted")
        if list(self.windows) != sorted(self.windows) or np.any(np.diff(edges) <= 0):
            raise BayneError("windows must be in order and apart")
        for what in ("number", "resolution", "step_kms"):
            if not getattr(self, what) > 0:
                raise BayneError(f"{what} = {getattr(self, what)}; give a positive number")
        if self.solar_scale not in SOLAR:
            raise BayneError(f"solar_scale = {self.solar_scale!r}. {did_you_mean(self.solar_scale, SOLAR)}")

    def identity(self) -> str:
        """What must be the same for a grid to be continued, as JSON: all but the number, files by their content."""
        table = {key: value for key, value in asdict(self).items() if key != "number"}
        table["order"] = "random"  # the first grids were in the order of the sequence
        for key in _FILES:
            table[key] = _by_content(table[key])
        lists = table.pop("linelists")
        if lists:  # the first grids had none
            table["linelists"] = [each | {"file": _by_content(each["file"])} for each in lists]
        if not table["log_gf"]:
            del table["log_gf"]
        return json.dumps(table, sort_keys=True)

    def line_files(self) -> tuple[LineFile, ...]:
        """The line lists, the preferred one first."""
        return self.linelists or (LineFile(self.linelist, self.linelist_medium),)

    def observed(self) -> FloatArray | None:
        """(m, l) labels of the population, in the order of `labels`; None where there is none.

        Raises
        ------
        ReadError
            The file is missing, lacks a label, or holds what is no number.
        """
        if not self.population:
            return None
        from astropy.table import Table

        try:
            table = Table.read(self.population, format="csv")
        except FileNotFoundError:
            raise ReadError(f"{self.population}: no such catalogue") from None
        for name in self.labels:
            if name not in table.colnames:
                raise ReadError(
                    f"{self.population}: no column {name!r}; it has {', '.join(table.colnames)}. A label that was not "
                    "observed gets a column of one value"
                )
        try:
            columns = [np.ma.filled(np.ma.array(table[name], dtype=np.float64), np.nan) for name in self.labels]
        except ValueError as error:
            raise ReadError(f"{self.population}: {error}") from None
        found = np.stack(columns, axis=1)
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if bad.size or not len(found):
            raise ReadError(
                f"{self.population}: " + (f"row {bad[0] + 1} has no finite labels" if bad.size else "no row")
            )
        return found


def read_grid_config(source: str | Path | Mapping[str, Any]) -> GridConfig:
    """Configuration from a TOML file, or a mapping of the same form; paths in a file are relative to it.

    Raises
    ------
    ReadError
        The file is missing or not TOML; a key is unknown, missing, or of a wrong kind.
    BayneError
        A value makes no sense: says which.
    """
    table, folder, where = table_of(source, "grid")
    if not isinstance(table.get("labels", {}), Mapping):
        raise ReadError(f"{where}: labels are a table [labels], with a range for each: teff = [4000, 7000]")
    try:
        if "labels" in table:
            table["labels"] = {str(name): _pair(value) for name, value in table["labels"].items()}
        table["windows"] = tuple(_pair(value) for value in table.get("windows", ()))
    except (TypeError, ValueError):
        raise ReadError(f"{where}: ranges of labels and windows are pairs of numbers: [4000, 7000]") from None
    files = table.get("linelists", ())
    if not isinstance(files, list | tuple) or not all(isinstance(each, Mapping) for each in files):
        raise ReadError(f"{where}: line lists are tables: [[linelists]], file = 'lines.txt', medium = 'air'")
    lists = [typed(LineFile, each, f"{where}, linelists") for each in files]
    table["linelists"] = tuple(replace(each, file=str(folder / each.file)) for each in lists)
    for key in _FILES:
        if isinstance(table.get(key), str) and table[key] not in ("", "grey"):
            table[key] = str(folder / table[key])
    return typed(GridConfig, table, where)


def _by_content(name: str) -> str:
    """A file's name and the hash of its content; other texts as they are."""
    path = Path(name)
    return f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}" if name and path.is_file() else name


def _pair(value: Any) -> tuple[float, float]:
    low, high = value
    if isinstance(low, str) or isinstance(high, str):
        raise TypeError
    return float(low), float(high)

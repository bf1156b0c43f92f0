"""What is to be fitted: a table with one row per spectrum, or files."""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io.fits import VerifyError
from astropy.table import Table

from ..errors import BayneError, ReadError, did_you_mean
from ..labels import possible

log = logging.getLogger("bayne")

#: Columns that say which of the spectra of a file.
WHICH = ("row", "hdu", "targetid", "source_id", "visit", "exposure")

PRIOR, ERROR, START, RESOLUTION = "_prior", "_prior_error", "_start", "resolution"

#: Endings of FITS tables.
FITS = (".fits", ".fit", ".fits.gz")


@dataclass(frozen=True)
class Entry:
    """One row of a catalogue.

    Parameters
    ----------
    spectrum_id
        Unique; seeds the random numbers.
    star_id
        Common to the visits of a star.
    name
        The file as the catalogue names it.
    path
        Where the file is.
    options
        Of `read_spectrum`.
    priors
        Mean and standard deviation by label.
    start
        Values by label.
    resolution
        R = λ/FWHM; None where the catalogue does not say.
    """

    spectrum_id: str
    star_id: str
    name: str
    path: Path
    options: dict[str, Any]
    priors: dict[str, tuple[float, float]]
    start: dict[str, float]
    resolution: float | None = None


class Catalogue(Sequence[Entry]):
    """Entries, in the order of the catalogue; they are made when they are asked for.

    Parameters
    ----------
    table
        Columns ``spectrum_id``, ``star_id``, ``path``, those of `WHICH`, priors and starts that the catalogue has.
    root
        Folder that paths start from.
    """

    def __init__(self, table: pa.Table, root: Path) -> None:
        self.table, self.root = table, root

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, which: int) -> Entry: ...

    @overload
    def __getitem__(self, which: slice) -> list[Entry]: ...

    def __getitem__(self, which: int | slice) -> Entry | list[Entry]:
        if isinstance(which, int):
            place = range(len(self))[which]
            return self[place : place + 1][0]
        places = range(len(self))[which]
        if places.step != 1:
            return [self[place] for place in places]
        return [self._entry(row) for row in self.table.slice(places.start, len(places)).to_pylist()]

    def _entry(self, row: dict[str, Any]) -> Entry:
        priors = {label: (row[label + PRIOR], row[label + ERROR]) for label in self.priors}
        start = {label: row[label + START] for label in self.starts}
        return Entry(
            row["spectrum_id"],
            row["star_id"],
            row["path"],
            self.root / row["path"],
            {name: row[name] for name in WHICH if row.get(name) is not None},
            {label: (mean, error) for label, (mean, error) in priors.items() if np.isfinite(mean)},
            {label: value for label, value in start.items() if np.isfinite(value)},
            value if (value := row.get(RESOLUTION)) is not None and np.isfinite(value) else None,
        )

    @property
    def priors(self) -> list[str]:
        """Labels that have a prior in some rows."""
        return [name.removesuffix(PRIOR) for name in self.table.column_names if name.endswith(PRIOR)]

    @property
    def starts(self) -> list[str]:
        """Labels that have a start in some rows."""
        return [name.removesuffix(START) for name in self.table.column_names if name.endswith(START)]

    @cached_property
    def hash(self) -> str:
        """Of all rows, whatever the folder they start from."""
        found = hashlib.sha256(json.dumps(self.table.column_names).encode())
        for batch in self.table.combine_chunks().to_batches(max_chunksize=10_000):
            found.update(json.dumps(list(batch.to_pydict().values())).encode())
        return found.hexdigest()[:16]

    def difference(self, other: Catalogue) -> str:
        """What makes the rows of another catalogue differ from these, in words; empty where they agree."""
        if self.table.column_names != other.table.column_names:
            ours, theirs = (", ".join(table.column_names) for table in (self.table, other.table))
            return f"its columns were {ours}, now they are {theirs}"
        if len(self) != len(other):
            return f"it had {len(self)} rows, now it has {len(other)}"
        for name in self.table.column_names:
            pairs = zip(self.table[name].to_pylist(), other.table[name].to_pylist(), strict=True)
            for i, (ours, theirs) in enumerate(pairs):
                if json.dumps(ours) != json.dumps(theirs):  # NaN is NaN
                    return f"in row {i + 1} {name} was {ours}, now it is {theirs}"
        return ""


def read_catalogue(catalogue: str | Path, spectra: str | None = None) -> Catalogue:
    """Read what is to be fitted.

    Parameters
    ----------
    catalogue
        FITS, Parquet or ECSV table with one row per spectrum: ``spectrum_id`` (unique), ``star_id`` (common to the
        visits of a star; optional), ``path`` (from the folder of the table), ``row``, ``hdu``, ``targetid`` or
        ``visit`` where a file has several spectra, ``resolution`` (R = λ/FWHM), Gaussian priors ``<label>_prior`` with
        ``<label>_prior_error``, and starts ``<label>_start``; one that is NaN or masked is none, nor is one of nines
        only, such as -9999 or 99.99, that no star can have (they are counted in the log). Or a folder or a glob
        pattern: one spectrum per file, called as the file.
    spectra
        Pattern of the paths in the columns of the table, such as ``"spectra/{field}/{spectrum_id}.fits"``, from the
        current folder; in place of the column ``path``.

    Returns
    -------
    Catalogue
        A sequence of `Entry`.

    Raises
    ------
    ReadError
        The table cannot be read, lacks a column, or has a spectrum twice; the pattern names what is no column; there is
        no file.
    """
    path = Path(catalogue)
    if path.is_file():
        columns = _columns(path)
        root = path.parent if spectra is None else Path()
        table = _table(columns, spectra, path)
    else:
        if spectra is not None:
            raise BayneError(f"a pattern of spectra goes with a table; {catalogue} is none: give the pattern alone")
        root, names = _files(str(catalogue))
        ids = _unique(names)
        table = pa.table({"spectrum_id": ids, "star_id": ids, "path": names})
    return Catalogue(table, root.absolute())


def _columns(path: Path) -> Mapping[str, Any]:
    """Columns of a table by name."""
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            table = pq.read_table(path)
            return dict(zip(table.column_names, table.columns, strict=True))
        if name.endswith(FITS) or name.endswith(".ecsv"):
            read = Table.read(path, format="ascii.ecsv" if name.endswith(".ecsv") else "fits")
            return {str(column): read[column] for column in read.colnames}
    except (OSError, ValueError, KeyError, TypeError, VerifyError, pa.ArrowException) as error:
        raise ReadError(f"{path}: not a readable table ({error})") from error
    raise ReadError(f"{path}: give a table that ends in {', '.join(FITS)}, .parquet or .ecsv, a folder or a glob")


def _table(columns: Mapping[str, Any], spectra: str | None, path: Path) -> pa.Table:
    """The columns that we use, in order."""

    def need(name: str, why: str = "") -> list[Any]:
        if name not in columns:
            raise ReadError(f"{path} has no column {name!r}{why}. {did_you_mean(name, columns)}")
        return _plain(columns[name])

    ids = _texts(need("spectrum_id"), "spectrum_id", path)
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise ReadError(f"{path}: spectrum_id must be unique, but {', '.join(twice[:5])} come more than once")
    if not ids:
        raise ReadError(f"{path} has no rows")
    found = {"spectrum_id": ids}
    found["star_id"] = _texts(need("star_id"), "star_id", path) if "star_id" in columns else ids
    if spectra is None:
        why = ", and no pattern such as 'spectra/{spectrum_id}.fits' is given"
        found["path"] = _texts(need("path", why), "path", path)
    else:
        found["path"] = _filled(spectra, need)
    table = pa.table(found)
    for name in WHICH:
        if name in columns:
            table = table.append_column(name, pa.array(_plain(columns[name])))
    if RESOLUTION in columns:
        table = table.append_column(RESOLUTION, _numbers(_plain(columns[RESOLUTION]), RESOLUTION, path))
    for name in columns:
        if name.endswith(ERROR):
            need(name.removesuffix("_error"))
        elif name.endswith(PRIOR):
            for part in (name, f"{name}_error"):
                table = table.append_column(part, _numbers(need(part), part, path))
        elif name.endswith(START):
            table = table.append_column(name, _numbers(need(name), name, path))
    return table


def _plain(column: Any) -> list[Any]:
    """Python's own values; None where there is none."""
    values = column.to_pylist() if isinstance(column, pa.ChunkedArray) else np.ma.asarray(column).tolist()
    return [value.decode() if isinstance(value, bytes) else value for value in values]


def _texts(values: list[Any], name: str, path: Path) -> list[str]:
    for i, value in enumerate(values):
        if not isinstance(value, str | int) or not str(value).strip():
            raise ReadError(f"{path}: {name} of row {i + 1} is {value!r}; give a text or an integer")
    return [str(value).strip() for value in values]


def _numbers(values: list[Any], name: str, path: Path) -> pa.Array:
    """Numbers of a prior's or start's column, NaN where there is none or where a survey wrote -9999 or the like."""
    try:
        found = [np.nan if value is None else float(value) for value in values]
    except (TypeError, ValueError) as error:
        raise ReadError(f"{path}: column {name!r} should hold numbers ({error})") from None
    low, high = possible(name.removesuffix("_error").removesuffix(PRIOR).removesuffix(START))
    if name.endswith(ERROR):
        low, high = 0.0, high - low
    # FITS tables hold 99.99 as 99.98999786
    missing = [not low <= value <= high and set(f"{abs(value):.6g}") <= {"9", "."} for value in found]
    if any(missing):
        log.warning("%s: %d values of %s are placeholders such as -9999: taken as missing", path, sum(missing), name)
    return pa.array(np.where(missing, np.nan, found), pa.float64())


def _filled(pattern: str, need: Any) -> list[str]:
    """The pattern, filled for every row."""
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}
        columns = {name: need(name, f", which {pattern!r} asks for") for name in sorted(fields)}
        if not fields:
            raise ReadError(f"{pattern!r} names no column: give a pattern such as 'spectra/{{spectrum_id}}.fits'")
        rows = zip(*columns.values(), strict=True)
        return [pattern.format(**dict(zip(columns, row, strict=True))) for row in rows]
    except ReadError:
        raise
    except ValueError as error:
        raise ReadError(f"{pattern!r}: {error}; give a pattern such as 'spectra/{{spectrum_id}}.fits'") from None


def _files(pattern: str) -> tuple[Path, list[str]]:
    """A folder, and files from there that a pattern finds, or all that are in it."""
    if Path(pattern).is_dir():
        root, found = Path(pattern), [path for path in Path(pattern).rglob("*") if not _hidden(path, Path(pattern))]
    elif glob.has_magic(pattern):
        found = [Path(name) for name in glob.glob(pattern, recursive=True)]
        fixed = []
        for part in Path(pattern).parts[:-1]:
            if glob.has_magic(part):
                break
            fixed.append(part)
        root = Path(*fixed)
    else:
        raise ReadError(f"{pattern}: no such table or folder")
    names = sorted(path.relative_to(root).as_posix() for path in found if path.is_file())
    if not names:
        raise ReadError(f"{pattern}: no file there")
    return root, names


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _unique(names: list[str]) -> list[str]:
    """Names of files without folder and ending; with them where else two were the same."""
    short = [Path(name).stem for name in names]
    longer = [Path(name).with_suffix("").as_posix() for name in names]
    return next(ids for ids in (short, longer, names) if len(set(ids)) == len(ids))

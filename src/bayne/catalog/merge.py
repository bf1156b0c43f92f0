"""`merge`: the blocks of a run as one table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table

from ..errors import BayneError
from ..files import replacing
from .columns import Column
from .store import Store, open_store
from .validate import wrong_rows
from .visits import calibrated, calibration

#: Columns that a FITS table can have (FITS standard 4.0, section 7.2.1).
MOST_COLUMNS = 999

#: Rows that are held at a time, if a block has no more.
ROWS = 10_000

#: Letters of the messages that FITS, which is ASCII, does not have.
_ASCII = str.maketrans({"Å": "A", "σ": "sigma", "λ": "lambda", "²": "^2", "±": "+/-", "µ": "u", "–": "-", "’": "'"})

_LETTERS = {"b1": "L", "i4": "J", "i8": "K", "f4": "E", "f8": "D"}


def merge(folder: str | Path, output: str | Path, overwrite: bool = False) -> Path:
    """Combine a run into one table: one row per row of the catalogue, in its order.

    Where stars have more than one row, the table also has errors calibrated on repeat visits. Rows are read and
    written some thousands at a time; the calibration holds values and errors of all rows in memory.

    Parameters
    ----------
    folder
        Written by `fit_catalog`.
    output
        FITS binary table (``.fits``), with units (TUNIT), descriptions (TCOMM) and Unified Content Descriptors (TUCD)
        of the columns, and in the header versions, seed, configuration, emulator and checksums; or Parquet
        (``.parquet``) with the same in its metadata.
    overwrite
        Replace an existing file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ReadError, BayneError
        The folder is not a run; blocks are missing or damaged (the message names them); the file's suffix is unknown;
        the table does not fit into FITS.
    FileExistsError
        The file is there and `overwrite` is False.
    """
    output = Path(output)
    writers = {".fits": _write_fits, ".parquet": _write_parquet}
    if output.suffix not in writers:
        raise BayneError(f"{output}: give a file that ends in {' or '.join(writers)}")
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists; pass overwrite=True to replace it")
    store = open_store(folder)
    wrong = wrong_rows(store)
    if wrong:
        raise BayneError(f"{folder} cannot be merged: " + ". ".join(wrong[:5]))
    columns = store.columns()
    factors = _calibration(store, columns)
    head = calibrated(store.read(columns, []), factors)
    rows = (calibrated(some, factors) for some in _parts(store, columns))
    try:
        with replacing(output, overwrite) as part:
            writers[output.suffix](store, head, rows, part)
    except OSError as error:
        raise BayneError(f"{output} could not be written: {error}") from error
    return output


def _parts(store: Store, columns: Sequence[Column]) -> Iterator[Table]:
    """Columns of all rows, some rows at a time."""
    blocks, step = store.blocks, -(-ROWS // store.manifest["block"])
    return (store.read(columns, blocks[first : first + step]) for first in blocks[::step])


def _calibration(store: Store, columns: Sequence[Column]) -> Table:
    """Inflation factors of all labels; of none where no star has several rows."""

    def read(*names: str) -> Table:
        return store.read([column for column in columns if column.name in names], store.blocks)

    stars, names = read("star_id"), store.layout.names
    if np.unique(stars["star_id"]).size == len(stars):
        return calibration(stars, [])
    needed = [name + ending for name in names for ending in ("", "_std", "_upper_95")]
    return calibration(read("star_id", "ok", "flag_warn", *needed), names)


def _header(store: Store) -> dict[str, tuple[str | int, str]]:
    """Keyword, value and comment of what a merged table tells of its run."""
    about = store.manifest
    return {
        "CREATOR": (f"bayne {about['versions']['bayne']}", "program that made the fits"),
        "DATE": (datetime.now(UTC).isoformat(timespec="seconds"), "of this file"),
        "METHOD": (about["configuration"]["method"], "of the fits"),
        "SEED": (about["seed"], "root of the random numbers"),
        "EMULATOR": (about["emulator"]["name"], "name"),
        "EMULHASH": (about["emulator"]["hash"], "of card, weights and error model"),
        "CATHASH": (about["catalogue"], "of the rows of the catalogue"),
        "COVNAMES": (",".join(about["free"]), "order of the covariance"),
        "VERSIONS": (json.dumps(about["versions"]), "JSON"),
        "CONFIG": (json.dumps(about["configuration"]), "JSON"),
    }


def _write_fits(store: Store, head: Table, rows: Iterable[Table], path: Path) -> None:
    if len(head.colnames) > MOST_COLUMNS:
        raise BayneError(f"{len(head.colnames)} columns, FITS holds {MOST_COLUMNS}: write a .parquet")
    longest = _longest(store)
    columns = fits.ColDefs(
        [fits.Column(name, _form(head[name], longest), _fits_unit(head[name].unit)) for name in head.colnames]
    )
    header = fits.BinTableHDU.from_columns(columns, nrows=0, name="STARS").header
    header["NAXIS2"] = len(store.catalogue)
    header.update(_header(store))
    for i, name in enumerate(head.colnames, 1):
        header[f"TCOMM{i}"] = head[name].description
        header[f"TUCD{i}"] = head[name].meta["ucd"]
    header["CHECKSUM"], header["DATASUM"] = "0" * 16, "0"  # room for what follows
    with fits.StreamingHDU(path, header) as stream:
        for table in rows:
            raw = np.zeros(len(table), columns.dtype.newbyteorder(">"))
            for name in table.colnames:
                raw[name] = _fits_values(table[name]).reshape(raw[name].shape)  # one covariance is a column of one
            stream.write(raw.view(np.uint8))
    with fits.open(path, mode="update", memmap=True) as hdus:
        for hdu in hdus:
            hdu.add_checksum()


def _longest(store: Store) -> dict[str, int]:
    """Bytes of the longest text of each column of texts."""
    texts = [column for column in store.layout.columns() if pa.types.is_string(column.type)]
    longest = {column.name: 1 for column in texts}
    for table in _parts(store, texts):
        for name in longest:
            longest[name] = max(longest[name], _fits_values(table[name]).itemsize)
    return longest


def _form(column: Any, longest: Mapping[str, int]) -> str:
    """TFORM of a column."""
    if column.name in longest:
        return f"{longest[column.name]}A"
    return f"{column.shape[1] if column.ndim > 1 else ''}{_LETTERS[column.dtype.str[1:]]}"


def _fits_values(column: Any) -> np.ndarray:
    """Values as the bytes of a FITS table have them."""
    values = np.asarray(column)
    if values.dtype.kind == "b":
        return np.where(values, ord("T"), ord("F"))
    if values.dtype.kind != "U":
        return values
    if column.name != "message" and not all(map(str.isascii, values)):
        raise BayneError(f"{column.name} has letters that FITS, which is ASCII, does not know: write a .parquet")
    return np.array([text.translate(_ASCII).encode("ascii", "replace") for text in values], "S")


def _fits_unit(unit: Any) -> str | None:
    try:
        return None if unit is None else unit.to_string("fits")
    except ValueError:  # dex is no unit of the standard, though catalogues write it
        return str(unit)


def _write_parquet(store: Store, head: Table, rows: Iterable[Table], path: Path) -> None:
    fields = []
    for column in head.itercols():
        about = {"unit": str(column.unit or ""), "description": column.description, "ucd": column.meta["ucd"]}
        fields.append(pa.field(column.name, _arrow(column).type, metadata=about))
    schema = pa.schema(fields, metadata={key: str(value) for key, (value, _) in _header(store).items()})
    with pq.ParquetWriter(path, schema) as file:
        for table in rows:
            file.write_table(pa.table([_arrow(column) for column in table.itercols()], schema=schema))


def _arrow(column: Any) -> pa.Array:
    values = np.asarray(column)
    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    return pa.array(values)

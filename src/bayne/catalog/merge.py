"""`merge`: the blocks of a run as one table."""

from __future__ import annotations

import json
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
from .store import Store, open_store, read_rows
from .validate import wrong_rows
from .visits import calibrated

#: Columns that a FITS table can have (FITS standard 4.0, section 7.2.1).
MOST_COLUMNS = 999

#: Letters of the messages that FITS, which is ASCII, does not have.
_ASCII = str.maketrans({"Å": "A", "σ": "sigma", "λ": "lambda", "²": "^2", "±": "+/-", "µ": "u", "–": "-", "’": "'"})

_LETTERS = {"b1": "L", "i4": "J", "i8": "K", "f4": "E", "f8": "D"}


def merge(folder: str | Path, output: str | Path, overwrite: bool = False) -> Table:
    """Make one table of a run: one row for each of the catalogue, in its order.

    Where stars have more than one row, errors calibrated on repeat visits stand beside the raw ones.

    Parameters
    ----------
    folder
        That `fit_catalog` wrote.
    output
        FITS binary table (``.fits``), with units (TUNIT), descriptions (TCOMM) and Unified Content Descriptors (TUCD)
        of the columns, and in the header versions, seed, configuration, emulator and checksums; or Parquet
        (``.parquet``) with the same in its metadata.
    overwrite
        Replace the file if it is there.

    Returns
    -------
    Table
        What was written.

    Raises
    ------
    ReadError, BayneError
        The folder is no run; blocks are missing or damaged: the message names them; the file's ending; what FITS cannot
        hold.
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
    table = read_rows(folder)
    if np.unique(table["star_id"]).size < len(table):
        table = calibrated(table, store.layout.names)
        for name in store.layout.names:
            table[f"{name}_std_calibrated"].meta["ucd"] = table[f"{name}_std"].meta["ucd"]
    try:
        with replacing(output, overwrite) as part:
            writers[output.suffix](table, store, part)
    except OSError as error:
        raise BayneError(f"{output} could not be written: {error}") from error
    return table


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


def _write_fits(table: Table, store: Store, path: Path) -> None:
    if len(table.colnames) > MOST_COLUMNS:
        raise BayneError(f"{len(table.colnames)} columns, FITS holds {MOST_COLUMNS}: write a .parquet")
    columns = [_fits_column(table[name]) for name in table.colnames]
    hdu = fits.BinTableHDU.from_columns(columns, name="STARS")
    hdu.header.update(_header(store))
    for i, name in enumerate(table.colnames, 1):
        hdu.header[f"TCOMM{i}"] = table[name].description
        hdu.header[f"TUCD{i}"] = table[name].meta["ucd"]
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, checksum=True)


def _fits_column(column: Any) -> fits.Column:
    values = np.asarray(column)
    if values.dtype.kind == "U":
        if column.name != "message" and not all(map(str.isascii, values)):
            raise BayneError(f"{column.name} has letters that FITS, which is ASCII, does not know: write a .parquet")
        values = np.array([text.translate(_ASCII).encode("ascii", "replace") for text in values])
        form = f"{values.dtype.itemsize}A"
    else:
        form = f"{'' if values.ndim == 1 else values.shape[1]}{_LETTERS[values.dtype.str[1:]]}"
    return fits.Column(name=column.name, format=form, unit=_fits_unit(column.unit), array=values)


def _fits_unit(unit: Any) -> str | None:
    try:
        return None if unit is None else unit.to_string("fits")
    except ValueError:  # dex is no unit of the standard, though catalogues write it
        return str(unit)


def _write_parquet(table: Table, store: Store, path: Path) -> None:
    fields, arrays = [], []
    for name in table.colnames:
        column, values = table[name], np.asarray(table[name])
        about = {"unit": str(column.unit or ""), "description": column.description, "ucd": column.meta["ucd"]}
        if values.ndim == 2:
            array = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        else:
            array = pa.array(values)
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=about))
    schema = pa.schema(fields, metadata={key: str(value) for key, (value, _) in _header(store).items()})
    pq.write_table(pa.table(arrays, schema=schema), path)

"""The folder of a run: what it is a run of, and blocks of results that are there in whole or not at all."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.table import Table

from ..errors import BayneError, ReadError
from ..files import locked, remove_files, replacing
from ..flags import Flag
from ..inference import FitResult, load_result
from .catalogue import Catalogue, Entry
from .columns import SHIFT, Column, Layout
from .manifest import read_manifest, refuse_other
from .residuals import residuals

_KINDS = {"rows": "parquet", "residuals": "npz", "spectra": "h5"}


@dataclass(frozen=True)
class Store:
    """The folder of a run.

    Parameters
    ----------
    folder
        Where it is.
    manifest
        What it is a run of; see `manifest`.
    catalogue
        Its entries.
    """

    folder: Path
    manifest: dict[str, Any]
    catalogue: Catalogue

    @cached_property
    def layout(self) -> Layout:
        """The columns."""
        return Layout(tuple(self.manifest["labels"]), tuple(self.manifest["free"]))

    @property
    def blocks(self) -> range:
        """Numbers of all blocks, whether they are there or not."""
        return range(-(-len(self.catalogue) // self.manifest["block"]))

    @property
    def kinds(self) -> list[str]:
        """Folders of the files that each block has; the one that is written last comes last."""
        kept = self.manifest["configuration"]["keep_spectra"]
        return [*(["spectra"] if kept else []), "residuals", "rows"]

    def entries(self, block: int) -> list[Entry]:
        """Entries of a block."""
        size = self.manifest["block"]
        return self.catalogue[block * size : (block + 1) * size]

    def size(self, block: int) -> int:
        """How many entries a block has."""
        size: int = self.manifest["block"]
        return min(size, len(self.catalogue) - block * size)

    def path(self, kind: str, block: int) -> Path:
        """File of a block: ``"rows"``, ``"residuals"`` or ``"spectra"``."""
        return self.folder / kind / f"block-{block:06d}.{_KINDS[kind]}"

    def missing(self, block: int) -> list[Path]:
        """Files that a block lacks."""
        return [path for kind in self.kinds if not (path := self.path(kind, block)).exists()]

    @property
    def done(self) -> list[int]:
        """Numbers of the blocks whose rows are there."""
        return [block for block in self.blocks if self.path("rows", block).exists()]

    def columns(self) -> list[Column]:
        """Columns of the rows that are there; arms in the order in which the stars bring them.

        Raises
        ------
        ReadError
            A block cannot be read.
        """
        known = {column.name for column in self.layout.columns()}
        arms: dict[str, None] = {}
        for block in self.done:
            with _opened(self.path("rows", block)) as file:
                arms |= dict.fromkeys(n.removeprefix("snr_") for n in file.schema_arrow.names if n not in known)
        return self.layout.columns(tuple(arms))

    def read(self, columns: Sequence[Column], blocks: Iterable[int]) -> Table:
        """These columns of the rows of blocks, with units and descriptions; NaN where a block has no such arm.

        Raises
        ------
        ReadError
            A block cannot be read.
        """
        names = [column.name for column in columns]
        empty = pa.schema([(column.name, column.type) for column in columns]).empty_table()
        parts = (_parquet(self.path("rows", block), names) for block in blocks)
        whole = pa.concat_tables([empty, *parts], promote_options="default")
        table = Table()
        for column in columns:
            values = whole[column.name].combine_chunks()
            if pa.types.is_string(column.type):
                array = np.array(values.to_pylist(), dtype=str)
            elif pa.types.is_fixed_size_list(column.type):
                array = values.flatten().to_numpy().reshape(-1, column.type.list_size)
            else:
                array = values.to_numpy(zero_copy_only=False).astype(column.type.to_pandas_dtype())
            table[column.name] = array
            table[column.name].unit = column.unit or None
            table[column.name].description = column.description
            table[column.name].meta["ucd"] = column.ucd
        return table

    def bad_flags(self, block: int) -> list[Flag]:
        """Bad flags of the stars of a block that is there.

        Raises
        ------
        ReadError
            A file is missing; the rows cannot be read, or are not those of the catalogue.
        """
        for path in self.missing(block):
            raise ReadError(f"{path}: no such file")
        path = self.path("rows", block)
        rows = _parquet(path, ["spectrum_id", "flag_bad"])
        expected = [entry.spectrum_id for entry in self.entries(block)]
        found = rows["spectrum_id"].to_pylist()
        if len(found) != len(expected):
            raise ReadError(f"{path} has {len(found)} rows, its block of the catalogue has {len(expected)}")
        for ours, theirs in zip(expected, found, strict=True):
            if ours != theirs:
                raise ReadError(f"{path} has a row of {theirs!r} where the catalogue has {ours!r}")
        return [Flag(bits << SHIFT) for bits in rows["flag_bad"].to_pylist()]

    def damage(self, block: int) -> str:
        """What is wrong with the residuals or spectra of a block that is there, in words; empty where nothing is."""
        try:
            with np.load(path := self.path("residuals", block)) as file:
                for name in ("wavelength", "number", "sum", "square"):
                    file[name]
            if "spectra" in self.kinds:
                with h5py.File(path := self.path("spectra", block)) as file:
                    list(file)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            return f"{path} cannot be read: {error}"
        return ""

    def write(self, block: int, results: Sequence[FitResult | str], wavelength: np.ndarray) -> list[Flag]:
        """Write a block, its rows last: with them it is there; returns the bad flags of its stars.

        Parameters
        ----------
        block
            Of the block.
        results
            One for each of its entries, or a sentence.
        wavelength
            (p,) vacuum Å at which residuals are added up.
        """
        entries = self.entries(block)
        method = self.manifest["configuration"]["method"]
        rows = [self.layout.row(*pair, method) for pair in zip(entries, results, strict=True)]
        fits = [result for result in results if isinstance(result, FitResult)]
        if "spectra" in self.kinds:
            with replacing(self.path("spectra", block)) as part:
                h5py.File(part, "w").close()  # there may be no result
                for result in fits:
                    result.add_to(part, file_name(result.id), compact=True)
        with replacing(self.path("residuals", block)) as part, part.open("wb") as file:
            np.savez_compressed(file, **residuals([fit for fit in fits if fit.ok], wavelength))
        with replacing(self.path("rows", block)) as part:
            # of a few rows with hundreds of columns, statistics and dictionaries would be the larger part
            pq.write_table(self.layout.table(rows), part, use_dictionary=False, write_statistics=False)
        return [Flag(row["flag_bad"] << SHIFT) for row in rows]

    def kept(self, spectrum_id: str) -> FitResult:
        """The result of one spectrum, of a run that keeps spectra.

        Raises
        ------
        ReadError
            The run keeps none, or has none of this spectrum; the file is missing or damaged.
        """
        if "spectra" not in self.kinds:
            raise ReadError(f"{self.folder} keeps no results: it was begun without keep_spectra")
        block = self.place(spectrum_id) // self.manifest["block"]
        return load_result(self.path("spectra", block), file_name(spectrum_id))

    def message(self, spectrum_id: str) -> str:
        """What the flags of one spectrum cannot say.

        Raises
        ------
        ReadError
            The run has no such spectrum; its block is missing or damaged.
        """
        block, row = divmod(self.place(spectrum_id), self.manifest["block"])
        return str(_parquet(self.path("rows", block), ["message"])["message"][row])

    def place(self, spectrum_id: str) -> int:
        """Row of a spectrum in the catalogue.

        Raises
        ------
        ReadError
            It has no such row.
        """
        place: int = pc.index(self.catalogue.table["spectrum_id"], spectrum_id).as_py()
        if place < 0:
            raise ReadError(f"{self.folder} has no spectrum {spectrum_id!r}")
        return place

    def write_status(self, shard: tuple[int, int], status: Mapping[str, Any]) -> None:
        """Write what a process has done, for those who watch."""
        with replacing(status_path(self.folder, shard)) as part:
            part.write_text(json.dumps(status, indent=2) + "\n", encoding="utf-8")


def begin(
    folder: Path, catalogue: Catalogue, new: dict[str, Any], *, resume: bool, overwrite: bool, shared: bool
) -> Store:
    """A folder to write to: a new one, or that of the same run.

    Parameters
    ----------
    new
        `manifest` of the run that is to be.
    resume, overwrite
        Go on with, or remove, the run that is there.
    shared
        Whether other processes may have begun it.

    Raises
    ------
    BayneError
        The folder is of another run, which differs in what the message names, or of none.
    """
    note = folder / "manifest.json"
    there = [] if note.exists() or not folder.is_dir() else sorted(path.name for path in folder.glob("[!.]*"))
    if there:
        raise BayneError(f"{folder} is no folder of a run, it has {', '.join(there[:3])}: give a new or empty one")
    if note.exists() and overwrite:
        _remove(folder)
    if note.exists() and not (resume or shared):
        raise BayneError(f"{folder} has a run already: go on with resume, or overwrite it")
    if not note.exists():
        _create(note, new)
    found = read_manifest(folder)
    rows = folder / "catalogue.parquet"
    if found.get("catalogue") != new["catalogue"] and rows.exists():
        words = Catalogue(_parquet(rows), Path(found["root"])).difference(catalogue)
        raise BayneError(f"{folder} is of another catalogue: {words}")
    refuse_other(folder, found, new)
    if not rows.exists():
        with replacing(rows) as part:
            pq.write_table(catalogue.table, part)
    store = Store(folder, found, catalogue)
    for kind in store.kinds:
        (folder / kind).mkdir(exist_ok=True)
        for left in () if shared else (folder / kind).glob(".block-*.part"):  # by a process that was killed
            left.unlink()
    return store


def _create(note: Path, new: dict[str, Any]) -> None:
    """Write the manifest, unless another process has done so: that one will be compared with ours."""
    note.parent.mkdir(parents=True, exist_ok=True)
    with locked(note):
        if not note.exists():
            with replacing(note) as part:
                part.write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")


def _remove(folder: Path) -> None:
    """Remove a run, the manifest last, and nothing else that may be in its folders."""
    for kind, suffix in _KINDS.items():
        remove_files(folder / kind, f"block-*.{suffix}")
    remove_files(folder, "status.json", "status-*-of-*.json", "catalogue.parquet", "manifest.json")


def open_store(folder: str | Path) -> Store:
    """The run in a folder.

    Raises
    ------
    ReadError
        There is none, it is of another version, or its manifest or catalogue is damaged.
    """
    folder = Path(folder)
    found = read_manifest(folder)
    catalogue = Catalogue(_parquet(folder / "catalogue.parquet"), Path(found["root"]))
    if len(catalogue) != found["number"] or catalogue.hash != found["catalogue"]:
        raise ReadError(f"{folder / 'catalogue.parquet'} is not the catalogue of manifest.json")
    return Store(folder, found, catalogue)


def status_path(folder: Path, shard: tuple[int, int]) -> Path:
    """Where a process tells what it has done."""
    i, n = shard
    return folder / ("status.json" if n == 1 else f"status-{i}-of-{n}.json")


def read_rows(folder: str | Path) -> Table:
    """All rows of a run that are there, in the order of the catalogue, with units and descriptions.

    Raises
    ------
    ReadError
        The folder is no run, or a block cannot be read.
    """
    store = open_store(folder)
    return store.read(store.columns(), store.done)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file; what is wrong with it is said in words."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except ReadError:  # which is a ValueError
        raise
    except FileNotFoundError:
        raise ReadError(f"{path}: no such file") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ReadError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def _parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Columns of a file, all of them by default; S/N of an arm only where the file has it."""
    with _opened(path) as file:
        absent = [n for n in columns or () if n not in file.schema_arrow.names and not n.startswith("snr_")]
        if absent:
            raise ReadError(f"{path} has no column {absent[0]!r}")
        return file.read(columns)


def file_name(spectrum_id: str) -> str:
    """A name for files and groups, in which a slash would be a folder."""
    return spectrum_id.replace("%", "%25").replace("/", "%2F")

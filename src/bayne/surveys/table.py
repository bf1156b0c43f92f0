"""Spectra as tables: ECSV, CSV and other text, and FITS tables."""

from __future__ import annotations

from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import ascii as text_tables
from astropy.table import MaskedColumn, Table

from ..errors import ReadError
from ..spectrum import Frame, Medium, Spectrum, make_arms
from .build import named, origin
from .fits_files import check_row, column_names, extension, open_fits, real, unpacked
from .registry import Peek, register
from .stated import HARPS_RV, angstrom, choose_medium, stated_spectrum, usable_errors, velocity

#: What columns are called, in lower case; columns without names are the first three of these in order.
NAMES = {
    "wavelength": ("wavelength", "wave", "lambda", "wl", "wavelengths", "lam", "waveobs", "w"),
    "flux": ("flux", "fluxes", "flam", "intensity", "spec", "spectrum", "flux_reduced", "s"),
    "error": (
        *("error", "err", "errors", "sigma", "flux_error", "flux_err", "e_flux", "eflux", "uncertainty", "std"),
        *("err_flux", "err_reduced", "serr"),
    ),
    "ivar": ("ivar", "inverse_variance"),
    "variance": ("variance", "var"),
    "mask": ("mask", "flag", "bad"),
    "arm": ("arm", "order"),
}

#: Values of the table's metadata worth keeping, besides those that the spectrum has a place for.
META = ("medium", "frame", "specsys", "bary_kms", "normalized", "contnorm", "instrument", "id", "star_id")


def recognise(peek: Peek) -> bool:
    """Text with at least two numbers on a line, or a FITS table with columns of wavelength and flux."""
    if peek.kind == "fits":
        return _table_hdu(peek.headers) is not None
    return peek.kind == "text" and _layout(peek.path) is not None


@register("table", "table with wavelengths and fluxes: ECSV, CSV, text or FITS", recognise, generic=True)
def read(
    path: Path,
    medium: Medium | None = None,
    frame: Frame | None = None,
    instrument: str | None = None,
    normalized: bool | None = None,
    unit: str | None = None,
    hdu: int | str | None = None,
) -> Spectrum:
    """Read a table with the columns wavelength, flux, and at will error, ivar or variance, mask (true = bad), arm.

    Common other names of the columns are understood (`NAMES`), so is a FITS table of one row whose cells are arrays.
    Text without names has the columns wavelength, flux and error. Rows of one arm (or echelle order) go together;
    without a column that names them, wavelengths that jump back begin an arm. ECSV and FITS carry units and
    metadata, among them ``medium``, ``frame``, ``bary_kms``, ``normalized``, ``instrument``, ``id`` and ``star_id``,
    or what ESO's archive and the FITS standard call these; the arguments override them.

    Parameters
    ----------
    medium
        Needed where the metadata do not state it.
    frame
        Observed where neither the metadata nor the caller states it.
    instrument, normalized
        See `bayne.read_spectrum`.
    unit
        Unit of the wavelengths, needed where the column has none.
    hdu
        Number or name of the HDU of a FITS file that has several such tables; the first of them by default.
    """
    table, meta = _load(path, hdu)
    columns = {kind: _column(table, kind) for kind in NAMES}
    for kind in ("wavelength", "flux"):
        if columns[kind] is None:
            raise ReadError(
                f"{path.name} has no column of {kind} (such as {NAMES[kind][0]!r}); it has {', '.join(table.colnames)}"
            )
    own = table[columns["wavelength"]].unit
    if unit is None and own is None:
        raise ReadError(f"{path.name}: the wavelengths have no unit; say unit='Angstrom', 'nm' or 'um'")
    wave = angstrom(_values(table, columns["wavelength"], path), unit or own, "unit of the wavelengths")
    numbers = {kind: _values(table, columns[kind], path) for kind in ("flux", "error", "ivar", "variance")}
    flux, masked = numbers.pop("flux"), _flags(table, columns["mask"])
    known = usable_errors(**numbers) | ({} if masked is None else {"mask": masked})
    said = choose_medium(medium, meta.get("medium"))
    counts: dict[str, int] = {}
    arms = [
        arm
        for name, rows in _groups(table, columns["arm"], wave.size)
        for arm in make_arms(
            wave[rows],
            flux[rows],
            **{kind: values[rows] for kind, values in known.items()},
            counts=counts,
            medium=said,
            name=name,
        )
    ]
    return stated_spectrum(
        arms,
        {"frame": meta.get("specsys"), "normalized": meta.get("contnorm")} | meta,
        frame=frame,
        normalized=normalized,
        id=named(path, hdu),
        instrument=instrument,
        provenance=origin(
            path.name, "table", {key: meta[key] for key in META if key in meta}, **velocity(table.meta.get(HARPS_RV))
        ),
        counts=counts,
    )


def _load(path: Path, hdu: int | str | None) -> tuple[Any, dict[str, Any]]:
    """The table, and its metadata with keys in lower case and plain values."""
    peek = Peek(path)
    if peek.kind == "missing":
        raise FileNotFoundError(2, "no such file", str(path))
    if peek.kind == "fits":
        with open_fits(path) as hdus:
            some = hdus if hdu is None else [extension(hdus, hdu, path)]
            index = _table_hdu([each.header for each in some])
            if index is None:
                where = path.name if hdu is None else f"{path.name}: HDU {hdu!r}"
                raise ReadError(f"{where} has no table with columns of wavelength and flux")
            check_row(some[index], index if hdu is None else hdu, path)
            table = _flattened(Table.read(some[index], format="fits"))
            table.meta = dict(hdus[0].header) | dict(table.meta) | _medium(some[index].header)
    elif hdu is not None:
        raise ReadError(f"{path.name} is no FITS file and has no HDU {hdu!r}")
    else:
        layout = _layout(path)
        if layout is None:
            raise ReadError(f"{path.name} is no table: no line with two or more numbers was found")
        with unpacked(path) as file:
            table = text_tables.read(file.read().decode(), guess=False, **layout)
    plain = (str, int, float, bool)
    return table, {str(key).lower(): item for key, item in table.meta.items() if isinstance(item, plain)}


def _medium(header: Any) -> dict[str, str]:
    """The medium, where a column of wavelengths is called air by ESO's standard (ESO-044286, TUCD)."""
    air = any(kind.startswith("em.wl;obs.atmos") for kind in column_names(header, "TUCD"))
    return {"medium": "air"} if air else {}


def _flattened(table: Any) -> Any:
    """A table of one row whose cells are arrays, as ESO's archive has them, as a table of scalars."""
    if len(table) != 1 or all(table[name].ndim == 1 for name in table.colnames):
        return table
    size = max(table[name].size for name in table.colnames)
    arrays = {name: table[name][0] for name in table.colnames if table[name].size == size}
    flat = Table(arrays, meta=table.meta)
    for name in flat.colnames:
        flat[name].unit = table[name].unit
    return flat


def _table_hdu(headers: Any) -> int | None:
    """Index of the first FITS table with columns of wavelength and flux."""
    wanted = set(NAMES["wavelength"]), set(NAMES["flux"])
    return next((i for i, head in enumerate(headers) if all(kind & set(column_names(head)) for kind in wanted)), None)


def _layout(path: Path) -> dict[str, Any] | None:
    """How astropy is to read a text file; None where its lines are no rows of numbers."""
    comment: list[str] = []
    names: list[str] = []
    try:
        with unpacked(path) as file, TextIOWrapper(file, encoding="utf-8") as lines:
            for line in lines:
                words = line.replace(",", " ").split()
                if line.startswith("# %ECSV"):
                    return {"format": "ecsv"}
                if not words:
                    continue
                if words[0].startswith("#"):
                    comment = line.lstrip("# ").replace(",", " ").split()
                elif _numbers(words):
                    separated = {"delimiter": ","} if "," in line else {}
                    if names:
                        return {"format": "basic", **separated}
                    # a comment right above the numbers with as many words names them
                    named = {"names": comment} if len(comment) == len(words) else {}
                    return {"format": "no_header", **named, **separated}
                elif names:
                    return None  # two lines that are neither comments nor numbers: prose
                else:
                    names = words
    except UnicodeDecodeError:
        return None
    return None


def _numbers(words: list[str]) -> bool:
    """Whether at least the first two words are numbers."""
    try:
        return len([float(word) for word in words[:2]]) == 2
    except ValueError:
        return False


def _column(table: Any, kind: str) -> str | None:
    """Name of the column of a kind; by position where the file has no names."""
    if table.colnames and table.colnames[0] == "col1":
        place = list(NAMES).index(kind)
        return table.colnames[place] if place < min(3, len(table.colnames)) else None
    own = {column.strip().lower(): column for column in reversed(table.colnames)}  # the first of equal ones
    return next((own[name] for name in NAMES[kind] if name in own), None)


def _values(table: Any, name: str | None, path: Path) -> Any:
    """(n,) numbers of a column, NaN where it is empty; None where there is no such column."""
    if name is None:
        return None
    column = table[name]
    values = real(column, f"{path.name}: column {name!r}").astype(np.float64)
    if isinstance(column, MaskedColumn):
        values[np.ma.getmaskarray(column)] = np.nan
    return values


def _groups(table: Any, name: str | None, n: int) -> list[tuple[str | None, Any]]:
    """Name and rows of every arm, in the order of the file."""
    if name is None:
        return [(None, slice(0, n))]
    labels = np.array([str(label).strip().replace("/", "-") for label in table[name]])
    return [(str(label), labels == label) for label in dict.fromkeys(labels.tolist())]


def _flags(table: Any, name: str | None) -> Any:
    """(n,) booleans of the column that masks pixels; None where there is none."""
    if name is None:
        return None
    values = np.asarray(table[name])
    if values.dtype.kind in "SU":  # text tables write True and False
        return np.isin(np.char.lower(values.astype(str)), ("true", "t", "yes", "1"))
    return values.astype(bool)

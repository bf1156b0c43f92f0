"""Gaia RVS mean spectra as DataLink and the archive's bulk files give them: CSV, ECSV, VOTable or FITS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import ascii as text_tables
from astropy.io.votable import parse as parse_votable
from astropy.table import Table

from ..errors import ReadError
from ..spectrum import FloatArray, Spectrum, make_arm
from .build import origin, plain, stem, with_profile_lsf
from .fits_files import check_row, column_names, open_fits, unpacked
from .registry import Peek, register
from .stated import text
from .targets import choose_row

INSTRUMENT = "rvs"

#: The only grid of these spectra: first wavelength and step (nm), number of pixels.
START, STEP, PIXELS = 846.0, 0.01, 2401

#: Pixels may differ from the grid by this (nm): that is how far float32 rounds.
ROUNDING = 1e-3

#: Columns of the spectrum, and columns or parameters of the source.
SPECTRUM = ("wavelength", "flux", "flux_error")
SOURCE = ("source_id", "solution_id", "ra", "dec", "combined_transits", "combined_ccds", "deblended_ccds")

#: Characters of a VOTable that hold its description.
HEAD = 200_000

#: A star: its parameters, and (n,) wavelength, flux and error.
Source = tuple[dict[str, Any], FloatArray, FloatArray, FloatArray]


def recognise(peek: Peek) -> bool:
    """The columns of DataLink, and either the first wavelength of the grid or arrays of as many pixels."""
    if peek.kind == "fits":
        return _table_hdu(peek.headers) is not None
    return peek.kind == "text" and _text_kind(peek.path) is not None


@register("gaia-rvs", "Gaia RVS mean spectrum: CSV, ECSV, VOTable or FITS of DataLink", recognise)
def read(path: Path, source_id: int | str | None = None) -> Spectrum:
    """Read a Gaia RVS mean spectrum.

    The tables are those of ``rvs_mean_spectrum`` of Gaia DR3 (Gaia documentation, 20.12.1) in any structure: a row per
    pixel (INDIVIDUAL, COMBINED), or a row of arrays per source without wavelengths (RAW, bulk files). The grid is
    the same for all: 846 to 870 nm in vacuum (Sartoretti et al. 2018, A&A 616, A6), 2401 pixels of 0.01 nm, normalised
    and in the rest frame of the star. A pixel of the instrument is 2.5 times as wide: neighbours share their noise.

    Parameters
    ----------
    source_id
        Which of the sources in a file that has several.
    """
    sources = _sources(path)
    if not sources:
        raise ReadError(f"{path.name} holds no spectrum with the columns {', '.join(SPECTRUM)}")
    names = [np.array([text(source[0].get("source_id")) for source in sources])]
    index = choose_row(path, names, None, source_id, label="source_id", options="source_id=")
    about, wavelength, flux, error = sources[index]
    _check_grid(path, wavelength, flux, error)
    counts: dict[str, int] = {}
    arm = make_arm(10.0 * _grid(), flux, counts=counts, error=error, name=INSTRUMENT)
    star = text(about.get("source_id"))
    return Spectrum(
        arms=with_profile_lsf([arm], INSTRUMENT),
        frame="rest",
        normalized=True,
        id=stem(path) if len(sources) == 1 else f"{stem(path)}-{star}",
        star_id=f"Gaia {star}" if star else "",
        instrument=INSTRUMENT,
        provenance=origin(path.name, "gaia-rvs", plain(about)),
        counts=counts,
    )


def _grid() -> FloatArray:
    """(2401,) nm."""
    return np.asarray(START + STEP * np.arange(PIXELS), dtype=np.float64)


def _check_grid(path: Path, wavelength: FloatArray, *others: FloatArray) -> None:
    sizes = [part.size for part in (wavelength, *others)]
    if any(size != PIXELS for size in sizes):
        raise ReadError(f"{path.name}: wavelength, flux and error of a source have {sizes} pixels, not {PIXELS}")
    if not np.all(np.abs(wavelength - _grid()) < ROUNDING):
        raise ReadError(
            f"{path.name}: its wavelengths, {wavelength[0]:g} to {wavelength[-1]:g}, are not 846 to 870 nm in equal "
            "steps, as those of RVS spectra are; read another spectrum with format='table', medium= and unit="
        )


def _sources(path: Path) -> list[Source]:
    """All sources of a file, in its order."""
    kind = Peek(path).kind
    if kind == "missing":
        raise FileNotFoundError(2, "no such file", str(path))
    if kind == "fits":
        with open_fits(path) as hdus:
            index = _table_hdu([hdu.header for hdu in hdus])
            if index is None:
                return []
            check_row(hdus[index], index, path)
            return list(_of_table(Table.read(hdus[index], format="fits"), path))
    layout = _text_kind(path) if kind == "text" else None
    if layout is None:
        return []
    with unpacked(path) as file:
        if layout == "votable":
            resources = parse_votable(file).resources
            tables = [_of_votable(part, each) for each in resources for part in each.iter_tables()]
        else:
            separated = {"delimiter": ","} if layout == "csv" else {}
            form = "ecsv" if layout == "ecsv" else "basic"
            tables = [text_tables.read(file.read().decode(), format=form, guess=False, **separated)]
    return [source for table in tables for source in _of_table(table, path)]


def _of_votable(element: Any, resource: Any) -> Any:
    """A table of a VOTable; what its rows share is a parameter, of the table or of all tables, and no column."""
    table = element.to_table(use_names_over_ids=True)
    table.meta = {param.name.lower(): param.value for param in (*resource.params, *element.params)}
    return table


def _of_table(table: Any, path: Path) -> Iterator[Source]:
    """Sources of a table: a row of arrays for each, or a row for every pixel."""
    own = _names(table)
    for name in ("flux", "flux_error"):
        if name not in own:
            raise ReadError(f"{path.name} has no column {name!r}; it has {', '.join(table.colnames)}")
    about = {key: item for key, item in ((str(k).lower(), v) for k, v in table.meta.items()) if key in SOURCE}
    first: Any = table[own["flux"]][0] if len(table) else None
    if np.ndim(first) > 0 or isinstance(first, str):
        for row in table:
            arrays = [_numbers(row[own[name]]) for name in SPECTRUM if name in own]
            yield _facts(row, own, about), *([_grid(), *arrays] if len(arrays) == 2 else arrays)  # type: ignore[misc]
        return
    if "wavelength" not in own:
        raise ReadError(f"{path.name} has no column 'wavelength'; it has {', '.join(table.colnames)}")
    columns = [_numbers(table[own[name]]) for name in SPECTRUM]
    labels = np.asarray(table[own["source_id"]]).astype(str) if "source_id" in own else np.full(len(table), "")
    for label in dict.fromkeys(labels.tolist()):
        rows = np.flatnonzero(labels == label)
        wavelength, flux, error = (column[rows] for column in columns)
        yield _facts(table[int(rows[0])], own, about), wavelength, flux, error


def _names(table: Any) -> dict[str, str]:
    return {name.strip().lower(): name for name in table.colnames}


def _facts(row: Any, own: dict[str, str], about: dict[str, Any]) -> dict[str, Any]:
    """What a row says of its source, as plain values; else what the table says."""
    said = about | {key: row[own[key]] for key in SOURCE if key in own}
    return {key: item.item() if isinstance(item, np.generic) else item for key, item in said.items()}


def _numbers(values: Any) -> FloatArray:
    """(n,) floats, NaN where empty; an array in a text table may be written as text."""
    if isinstance(values, str):
        words = values.strip("()[]{} \n").split(",")
        return np.array(
            [np.nan if word.strip().lower() in ("", "null", "nan", "none") else float(word) for word in words]
        )
    return np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)


def _table_hdu(headers: Any) -> int | None:
    """Index of the first FITS table with these columns, in nm, and the number of pixels in its rows or its cells."""
    for index, header in enumerate(headers):
        names = column_names(header)
        if header.get("XTENSION") != "BINTABLE" or not {"flux", "flux_error"} <= set(names):
            continue
        cell = re.match(r"\d*", str(header.get(f"TFORM{names.index('flux') + 1}", "")))
        arrays = cell is not None and cell[0] == str(PIXELS)
        unit = str(header.get(f"TUNIT{names.index('wavelength') + 1}", "nm")) if "wavelength" in names else ""
        rows = unit.strip().lower() == "nm" and int(header.get("NAXIS2", 0)) > 0 and header["NAXIS2"] % PIXELS == 0
        if rows or (arrays and "source_id" in names):
            return index
    return None


def _text_kind(path: Path) -> str | None:
    """How astropy is to read a text file with such spectra; None where it has none."""
    try:
        with unpacked(path) as file, TextIOWrapper(file, encoding="utf-8") as lines:
            head = lines.read(HEAD)
    except UnicodeDecodeError:
        return None
    if "<VOTABLE" in head[:2000]:
        fields = set(re.findall(r"<FIELD\b[^>]*?\bname=\"(\w+)\"", head))
        return "votable" if {"flux", "flux_error"} <= fields and fields & {"wavelength", "source_id"} else None
    rows = [line for line in head.splitlines() if line.strip() and not line.startswith("#")]
    names, first = ([word.strip('"') for word in re.split(r"[,\s]+", line)] for line in islice([*rows, "", ""], 2))
    if not {"flux", "flux_error"} <= set(names):
        return None
    if "wavelength" in names:
        place = names.index("wavelength")
        found = len(first) > place and _begins(first[place])
    else:
        found = "source_id" in names and any(word[:1] in ("[", "(") for word in first)
    if not found:
        return None
    return "ecsv" if head.startswith("# %ECSV") else "csv" if "," in rows[0] else "basic"


def _begins(word: str) -> bool:
    """Whether a wavelength is the first of the grid, or an array that begins with it."""
    try:
        return abs(float(word.strip("[(")) - START) < ROUNDING
    except ValueError:
        return False

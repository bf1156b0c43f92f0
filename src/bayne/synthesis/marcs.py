"""Model atmospheres of MARCS, the ``.mod`` files of marcs.astro.uu.se (Gustafsson et al. 2008, A&A 486, 951)."""

from __future__ import annotations

import re
import warnings

import numpy as np

from ..errors import BayneError
from ..spectrum import FloatArray
from .atmosphere import Atmosphere, register

_NUMBER = r"([+-]?\d+\.?\d*(?:[eEdD][+-]?\d+)?)"

#: What the header says after the number: part of the line, and what it is.
_HEADER = {
    "teff": (r"teff", "effective temperature"),
    "gravity": (r"surface gravity", "surface gravity"),
    "fe_h": (r"\S+\s+metallicity", "metallicity"),
    "radius": (r"(?:1 cm )?radius", "radius"),
}

#: Columns that are used, by their names in the file.
_COLUMNS = ("lgTau5", "Depth", "T", "Pe", "Pg", "Density", "RHOX")


def recognise(text: str) -> bool:
    """The header of the structure table and the line before it are there."""
    return "Number of depth points" in text and "lgTau5" in text


def _number(lines: list[str], key: str) -> float:
    pattern, what = _HEADER[key]
    for line in lines:
        match = re.match(rf"\s*{_NUMBER}\s+{pattern}", line, flags=re.IGNORECASE)
        if match:
            return float(match[1].replace("D", "E").replace("d", "e"))
    raise BayneError(f"the header states no {what}")


def _table(lines: list[str], start: int, layers: int) -> dict[str, FloatArray]:
    """Columns of the table whose header is in line `start`."""
    names = lines[start].split()
    rows = []
    for i in range(layers):
        fields = lines[start + 1 + i].split() if start + 1 + i < len(lines) else []
        if not fields:
            raise BayneError(f"the file ends or breaks off after {i} of {layers} layers")
        if len(fields) != len(names) or fields[0] != str(i + 1):
            raise BayneError(
                f"line {start + 2 + i} should be layer {i + 1} with the {len(names)} columns {' '.join(names)}, "
                f"and is {lines[start + 1 + i].strip()!r}"
            )
        try:
            rows.append([float(value) for value in fields])
        except ValueError as error:
            raise BayneError(f"line {start + 2 + i}: {error}") from error
    return dict(zip(names, np.array(rows).T, strict=True))


@register("marcs", "a MARCS .mod file", recognise)
def parse(text: str, name: str) -> list[Atmosphere]:
    """The model in the text of a ``.mod`` file.

    Optical depth at 5000 Å is ``lgTau5``, pressure is ``Pg``, which includes the electrons (it gives the file's mean
    molecular weight, ``Mu``, with the file's density), turbulent pressure ``Pturb`` and radiation pressure left out.

    Spherical models (radius above 1 cm) are taken as if plane-parallel, layer by layer on the file's optical depth, and
    a warning says so. From 4000 to 6500 K and log g 0.5 to 3.0 abundances come out at most 0.1 dex too low by it, less
    for higher log g and weaker lines (Heiter & Eriksson 2006, A&A 452, 1039).
    """
    lines = text.splitlines()
    where = next(i for i, line in enumerate(lines) if "Number of depth points" in line)
    match = re.match(r"\s*(\d+)", lines[where])
    if not match:
        raise BayneError(f"no number of depth points in {lines[where].strip()!r}")
    layers = int(match[1])
    teff, gravity, fe_h, radius = (_number(lines[:where], key) for key in _HEADER)
    columns: dict[str, FloatArray] = {}
    for i, line in enumerate(lines):
        if line.split()[:2] == ["k", "lgTauR"]:
            columns |= _table(lines, i, layers)
    missing = [column for column in _COLUMNS if column not in columns]
    if missing:
        raise BayneError(f"there is no column {missing[0]}; the file should have two tables of the model structure")
    if gravity <= 0:
        raise BayneError(f"the surface gravity is {gravity:g} cm/s2")
    if radius > 1.0:
        depth = columns["Depth"]
        warnings.warn(
            f"{name}: a spherical model of radius {radius:.3g} cm, whose atmosphere is "
            f"{100 * (depth[-1] - depth[0]) / radius:.2g}% of that thick, is taken as plane-parallel",
            stacklevel=2,
        )
    model = Atmosphere(
        log_tau=columns["lgTau5"],
        temperature=columns["T"],
        pressure=columns["Pg"],
        electron_pressure=columns["Pe"],
        density=columns["Density"],
        column=columns["RHOX"],
        teff=teff,
        logg=float(np.log10(gravity)),
        fe_h=fe_h,
        name=lines[0].strip() or name,
    )
    return [model]

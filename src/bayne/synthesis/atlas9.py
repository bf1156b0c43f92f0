"""Model atmospheres of ATLAS9: decks (Kurucz 1993, CD-ROM 13; Castelli & Kurucz 2003, IAU Symposium 210, A20)."""

from __future__ import annotations

import re
import warnings

import numpy as np

from ..errors import BayneError
from ..spectrum import FloatArray
from .atmosphere import Atmosphere, register, rosseland_depth
from .constants import BOLTZMANN

#: Solar log eps(Fe), H = 12 (Asplund et al. 2009, ARA&A 47, 481), and how far the solar iron of a model may be from it:
#: 7.67 (Anders & Grevesse 1989) to 7.45 were in use.
SOLAR_IRON, IRON_SPREAD = 7.50, 0.2

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?"
_START = re.compile(rf"^\s*T? ?EFF\s*=?\s*({_NUMBER})\s+GRAV(?:ITY)?\s*=?\s*({_NUMBER})", flags=re.MULTILINE)
_DECK = re.compile(r"^\s*R?EAD\s+DECK6\s+(\d+)\s+(.*)$", flags=re.MULTILINE)

#: Numbers of a row; those of ten columns in full width touch each other ("1.234E-02-1.234E-02").
_VALUE = re.compile(rf"{_NUMBER}|NaN|\*+", flags=re.IGNORECASE)

_COLUMNS = ("RHOX", "T", "P", "XNE", "ABROSS")


def recognise(text: str) -> bool:
    """The line of Teff and log g and that of the deck are there."""
    return bool(_START.search(text) and _DECK.search(text))


def _metallicity(text: str, name: str) -> float:
    """log10 of ABUNDANCE SCALE, which multiplies all elements but H and He; that of iron where they do not agree."""
    scale = re.search(rf"BUNDANCE SCALE\s+({_NUMBER})", text)
    if not scale or float(scale[1]) <= 0:
        raise BayneError(f"{name}: there is no line 'ABUNDANCE SCALE' with a positive number")
    fe_h = round(float(np.log10(float(scale[1]))), 3)  # 1.58489 and 1.58490 are both meant to be 0.2 dex
    lines = re.findall(r"ABUNDANCE CHANGE\s+(.*)", text)
    pairs = {int(z): float(x) for line in lines for z, x in re.findall(rf"(\d+)\s+({_NUMBER})", line)}
    if 26 in pairs and pairs.get(1, 0.0) > 0:
        iron = pairs[26] - np.log10(pairs[1]) + 12 + fe_h - SOLAR_IRON
        if abs(iron - fe_h) > IRON_SPREAD:
            warnings.warn(
                f"{name}: ABUNDANCE SCALE says [Fe/H] = {fe_h:.2f}, the abundance of iron {iron:.2f}; iron is taken",
                stacklevel=3,
            )
            return float(iron)
    return fe_h


def _deck(text: str, name: str) -> dict[str, FloatArray]:
    header = _DECK.search(text)
    if not header:
        raise BayneError(f"{name}: there is no line 'READ DECK6'")
    layers = int(header[1])
    columns = [column.strip().upper() for column in header[2].split(",")]
    missing = [column for column in _COLUMNS if column not in columns]
    if missing:
        raise BayneError(f"{name}: the deck has no column {missing[0]}; it has {', '.join(columns)}")
    needed = 1 + max(columns.index(column) for column in _COLUMNS)
    rows: list[list[float]] = []
    width = 0  # of the first row: there may be more numbers than names
    for i, line in enumerate(text[header.end() :].splitlines()[1 : layers + 1]):
        values = _VALUE.findall(line)
        width = width or len(values)
        if len(values) < max(needed, width) or re.match(r"\s*[A-Za-z]", line):
            raise BayneError(f"{name}: layer {i + 1} of {layers} should have {width} numbers: {line.strip()!r}")
        try:
            rows.append([float(value.upper().replace("D", "E")) for value in values[:needed]])
        except ValueError as error:
            raise BayneError(f"{name}: layer {i + 1} of {layers}: {error}") from error
    if len(rows) < layers:
        raise BayneError(f"{name}: the file ends after {len(rows)} of {layers} layers")
    return dict(zip(columns, np.array(rows).T, strict=False))


def _model(text: str, name: str) -> Atmosphere:
    start = _START.search(text)
    if not start:
        raise BayneError(f"{name}: there is no line 'TEFF ... GRAVITY ...'")
    title = re.search(r"^\s*T?ITLE\s+(.*)$", text, flags=re.MULTILINE)
    label = f"{name} {float(start[1]):g}/{float(start[2]):g}" + (f" {title[1].strip()}" if title else "")
    deck = _deck(text, label)
    for column in ("RHOX", "ABROSS"):
        if not np.all(deck[column] > 0) or not np.all(np.isfinite(deck[column])):
            raise BayneError(f"{label}: column {column} has values that are not positive numbers")
    return Atmosphere(
        log_tau=np.log10(rosseland_depth(deck["RHOX"], deck["ABROSS"])),
        temperature=deck["T"],
        pressure=deck["P"],
        electron_pressure=deck["XNE"] * BOLTZMANN * deck["T"],
        column=deck["RHOX"],
        teff=float(start[1]),
        logg=float(start[2]),
        fe_h=_metallicity(text, label),
        name=label,
        scale="rosseland",
    )


@register("atlas9", "an ATLAS9 (Kurucz) deck, 'TEFF ... GRAVITY ...' to 'READ DECK6 ...'", recognise)
def parse(text: str, name: str) -> list[Atmosphere]:
    """The models of a file: one deck, or a whole grid of them one after another.

    A deck states no optical depth: the Rosseland one is integrated from the column mass ``RHOX`` and the mean opacity
    ``ABROSS``, which gives the scale of the published solar model (log tau from -6.875 in steps of 0.125) back to 0.003
    dex. ``P`` is the gas pressure with electrons (g RHOX less radiation and turbulence); the electrons' part is
    ``XNE`` k ``T``. [Fe/H] is log10 of ``ABUNDANCE SCALE``, unless the abundance of iron contradicts it, and a warning
    says so. Files whose lines have all lost their first character, as some of the grids of 1993 have, are read too.
    """
    starts = [match.start() for match in _START.finditer(text)]
    return [_model(text[low:high], name) for low, high in zip(starts, [*starts[1:], len(text)], strict=True)]

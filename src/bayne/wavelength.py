"""Wavelengths as files have them: air and vacuum, units, windows, and pieces that overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import BayneError

#: Speed of light in km/s (exact, SI).
C_KMS = 299_792.458

#: Wavelengths that a stellar spectrum can have, Å: outside, a unit or a logarithm was left out.
PLAUSIBLE = (900.0, 300_000.0)

#: Å of the units of wavelength that files and people write, in lower case.
UNITS = (
    dict.fromkeys(("angstrom", "angstroms", "ang", "aa", "a", "å"), 1.0)
    | dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), 10.0)
    | dict.fromkeys(("um", "\N{MICRO SIGN}m", "micron", "microns", "micrometer", "micrometers", "micrometre"), 1e4)
)

#: Pixels of an echelle order, at least.
SHORTEST = 16


def vacuum_to_air(wavelength: ArrayLike) -> NDArray[np.float64]:
    """Air wavelength of a vacuum wavelength, both in Å.

    Ciddor (1996, Applied Optics 35, 1566), equation 1: standard dry air at 15 °C, 101325 Pa and 450 ppm
    CO2. Its range is 2300 to 16900 Å; it is smooth on to 25000 Å.

    Raises
    ------
    BayneError
        Below 2000 Å, where air is opaque and the formula diverges.
    """
    vacuum = np.asarray(wavelength, dtype=np.float64)
    if np.any(vacuum < 2000.0):
        raise BayneError("air wavelengths are defined from 2000 Å; are these in nm or µm, or vacuum?")
    s2 = (1e4 / vacuum) ** 2
    index = 1.0 + 0.05792105 / (238.0185 - s2) + 0.00167917 / (57.362 - s2)
    return vacuum / index


def air_to_vacuum(wavelength: ArrayLike) -> NDArray[np.float64]:
    """Vacuum wavelength of an air wavelength, both in Å: the inverse of `vacuum_to_air`, to 1e-12.

    Raises
    ------
    BayneError
        Below 2000 Å.
    """
    air = np.asarray(wavelength, dtype=np.float64)
    vacuum = air * 1.0003  # below any air wavelength's partner, so that the check on the range is right
    for _ in range(4):  # the index changes by 1e-7 per Å: each turn gains four digits and more
        vacuum = air * (vacuum / vacuum_to_air(vacuum))
    return vacuum


def to_vacuum(wavelength: ArrayLike, medium: str) -> NDArray[np.float64]:
    """Wavelengths of the stated medium as vacuum Å.

    Raises
    ------
    BayneError
        The medium is neither ``"vacuum"`` nor ``"air"``.
    """
    if medium == "vacuum":
        return np.asarray(wavelength, dtype=np.float64)
    if medium == "air":
        return air_to_vacuum(wavelength)
    raise BayneError(f"medium {medium!r}: say 'vacuum' or 'air'")


def within(wavelength: ArrayLike, windows: Iterable[Sequence[float]]) -> NDArray[np.bool_]:
    """True, in the shape of the wavelengths, where they lie in any of the windows (low, high)."""
    wave = np.asarray(wavelength, dtype=np.float64)
    inside = np.zeros(wave.shape, bool)
    for low, high in windows:
        inside |= (wave >= low) & (wave <= high)
    return inside


def as_windows(given: object) -> tuple[tuple[float, float], ...]:
    """Wavelength windows (low, high) from a sequence of pairs, or from one pair.

    Raises
    ------
    BayneError
        It is neither, or a window does not end after it begins.
    """
    pairs = np.asarray(given, dtype=object)
    try:
        windows = np.atleast_2d(pairs.astype(np.float64))
    except (TypeError, ValueError):
        windows = np.zeros((0, 0))
    if windows.ndim != 2 or windows.shape[1] != 2 or not np.all(windows[:, 0] < windows[:, 1]):
        raise BayneError(f"windows {given!r}: give pairs (low, high) in vacuum Å, such as [(5000, 5100), (5160, 5200)]")
    return tuple((float(low), float(high)) for low, high in windows)


def log_pixels(windows: Iterable[Sequence[float]], step_kms: float) -> list[NDArray[np.float64]]:
    """Wavelengths from the beginning of each window (low, high) to its end, `step_kms` apart: uniform in ln λ."""
    return [np.exp(np.arange(np.log(low), np.log(high), step_kms / C_KMS)) for low, high in windows]


def in_angstrom(wavelength: ArrayLike, unit: str) -> NDArray[np.float64]:
    """Wavelengths in a unit of `UNITS`, in any case, as Å.

    Raises
    ------
    BayneError
        The unit is none of these, or leads to wavelengths that no stellar spectrum has.
    """
    scale = UNITS.get(unit.strip().lower())
    if scale is None:
        raise BayneError(f"unit {unit!r}: say 'Angstrom', 'nm' or 'um'")
    wave = scale * np.asarray(wavelength, dtype=np.float64)
    check_plausible(wave, f"unit {unit!r}")
    return wave


def check_plausible(wavelength: NDArray[np.float64], what: str) -> None:
    """Raise where wavelengths (Å) cannot be those of a star.

    Raises
    ------
    BayneError
        Some lie outside `PLAUSIBLE`.
    """
    finite = wavelength[np.isfinite(wavelength)]
    if finite.size and (finite.min() < PLAUSIBLE[0] or finite.max() > PLAUSIBLE[1]):
        raise BayneError(
            f"{what}: wavelengths from {finite.min():.6g} to {finite.max():.6g} Å are not those of a stellar spectrum; "
            "is the unit right, or are they logarithms?"
        )


def pieces(wavelength: ArrayLike) -> list[slice]:
    """Parts of (n,) wavelengths that run one way: those of echelle orders one after the other jump back between them.

    Raises
    ------
    BayneError
        Parts are shorter than `SHORTEST`: the wavelengths are not in order.
    """
    step = np.diff(np.asarray(wavelength, dtype=np.float64))
    back = step < 0 if np.sum(step > 0) >= np.sum(step < 0) else step > 0
    edges = [0, *(np.flatnonzero(back) + 1).tolist(), step.size + 1]
    if len(edges) > 2 and min(np.diff(edges)) < SHORTEST:
        raise BayneError(
            f"wavelengths run back at {len(edges) - 2} pixels, the first is {edges[1]}, which leaves pieces of "
            f"{min(np.diff(edges))} pixels; sort them, or give each order as an arm of its own"
        )
    return [slice(start, stop) for start, stop in pairwise(edges)]

"""Putting arms together: reasons for masking, counted, and line-spread functions of profiles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..instrument import Instrument, load_instrument
from ..spectrum import LSF, Arm, Medium, make_arm

BoolArray = NDArray[np.bool_]

#: Reasons that every reader may count; a pixel can be counted under several.
NOT_FINITE = "not finite"
NEGATIVE_ERROR = "negative error"
NO_INFORMATION = "no information"


def build_arm(
    wavelength: ArrayLike,
    flux: ArrayLike,
    counts: dict[str, int],
    *,
    error: ArrayLike | None = None,
    ivar: ArrayLike | None = None,
    reasons: Mapping[str, BoolArray] | None = None,
    medium: Medium = "vacuum",
    lsf: LSF | None = None,
    name: str = "0",
) -> Arm:
    """Build an arm as `bayne.spectrum.make_arm` does, counting why pixels are masked.

    Parameters
    ----------
    wavelength, flux, error, ivar, medium, lsf, name
        See `bayne.spectrum.make_arm`.
    counts
        Pixels masked so far, by reason; added to.
    reasons
        Named (n,) arrays, True = bad for that reason.

    Returns
    -------
    Arm
        Pixels that are bad for any reason are masked, so are fluxes that are not finite (counted as
        "not finite"), errors below zero ("negative error") and errors that are not finite or say that
        nothing was measured ("no information").
    """
    value = np.asarray(flux, dtype=np.float64)
    why: dict[str, BoolArray] = dict(reasons or {})
    why[NOT_FINITE] = ~np.isfinite(value)
    given = error if error is not None else ivar
    if given is not None:
        spread = np.asarray(given, dtype=np.float64)
        why[NEGATIVE_ERROR] = spread < 0
        why[NO_INFORMATION] = ~np.isfinite(spread) | (spread == 0)
    bad = np.zeros(value.shape, bool)
    for reason, where in why.items():
        number = int(np.count_nonzero(where))
        if number:
            counts[reason] = counts.get(reason, 0) + number
        bad |= where
    return make_arm(wavelength, value, error=error, ivar=ivar, mask=bad, medium=medium, lsf=lsf, name=name)


def bad_bits(instrument: Instrument, mask: ArrayLike) -> dict[str, BoolArray]:
    """Pixels with each bad bit of a survey's integer mask set, by the name of the bit."""
    bits = np.asarray(mask).astype(np.int64)
    return {name: (bits >> instrument.mask_bits[name] & 1).astype(bool) for name in instrument.bad_bits}


def with_profile_lsf(arms: tuple[Arm, ...], instrument: str) -> tuple[Arm, ...]:
    """The same arms; those without a line-spread function get that of the instrument's profile.

    Raises
    ------
    BayneError
        No such profile.
    """
    profile = load_instrument(instrument)
    return tuple(
        arm if arm.lsf is not None else replace(arm, lsf=profile.lsf(arm.name, arm.wavelength)) for arm in arms
    )


def origin(file: str, reader: str, header: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Provenance of a spectrum: plain values only, so that it can be written as JSON; others are left out."""
    return _plain({"file": file, "format": reader, **({"header": header} if header else {}), **more})


def named(path: Path, hdu: int | str | None) -> str:
    """Identity of a spectrum that has none of its own: that of its file, and the HDU where one was asked for."""
    return path.stem if hdu is None else f"{path.stem}-{hdu}"


def _plain(items: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(item) if isinstance(item, Mapping) else item for key, item in items.items() if _is_plain(item)}


def _is_plain(item: Any) -> bool:
    if isinstance(item, list):
        return all(map(_is_plain, item))
    return item is None or isinstance(item, str | int | Mapping) or (isinstance(item, float) and math.isfinite(item))

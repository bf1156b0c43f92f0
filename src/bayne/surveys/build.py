"""What readers share: bad bits, line-spread functions of profiles, provenance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..instrument import Instrument, load_instrument
from ..spectrum import Arm

BoolArray = NDArray[np.bool_]


def bad_bits(instrument: Instrument, mask: ArrayLike) -> dict[str, BoolArray]:
    """Pixels with each bad bit of a survey's integer mask set, by the name of the bit."""
    bits = np.asarray(mask).astype(np.int64)
    return {name: (bits >> instrument.mask_bits[name] & 1).astype(bool) for name in instrument.bad_bits}


def with_profile_lsf(arms: Iterable[Arm], instrument: str) -> tuple[Arm, ...]:
    """The same arms; those without a line-spread function get that of the instrument's profile, if one is named.

    Raises
    ------
    BayneError
        No such profile.
    """
    if not instrument:
        return tuple(arms)
    profile = load_instrument(instrument)
    return tuple(
        arm if arm.lsf is not None else replace(arm, lsf=profile.lsf(arm.name, arm.wavelength)) for arm in arms
    )


def origin(file: str, reader: str, header: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Provenance of a spectrum: plain values only, so that it can be written as JSON; others are left out."""
    return plain({"file": file, "format": reader, **({"header": header} if header else {}), **more})


def stem(path: Path) -> str:
    """Name of a file without its ending, and without ``.gz`` after that."""
    return Path(path.name.removesuffix(".gz")).stem


def named(path: Path, hdu: int | str | None) -> str:
    """Identity of a spectrum that has none of its own: that of its file, and the HDU where one was asked for."""
    return path.stem if hdu is None else f"{path.stem}-{hdu}"


def plain(items: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the items that can be written as JSON."""
    return {key: plain(item) if isinstance(item, Mapping) else item for key, item in items.items() if _is_plain(item)}


def _is_plain(item: Any) -> bool:
    if isinstance(item, list):
        return all(map(_is_plain, item))
    return item is None or isinstance(item, str | int | Mapping) or (isinstance(item, float) and math.isfinite(item))

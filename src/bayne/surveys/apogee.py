"""What the APOGEE formats share: three detectors in one log-linear array, and values that mean nothing was measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ReadError
from ..instrument import load_instrument
from ..spectrum import Arm, FloatArray, make_arm
from .build import BoolArray, bad_bits, with_profile_lsf

INSTRUMENT = "apogee"

#: Names of the detectors in the order of wavelength.
CHIPS = ("blue", "green", "red")

#: Middle of the two gaps between the detectors, vacuum Å.
GAPS = (15834.0, 16454.0)

#: The pipeline gives pixels without data an error of 1e10; measured errors stay far below this.
HUGE_ERROR = 1e9


def chip_arms(
    wavelength: FloatArray,
    flux: FloatArray,
    error: FloatArray,
    counts: dict[str, int],
    *,
    mask: Any = None,
    unmeasured: BoolArray | None = None,
) -> tuple[Arm, ...]:
    """Three arms from one array that spans the three detectors.

    Parameters
    ----------
    wavelength, flux, error
        (n,) vacuum Å, increasing; flux and standard deviation.
    counts
        Pixels masked so far, by reason; added to.
    mask
        (n,) integers of APOGEE_PIXMASK, or None where the format has none.
    unmeasured
        (n,) pixels that the format declares masked.

    Returns
    -------
    tuple of Arm
        Cut in the gaps between the detectors, trimmed to the pixels that hold data, masked by name.
    """
    profile = load_instrument(INSTRUMENT)
    empty = ~np.isfinite(flux) | (flux == 0) | ~np.isfinite(error) | (error >= HUGE_ERROR)
    cuts = [0, *(_cut(wavelength, empty, gap) for gap in GAPS), wavelength.size]
    arms = []
    for name, start, stop in zip(CHIPS, cuts[:-1], cuts[1:], strict=True):
        held = np.flatnonzero(~empty[start:stop])
        # the grid runs on through the gaps: what lies there is no pixel; a chip without any data stays whole
        part = slice(start + held[0], start + held[-1] + 1) if held.size > 1 else slice(start, stop)
        if part.stop - part.start < 2:
            continue
        reasons = bad_bits(profile, mask[part]) if mask is not None else {}
        if unmeasured is not None:
            reasons["masked"] = unmeasured[part]
        reasons["no data"] = empty[part] & np.isfinite(flux[part])
        arms.append(
            make_arm(wavelength[part], flux[part], counts=counts, error=error[part], reasons=reasons, name=name)
        )
    if not arms:
        raise ReadError(f"wavelengths from {wavelength[0]:.0f} to {wavelength[-1]:.0f} Å are not those of APOGEE")
    return with_profile_lsf(arms, INSTRUMENT)


def _cut(wavelength: FloatArray, empty: BoolArray, gap: float) -> int:
    """First pixel after a gap: a jump of the wavelengths near it, or the middle of the longest empty stretch.

    The rest frame moves the gaps by as much as the star's velocity, some 20 Å at 400 km/s.
    """
    near = slice(*np.searchsorted(wavelength, [gap - 60.0, gap + 60.0]))
    step = np.diff(wavelength[near])
    if step.size and step.max() > 20 * np.median(np.diff(wavelength)):
        return int(near.start + np.argmax(step) + 1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], empty[near], [False]]).astype(np.int8)))
    if edges.size == 0 or empty[near].all():
        return int(np.searchsorted(wavelength, gap))
    starts, stops = edges[::2], edges[1::2]
    longest = int(np.argmax(stops - starts))
    return int(near.start + (starts[longest] + stops[longest]) // 2)

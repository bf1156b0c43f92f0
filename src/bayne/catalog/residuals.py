"""Residuals of many stars, added up at the same wavelengths: what is wrong for everyone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..forward.operators import log_doppler
from ..inference import ArmFit, FitResult
from ..spectrum import FloatArray


def residuals(results: Sequence[FitResult], wavelength: FloatArray) -> dict[str, Any]:
    """Residuals of stars, (flux - model) / continuum in the rest frame, added up.

    Parameters
    ----------
    results
        Of stars that were fitted.
    wavelength
        (p,) vacuum Å. Each takes from a star the pixel that is nearest, where it was used.

    Returns
    -------
    dict
        ``wavelength``; of the stars that have a pixel there, ``number``, ``sum`` and ``square``, the sum of squares.
        All (p,).
    """
    number = np.zeros(wavelength.size, np.int32)
    total, square = np.zeros((2, wavelength.size))
    for result in results:
        own = np.full(wavelength.size, np.nan)
        for arm in result.arms:
            own = np.where(np.isfinite(own), own, _nearest(arm, result.diagnostics["velocity_frame"], wavelength))
        number += np.isfinite(own)
        total += np.nan_to_num(own)
        square += np.nan_to_num(own) ** 2
    return {
        "wavelength": wavelength,
        "number": number,
        "sum": total.astype(np.float32),
        "square": square.astype(np.float32),
    }


def _nearest(arm: ArmFit, velocity: float, wavelength: FloatArray) -> FloatArray:
    """Residuals at wavelengths in the rest frame; NaN where the arm has none."""
    rest = arm.wavelength * np.exp(-float(log_doppler(velocity)))
    place = np.searchsorted(0.5 * (rest[1:] + rest[:-1]), wavelength)
    near = np.abs(rest[place] - wavelength) < 0.75 * np.gradient(rest)[place]  # steps differ a little
    residual = np.full(rest.size, np.nan)
    residual[arm.used] = ((arm.flux - arm.model) / arm.continuum)[arm.used]
    return np.where(near, residual[place], np.nan)

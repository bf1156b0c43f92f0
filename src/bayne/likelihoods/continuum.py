"""Pilot continuum and Chebyshev basis."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import chebyshev

from ..errors import BayneError
from ..lsf import GaussianLSF
from ..spectrum import Arm, FloatArray

#: Standard deviation of the Gaussian prior on each Chebyshev coefficient, relative to the pilot continuum.
PRIOR_SIGMA = 0.1


def check_order(order: int | bool | None) -> None:
    """Raise unless a Chebyshev order is one: 0 to 30, False for no continuum, None for the usual.

    Raises
    ------
    BayneError
        It is not.
    """
    if order is not None and order is not False and (isinstance(order, bool) or not 0 <= int(order) <= 30):
        raise BayneError(f"continuum {order!r}: give a Chebyshev order from 0 to 30, None or False")


def basis(wavelength: FloatArray, order: int) -> FloatArray:
    """(n, order + 1) Chebyshev polynomials over the arm's wavelengths scaled to [-1, 1]."""
    span = wavelength[-1] - wavelength[0]
    return chebyshev.chebvander(2 * (wavelength - wavelength[0]) / span - 1, order)


def pilot(arm: Arm, used: np.ndarray, order: int) -> FloatArray:
    """(n,) first guess of the continuum, in the units of the flux: positive everywhere.

    A Chebyshev series fitted with clipping that is tighter below (1.5 sigma, lines) than above (4 sigma,
    cosmic rays). It only has to be right within `PRIOR_SIGMA`; the fit replaces it once.
    """
    scale = float(np.median(np.abs(arm.flux[used]))) or 1.0
    flux = arm.flux / scale
    design = basis(arm.wavelength, order)
    keep = used.copy()
    model = np.ones_like(flux)
    for _ in range(12):
        coefficients, *_ = np.linalg.lstsq(design[keep], flux[keep], rcond=None)
        model = design @ coefficients
        residual = flux - model
        spread = 1.4826 * float(np.median(np.abs(residual[keep] - np.median(residual[keep])))) + 1e-12
        new = used & (residual > -1.5 * spread) & (residual < 4 * spread)
        if new.sum() < 4 * (order + 1) or np.array_equal(new, keep):
            break
        keep = new
    floor = 0.05 * max(float(np.median(model[used])), 1e-3)
    return scale * np.maximum(model, floor)


def estimated_ivar(arm: Arm) -> FloatArray:
    """(n,) inverse variance estimated from second differences of good pixels; zero where there are too few.

    Stoehr et al. (2008, ASPC 394, 505), DER_SNR: sigma = 1.482602/sqrt(6) median |2 f_i - f_{i-2} - f_{i+2}|,
    which the continuum does not move. Pixels of a spectrum that was resampled to several per resolution element share
    their noise, so that the distance is half of the FWHM of the LSF where that is more than 2 pixels. Crowded lines at
    high S/N raise it (by half where every fourth pixel is in a line): the error is on the safe side.
    """
    step = 2
    if isinstance(arm.lsf, GaussianLSF):
        step = max(step, round(float(np.median(arm.lsf.fwhm / np.gradient(arm.wavelength))) / 2))
    left, middle, right = slice(None, -2 * step), slice(step, -step), slice(2 * step, None)
    known = arm.good[left] & arm.good[middle] & arm.good[right]
    if known.sum() < 12:
        return np.zeros(arm.flux.size)
    difference = 2 * arm.flux[middle] - arm.flux[left] - arm.flux[right]
    sigma = 1.482602 / np.sqrt(6) * float(np.median(np.abs(difference[known])))
    sigma = max(sigma, 1e-6 * float(np.median(np.abs(arm.flux[arm.good]))), 1e-30)
    return np.where(arm.good, sigma**-2.0, 0.0)

"""Width of the kernel that takes the emulator's resolution to the instrument's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import BayneError
from ..lsf import FWHM_PER_SIGMA, BandedLSF
from ..spectrum import Arm, FloatArray
from ..wavelength import C_KMS

#: Widths that differ by less than this fraction count as equal: no kernel is applied.
SAME_WIDTH = 0.02


class TooSharp(BayneError):
    """The instrument resolves more than the emulator."""


@dataclass(frozen=True)
class ArmKernel:
    """What an arm does to a spectrum, in velocity: (n,) in km/s or its square, (n, b) for bands.

    Parameters
    ----------
    variance
        Variance of the arm's Gaussian LSF, (km/s)²: the emulator's own where no kernel is needed.
    width
        Full width of the pixel to average over; None where the LSF or the emulator contains it.
    bands
        Banded matrix on pixel averages, rows first; None for a Gaussian.
    """

    variance: FloatArray
    width: FloatArray | None
    bands: FloatArray | None


def pixel_width(wavelength: FloatArray) -> FloatArray:
    """(n,) full width of every pixel in km/s: half the distance between its neighbours, doubled."""
    return C_KMS * np.gradient(np.log(wavelength))


def arm_kernel(arm: Arm, resolution: float, includes_pixel: bool) -> ArmKernel:
    """Kernel of an arm beside an emulator of the given resolution.

    Second moments add under convolution: the emulator's variance is to be subtracted from the arm's.

    Parameters
    ----------
    arm
        With its LSF.
    resolution
        R = λ/FWHM of the emulator.
    includes_pixel
        Whether the emulated spectra are pixel averages already.

    Raises
    ------
    TooSharp
        The instrument is sharper than the emulator by more than 2%; both resolutions are named.
    BayneError
        Nothing is known of the arm's LSF.
    """
    emulator = (C_KMS / resolution / FWHM_PER_SIGMA) ** 2
    width = pixel_width(arm.wavelength)
    if arm.lsf is None:
        raise BayneError(f"arm {arm.name!r} has no line-spread function: give resolution= (R = λ/FWHM) or instrument=")
    if isinstance(arm.lsf, BandedLSF):
        return _banded(arm.lsf, emulator, width)
    sigma = C_KMS * arm.lsf.fwhm / arm.wavelength / FWHM_PER_SIGMA
    usable = np.isfinite(sigma) & (sigma > 0)
    if not usable.any():
        raise BayneError(f"arm {arm.name!r}: the widths of its line-spread function are not positive")
    instrument = np.where(usable, sigma, np.median(sigma[usable]))
    ratio = instrument / np.sqrt(emulator)
    middle = float(np.median(ratio))
    if middle < 1 - SAME_WIDTH:
        raise TooSharp(
            f"arm {arm.name!r} has R = {resolution / middle:.0f}, the emulator only R = {resolution:.0f}: "
            "use a sharper emulator, or smooth the spectrum and give resolution="
        )
    whole = includes_pixel or arm.lsf.includes_pixel
    return ArmKernel(np.where(ratio < 1 + SAME_WIDTH, emulator, instrument**2), None if whole else width, None)


def _banded(lsf: BandedLSF, emulator: float, width: FloatArray) -> ArmKernel:
    """Rows of the matrix, narrowed by the emulator's variance and by that of the pixel average it acts on.

    R (1 - (v/2) D), D the second difference, has the row sums of R and second moments smaller by v.
    """
    n = width.size
    half = int(np.abs(lsf.offsets).max()) + 1
    rows = np.zeros((n, 2 * half + 1))
    column = np.arange(n)
    for band, offset in zip(lsf.bands, lsf.offsets, strict=True):
        row = column - offset
        inside = (row >= 0) & (row < n)
        rows[row[inside], half + offset] = band[column[inside]]
    total = rows.sum(1, keepdims=True)
    rows = np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)  # flux calibration is not the LSF's job
    excess = (emulator / width**2 + 1 / 12)[:, None]
    padded = np.pad(rows, ((0, 0), (1, 1)))
    rows = rows - 0.5 * excess * (padded[:, 2:] + padded[:, :-2] - 2 * rows)
    return ArmKernel(np.full(n, emulator), width, rows)

"""Line-spread functions: what an instrument makes of a line that it does not resolve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from .equality import EqualByContent
from .errors import BayneError
from .wavelength import C_KMS

#: FWHM of a Gaussian in units of its standard deviation, 2 sqrt(2 ln 2).
FWHM_PER_SIGMA = 2.354820045030949

#: Standard deviations up to which a Gaussian kernel is computed.
KERNEL_SIGMAS = 6.0


def smoothed(flux: ArrayLike, log_wavelength: ArrayLike, wanted: ArrayLike, sigma_kms: float) -> NDArray[np.float64]:
    """Spectra convolved with a Gaussian, on other pixels.

    Parameters
    ----------
    flux
        (..., n).
    log_wavelength
        (n,) ln λ, uniform.
    wanted
        (m,) ln λ of the pixels, inside.
    sigma_kms
        Standard deviation, km/s.

    Returns
    -------
    array
        (..., m), by cubic splines; the flux goes on beyond both ends as it is there.
    """
    log_wave = np.asarray(log_wavelength, dtype=np.float64)
    step = (log_wave[-1] - log_wave[0]) / (log_wave.size - 1)
    wide = np.asarray(flux, dtype=np.float64)
    if sigma_kms:
        wide = gaussian_filter1d(wide, sigma_kms / C_KMS / step, mode="nearest", truncate=KERNEL_SIGMAS)
    return np.asarray(CubicSpline(log_wave, wide, axis=-1)(wanted))


@dataclass(frozen=True, eq=False)
class GaussianLSF(EqualByContent):
    """Gaussian line-spread function given by its width at every pixel, optionally convolved with a slit's top hat.

    Parameters
    ----------
    fwhm
        (n,) Å. A constant resolving power is ``wavelength / R``; R(λ) likewise.
    scale_sigma
        Standard deviation of the prior on a common factor of all widths; 0 where the width is trusted.
    includes_pixel
        Whether the width was measured on pixels, so that it includes the pixel's own width.
    box
        Fraction of the variance, 0 to 1, in a top hat, the image of a fibre or a slit. The Gaussian is narrower by
        that, so that the total variance is that of `fwhm`.
    box_sigma
        Standard deviation of the prior on a common factor of the fractions of all arms; 0 where they are trusted.
    """

    fwhm: NDArray[np.float64]
    scale_sigma: float = 0.0
    includes_pixel: bool = True
    box: float = 0.0
    box_sigma: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "fwhm", np.asarray(self.fwhm, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class BandedLSF(EqualByContent):
    """Line-spread function as a banded matrix that maps pixel averages to observed pixels.

    Parameters
    ----------
    bands
        (b, n): ``bands[k, j]`` is the matrix element in column ``j`` and row ``j - offsets[k]``, the
        layout of `scipy.sparse.dia_matrix` and of DESI's RESOLUTION extensions.
    offsets
        (b,) integers.
    """

    bands: NDArray[np.float64]
    offsets: NDArray[np.int64]

    @classmethod
    def from_profile(cls, wavelength: ArrayLike, velocity: ArrayLike, profile: ArrayLike) -> BandedLSF:
        """The matrix of a tabulated line-spread function, such as from arc lines.

        Parameters
        ----------
        wavelength
            (n,) vacuum Å of the arm, increasing.
        velocity
            (m,) km/s, increasing: distance from the centre of an unresolved line.
        profile
            (m,) or, where it changes from pixel to pixel, (n, m): relative response at that distance, in any unit; 0
            beyond the table.

        Raises
        ------
        BayneError
            Shapes differ; wavelengths or velocities do not increase; a profile is not finite or sums to nothing.
        """
        wave, at, shape = (np.asarray(v, dtype=np.float64) for v in (wavelength, velocity, profile))
        if wave.ndim != 1 or at.ndim != 1 or shape.shape not in ((at.size,), (wave.size, at.size)):
            raise BayneError(f"profile has shape {shape.shape}: ({at.size},) or ({wave.size}, {at.size}) is expected")
        if wave.size < 2 or at.size < 2 or not (np.all(np.diff(wave) > 0) and np.all(np.diff(at) > 0)):
            raise BayneError("profile of a line: wavelengths and velocities must increase")
        shape = np.broadcast_to(shape, (wave.size, at.size))
        log_wave = np.log(wave)
        half = int(np.ceil(np.abs(at[[0, -1]]).max() / C_KMS / np.diff(log_wave).min()))
        offsets = np.arange(-half, half + 1)
        column = np.arange(wave.size)[:, None] + offsets
        inside = (column >= 0) & (column < wave.size)
        distance = C_KMS * (log_wave[:, None] - log_wave[np.clip(column, 0, wave.size - 1)])
        pairs = zip(distance, shape, strict=True)
        weight = np.where(inside, [np.interp(own, at, table, left=0.0, right=0.0) for own, table in pairs], 0.0)
        total = weight.sum(axis=1, keepdims=True)
        if not np.all(np.isfinite(total) & (total > 0)):
            raise BayneError("profile of a line: it must be finite, and positive in sum, at every pixel")
        bands = np.zeros((offsets.size, wave.size))
        for k, own in enumerate((weight / total).T):
            bands[k, column[inside[:, k], k]] = own[inside[:, k]]
        return cls(bands, offsets)


LSF = GaussianLSF | BandedLSF


def resolving_power(lsf: LSF, wavelength: ArrayLike) -> NDArray[np.float64]:
    """(n,) R = λ/FWHM at the pixels (vacuum Å); that of a Gaussian with the same second moment for a banded matrix.

    NaN where the line-spread function is empty.
    """
    wave = np.asarray(wavelength, dtype=np.float64)
    if isinstance(lsf, GaussianLSF):
        return np.divide(wave, lsf.fwhm, out=np.full(wave.size, np.nan), where=lsf.fwhm > 0)
    total = lsf.bands.sum(axis=0)
    weight = np.divide(lsf.bands, total, out=np.full(lsf.bands.shape, np.nan), where=total > 0)
    mean = lsf.offsets @ weight
    variance = lsf.offsets**2 @ weight - mean**2 + 1 / 12  # the matrix acts on averages over pixels
    return 1 / (FWHM_PER_SIGMA * np.sqrt(variance) * np.gradient(np.log(wave)))

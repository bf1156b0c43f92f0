"""What makes spectra: one contract for the synthesiser of the package and for others."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ..lsf import FWHM_PER_SIGMA, KERNEL_SIGMAS, smoothed
from ..registry import Registry
from ..spectrum import FloatArray
from ..wavelength import C_KMS
from .atmosphere import Atmosphere
from .linelist import LineList

#: Pixels of the synthesis (km/s): three per Doppler width of an iron line at 4,000 K without microturbulence.
FINE_KMS = 0.75


class Synthesiser(abc.ABC):
    """Spectra of one line list over fixed wavelengths. To add one: subclass, decorate with `register`, import it.

    Parameters
    ----------
    lines
        All lines that may matter.
    wavelength
        (w,) vacuum Å, in windows uniform in ln λ: see `fine_windows`.
    """

    name: ClassVar[str]

    def __init__(self, lines: LineList, wavelength: Sequence[FloatArray]) -> None:
        self.lines, self.windows = lines, list(wavelength)

    @abc.abstractmethod
    def synthesise(self, atmosphere: Atmosphere, abundance: FloatArray, vmic: float) -> tuple[FloatArray, FloatArray]:
        """Flux of a star's surface and its continuum (w,) at the wavelengths of all windows, erg/s/cm²/Å.

        Parameters
        ----------
        atmosphere
            The model.
        abundance
            (93,) atoms per hydrogen atom by atomic number.
        vmic
            Microturbulence (km/s).
        """


_SYNTHESISERS = Registry[type[Synthesiser]]("synthesiser {!r}")

#: The class of a name.
synthesiser = _SYNTHESISERS.named


def register(cls: type[Synthesiser]) -> type[Synthesiser]:
    """Class decorator that makes a synthesiser known under its `name`; see `Registry.add`."""
    return _SYNTHESISERS.add(cls.name, cls)


def fine_windows(windows: Sequence[tuple[float, float]], resolution: float) -> list[FloatArray]:
    """Wavelengths of the synthesis: those of the windows and as much more as the kernel to `resolution` needs."""
    margin = KERNEL_SIGMAS / (resolution * FWHM_PER_SIGMA)
    step = FINE_KMS / C_KMS
    return [np.exp(np.arange(np.log(low) - margin, np.log(high) + margin + step, step)) for low, high in windows]


def at_resolution(
    flux: FloatArray, fine: Sequence[FloatArray], wavelength: Sequence[FloatArray], resolution: float
) -> FloatArray:
    """Spectra of a resolution on other pixels.

    Parameters
    ----------
    flux
        (w,) at the wavelengths of `fine`, whose steps are `FINE_KMS`.
    fine, wavelength
        Windows, from `fine_windows` and `bayne.wavelength.log_pixels`.
    resolution
        R = λ/FWHM of a Gaussian.

    Returns
    -------
    array
        (p,) at the wavelengths of `wavelength`.
    """
    ends = np.cumsum([w.size for w in fine])[:-1]
    parts = zip(np.split(flux, ends), fine, wavelength, strict=True)
    sigma = C_KMS / resolution / FWHM_PER_SIGMA
    return np.concatenate([smoothed(part, np.log(own), np.log(wave), sigma) for part, own, wave in parts])

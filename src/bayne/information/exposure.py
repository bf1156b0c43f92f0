"""What an instrument would record of a star: pixels, line-spread function and noise, without the star."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from ..errors import BayneError, did_you_mean
from ..instrument import Instrument, load_instrument
from ..spectrum import FloatArray, Spectrum, make_arm
from ..wavelength import C_KMS, as_windows, within

#: S/N at the continuum: a number, one by arm name, or a table of wavelength (vacuum Å) and S/N.
SNR = float | Mapping[str, float] | tuple[Any, Any]


def expose(
    instrument: str | Instrument,
    snr: SNR,
    *,
    per: str = "pixel",
    arms: Sequence[str] | None = None,
    resolution: float | None = None,
    windows: Sequence[tuple[float, float]] | None = None,
) -> Spectrum:
    """Flat spectrum of flux 1 on an instrument's pixels, with its LSF and the inverse variance snr².

    Parameters
    ----------
    instrument
        Profile name or `Instrument`.
    snr
        At the continuum: a number; a mapping from arm names; or wavelengths (vacuum Å) and S/N there, between which it
        is interpolated, and beyond which nothing is seen.
    per
        Whether that is per native ``"pixel"`` or per ``"angstrom"``, of which a pixel has the square root of its width.
    arms
        Names of the arms that are used; None for all.
    resolution
        R = λ/FWHM that replaces the profile's, and its uncertainty.
    windows
        Wavelength ranges that are used, vacuum Å; None for all.

    Raises
    ------
    BayneError
        Unknown instrument or arm, or an S/N that is not positive.
    """
    profile = load_instrument(instrument) if isinstance(instrument, str) else instrument
    known = [arm.name for arm in profile.arms]
    for name in (*(arms or ()), *(snr if isinstance(snr, Mapping) else ())):
        if name not in known:
            raise BayneError(f"{profile.name} has no arm {name!r}. {did_you_mean(name, known)}")
    if per not in ("pixel", "angstrom"):
        raise BayneError(f"per {per!r}: choose from pixel, angstrom")
    made = []
    for arm in profile.arms:
        if arms is not None and arm.name not in arms:
            continue
        low, high = arm.wavelength
        if profile.sampling == "log":
            native = np.exp(np.arange(np.log(low), np.log(high), arm.pixel / C_KMS))
        else:
            native = np.arange(low, high, arm.pixel)
        bare = make_arm(native, np.ones(native.size), medium=profile.medium)  # type: ignore[arg-type]
        wave = bare.wavelength
        level = _snr(snr, arm.name, wave) * (np.sqrt(np.gradient(wave)) if per == "angstrom" else 1.0)
        hidden = profile.telluric_mask(wave) | (level == 0)
        ivar = np.where(hidden, 0.0, level**2)
        made.append(replace(bare, ivar=ivar, mask=hidden, lsf=profile.lsf(arm.name, wave), name=arm.name))
    spectrum = Spectrum(tuple(made), frame="rest", id=profile.name, instrument=profile.name)
    if windows is not None:
        spectrum = spectrum.with_mask([~within(arm.wavelength, as_windows(windows)) for arm in spectrum.arms])
    return spectrum if resolution is None else spectrum.with_resolution(resolution)


def _snr(snr: SNR, arm: str, wavelength: FloatArray) -> FloatArray:
    """(n,) S/N of an arm's pixels."""
    if isinstance(snr, tuple) and len(snr) == 2:
        at, values = (np.asarray(v, dtype=np.float64) for v in snr)
        if at.shape != values.shape or at.ndim != 1 or at.size < 2 or not np.all(np.diff(at) > 0):
            raise BayneError("snr: give wavelengths that increase and as many S/N")
        level = np.interp(wavelength, at, values, left=0.0, right=0.0)
        if not (np.all(np.isfinite(values)) and np.all(values >= 0) and np.any(values > 0)):
            raise BayneError("snr: the table must hold numbers that are positive, or zero where there is no signal")
        return np.asarray(level)
    if isinstance(snr, Mapping):
        if arm not in snr:
            return np.zeros(wavelength.size)
        snr = snr[arm]
    if not (isinstance(snr, Real) and np.isfinite(snr) and snr > 0):
        raise BayneError(f"snr {snr}: give a positive number, one by arm name, or a pair of wavelengths and S/N")
    return np.full(wavelength.size, float(snr))

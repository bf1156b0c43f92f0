"""Which of the emulators that come with the package suits a spectrum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import safe_open

from ..errors import BayneError
from ..lsf import resolving_power
from ..spectrum import Spectrum
from ..wavelength import within
from .card import Card
from .coordinates import segments

#: Those to choose from: one for each part of the spectrum and resolution. Others are for comparisons.
CANDIDATES = ("rvs", "apogee", "optical-low", "galah", "optical-high")

#: What the names of those end with that have learnt from reference stars, and are better for it.
CALIBRATED = "-calibrated"

#: An arm may be sharper than the emulator by this fraction; an emulator that covers so much of what the best one covers
#: is as good, if its resolution is lower.
SHARPER, NEARLY_ALL = 0.02, 0.9


def suitable(spectrum: Spectrum, folders: dict[str, Path]) -> str:
    """Name of the emulator that covers most good pixels of a spectrum, among those that are sharp enough for it.

    Raises
    ------
    BayneError
        No pixel is good, no arm has a line-spread function, or there is no emulator for these wavelengths at this
        resolution; the message says which there are.
    """
    if not any(arm.good.any() for arm in spectrum.arms):
        raise BayneError("no emulator can be chosen: the spectrum has no good pixel")
    if all(arm.lsf is None for arm in spectrum.arms):
        raise BayneError(
            "no emulator can be chosen: the resolution of the spectrum is not known. "
            "Give resolution= (R = λ/FWHM) or instrument=, or name an emulator"
        )
    covered: dict[str, tuple[int, float]] = {}
    told = []
    for name in CANDIDATES:
        if name not in folders:
            continue
        resolution = Card.read(folders[name] / "card.json").resolution
        windows = _windows(folders[name] / "weights.safetensors")
        told.append(f"{name}: {', '.join(f'{a:.0f}-{b:.0f}' for a, b in windows)} Å, R = {resolution:.0f}")
        pixels = _pixels(spectrum, windows, resolution)
        if pixels:
            covered[name] = (pixels, resolution)
    if not covered:
        ranges = ", ".join(f"{a.wavelength[0]:.0f}-{a.wavelength[-1]:.0f}" for a in spectrum.arms)
        raise BayneError(
            f"no emulator of the package suits the spectrum ({ranges} Å). There are {'; '.join(told)}. "
            "Load another one by its path, or give resolution= for a smoothed spectrum"
        )
    most = max(pixels for pixels, _ in covered.values())
    enough = {name: resolution for name, (pixels, resolution) in covered.items() if pixels >= NEARLY_ALL * most}
    name = min(enough, key=enough.__getitem__)
    return name + CALIBRATED if name + CALIBRATED in folders else name


def _windows(weights: Path) -> list[tuple[float, float]]:
    """Windows of an emulator, of whose weights the wavelengths alone are read."""
    with safe_open(weights, "numpy") as file:
        wavelength = file.get_tensor("wavelength")
    window = segments(wavelength)
    return [(float(own[0]), float(own[-1])) for k in np.unique(window) if (own := wavelength[window == k]).size]


def _pixels(spectrum: Spectrum, windows: list[tuple[float, float]], resolution: float) -> int:
    """Good pixels inside the windows; 0 where an arm is too sharp there."""
    count = 0
    for arm in spectrum.arms:
        seen = arm.good & within(arm.wavelength, windows)
        if not seen.any() or arm.lsf is None:
            continue
        if np.nanmedian(resolving_power(arm.lsf, arm.wavelength)[seen]) > (1 + SHARPER) * resolution:
            return 0
        count += int(seen.sum())
    return count

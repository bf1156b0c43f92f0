"""Instrument profiles: what a spectrograph's data look like, from data files with their sources."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .errors import BayneError, did_you_mean
from .lsf import GaussianLSF
from .spectrum import FloatArray, Spectrum
from .wavelength import C_KMS, to_vacuum, within


@dataclass(frozen=True)
class InstrumentArm:
    """One arm of an instrument.

    Parameters
    ----------
    name
        As the reader names the arm of a spectrum.
    wavelength
        First and last wavelength, Å in the profile's medium.
    pixel
        Typical pixel, Å (or km/s where `sampling` of the instrument is ``"log"``).
    resolution
        Nodes (λ, R) of the resolving power R = λ/FWHM; one node where it is constant.
    """

    name: str
    wavelength: tuple[float, float]
    pixel: float
    resolution: tuple[tuple[float, float], ...]

    def fwhm(self, wavelength: FloatArray) -> FloatArray:
        """FWHM (Å) at wavelengths in Å: R interpolated linearly between its nodes."""
        nodes = np.array(self.resolution)
        return wavelength / np.interp(wavelength, nodes[:, 0], nodes[:, 1])


@dataclass(frozen=True)
class Instrument:
    """A spectrograph setup.

    Parameters
    ----------
    name, description, source
        Name used in calls; what it is; where the numbers come from.
    medium
        Medium of the wavelengths in its files and in this profile.
    sampling
        ``"linear"`` or ``"log"`` wavelength steps.
    arms
        See `InstrumentArm`.
    continuum
        Recommended Chebyshev order of the continuum per arm.
    lsf_scale_sigma
        Standard deviation of the prior on a common factor of the LSF width; 0 where the width is trusted.
    lsf_box, lsf_box_sigma
        Top-hat fraction of the LSF variance, and the standard deviation of the prior on a common factor of it.
    telluric
        Windows (m, 2), Å in the profile's medium and the observer's frame, that telluric absorption, a gap between
        detectors or an overlap of arms makes useless.
    mask_bits
        Bit number of each named flag in the survey's mask.
    bad_bits
        Names of those that make a pixel bad.
    """

    name: str
    description: str
    source: str
    medium: str
    sampling: str
    arms: tuple[InstrumentArm, ...]
    continuum: int
    lsf_scale_sigma: float = 0.0
    lsf_box: float = 0.0
    lsf_box_sigma: float = 0.0
    telluric: tuple[tuple[float, float], ...] = ()
    mask_bits: dict[str, int] = field(default_factory=dict)
    bad_bits: tuple[str, ...] = ()

    def lsf(self, name: str, wavelength: ArrayLike) -> GaussianLSF:
        """Gaussian LSF of an arm at vacuum wavelengths (n,) in Å.

        An arm that the profile does not name, such as a merged spectrum, takes at each pixel the profile's
        arm that covers it or is nearest.
        """
        wave: FloatArray = np.asarray(wavelength, dtype=np.float64)
        arms = [arm for arm in self.arms if arm.name == name] or self.arms
        away = [np.maximum(np.maximum(a.wavelength[0] - wave, wave - a.wavelength[1]), 0.0) for a in arms]
        widths = np.array([arm.fwhm(wave) for arm in arms])
        nearest = np.argmin(away, axis=0)[None]
        return GaussianLSF(
            np.take_along_axis(widths, nearest, axis=0)[0],
            self.lsf_scale_sigma,
            box=self.lsf_box,
            box_sigma=self.lsf_box_sigma,
        )

    def telluric_mask(self, wavelength: ArrayLike, shift: float = 0.0) -> np.ndarray:
        """True where vacuum wavelengths (n,) in Å lie in a telluric window, moved by up to `shift` km/s."""
        wider = np.array([1 - shift / C_KMS, 1 + shift / C_KMS])
        return within(wavelength, to_vacuum(np.array(self.telluric).reshape(-1, 2), self.medium) * wider)

    def bad_pixels(self, mask: ArrayLike) -> np.ndarray:
        """True where an integer mask of this survey has any bit of `bad_bits`, by name."""
        value = 0
        for name in self.bad_bits:
            value |= 1 << self.mask_bits[name]
        return (np.asarray(mask).astype(np.int64) & value) != 0


def _profiles() -> Any:
    return files("bayne").joinpath("surveys", "profiles")


def instrument_names() -> list[str]:
    """Names of the profiles that come with the package."""
    return sorted(entry.name[:-5] for entry in _profiles().iterdir() if entry.name.endswith(".toml"))


@cache
def load_instrument(name: str) -> Instrument:
    """Profile of an instrument by name, such as ``"hermes"`` or ``"apogee"``.

    Raises
    ------
    BayneError
        No such profile; the likely name is given.
    """
    if name not in instrument_names():
        raise BayneError(f"unknown instrument {name!r}. {did_you_mean(name, instrument_names())}")
    table = tomllib.loads(_profiles().joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    arms = tuple(
        InstrumentArm(
            a["name"],
            (float(a["wavelength"][0]), float(a["wavelength"][1])),
            float(a["pixel"]),
            tuple((float(w), float(r)) for w, r in a["resolution"]),
        )
        for a in table["arms"]
    )
    mask = table.get("mask", {})
    return Instrument(
        name=name,
        description=table["description"],
        source=table["source"],
        medium=table["medium"],
        sampling=table["sampling"],
        arms=arms,
        continuum=int(table["continuum"]),
        lsf_scale_sigma=float(table.get("lsf_scale_sigma", 0.0)),
        lsf_box=float(table.get("lsf_box", 0.0)),
        lsf_box_sigma=float(table.get("lsf_box_sigma", 0.0)),
        telluric=tuple((float(low), float(high)) for low, high in table.get("telluric", ())),
        mask_bits={k: int(v) for k, v in mask.get("bits", {}).items()},
        bad_bits=tuple(mask.get("bad", ())),
    )


def with_lsf(spectrum: Spectrum, profile: Instrument | None, resolution: float | None) -> Spectrum:
    """The spectrum with a line-spread function of this resolution everywhere; or where it has none, the profile's."""
    if resolution is not None:
        return spectrum.with_resolution(resolution)
    if profile is None:
        return spectrum
    return replace(
        spectrum,
        arms=tuple(
            arm if arm.lsf is not None else replace(arm, lsf=profile.lsf(arm.name, arm.wavelength))
            for arm in spectrum.arms
        ),
    )

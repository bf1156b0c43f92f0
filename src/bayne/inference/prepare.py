"""Arguments checked, spectrum made ready: LSF, errors, masks, pilot continuum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..emulators import Emulator, load_emulator
from ..errors import BayneError
from ..flags import Flag
from ..instrument import Instrument, load_instrument, with_lsf
from ..labels import VELOCITIES, check_known
from ..likelihoods import MAX_VELOCITY, broadening, check_order, continuum, cut_to_windows, prior_range
from ..spectrum import FloatArray, Spectrum
from ..wavelength import as_windows, within
from .diagnose import Verdict
from .draws import Sampler
from .methods import SAMPLERS

METHODS = (*SAMPLERS, "map")

#: By how much the air's lines may have moved in the rest frame of nearly all stars (km/s).
FAST_STAR = 300.0

#: Median flux that a normalised arm of a star can have.
NORMALIZED = (0.2, 2.0)

#: Chebyshev order per arm when neither user nor instrument says one.
DEFAULT_ORDER = 4


@dataclass(frozen=True)
class Settings:
    """The arguments of `fit_star`, as given."""

    method: str
    instrument: str | Instrument | None
    resolution: float | None
    snr: float | Sequence[float] | None
    priors: dict[str, Any]
    fixed: dict[str, float]
    start: dict[str, float]
    free: tuple[str, ...]
    continuum: int | bool | None
    windows: Sequence[tuple[float, float]] | None
    mask: Sequence[np.ndarray] | None
    emulator_error: bool
    jitter: bool
    robust: bool
    sampler: Sampler
    seed: int

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """Those among the arguments of `fit_star`, by name."""
        given = {field.name: arguments[field.name] for field in fields(cls)}
        given |= {name: dict(given[name]) for name in ("priors", "fixed", "start")} | {"free": tuple(given["free"])}
        if given["windows"] is not None:
            given["windows"] = as_windows(given["windows"])
        return cls(**given)

    def reported(self, emulator: Emulator) -> tuple[str, ...]:
        """The emulator's labels, and the velocities that are free or fixed."""
        free = {"rv", *broadening(emulator, self.free)} & set(self.free)
        return (
            *emulator.label_names,
            *(n for n in VELOCITIES if n not in emulator.label_names and (n in free or n in self.fixed)),
        )


@dataclass(frozen=True)
class PreparedSpectrum:
    """A spectrum cut to the emulator's windows, pilot continuum, Chebyshev order and barycentric velocity (km/s)."""

    spectrum: Spectrum
    pilot: list[FloatArray]
    order: int | None
    bary: float


def check_arguments(settings: Settings, emulator: Emulator) -> None:
    """Raise for arguments that no spectrum could make right.

    Raises
    ------
    BayneError
        Names the argument, what was wrong, and what would be right.
    """
    if not isinstance(emulator, Emulator):
        raise BayneError(f"emulator: give what load_emulator returns, not {type(emulator).__name__}")
    if settings.method not in METHODS:
        raise BayneError(f"method {settings.method!r}: choose from {', '.join(METHODS)}")
    known = (*emulator.label_names, *VELOCITIES, "lsf_scale", "lsf_box")
    check_known(settings.priors, known, "priors")
    check_known(settings.fixed, known, "fixed")
    check_known(settings.free, VELOCITIES, "free")
    check_known(settings.start, (*emulator.label_names, "rv"), "start")
    for given, what in ((settings.priors, "a prior"), (settings.start, "a start")):
        both = sorted(set(given) & set(settings.fixed))
        if both:
            raise BayneError(f"{', '.join(both)}: both fixed and given {what}; choose one")
    for given, what in ((settings.fixed, "fixed"), (settings.start, "start")):
        for name, value in given.items():
            if not _is_finite(value):
                raise BayneError(
                    f"{what} {name} = {value!r}: give a finite number in the label's unit, or leave it out"
                )
    for name, value in settings.fixed.items():
        low, high = -np.inf, np.inf
        if name in emulator.label_names:
            i = emulator.label_names.index(name)
            low, high = emulator.lower[i], emulator.upper[i]
        elif name in ("vsini", "vmac", "lsf_scale", "lsf_box"):
            low = 0.0
        if not low <= value <= high:
            raise BayneError(f"fixed {name} = {value}: outside its domain {low:g} to {high:g}")
    for name in emulator.card.absorbs:
        if name in settings.fixed or name in settings.priors:
            raise BayneError(f"{name}: the network's labels contain it; leave it out of fixed and priors")
    check_order(settings.continuum)
    if settings.resolution is not None and not settings.resolution > 0:
        raise BayneError(f"resolution {settings.resolution}: give R = λ/FWHM, a positive number")
    for name in settings.priors:
        if name in VELOCITIES and name not in (*settings.free, *emulator.label_names):
            raise BayneError(f"priors: {name} is not free; add it to free=, or fix it")
    if settings.priors.get("rv") is not None:
        low, high = prior_range("rv", settings.priors["rv"])
        if high < -MAX_VELOCITY or low > MAX_VELOCITY:
            raise BayneError(
                f"prior of rv: {low:g} to {high:g} km/s lies outside the search range, ±{MAX_VELOCITY:g} km/s"
            )


def _is_finite(value: Any) -> bool:
    try:
        return not isinstance(value, str) and bool(np.isfinite(float(value)))
    except (TypeError, ValueError):
        return False


def emulator_for(given: Any, settings: Settings) -> Emulator:
    """The emulator of the package that suits a spectrum.

    Raises
    ------
    BayneError
        There is none, or the resolution is not known.
    """
    return load_emulator(_with_profile(given, settings)[0])


def _with_profile(given: Any, settings: Settings) -> tuple[Spectrum, Instrument | None]:
    """The spectrum with line-spread functions, and its instrument."""
    if isinstance(given, Spectrum):
        spectrum = given
    else:
        from ..surveys import from_specutils

        spectrum = from_specutils(given)
    profile = settings.instrument or spectrum.instrument or None
    if isinstance(profile, str):
        profile = load_instrument(profile)
    return with_lsf(spectrum, profile, settings.resolution), profile


def prepare(given: Any, emulator: Emulator, settings: Settings, name: str | None) -> tuple[PreparedSpectrum, Verdict]:
    """Make a spectrum ready for fitting and note what had to be done to it.

    Raises
    ------
    BayneError
        No LSF is known; snr or mask do not match the arms.
    """
    verdict = Verdict()
    spectrum, profile = _with_profile(given, settings)
    if name is not None:
        spectrum = replace(spectrum, id=name)
    if settings.mask is not None:
        spectrum = spectrum.with_mask(settings.mask)
    if profile is not None and profile.telluric:
        # a barycentric frame is off by 30 km/s at most: less than the windows are vague
        shift = FAST_STAR if spectrum.frame == "rest" else 0.0
        spectrum = spectrum.with_mask([profile.telluric_mask(arm.wavelength, shift) for arm in spectrum.arms])
    if settings.windows is not None:
        spectrum = spectrum.with_mask([~within(arm.wavelength, settings.windows) for arm in spectrum.arms])
    repaired = sum(spectrum.counts.get(key, 0) for key in ("not finite", "negative error"))
    if repaired:
        verdict.raise_flag(Flag.NONFINITE_MASKED, f"{repaired} pixels were not finite or had negative errors.")
    bary = 0.0
    if spectrum.frame == "observed":
        bary = spectrum.bary_kms or 0.0
        if spectrum.bary_kms is None:
            verdict.raise_flag(Flag.RV_AS_OBSERVED)
    elif spectrum.frame == "rest":
        verdict.messages.append("The file is in the rest frame: rv is the residual velocity.")
    replaced = [n for n in ("vsini", "vmac") if n in settings.free and n not in broadening(emulator, settings.free)]
    if replaced:
        verdict.raise_flag(Flag.BROADENING_REPLACED, f"{', '.join(replaced)}: contained in the network's labels.")
    if emulator.error is None and settings.emulator_error:
        verdict.raise_flag(Flag.NO_EMULATOR_ERROR)
    if settings.method == "map":
        verdict.raise_flag(Flag.MAP_ONLY)

    order = _order(spectrum, profile, settings.continuum)
    snr = _signal_to_noise(settings.snr, len(spectrum.arms))
    whole = spectrum.n_good
    spectrum, source = cut_to_windows(spectrum, emulator)
    verdict.numbers["n_outside"] = float(whole - spectrum.n_good)
    pilot = []
    for arm in spectrum.arms:
        empty = not arm.good.any()
        level = 1.0 if empty else float(np.median(arm.flux[arm.good]))
        divided = spectrum.normalized and NORMALIZED[0] < level < NORMALIZED[1]
        if spectrum.normalized and not divided and settings.continuum is not False:
            verdict.messages.append(f"Arm {arm.name} is said to be normalised, but its median is {level:.3g}.")
        flat = settings.continuum is False or divided or empty
        pilot.append(np.ones(arm.flux.size) if flat else continuum.pilot(arm, arm.good, order or 0))
    spectrum = _with_errors(spectrum, None if snr is None else snr[source], pilot, verdict)
    if spectrum.n_good < 2 * (len(emulator.label_names) + 2):
        verdict.raise_flag(
            Flag.NO_PIXELS, f"{spectrum.n_good} good pixels of {sum(a.flux.size for a in spectrum.arms)}."
        )
    return PreparedSpectrum(spectrum, pilot, order, bary), verdict


def _order(spectrum: Spectrum, profile: Instrument | None, given: int | bool | None) -> int | None:
    if given is False:
        return None
    if given is not None:
        return int(given)
    return profile.continuum if profile is not None else DEFAULT_ORDER


def _signal_to_noise(given: float | Sequence[float] | None, arms: int) -> FloatArray | None:
    """(a,) the user's S/N of every arm; None where none is given."""
    if given is None:
        return None
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise BayneError(f"snr {given!r}: give positive numbers, per native pixel") from None
    if values.shape not in ((), (arms,)):
        raise BayneError(f"snr {given}: give one number, or one for each of the {arms} arms")
    if not np.all(np.isfinite(values) & (values > 0)):
        raise BayneError(f"snr {given}: give positive numbers, per native pixel")
    return np.broadcast_to(values, (arms,))


def _with_errors(spectrum: Spectrum, snr: FloatArray | None, pilot: list[FloatArray], verdict: Verdict) -> Spectrum:
    """Inverse variances from the user's S/N (a,) or from differences, for arms that have none."""
    arms = []
    for i, arm in enumerate(spectrum.arms):
        if arm.ivar is not None:
            arms.append(arm)
        elif snr is not None:
            arms.append(replace(arm, ivar=np.where(arm.good, (snr[i] / pilot[i]) ** 2, 0.0)))
        else:
            arms.append(replace(arm, ivar=continuum.estimated_ivar(arm)))
            verdict.raise_flag(Flag.ERRORS_ESTIMATED)
    return replace(spectrum, arms=tuple(arms))

"""Cramér-Rao bounds: how precisely an exposure can tell the labels of a star, at best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track

from ..emulators import Emulator
from ..errors import BayneError
from ..instrument import Instrument, load_instrument
from ..labels import VELOCITIES, check_known
from ..likelihoods import Correlation, Problem, StarModel, build, check_order, factorise, with_emulator_error
from ..precision import double
from ..spectrum import FloatArray, Spectrum
from ..wavelength import within
from .exposure import SNR, expose
from .result import Bounds

#: Rotation (km/s) of a star that has none given: a slow rotator's, for at none at all its derivative vanishes.
VSINI = 5.0

#: The continuum's prior is as good as none when it is this much wider.
FLAT_PRIOR_FACTOR = 1e3

#: Stars to ask about by name. The Sun: Prša et al. 2016 (AJ 152, 41); the others are typical ones.
STARS: dict[str, dict[str, float]] = {
    "sun": {"teff": 5772.0, "logg": 4.438, "fe_h": 0.0, "vmic": 1.0},
    "k-giant": {"teff": 4500.0, "logg": 2.0, "fe_h": -0.2, "vmic": 1.5},
    "turn-off": {"teff": 6200.0, "logg": 4.1, "fe_h": -1.5, "vmic": 1.4},
}


@dataclass(frozen=True)
class Exposure:
    """An exposure of a star, ready for computing bounds.

    Parameters
    ----------
    emulator, spectrum
        See `cramer_rao`; the spectrum is flat.
    problem
        The likelihood problem, without the emulator's error.
    free
        Velocities that are unknown.
    emulator_error
        Whether it is included.
    """

    emulator: Emulator
    spectrum: Spectrum
    problem: Problem
    free: tuple[str, ...]
    emulator_error: bool

    @property
    def unknown(self) -> np.ndarray:
        """(n,) positions of the unknown parameters among those of the problem."""
        own = (*self.emulator.label_names, *self.free)
        return np.array([i for i, n in enumerate(self.problem.model.names) if n in own or n not in VELOCITIES])

    @double
    def at(self, values: Mapping[str, float]) -> tuple[Problem, jax.Array]:
        """Problem and parameters (n,) of a star."""
        given = {"rv": 0.0, "vsini": VSINI, "vmac": 0.0, "lsf_scale": 1.0, "lsf_box": 1.0} | dict(values)
        theta = jnp.asarray([given.get(name, 0.0) for name in self.problem.model.names])
        problem = self.problem
        if self.emulator_error:
            problem = with_emulator_error(problem, self.emulator, theta)
        return problem, theta

    @double
    def bounds(self, values: Mapping[str, float]) -> Bounds:
        """Bounds of one star, without the losses from each nuisance parameter."""
        return self._bounds(*self.at(values))

    def _bounds(self, problem: Problem, theta: jax.Array) -> Bounds:
        prior, keep = problem.prior, self.unknown
        both = np.ix_(keep, keep)
        return Bounds(
            names=tuple(problem.model.names[i] for i in keep),
            labels=self.emulator.label_names,
            values=np.asarray(theta)[keep],
            fisher=np.asarray(_fisher(problem.model, theta))[both],
            prior=np.asarray(prior.curvature(theta))[both],
            width=np.asarray(prior.upper - prior.lower)[keep],
            prior_std=problem.prior_std[keep],
        )

    @double
    def with_losses(self, values: Mapping[str, float]) -> Bounds:
        """`bounds`, with the fraction by which each nuisance parameter widens them: 0.12 for 12%."""
        problem, theta = self.at(values)
        whole = self._bounds(problem, theta)
        wide = np.sqrt(np.diag(whole.covariance))
        easier = {"continuum": _with_spread(problem, 0.0)}
        if problem.model.pixels.error is not None:
            easier["emulator error"] = self.problem
        found = {name: wide / np.sqrt(np.diag(self._bounds(p, theta).covariance)) - 1 for name, p in easier.items()}
        for i, name in enumerate(whole.names):
            if name in (*VELOCITIES, "lsf_scale", "lsf_box") and name not in whole.labels:
                # a parameter that is known is conditioned on
                c = whole.covariance
                known = np.diag(c) - c[:, i] ** 2 / c[i, i]
                known[i] = np.nan
                found[name] = wide / np.sqrt(known) - 1
        return replace(whole, losses=found)

    @double
    def information(self, values: Mapping[str, float]) -> tuple[list[FloatArray], list[FloatArray]]:
        """Where the information is: per arm wavelengths (p,) (vacuum Å) and each pixel's share (n, p) in each bound.

        With C the covariance of the bounds, t = J C_i is how the spectrum changes when parameter i is off by its bound
        and all others follow it so as to hide that; C_ii = tᵀ Σ⁻¹ t, of which pixel p has t_p (Σ⁻¹ t)_p. Shares add up
        to one; noise that is common to pixels can make some of them negative.
        """
        problem, theta = self.at(values)
        covariance = self._bounds(problem, theta).covariance
        moving = self.unknown[self.unknown < problem.model.n_mean]
        share = np.asarray(_shares(problem.model, theta, jnp.asarray(covariance), moving))
        return self._by_arm(share)

    @double
    def gradients(self, values: Mapping[str, float]) -> tuple[list[FloatArray], list[FloatArray]]:
        """Per arm wavelengths (p,) (vacuum Å), and derivatives (m, p) of the normalised spectrum by labels, velocities
        and LSF scale, per unit of each, as the instrument would see them.
        """
        problem, theta = self.at(values)
        moving = self.unknown[self.unknown < problem.model.n_mean]
        _, derivatives = _jacobian(problem.model, theta)
        return self._by_arm(np.moveaxis(np.asarray(derivatives), -1, 0)[moving])

    def _by_arm(self, pixels: FloatArray) -> tuple[list[FloatArray], list[FloatArray]]:
        arms = self.spectrum.arms
        return [a.wavelength for a in arms], [pixels[:, k, : a.wavelength.size] for k, a in enumerate(arms)]


_fisher, _jacobian = jax.jit(StarModel.fisher), jax.jit(StarModel.jacobian)


@jax.jit
def _shares(model: StarModel, theta: jax.Array, covariance: jax.Array, moving: jax.Array) -> jax.Array:
    """(n, a, n_pixels) see `Exposure.information`; zero for the jitters, not `moving` the mean."""
    pixels, flux, derivatives = model.whitened(theta)
    k = moving.size
    hidden = derivatives[..., moving] @ covariance[:k, :k]
    solved = factorise(pixels, flux, model.jitter_variance(theta), hidden).solved(hidden)
    share = jnp.moveaxis(hidden * solved, -1, 0)
    total = jnp.sum(share, axis=(1, 2), keepdims=True)
    return jnp.pad(share / jnp.where(total > 0, total, 1.0), ((0, covariance.shape[0] - k), (0, 0), (0, 0)))


def _with_spread(problem: Problem, factor: float) -> Problem:
    """The problem with the continuum's prior wider by a factor."""
    pixels = problem.model.pixels
    return problem.changed(pixels=replace(pixels, spread=factor * pixels.spread))


@double
def prepare_exposure(
    emulator: Emulator,
    instrument: str | Instrument,
    snr: SNR,
    *,
    per: str = "pixel",
    arms: Sequence[str] | None = None,
    resolution: float | None = None,
    windows: Sequence[tuple[float, float]] | None = None,
    free: Sequence[str] = ("rv", "vsini"),
    priors: Mapping[str, Any] | None = {},
    continuum: int | bool | None = None,
    correlation: float = 0.0,
    emulator_error: bool = True,
) -> Exposure:
    """The exposure used by `cramer_rao`, for bounds of many stars; same arguments."""
    profile = load_instrument(instrument) if isinstance(instrument, str) else instrument
    spectrum = expose(profile, snr, per=per, arms=arms, resolution=resolution, windows=windows)
    check_known(free, VELOCITIES, "free")
    for window in windows or ():
        if not np.any(within(emulator.wavelength, [window])):
            has = emulator.windows_in_words()
            raise BayneError(f"window {window[0]:g}-{window[1]:g} Å: the emulator has {has} Å (vacuum)")
    for name in priors or {}:
        if name in VELOCITIES and name not in (*free, *emulator.label_names):
            raise BayneError(f"priors: {name} is not free; add it to free=")
    # what fits leave out because of the emulator; at most 1 Å off for the velocities that are planned for
    spectrum = spectrum.with_mask([within(arm.wavelength, emulator.card.excluded) for arm in spectrum.arms])
    seen = [np.any(arm.good & within(arm.wavelength, emulator.windows())) for arm in spectrum.arms]
    if not any(seen):
        has = emulator.windows_in_words()
        raise BayneError(f"{profile.name}: no pixel with signal lies inside the emulator's windows, {has} Å (vacuum)")
    spectrum = replace(spectrum, arms=tuple(arm for arm, keep in zip(spectrum.arms, seen, strict=True) if keep))
    check_order(continuum)
    order = None if continuum is False else profile.continuum if continuum is None else int(continuum)
    # what is known is a parameter too, whose row and column are left out
    problem = build(
        spectrum, emulator, velocity=0.0, bary=0.0, free=("rv", "vsini", *free), fixed={}, priors=priors or {},
        order=order, pilot=[np.ones(arm.wavelength.size) for arm in spectrum.arms], with_jitter=correlation == 0,
    )  # fmt: skip
    if not problem.plan.used.any():
        raise BayneError(f"{profile.name}: no pixel is far enough inside the emulator's windows for its broad kernels")
    if priors is None:
        problem = _with_spread(problem, FLAT_PRIOR_FACTOR)
    if correlation != 0:
        problem = problem.changed(correlation=Correlation.of(problem.plan.used, correlation))
    return Exposure(emulator, spectrum, problem, tuple(free), emulator_error)


@double
def cramer_rao(
    emulator: Emulator,
    instrument: str | Instrument,
    labels: Mapping[str, Any] | str,
    snr: SNR,
    **options: Any,
) -> Bounds | list[Bounds]:
    """Cramér-Rao bounds on the labels of a star, with the model and noise of `fit_star`.

    They come from the joint Fisher matrix of labels, velocity, rotation, LSF scale and jitter, by automatic
    differentiation, with continuum coefficients and the emulator's error marginalised and the covariance frozen at the
    labels. No unbiased estimator has a smaller variance than its inverse (Rao 1945; Cramér 1946).

    Parameters
    ----------
    emulator
        From `load_emulator`.
    instrument
        Profile name or `Instrument`.
    labels
        ``"sun"``, ``"k-giant"``, ``"turn-off"``, or labels by name: numbers, or arrays (m,) for m stars. Abundance
        ratios default to zero, as do ``rv`` and ``vmac``; ``vsini`` defaults to 5 km/s.
    snr
        Signal-to-noise ratio at the continuum: a number, one by arm name, or ``(wavelength, snr)`` with vacuum Å.
    per
        Whether `snr` is per native ``"pixel"`` (the default) or per ``"angstrom"``.
    arms
        Names of the instrument's arms to use; None for all.
    resolution
        R = λ/FWHM that replaces the profile's.
    windows
        Wavelength ranges to use, vacuum Å; None for all.
    free
        Which of ``rv``, ``vsini`` and ``vmac`` are unknown; the others have the values in `labels`.
    priors
        By label ``(mean, sd)`` or a scalar NumPyro distribution, as in `fit_star`; None also removes the prior on the
        continuum. Bounds with priors are Bayesian.
    continuum
        Chebyshev order per arm; None for the instrument's default; False for a known continuum.
    correlation
        Noise correlation of neighbouring pixels, for example from resampling; pixels k apart in an arm have its kth
        power. The noise is then taken as known: there is no jitter.
    emulator_error
        Include the emulator's own error where its card states one.

    Returns
    -------
    Bounds or list
        For one star, with the loss that each nuisance causes; or one for each of m stars, without.

    Raises
    ------
    BayneError
        Unknown labels, instruments or arms; labels outside the emulator's domain; S/N that is not positive; windows
        outside the emulator's; an instrument that is sharper than the emulator.
    """
    exposure = prepare_exposure(emulator, instrument, snr, **options)
    if isinstance(labels, str):
        if labels not in STARS:
            raise BayneError(f"unknown star {labels!r}: choose from {', '.join(STARS)}, or give labels")
        labels = {name: value for name, value in STARS[labels].items() if name in emulator.label_names}
    check_known(labels, (*emulator.label_names, *VELOCITIES), "labels")
    problem = exposure.problem
    for name in VELOCITIES:
        if name in labels and name not in problem.model.names:
            known = "is contained in the emulator's spectra" if name in emulator.card.absorbs else "is not in free="
            raise BayneError(f"labels: {name} {known}; leave it out, or free it")
        if name in labels and name not in emulator.label_names:
            i = problem.model.names.index(name)
            low, high = float(problem.prior.lower[i]), float(problem.prior.upper[i])
            if not np.all((np.asarray(labels[name]) >= low) & (np.asarray(labels[name]) <= high)):
                raise BayneError(f"labels: {name} = {labels[name]}: give {low:.0f} to {high:.0f} km/s")
    for name, value in labels.items():
        if np.ndim(value) > 1 or not np.issubdtype(np.asarray(value).dtype, np.number):
            raise BayneError(f"labels: {name}: give a number, or a one-dimensional array of them")
    sizes = {np.size(v) for v in labels.values() if np.ndim(v)}
    if len(sizes) > 1:
        raise BayneError(f"labels: arrays of {', '.join(map(str, sorted(sizes)))} stars; give the same number for all")
    count = sizes.pop() if sizes else 1
    columns = {name: np.broadcast_to(np.asarray(v, dtype=np.float64), count) for name, v in labels.items()}
    stars = [_complete(emulator, {name: float(v[i]) for name, v in columns.items()}) for i in range(count)]
    if any(np.ndim(v) for v in labels.values()):
        console = Console(stderr=True)
        hidden = not console.is_terminal
        return [
            exposure.bounds(star) for star in track(stars, "bounds", console=console, disable=hidden, transient=True)
        ]
    return exposure.with_losses(stars[0])


def _complete(emulator: Emulator, given: Mapping[str, float]) -> dict[str, float]:
    """All labels of a star: abundance ratios that were left out are zero."""
    usual = {"vsini": VSINI, "vmac": 0.0}
    missing = [n for n in emulator.label_names if n not in (*given, *usual) and not n.endswith("_fe")]
    if missing:
        raise BayneError(f"labels: give {', '.join(missing)} too; only abundance ratios are zero where left out")
    ends = zip(emulator.label_names, emulator.lower, emulator.upper, strict=True)
    star = {n: float(np.clip(usual[n], a, b)) if n in usual else 0.0 for n, a, b in ends} | dict(given)
    values = np.array([star[name] for name in emulator.label_names])
    for name, value, low, high in zip(emulator.label_names, values, emulator.lower, emulator.upper, strict=True):
        if not low <= value <= high:
            raise BayneError(f"{name} = {value:g}: outside the emulator's domain, {low:g} to {high:g}")
    if not emulator.contains(values):
        raise BayneError("labels: Teff, log g and [Fe/H] lie outside the hull of the stars the emulator was trained on")
    return star

"""A star ready to be fitted: its model, its priors, and what the pixels were planned for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..batching import batchable
from ..emulators import Emulator, ErrorModel
from ..forward import VELOCITY_MARGIN, Plan, plan
from ..labels import MAX_BROADENING
from ..spectrum import FloatArray, Spectrum
from . import continuum
from .continuum_process import FIRST_GUESS, best_spread, modes
from .marginal import Pixels, coefficients
from .model import PixelModel
from .priors import Prior, make_prior, prior_range
from .star import OTHERS, RobustWidths, StarModel

#: Range of the factor on the LSF width: a survey that is wrong by half needs a better profile.
LSF_SCALE_RANGE = (0.6, 1.5)

#: Range of the factor on the share of a top hat in the LSF.
LSF_BOX_RANGE = (0.0, 2.0)

#: Largest jitter, in units of the continuum.
MAX_JITTER = 0.5


def log_posterior(model: PixelModel, prior: Prior, theta: jax.Array) -> jax.Array:
    """Log posterior density in label space: no Jacobian of any transform."""
    return model.log_like(theta) + prior.log_density(theta)


@dataclass(frozen=True)
class Problem:
    """A star ready to be fitted.

    Parameters
    ----------
    model, prior
        Arguments of the compiled functions.
    prior_std
        (n_free,) standard deviation of each prior.
    plan
        The forward model's plan.
    pilot
        (a, n) pilot continuum in the units of the data; 1 on padding.
    """

    model: StarModel
    prior: Prior
    prior_std: FloatArray
    plan: Plan
    pilot: FloatArray

    def changed(self, **changes: Any) -> Problem:
        """The problem with fields of its model replaced."""
        return replace(self, model=replace(self.model, **changes))


def padded(spectrum: Spectrum, values: list[FloatArray], fill: float) -> FloatArray:
    """One array per arm, padded to (a, n) with `fill`."""
    n = max(arm.wavelength.size for arm in spectrum.arms)
    out = np.full((len(values), n), fill)
    for a, value in enumerate(values):
        out[a, : value.size] = value
    return out


def broadening(emulator: Emulator, free: tuple[str, ...]) -> tuple[str, ...]:
    """The broadening operators that are on: those freed, less those that a label of the network stands for."""
    taken = {*emulator.label_names, *emulator.card.absorbs}
    return tuple(name for name in ("vsini", "vmac") if name in free and name not in taken)


def build(
    spectrum: Spectrum,
    emulator: Emulator,
    *,
    velocity: float,
    bary: float,
    free: tuple[str, ...],
    fixed: Mapping[str, float],
    priors: Mapping[str, Any],
    order: int | None,
    pilot: list[FloatArray],
    with_jitter: bool,
    process: bool = False,
) -> Problem:
    """Assemble the problem of one spectrum.

    Parameters
    ----------
    spectrum
        With inverse variances and LSF.
    velocity
        Starting velocity in the frame of the file (km/s).
    bary
        Velocity to add to it to make it the reported one (km/s).
    free
        Velocities to free, of ``rv``, ``vsini``, ``vmac``.
    fixed, priors
        By name.
    order
        Chebyshev order per arm; None for no continuum.
    pilot
        Pilot continuum of every arm.
    with_jitter
        Whether to free one excess variance per arm.
    process
        Whether the continuum is a Gaussian process beside the polynomial.

    Raises
    ------
    BayneError
        What `plan` and `make_prior` raise.
    """
    operators, own = broadening(emulator, free), emulator.label_names
    names, low, high = _free_labels(emulator, fixed)
    label_index = tuple(emulator.label_names.index(name) for name in names)
    margin = _margin(fixed, priors, free, velocity + bary)
    limits = {name: (0.0, value) for name, value in MAX_BROADENING.items()}
    # adding velocities as numbers is right to 0.1 km/s, hence the 1%
    limits["rv"] = (velocity + bary - 0.99 * margin, velocity + bary + 0.99 * margin)
    for name in ("rv", *operators):
        if name in free and name not in fixed:
            names.append(name)
            low.append(limits[name][0])
            high.append(limits[name][1])
    largest = {name: max(MAX_BROADENING[name], fixed.get(name, 0.0)) for name in operators}
    largest |= {name: fixed[name] for name in ("vsini", "vmac") if fixed.get(name, 0.0) > 0 and name not in own}
    scale_sigma = max((getattr(arm.lsf, "scale_sigma", 0.0) for arm in spectrum.arms), default=0.0)
    scale_free = scale_sigma > 0 and "lsf_scale" not in fixed
    the_plan = plan(
        spectrum,
        emulator,
        velocity,
        margin=margin,
        max_vsini=largest.get("vsini", 0.0),
        max_vmac=largest.get("vmac", 0.0),
        max_scale=LSF_SCALE_RANGE[1] if scale_free else fixed.get("lsf_scale"),
    )
    given = dict(priors)
    if scale_free and the_plan.has_kernel:
        names.append("lsf_scale")
        low.append(max(LSF_SCALE_RANGE[0], the_plan.min_scale))
        high.append(LSF_SCALE_RANGE[1])
        given.setdefault("lsf_scale", (1.0, scale_sigma))
    box_sigma = max((getattr(arm.lsf, "box_sigma", 0.0) for arm in spectrum.arms), default=0.0)
    if the_plan.forward.boxy and box_sigma > 0 and "lsf_box" not in fixed:
        names.append("lsf_box")
        low.append(LSF_BOX_RANGE[0])
        high.append(LSF_BOX_RANGE[1])
        given.setdefault("lsf_box", (1.0, box_sigma))

    data, variance = _normalised(spectrum, pilot, the_plan.used)
    photon = np.array([np.median(v[u]) if u.any() else 1.0 for v, u in zip(variance, the_plan.used, strict=True)])
    if with_jitter:
        for arm, own_variance in zip(spectrum.arms, photon, strict=True):
            names.append(f"excess_{arm.name}")
            low.append(0.0)
            high.append(np.log1p(max(MAX_JITTER**2 / own_variance, 100.0)))
    labels = np.array([fixed.get(n, np.nan) for n in emulator.label_names], dtype=np.float64)
    bases = [continuum.basis(arm.wavelength, order or 0) for arm in spectrum.arms]
    spreads = np.full((1, len(bases), bases[0].shape[1]), 0.0 if order is None else continuum.PRIOR_SIGMA)
    if process:
        bases, spreads = _with_modes(spectrum, bases, spreads)
    defaults = {"rv": bary, "vsini": 0.0, "vmac": 0.0, "lsf_scale": 1.0, "lsf_box": 1.0}
    model = StarModel(
        names=tuple(names),
        jitter=with_jitter,
        pixels=Pixels(
            data=jnp.asarray(data),
            variance=jnp.asarray(variance),
            used=jnp.asarray(the_plan.used),
            basis=jnp.asarray(np.stack([padded_rows(b, data.shape[1]) for b in bases])),
            spread=jnp.asarray(spreads[FIRST_GUESS if process else 0]),
        ),
        photon=jnp.asarray(photon),
        label_index=label_index,
        forward=the_plan.forward,
        labels=jnp.asarray(np.where(np.isnan(labels), 0.5 * (emulator.lower + emulator.upper), labels)),
        fixed={k: jnp.asarray(float(defaults[k] if k in own else fixed.get(k, defaults[k]))) for k in OTHERS},
        bary=jnp.asarray(float(bary)),
        robust=RobustWidths.unchanged(len([name for name in names if not name.startswith("excess_")])),
        spreads=jnp.asarray(spreads) if process else None,
    )
    a, b = emulator.card.halfspaces
    fixed_part = np.array([0.0 if i in label_index else labels[i] for i in range(labels.size)])
    wall = np.zeros((a.shape[0], len(names)))
    wall[:, : len(label_index)] = a[:, list(label_index)]
    prior, spread = make_prior(names, np.array(low), np.array(high), given, (wall, b - a @ fixed_part))
    return Problem(model, prior, spread, the_plan, padded(spectrum, pilot, 1.0))


def _with_modes(spectrum: Spectrum, bases: list[FloatArray], spread: FloatArray) -> tuple[list[FloatArray], FloatArray]:
    """Columns of the continuum with those of the process, and the (h, a, c) standard deviations to choose from."""
    waves, spreads = modes(spectrum)
    spreads = spreads.reshape(-1, *spreads.shape[2:])
    own = np.broadcast_to(spread, (len(spreads), *spread.shape[1:]))
    return [np.hstack(pair) for pair in zip(bases, waves, strict=True)], np.concatenate([own, spreads], axis=-1)


def padded_rows(matrix: FloatArray, n: int) -> FloatArray:
    """(m, c) matrix padded with zero rows to (n, c)."""
    return np.pad(matrix, ((0, n - matrix.shape[0]), (0, 0)))


def _free_labels(emulator: Emulator, fixed: Mapping[str, float]) -> tuple[list[str], list[float], list[float]]:
    free = [i for i, name in enumerate(emulator.label_names) if name not in fixed]
    card = emulator.card
    return [card.labels[i] for i in free], [card.lower[i] for i in free], [card.upper[i] for i in free]


def _margin(fixed: Mapping[str, float], priors: Mapping[str, Any], free: tuple[str, ...], start: float) -> float:
    """How far the velocity may go from its start (km/s): all over its prior where that is less than usual."""
    if "rv" in fixed or "rv" not in free:
        return 0.0
    low, high = prior_range("rv", priors["rv"]) if "rv" in priors else (-np.inf, np.inf)
    return min(VELOCITY_MARGIN, max(high - start, start - low))


def _normalised(spectrum: Spectrum, pilot: list[FloatArray], used: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Data over pilot, and photon variance over pilot²; 1 where unused."""
    data = padded(spectrum, [arm.flux / p for arm, p in zip(spectrum.arms, pilot, strict=True)], 1.0)
    ivar = [np.zeros(a.flux.size) if a.ivar is None else a.ivar for a in spectrum.arms]
    weight = padded(spectrum, [w * p**2 for w, p in zip(ivar, pilot, strict=True)], 0.0)
    noise = np.divide(1.0, weight, out=np.ones_like(weight), where=used & (weight > 0))
    return np.where(used, data, 1.0), noise


def with_emulator_error(problem: Problem, emulator: Emulator, theta: FloatArray | jax.Array) -> Problem:
    """The problem with the emulator's error counted, where its card states one; see `StarModel.with_emulator_error`."""
    if emulator.error is None:
        return problem
    at = jnp.asarray(theta)
    labels = dict(zip(emulator.label_names, np.asarray(problem.model.parameters(at)[0]), strict=True))
    return replace(problem, model=_with_error(problem.model, emulator.error.at(labels), at))


@batchable()
def _with_error(model: StarModel, error: ErrorModel, theta: jax.Array) -> StarModel:
    return model.with_emulator_error(error, theta)


def with_robust_widths(problem: Problem, theta: FloatArray, shrink: FloatArray) -> Problem:
    """The problem whose likelihood is as wide about its maximum `theta` (n,) as `RobustWidths` says."""
    centre = jnp.asarray(theta[: problem.model.n_mean])
    return problem.changed(robust=RobustWidths(centre, jnp.asarray(shrink)))


def with_continuum_process(problem: Problem, theta: FloatArray | jax.Array) -> Problem:
    """The problem with the amplitudes and scales of the continuum's process that have most evidence at `theta`."""
    model = problem.model
    if model.spreads is None:
        return problem
    at = jnp.asarray(theta)
    flux, _, _ = best_continuum(problem, at)
    spread, _ = best_spread(model.pixels, model.spreads, flux, model.jitter_variance(at))
    return problem.changed(pixels=replace(model.pixels, spread=spread))


def best_continuum(problem: Problem, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """At given parameters: model (a, n), continuum over pilot (a, n), emulator correction (a, n)."""
    return _continuum(problem.model, theta)


@batchable()
def _continuum(model: StarModel, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    flux = model.predict(theta)
    return flux, *coefficients(model.pixels, flux, model.jitter_variance(theta))

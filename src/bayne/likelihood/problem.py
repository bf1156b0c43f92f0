"""One star as a function: parameters in, log posterior density out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator, ErrorModel
from ..forward import VELOCITY_MARGIN, Arrays, ForwardStatic, Plan, observe, plan
from ..labels import MAX_BROADENING
from ..lockstep import lockstep
from ..spectrum import FloatArray, Spectrum
from ..wavelength import C_KMS
from . import continuum
from .continuum_process import FIRST, best_spread, modes
from .marginal import coefficients, log_likelihood
from .priors import Prior, make_prior, reach
from .table import log_likelihoods, tabulate

#: Range of the factor on the LSF width: a survey that is wrong by half needs a better profile.
LSF_SCALE_RANGE = (0.6, 1.5)

#: Range of the factor on the share of a top hat in the LSF.
LSF_BOX_RANGE = (0.0, 2.0)

#: Largest jitter, in units of the continuum.
MAX_JITTER = 0.5


@dataclass(frozen=True)
class Static:
    """What the compiled likelihood depends on besides arrays; hashable.

    ``names`` are the free parameters in order: emulator labels (at ``label_index`` of the network's vector),
    velocities, ``lsf_scale``, and one ``excess_<arm>`` per arm when ``jitter`` is True.
    """

    forward: ForwardStatic
    names: tuple[str, ...]
    label_index: tuple[int, ...]
    jitter: bool

    @property
    def n_mean(self) -> int:
        """How many leading parameters change the model's mean: all but the excesses."""
        return sum(not name.startswith("excess_") for name in self.names)


def parameters(static: Static, arrays: Arrays, theta: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Label vector (l,) of the network, and the velocities and LSF scale by name."""
    theta, k = _drawn_in(static, arrays, theta), len(static.label_index)
    labels = arrays["labels"].at[jnp.asarray(static.label_index, dtype=jnp.int32)].set(theta[:k])
    where = {name: i for i, name in enumerate(static.names)}
    others = {
        name: theta[where[name]] if name in where else arrays[f"fixed_{name}"]
        for name in ("rv", "vsini", "vmac", "lsf_scale", "lsf_box")
    }
    return labels, others


def _drawn_in(static: Static, arrays: Arrays, theta: jax.Array) -> jax.Array:
    """Parameters (n,) nearer to the maximum than they are, by the matrix of `with_robust_widths`; else as they are."""
    if "shrink" not in arrays:
        return theta
    m, centre = static.n_mean, arrays["centre"]
    return theta.at[:m].set(centre + arrays["shrink"] @ (theta[:m] - centre))


def predict(static: Static, arrays: Arrays, theta: jax.Array) -> jax.Array:
    """(a, n) normalised model flux on the observed pixels, float64, 1 on unused ones."""
    return _predictions(static, arrays, theta[None])[..., 0]


def _predictions(static: Static, arrays: Arrays, x: jax.Array) -> jax.Array:
    """(a, n, k) `predict` of parameters (k, n_free), which cost less side by side than one by one."""
    labels, other = jax.vmap(partial(parameters, static, arrays))(x)
    rest = static.forward.network.spectra(arrays["params"], labels)
    return _model(arrays, _observed(static, arrays, rest, other))


def _model(arrays: Arrays, observed: jax.Array) -> jax.Array:
    """(a, n, k): with what a teacher adds to the spectra of a distilled emulator; 1 on unused pixels."""
    offset = arrays["offset"][..., None] if "offset" in arrays else 0.0
    return jnp.where(arrays["used"][..., None], observed + offset, 1.0)


def jacobian(static: Static, arrays: Arrays, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`predict`, and its derivatives (a, n, n_mean) by the parameters that change it, 0 on unused pixels.

    Broadening and sampling are linear in the spectrum: the derivatives by all labels go through them side by side.
    """
    labels, other = parameters(static, arrays, theta)
    directions = jnp.eye(labels.size)[jnp.asarray(static.label_index, dtype=jnp.int32)]
    rest, by_label = static.forward.network.jacobian(arrays["params"], labels, directions)
    by_label = _observed(static, arrays, by_label, other)
    k = len(static.label_index)
    names = static.names[k : static.n_mean]

    def moved(values: jax.Array) -> jax.Array:
        changed = other | dict(zip(names, values, strict=True))
        return _observed(static, arrays, rest[None], changed)

    model, push_other = jax.linearize(moved, _drawn_in(static, arrays, theta)[k : static.n_mean])
    by_other = jax.vmap(push_other, out_axes=-1)(jnp.eye(len(names)))[..., 0, :]
    both = jnp.concatenate([by_label, by_other], axis=-1)
    if "shrink" in arrays:
        both = both @ arrays["shrink"]
    return _model(arrays, model)[..., 0], jnp.where(arrays["used"][..., None], both, 0.0)


def _observed(static: Static, arrays: Arrays, rest: jax.Array, other: dict[str, jax.Array]) -> jax.Array:
    """(a, n, k) spectra (k, p) of the emulator's wavelengths on the observed pixels, float64.

    What is in `other` is () for all of them, or (k,).
    """
    # collinear velocities add in rapidity: barycentric rv minus the observer's motion is the frame's velocity
    velocity = C_KMS * jnp.tanh(jnp.arctanh(other["rv"] / C_KMS) - jnp.arctanh(arrays["bary"] / C_KMS))
    flux = observe(
        static.forward, arrays, rest, velocity,
        *(other[name] for name in ("vsini", "vmac", "lsf_scale", "lsf_box")),
    )  # fmt: skip
    return flux.astype(jnp.float64)


def jitter_variance(static: Static, arrays: Arrays, theta: jax.Array) -> jax.Array | None:
    """(a,) variance that jitter adds to every arm, in normalised flux²; None when there is no jitter.

    The parameter is the excess x = ln(1 + jitter²/s²), s the arm's median photon error. Uniform in x is
    log-uniform in a jitter above s and fades below it, and the posterior of x is smooth down to none at all.
    """
    if not static.jitter:
        return None
    return arrays["photon"] * jnp.expm1(theta[static.n_mean :])


def log_like(static: Static, arrays: Arrays, theta: jax.Array) -> jax.Array:
    """Log marginal likelihood of the normalised data; with arrays that are `tabulated`, as that says."""
    if "gram_series" in arrays:
        return log_likes(static, arrays, theta[None])[0][0]
    return log_likelihood(arrays, _barred(predict(static, arrays, theta)), jitter_variance(static, arrays, theta))


def log_likes(static: Static, arrays: Arrays, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(k,) `log_like` of parameters (k, n_free) with `tabulated` arrays, and the models (a, n, k)."""
    models = _barred(_predictions(static, arrays, x))
    extra = jax.vmap(partial(jitter_variance, static, arrays))(x)
    return log_likelihoods(arrays, models, extra), models


def _barred(model: jax.Array) -> jax.Array:
    # without the barrier XLA fuses the last steps of the spectrum into each of its uses, and does them every time
    return jax.lax.optimization_barrier(model)  # type: ignore[no-untyped-call]


@lockstep(0)
def tabulated(static: Static, arrays: Arrays, prior: Prior, theta: jax.Array) -> Arrays:
    """Arrays with which likelihoods near the maximum `theta` cost less: see `tabulate`."""
    extra, largest = (jitter_variance(static, arrays, x) for x in (theta, prior.upper))
    return tabulate(arrays, predict(static, arrays, theta), extra, largest)


def log_posterior(static: Static, arrays: Arrays, prior: Prior, theta: jax.Array) -> jax.Array:
    """Log posterior density in label space, up to a constant: no Jacobian of any transform."""
    return log_like(static, arrays, theta) + prior.log_density(theta)


@dataclass(frozen=True)
class Problem:
    """A star ready to be fitted.

    Parameters
    ----------
    static, arrays, prior
        Arguments of the compiled functions.
    prior_std
        (n_free,) standard deviation of each prior.
    plan
        The forward model's plan.
    pilot
        (a, n) pilot continuum in the units of the data; 1 on padding.
    """

    static: Static
    arrays: Arrays
    prior: Prior
    prior_std: FloatArray
    plan: Plan
    pilot: FloatArray


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
    if the_plan.static.boxy and box_sigma > 0 and "lsf_box" not in fixed:
        names.append("lsf_box")
        low.append(LSF_BOX_RANGE[0])
        high.append(LSF_BOX_RANGE[1])
        given.setdefault("lsf_box", (1.0, box_sigma))

    arrays = dict(the_plan.arrays)
    data, noise = _normalised(spectrum, pilot, the_plan.used)
    photon = np.array([np.median(v[u]) if u.any() else 1.0 for v, u in zip(noise, the_plan.used, strict=True)])
    if with_jitter:
        for arm, variance in zip(spectrum.arms, photon, strict=True):
            names.append(f"excess_{arm.name}")
            low.append(0.0)
            high.append(np.log1p(max(MAX_JITTER**2 / variance, 100.0)))
    labels = np.array([fixed.get(n, np.nan) for n in emulator.label_names], dtype=np.float64)
    bases = [continuum.basis(arm.wavelength, order or 0) for arm in spectrum.arms]
    spreads = np.full((1, len(bases), bases[0].shape[1]), 0.0 if order is None else continuum.PRIOR_SIGMA)
    if process:
        bases, spreads = _with_modes(spectrum, bases, spreads)
    arrays |= {
        "labels": jnp.asarray(np.where(np.isnan(labels), 0.5 * (emulator.lower + emulator.upper), labels)),
        "bary": jnp.asarray(float(bary)),
        "used": jnp.asarray(the_plan.used),
        "data": jnp.asarray(data),
        "noise": jnp.asarray(noise),
        "photon": jnp.asarray(photon),
        "basis": jnp.asarray(np.stack([padded_rows(b, data.shape[1]) for b in bases])),
        "spread": jnp.asarray(spreads[FIRST if process else 0]),
    }
    defaults = {"rv": bary, "vsini": 0.0, "vmac": 0.0, "lsf_scale": 1.0, "lsf_box": 1.0}
    arrays |= {f"fixed_{k}": jnp.asarray(float(v if k in own else fixed.get(k, v))) for k, v in defaults.items()}
    if process:
        arrays["spreads"] = jnp.asarray(spreads)
    static = Static(the_plan.static, tuple(names), label_index, with_jitter)
    a, b = emulator.card.walls
    fixed_part = np.array([0.0 if i in label_index else labels[i] for i in range(labels.size)])
    wall = np.zeros((a.shape[0], len(names)))
    wall[:, : len(label_index)] = a[:, list(label_index)]
    prior, spread = make_prior(names, np.array(low), np.array(high), given, (wall, b - a @ fixed_part))
    return Problem(static, arrays, prior, spread, the_plan, padded(spectrum, pilot, 1.0))


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
    low, high = reach("rv", priors["rv"]) if "rv" in priors else (-np.inf, np.inf)
    return min(VELOCITY_MARGIN, max(high - start, start - low))


def _normalised(spectrum: Spectrum, pilot: list[FloatArray], used: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Data over pilot, and photon variance over pilot²; 1 where unused."""
    data = padded(spectrum, [arm.flux / p for arm, p in zip(spectrum.arms, pilot, strict=True)], 1.0)
    ivar = [np.zeros(a.flux.size) if a.ivar is None else a.ivar for a in spectrum.arms]
    weight = padded(spectrum, [w * p**2 for w, p in zip(ivar, pilot, strict=True)], 0.0)
    noise = np.divide(1.0, weight, out=np.ones_like(weight), where=used & (weight > 0))
    return np.where(used, data, 1.0), noise


def with_emulator_error(problem: Problem, emulator: Emulator, theta: FloatArray | jax.Array) -> Problem:
    """The problem with the emulator's error counted, as it is at `theta`: it depends on the star.

    It stays as it is there when the parameters change, so that the maximum does not drift to where the error is large.
    """
    if emulator.error is None:
        return problem
    found = _error_arrays(problem.static, problem.arrays, emulator.error, jnp.asarray(theta))
    return replace(problem, arrays=dict(problem.arrays) | found)


@lockstep(0)
def _error_arrays(static: Static, arrays: Arrays, error: ErrorModel, theta: jax.Array) -> Arrays:
    labels, other = parameters(static, arrays, theta)
    found = error.of(*static.forward.network.jacobian(arrays["params"], labels, jnp.eye(labels.size)))
    rows = jnp.concatenate([found.basis, found.sigma[None] ** 2]).astype(jnp.float32)
    carried = _observed(static, arrays, rows, other)
    used = arrays["used"]
    return {
        "error_basis": jnp.where(used[..., None], carried[..., :-1], 0.0),
        "error_variance": jnp.where(used, arrays["independent"] * jnp.maximum(carried[..., -1], 0.0), 0.0),
    }


def with_robust_widths(problem: Problem, theta: FloatArray, shrink: FloatArray) -> Problem:
    """The problem whose likelihood is as wide about its maximum `theta` (n,) as the covariance of an estimate is.

    It has the likelihood at θ that the model has at θ₀ + A (θ - θ₀), with the matrix A (m, m) `shrink` on the m
    parameters of the mean (Ribatet, Cooley & Davison 2012, Statistica Sinica 22, 813): the maximum stays, the curvature
    H becomes Aᵀ H A. Priors, domain and samplers are what they were.
    """
    centre = jnp.asarray(theta[: problem.static.n_mean])
    return replace(problem, arrays=dict(problem.arrays) | {"centre": centre, "shrink": jnp.asarray(shrink)})


def with_continuum_process(problem: Problem, theta: FloatArray | jax.Array) -> Problem:
    """The problem with the amplitudes and scales of the continuum's process that have most evidence at `theta`."""
    if "spreads" not in problem.arrays:
        return problem
    at = jnp.asarray(theta)
    model, _, _ = best_continuum(problem, at)
    spread, _ = best_spread(problem.arrays, model, jitter_variance(problem.static, problem.arrays, at))
    return replace(problem, arrays=dict(problem.arrays) | {"spread": spread})


def best_continuum(problem: Problem, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """At given parameters: model (a, n), continuum over pilot (a, n), emulator correction (a, n)."""
    return _continuum(problem.static, problem.arrays, theta)


@lockstep(0)
def _continuum(static: Static, arrays: Arrays, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    model = predict(static, arrays, theta)
    return model, *coefficients(arrays, model, jitter_variance(static, arrays, theta))

"""Priors: uniform inside the domain unless the user says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy.special import ndtr, ndtri

from ..batching import batchable
from ..errors import BayneError
from ..spectrum import FloatArray

#: Distance beyond the hull, in units of its extent, that costs half a unit of log density: a wall that a
#: gradient can feel.
WALL = 0.003

#: Cells in which the distribution function of a prior is tabulated.
CELLS = 20_000


class Truncated(dist.Distribution):
    """A scalar distribution cut to an interval; its distribution function is tabulated where it has none.

    Parameters
    ----------
    base
        Scalar distribution.
    low, high
        Ends.
    """

    pytree_data_fields = ("base", "low", "high", "log_mass")

    def __init__(self, base: dist.Distribution, low: Any, high: Any) -> None:
        self.base, self.low, self.high = base, low, high
        try:
            mass = base.cdf(high) - base.cdf(low)
        except NotImplementedError:
            mass = self._table[1][-1]
        self.log_mass = jnp.log(jnp.maximum(mass, 1e-300))
        super().__init__()

    @property
    def support(self) -> dist.constraints.Constraint:
        """The interval."""
        return dist.constraints.interval(self.low, self.high)

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Log density, normalised over the interval."""
        return self.base.log_prob(value) - self.log_mass

    def icdf(self, q: jax.Array) -> jax.Array:
        """Values at which the distribution function, tabulated, is q."""
        x, cumulative = self._table
        return jnp.interp(cumulative[-1] * q, cumulative, x)

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws by inversion."""
        return self.icdf(jax.random.uniform(key, sample_shape))

    @property
    def _table(self) -> tuple[jax.Array, jax.Array]:
        x = jnp.linspace(self.low, self.high, CELLS + 1)
        density = jnp.exp(self.base.log_prob(x))
        cells = 0.5 * (density[1:] + density[:-1]) * jnp.diff(x)
        return x, jnp.concatenate([jnp.zeros(1), jnp.cumsum(cells)])


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Prior:
    """Log prior density of a parameter vector (n,) inside a box.

    Parameters
    ----------
    lower, upper
        (n,) the box; every parameter has one.
    mean, precision
        (n,) Gaussian part; precision 0 where the prior is uniform.
    other
        Distributions that are neither, by position.
    halfspaces
        Half-spaces ``a @ x <= b`` of the emulator's hull: (m, n) and (m,).
    log_norm
        () what makes the density integrate to one over the box; the share of it inside the hull is left out.
    """

    lower: jax.Array
    upper: jax.Array
    mean: jax.Array
    precision: jax.Array
    other: dict[int, Any]
    halfspaces: tuple[jax.Array, jax.Array]
    log_norm: jax.Array

    def log_density(self, x: jax.Array) -> jax.Array:
        """Log density, normalised but for the hull; the box is the caller's to respect."""
        total = self.log_norm - 0.5 * jnp.sum(self.precision * (x - self.mean) ** 2)
        for i, distribution in self.other.items():
            total += distribution.log_prob(x[i])
        return total + self.log_hull(x)

    def log_hull(self, x: jax.Array) -> jax.Array:
        """What leaving the hull costs, in log density: 0 inside."""
        a, b = self.halfspaces
        return -0.5 * jnp.sum((jnp.maximum(a @ x - b, 0.0) / WALL) ** 2)

    def one(self, i: int) -> dist.Distribution:
        """Distribution of parameter i: uniform, a truncated Gaussian, or what the user gave, cut to the box."""
        if i in self.other:
            return Truncated(self.other[i], self.lower[i], self.upper[i])
        if float(self.precision[i]) > 0:
            scale = self.precision[i] ** -0.5
            return dist.TruncatedNormal(self.mean[i], scale, low=self.lower[i], high=self.upper[i])
        return dist.Uniform(self.lower[i], self.upper[i])

    def sample(self, rng: np.random.Generator, count: int) -> tuple[FloatArray, float]:
        """Draws (count, n) inside the box and the hull, and the share of the box's mass that lies inside the hull."""
        a, b = (np.asarray(v) for v in self.halfspaces)
        kept: list[FloatArray] = []
        tried = inside = 0
        while inside < count:
            x = self._at(rng.random((count, self.lower.size)))
            found = x[np.all(x @ a.T <= b, axis=1)]
            tried, inside = tried + count, inside + len(found)
            kept.append(found)
        return np.concatenate(kept)[:count], inside / tried

    def _at(self, u: FloatArray) -> FloatArray:
        """(k, n) parameters at which the distribution functions of the box have the values u (k, n)."""
        lower, upper, mean, precision = (np.asarray(v) for v in (self.lower, self.upper, self.mean, self.precision))
        gaussian = precision > 0
        root = np.where(gaussian, np.sqrt(precision), 1.0)
        low, high = ndtr((lower - mean) * root), ndtr((upper - mean) * root)
        x = np.where(gaussian, mean + ndtri(low + u * (high - low)) / root, lower + u * (upper - lower))
        for i in self.other:
            x[:, i] = self.one(i).icdf(u[:, i])
        return np.asarray(np.clip(x, lower, upper))

    @batchable()
    def curvature(self, x: jax.Array) -> jax.Array:
        """(n, n) negative second derivative of the log density, negative values of the diagonal set to zero."""
        hessian = -jax.hessian(self.log_density)(x)
        diagonal = jnp.diagonal(hessian)
        return hessian + jnp.diag(jnp.maximum(diagonal, 0.0) - diagonal)


def make_prior(
    names: Sequence[str],
    lower: FloatArray,
    upper: FloatArray,
    given: Mapping[str, Any],
    halfspaces: tuple[FloatArray, FloatArray],
) -> tuple[Prior, FloatArray]:
    """Prior of the free parameters and the standard deviation of each.

    Parameters
    ----------
    names
        (n,) free parameters.
    lower, upper
        (n,) domain.
    given
        For some names ``(mean, sd)`` of a Gaussian, or a scalar NumPyro distribution; both are cut to the domain.
    halfspaces
        Half-spaces over the free parameters.

    Raises
    ------
    BayneError
        A prior that is no pair and no distribution, has sd <= 0, has no mass inside the domain, or is of what is no
        parameter of this fit.
    """
    low, high = np.array(lower, float), np.array(upper, float)
    mean, precision = 0.5 * (low + high), np.zeros(len(names))
    log_norm = np.zeros(len(names))
    spread = (high - low) / np.sqrt(12)
    other: dict[int, Any] = {}
    for name, prior in given.items():
        if name not in names:
            raise BayneError(f"prior of {name}: it is no parameter of this fit, which has {', '.join(names)}")
        i = list(names).index(name)
        if not isinstance(prior, dist.Distribution):
            prior = _gaussian(name, prior)
        low[i], high[i] = _box(name, prior, low[i], high[i])
        if isinstance(prior, dist.Normal):
            mean[i], sd = float(prior.loc), float(prior.scale)
            precision[i] = sd**-2
            if not low[i] - 5 * sd <= mean[i] <= high[i] + 5 * sd:
                raise BayneError(
                    f"prior of {name}: {mean[i]:g} ± {sd:g} lies outside the domain {low[i]:g} to {high[i]:g}"
                )
            spread[i] = min(sd, (high[i] - low[i]) / np.sqrt(12))
            log_norm[i] = -np.log(sd * np.sqrt(2 * np.pi)) - Truncated(prior, low[i], high[i]).log_mass
        else:
            spread[i] = (high[i] - low[i]) / np.sqrt(12)
            if not isinstance(prior, dist.Uniform):
                other[i] = prior
                log_norm[i] = -Truncated(prior, low[i], high[i]).log_mass
                spread[i] = np.fmin(float(np.sqrt(prior.variance)), spread[i])  # Cauchy's variance is NaN
    uniform = (precision == 0) & ~np.isin(np.arange(len(names)), list(other))
    log_norm[uniform] = -np.log(high - low)[uniform]
    given_box = (jnp.asarray(low), jnp.asarray(high), jnp.asarray(mean), jnp.asarray(precision))
    hull = (jnp.asarray(halfspaces[0]), jnp.asarray(halfspaces[1]))
    return Prior(*given_box, other, hull, jnp.asarray(log_norm.sum())), spread


def prior_range(name: str, prior: Any) -> tuple[float, float]:
    """Where a prior, as `make_prior` takes it, has its mass: its support, or 5 sd about the mean of a Gaussian."""
    if not isinstance(prior, dist.Distribution):
        prior = _gaussian(name, prior)
    if isinstance(prior, dist.Normal):
        mean, sd = float(prior.loc), float(prior.scale)
        return mean - 5 * sd, mean + 5 * sd
    return _box(name, prior, -np.inf, np.inf)


def described(prior: Any) -> Any:
    """A prior as `make_prior` takes it, as plain values for JSON: its type and parameters, and those of its parts."""
    if isinstance(prior, dist.Distribution):
        fields = sorted(set(type(prior).gather_pytree_data_fields()) - {"_support"})
        return {"distribution": type(prior).__name__} | {f.strip("_"): described(getattr(prior, f)) for f in fields}
    if isinstance(prior, dist.transforms.Transform):
        values, (fields, _) = prior.tree_flatten()
        found = {f: described(value) for f, value in zip(fields, values, strict=True) if f != "_domain"}
        return {"transform": type(prior).__name__} | found
    if isinstance(prior, tuple | list):
        return [described(value) for value in prior]
    return np.asarray(prior).tolist() if isinstance(prior, np.generic | np.ndarray | jax.Array) else prior


def _gaussian(name: str, prior: Any) -> dist.Normal:
    try:
        mean, sd = (float(v) for v in prior)
    except (TypeError, ValueError):
        raise BayneError(f"prior of {name}: give (mean, sd) or a NumPyro distribution, not {prior!r}") from None
    if not (np.isfinite(mean) and np.isfinite(sd) and sd > 0):
        raise BayneError(f"prior of {name}: mean {mean} and sd {sd}; the sd must be positive and both finite")
    return dist.Normal(mean, sd)


def _box(name: str, prior: Any, low: float, high: float) -> tuple[float, float]:
    """Intersection of the domain with the support of a scalar distribution."""
    if prior.batch_shape or prior.event_shape:
        raise BayneError(f"prior of {name}: the distribution must be scalar")
    new_low = max(low, float(getattr(prior.support, "lower_bound", low)))
    new_high = min(high, float(getattr(prior.support, "upper_bound", high)))
    if not new_low < new_high:
        raise BayneError(f"prior of {name}: its support does not overlap the domain {low:g} to {high:g}")
    return new_low, new_high

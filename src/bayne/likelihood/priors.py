"""Priors: uniform inside the domain unless the user says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from ..errors import BayneError
from ..lockstep import lockstep
from ..spectrum import FloatArray

#: Distance beyond the hull, in units of its extent, that costs half a unit of log density: a wall that a
#: gradient can feel.
WALL = 0.003


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
    walls
        Half-spaces ``a @ x <= b`` of the emulator's hull: (m, n) and (m,).
    """

    lower: jax.Array
    upper: jax.Array
    mean: jax.Array
    precision: jax.Array
    other: dict[int, Any]
    walls: tuple[jax.Array, jax.Array]

    def log_density(self, x: jax.Array) -> jax.Array:
        """Log density up to a constant; the box is the caller's to respect."""
        total = -0.5 * jnp.sum(self.precision * (x - self.mean) ** 2)
        for i, distribution in self.other.items():
            total += distribution.log_prob(x[i])
        a, b = self.walls
        return total - 0.5 * jnp.sum((jnp.maximum(a @ x - b, 0.0) / WALL) ** 2)

    @lockstep()
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
    walls: tuple[FloatArray, FloatArray],
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
    walls
        Half-spaces over the free parameters.

    Raises
    ------
    BayneError
        A prior that is no pair and no distribution, has sd <= 0, has no mass inside the domain, or is of what is no
        parameter of this fit.
    """
    low, high = np.array(lower, float), np.array(upper, float)
    mean, precision = 0.5 * (low + high), np.zeros(len(names))
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
        else:
            spread[i] = (high[i] - low[i]) / np.sqrt(12)
            if not isinstance(prior, dist.Uniform):
                other[i] = prior
                spread[i] = np.fmin(float(np.sqrt(prior.variance)), spread[i])  # Cauchy's variance is NaN
    a, b = walls
    box = (jnp.asarray(low), jnp.asarray(high))
    return Prior(*box, jnp.asarray(mean), jnp.asarray(precision), other, (jnp.asarray(a), jnp.asarray(b))), spread


def reach(name: str, prior: Any) -> tuple[float, float]:
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
        raise BayneError(f"prior of {name}: its support does not meet the domain {low:g} to {high:g}")
    return new_low, new_high

"""A posterior and its derivatives at a point.

Every stage of a fit needs them, and they take long to compile: they are compiled once, in two pieces that are shared.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..batching import batchable
from ..likelihoods import PixelModel, Prior
from ..spectrum import FloatArray


class Expansion(NamedTuple):
    """At parameters (n,): log posterior density, its gradient (n,), the Fisher matrix of the likelihood and the
    curvature of the prior (n, n)."""

    value: float
    gradient: FloatArray
    fisher: FloatArray
    prior_curvature: FloatArray


@batchable()
def jacobian(model: PixelModel, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Normalised flux (a, n) at parameters (n,), and its derivatives (a, n, m); see `PixelModel.jacobian`."""
    return model.jacobian(x)


@batchable()
def _expanded(
    model: PixelModel, prior: Prior, x: jax.Array, flux: jax.Array, derivatives: jax.Array
) -> tuple[jax.Array, ...]:
    value, gradient, fisher = model.expanded(x, flux, derivatives)
    own, by_prior = jax.value_and_grad(prior.log_density)(x)
    return value + own, gradient + by_prior, fisher, prior.curvature(x)


def expand(model: PixelModel, prior: Prior, x: FloatArray) -> Expansion:
    """Expand a posterior at parameters (n,)."""
    at = jnp.asarray(x)
    value, *rest = _expanded(model, prior, at, *jacobian(model, at))
    return Expansion(float(value), *(np.asarray(v) for v in rest))

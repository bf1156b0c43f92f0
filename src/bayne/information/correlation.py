"""Noise that neighbouring pixels share, as resampling leaves it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import BayneError
from ..forward import Arrays
from ..likelihood.marginal import pixel_variance, scaled_basis


def correlated(arrays: Arrays, correlation: float) -> Arrays:
    """Arrays of a star whose noise has the correlation ρ^k between pixels of an arm that are k apart.

    Raises
    ------
    BayneError
        ρ is not between -1 and 1.
    """
    if not -1 < correlation < 1:
        raise BayneError(f"correlation {correlation}: give that of neighbouring pixels, between -1 and 1")
    used = np.asarray(arrays["used"])
    place = np.arange(used.shape[1])
    last = np.maximum.accumulate(np.where(used, place, -1), axis=1)
    before = np.pad(last[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    ratio = np.where(before >= 0, correlation ** (place - before), 0.0)
    return dict(arrays) | {"before": jnp.asarray(np.maximum(before, 0)), "ratio": jnp.asarray(ratio)}


def white(arrays: Arrays, model: jax.Array, derivatives: jax.Array) -> tuple[Arrays, jax.Array, jax.Array]:
    """Arrays, model (a, n) and derivatives (a, n, m) of an equal problem whose pixels have independent unit noise.

    With σ_i the noise of a pixel, that of x_i/σ_i given all used pixels before it is what the last of them, k pixels
    away, tells: mean ρ^k x/σ, variance 1 - ρ^2k (a Markov chain). The problem is returned as it is where no
    correlation was given.
    """
    if "ratio" not in arrays:
        return arrays, model, derivatives
    used, ratio = arrays["used"][..., None], arrays["ratio"][..., None]
    sigma = jnp.sqrt(pixel_variance(arrays))[..., None]

    def whitened(x: jax.Array) -> jax.Array:
        scaled = x / sigma
        own = scaled - ratio * jnp.take_along_axis(scaled, arrays["before"][..., None], axis=1)
        return jnp.where(used, own / jnp.sqrt(1 - ratio**2), 0.0)

    one = jnp.ones_like(model)
    basis = whitened(model[..., None] * scaled_basis(arrays))
    changed = {"noise": one, "basis": basis, "spread": jnp.ones_like(arrays["spread"])}
    if "error_basis" in arrays:
        changed |= {"error_basis": whitened(arrays["error_basis"]), "error_variance": 0 * one}
    return dict(arrays) | changed, one, whitened(derivatives)

"""A likelihood in the small: what the data can tell of a star, as polynomials in its parameters."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..batching import batchable
from ..likelihoods import PixelModel, factorise
from ..spectrum import FloatArray

#: How far beyond the draws that taught it a surrogate's polynomials are believed: their distances from the middle, in
#: standard deviations, scatter by about one around the root of the number of parameters.
MAX_EXTRAPOLATION = 6.0

#: Ridge of the regressions, in draws: parameters that hardly matter leave their coefficients at zero.
RIDGE = 0.03


class TangentPlane(NamedTuple):
    """Tangent plane of the model at a point, of which a spectrum μ has the coordinates c = axes (μ - model).

    ``model`` (a, n_pixels), ``axes`` (m, a * n_pixels).
    """

    model: jax.Array
    axes: jax.Array

    def coordinates(self, models: jax.Array) -> jax.Array:
        """(k, m) of spectra (a, n_pixels, k)."""
        return (self.axes @ (models - self.model[..., None]).reshape(self.axes.shape[1], -1)).T


@batchable()
def tangent_plane(model: PixelModel, theta: jax.Array, flux: jax.Array, derivatives: jax.Array) -> TangentPlane:
    """Plane whose axes are whitened: axes Σ axesᵀ = 1, Σ the covariance of the pixels at `theta`.

    With J the Jacobian and L Lᵀ = Jᵀ Σ⁻¹ J the Fisher matrix, the axes are L⁻¹ Jᵀ Σ⁻¹: c is how far a spectrum is from
    the central one along that plane, in standard deviations of the noise. What nonlinearity does within it can be much,
    out of it is little (Bates & Watts 1980, J. R. Stat. Soc. B 42, 1: parameter effects and intrinsic curvature).
    `flux` and `derivatives` are what `PixelModel.jacobian` gives.
    """
    factors = factorise(model.pixels, flux, model.jitter_variance(theta), derivatives)
    fisher = factors.quadratic()
    size = jnp.sqrt(jnp.diagonal(fisher)) + 1e-30
    # derivatives that vanish, or that others make up for, keep an axis of little length
    lower = jnp.linalg.cholesky(fisher / jnp.outer(size, size) + 1e-8 * jnp.eye(size.size)) * size[:, None]
    axes = jax.scipy.linalg.solve_triangular(lower, factors.solved(derivatives).reshape(-1, size.size).T, lower=True)
    return TangentPlane(flux, axes)


class Surrogate(NamedTuple):
    """Log likelihood -|c|²/2 + linear · c + rest, c and the rest quadratic in the parameters.

    ``middle`` and ``scale`` (n,) make the parameters' polynomials harmless; with f of those, ``along`` (f, m) gives c
    and ``rest`` (f,) the rest; ``linear`` (m,) is where the data are. Further than `MAX_EXTRAPOLATION` outside of where
    the draws were, as ``white`` (n, n) measures it, the polynomials are not believed: there is no likelihood.
    """

    middle: jax.Array
    scale: jax.Array
    white: jax.Array
    along: jax.Array
    linear: jax.Array
    rest: jax.Array

    def log_like(self, x: jax.Array) -> jax.Array:
        """Log likelihood () of parameters (n,), up to a constant."""
        z = (x - self.middle) / self.scale
        terms = _terms(z)
        c = terms @ self.along
        value = terms @ self.rest + self.linear @ c - 0.5 * c @ c
        return jnp.where(self.extrapolation(x) < MAX_EXTRAPOLATION, value, -jnp.inf)

    def extrapolation(self, x: jax.Array) -> jax.Array:
        """How much further () parameters (n,) are from the middle of the draws than these usually are."""
        z = self.white @ ((x - self.middle) / self.scale)
        return jnp.sqrt(jnp.sum(z**2) + 1e-12) - np.sqrt(x.size)


def _terms(z: jax.Array) -> jax.Array:
    """(..., f) 1, z and all products of two of z (..., n)."""
    first, second = np.triu_indices(z.shape[-1])
    return jnp.concatenate([jnp.ones_like(z[..., :1]), z, z[..., first] * z[..., second]], axis=-1)


def learn(x: FloatArray, c: FloatArray, like: FloatArray, weight: FloatArray) -> Surrogate:
    """Surrogate of log likelihoods (k,) with coordinates c (k, m) at parameters x (k, n), by weighted regression.

    That the log likelihood is a sum of squares of what is nearly linear makes this much better than a regression on
    the log likelihood itself: k numbers in place of k m, and of fourth order in place of second.
    """
    middle = np.average(x, axis=0, weights=weight)
    scale = np.sqrt(np.average((x - middle) ** 2, axis=0, weights=weight)) + 1e-12
    z = (x - middle) / scale
    spread = (z.T * weight) @ z / weight.sum() + 1e-6 * np.eye(len(scale))
    white = np.linalg.inv(np.linalg.cholesky(spread))
    terms = np.asarray(_terms(jnp.asarray(z)))
    along = _regress(terms, c, weight)
    level = float(np.average(like, weights=weight))
    both = _regress(np.concatenate([terms, c], axis=1), like - level + 0.5 * np.sum(c**2, axis=1), weight)
    rest, linear = np.split(both, [terms.shape[1]])
    return Surrogate(*(jnp.asarray(v) for v in (middle, scale, white, along, linear, rest)))


def _regress(terms: FloatArray, values: FloatArray, weight: FloatArray) -> FloatArray:
    """Ridge regression; the first term, a constant, goes free."""
    ridge = np.full(terms.shape[1], RIDGE)
    ridge[0] = 0.0
    weighted = terms * weight[:, None]
    return np.asarray(np.linalg.solve(weighted.T @ terms + np.diag(ridge), weighted.T @ values))

"""Parameters of a star in coordinates in which its posterior is nearly a unit Gaussian."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm

from ..batching import batchable
from ..likelihoods import PixelModel, Prior
from .chunks import in_chunks

#: Where profiles are computed, besides the ends of the box: standard deviations of the Gaussian approximation from the
#: maximum.
NODES = (-5.0, -3.0, -2.0, -1.2, -0.6, 0.0, 0.6, 1.2, 2.0, 3.0, 5.0)

#: Cells between two nodes of a tabulated profile, and the power it is raised to: draws must reach further than a
#: profile does, along which the others follow.
CELLS, FLATTER = 20, 0.85


class Marginals(NamedTuple):
    """Tabulated densities of the parameters, constant in each of f cells: ends of the cells and distribution function
    there (n, f + 1), log densities (n, f).

    With ``mixing`` (n, n), the Cholesky factor of the correlations, they take standard normal coordinates e to
    parameters: of z = mixing @ e, the parameter i is where its distribution function has the value Φ(z_i).
    """

    x: jax.Array
    cumulative: jax.Array
    log_density: jax.Array
    mixing: jax.Array

    def parameters(self, e: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Parameters (n,) at e (n,), and the log of the density of e where theirs is 1."""
        z = self.mixing @ e
        u = ndtr(z)
        x = jax.vmap(jnp.interp)(u, self.cumulative, self.x)

        def in_cell(u: jax.Array, cumulative: jax.Array, log_density: jax.Array) -> jax.Array:
            return log_density[jnp.clip(jnp.searchsorted(cumulative, u, side="right") - 1, 0, log_density.size - 1)]

        log_density = jnp.sum(jax.vmap(in_cell)(u, self.cumulative, self.log_density))
        return x, jnp.sum(norm.logpdf(z)) - log_density

    def scores(self, x: jax.Array) -> jax.Array:
        """z (n,) of parameters (n,), within ±8."""
        u = jax.vmap(jnp.interp)(x, self.x, self.cumulative)
        return ndtri(jnp.clip(u, 1e-15, 1 - 1e-15))


@batchable()
def profiles(model: PixelModel, prior: Prior, theta: jax.Array, covariance: jax.Array) -> Marginals:
    """A Gaussian copula whose marginals are profiles of the posterior.

    It has the correlations of a covariance (n, n); the marginal of each parameter is the density along the line on
    which the Gaussian approximation at `theta` (n,) has the others follow it. A weak line, whose abundance is an upper
    limit, or a parameter that ends at its box, so has a marginal of the right form.
    """
    n = theta.size
    sigma = jnp.sqrt(jnp.diagonal(covariance))
    ends = (prior.lower[:, None], prior.upper[:, None])
    nodes = jnp.clip(theta[:, None] + sigma[:, None] * jnp.asarray(NODES), *ends)
    nodes = jnp.concatenate([ends[0], nodes, ends[1]], axis=1)
    others = covariance / jnp.diagonal(covariance)[:, None]  # row i: how all move when i moves by one
    lines = theta + (nodes - theta[:, None])[..., None] * others[:, None]
    inside = jnp.clip(lines, prior.lower, prior.upper)

    def some(x: jax.Array) -> jax.Array:
        return model.log_likes(x)[0] + jax.vmap(prior.log_density)(x)

    value = in_chunks(some, inside.reshape(-1, n)).reshape(n, -1)
    value = jnp.where(jnp.isfinite(value), value, -jnp.inf)
    value = jnp.maximum(value - jnp.max(value, axis=1, keepdims=True), -30.0)
    last = nodes.shape[1] - 1
    place = jnp.linspace(0, last, CELLS * last + 1)
    x, log_density = (jax.vmap(partial(jnp.interp, place, jnp.arange(last + 1)))(v) for v in (nodes, value))
    width = jnp.diff(x, axis=1)
    level = FLATTER * 0.5 * (log_density[:, 1:] + log_density[:, :-1])
    mass = width * jnp.exp(level)
    total = jnp.sum(mass, axis=1, keepdims=True)
    cumulative = jnp.concatenate([jnp.zeros((n, 1)), jnp.cumsum(mass / total, axis=1)], axis=1)
    mixing = jnp.linalg.cholesky(covariance / jnp.outer(sigma, sigma))
    # also of cells of no width: a draw ends there where by rounding its u is beyond the distribution function
    return Marginals(x, cumulative, level - jnp.log(total), mixing)

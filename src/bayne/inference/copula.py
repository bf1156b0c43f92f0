"""Parameters of a star in coordinates in which its posterior is nearly a unit Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm

from ..likelihoods import Prior
from ..spectrum import FloatArray

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


def profiles(
    density: Callable[[FloatArray], FloatArray], prior: Prior, theta: FloatArray, covariance: FloatArray
) -> Marginals:
    """A Gaussian copula whose marginals are profiles of the posterior.

    It has the correlations of a covariance (n, n); the marginal of each parameter is the density along the line on
    which the Gaussian approximation at `theta` (n,) has the others follow it. A weak line, whose abundance is an upper
    limit, or a parameter that ends at its box, so has a marginal of the right form.

    Parameters
    ----------
    density
        Log posterior density (k,) of parameters (k, n).
    prior
        Its box.
    theta, covariance
        The Gaussian approximation.
    """
    n, sigma = theta.size, np.sqrt(np.diagonal(covariance))
    lower, upper = np.asarray(prior.lower), np.asarray(prior.upper)
    nodes = np.clip(theta[:, None] + sigma[:, None] * np.array(NODES), lower[:, None], upper[:, None])
    nodes = np.concatenate([lower[:, None], nodes, upper[:, None]], axis=1)
    others = covariance / np.diagonal(covariance)[:, None]  # row i: how all move when i moves by one
    lines = theta + (nodes - theta[:, None])[..., None] * others[:, None]
    value = density(np.clip(lines, lower, upper).reshape(-1, n)).reshape(n, -1)
    value = np.maximum(value - np.max(value, axis=1, keepdims=True), -30.0)
    last = nodes.shape[1] - 1
    place = np.linspace(0, last, CELLS * last + 1)
    x, log_density = (np.stack([np.interp(place, np.arange(last + 1), row) for row in v]) for v in (nodes, value))
    level = FLATTER * 0.5 * (log_density[:, 1:] + log_density[:, :-1])
    mass = np.diff(x, axis=1) * np.exp(level)
    total = np.sum(mass, axis=1, keepdims=True)
    cumulative = np.cumsum(np.pad(mass / total, ((0, 0), (1, 0))), axis=1)
    mixing = np.linalg.cholesky(covariance / np.outer(sigma, sigma))
    # also of cells of no width: a draw ends there where by rounding its u is beyond the distribution function
    return Marginals(*(jnp.asarray(v) for v in (x, cumulative, level - np.log(total), mixing)))

"""Draws from the posterior that a surrogate stands for, for next to nothing."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from ..likelihood import Prior
from ..lockstep import lockstep
from .copula import Marginals
from .surrogate import Surrogate
from .weights import NOTHING, resampled, smoothed, tempered

#: Draws that a surrogate is tried at, passes that move them to where its posterior is, and the share of them that stays
#: effective in the moments of a pass.
MANY, PASSES, MOVED = 20_000, 4, 0.1

#: Degrees of freedom of the Student's t that all draws come from.
FREEDOM = 20.0


class Proposal(NamedTuple):
    """Student's t in the copula's coordinates: location (n,) and Cholesky factor (n, n) of its scale."""

    mean: jax.Array
    spread: jax.Array

    def draws(self, count: int, rng: np.random.Generator) -> jax.Array:
        """(count, n)."""
        white = rng.standard_normal((count, self.mean.size)) * np.sqrt(FREEDOM / rng.chisquare(FREEDOM, (count, 1)))
        return self.mean + jnp.asarray(white) @ self.spread.T

    def log_density(self, e: jax.Array) -> jax.Array:
        """() at coordinates (n,), up to a constant."""
        white = solve_triangular(self.spread, e - self.mean, lower=True)
        size = jnp.sum(jnp.log(jnp.diagonal(self.spread)))
        return -0.5 * (FREEDOM + e.size) * jnp.log1p(white @ white / FREEDOM) - size


def population(
    surrogate: Surrogate, marginals: Marginals, prior: Prior, proposal: Proposal, count: int, rng: np.random.Generator
) -> tuple[jax.Array, Proposal, float, float]:
    """Draws (count, n) of the copula's coordinates from a surrogate's posterior.

    Importance sampling with resampling: a Student's t takes on the mean and the covariance of its own weighted draws, a
    few times, and what is drawn from the last is resampled.

    Returns
    -------
    tuple
        The draws; the last proposal; the shape of its weights' tail; and the effective number that draws are from.
    """
    for turn in range(PASSES):
        e = proposal.draws(MANY, rng)
        log_weight = np.asarray(_log_weight(surrogate, marginals, prior, proposal, e))
        if turn < PASSES - 1:
            proposal = _moments(e, jnp.asarray(tempered(log_weight, MOVED)))
    smooth, khat, ess = smoothed(log_weight)
    return e[resampled(smooth, count, rng)], proposal, khat, ess


@lockstep()
def _log_weight(
    surrogate: Surrogate, marginals: Marginals, prior: Prior, proposal: Proposal, e: jax.Array
) -> jax.Array:
    """(k,) log density of a surrogate's posterior over that of the proposal, at e (k, n)."""

    def one(e: jax.Array) -> jax.Array:
        x, volume = marginals.parameters(e)
        return surrogate.log_like(x) + prior.log_density(x) + volume - proposal.log_density(e)

    value = jax.lax.map(one, e, batch_size=1000)
    return jnp.where(jnp.isfinite(value), value, NOTHING)


@lockstep()
def _moments(e: jax.Array, weight: jax.Array) -> Proposal:
    """Mean and Cholesky factor of the covariance of draws (k, n) with weights (k,) of mean 1."""
    mean = weight @ e / len(e)
    off = (e - mean) * jnp.sqrt(weight[:, None] / len(e))
    return Proposal(mean, jnp.linalg.cholesky(off.T @ off + 1e-9 * jnp.eye(mean.size)))

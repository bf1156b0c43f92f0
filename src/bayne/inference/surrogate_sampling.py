"""Draws from the posterior that a surrogate stands for, for next to nothing."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from ..batching import batchable
from ..likelihoods import Prior
from ..spectrum import FloatArray
from .copula import Marginals
from .optimise import from_box, log_volume, to_box
from .surrogate import Surrogate
from .weights import KHAT_MAX, NOTHING, resampled, smoothed, tempered

#: Draws that a surrogate is tried at, passes that move them to where its posterior is, and the share of them that stays
#: effective in the moments of a pass.
MANY, PASSES, MOVED = 20_000, 4, 0.1

#: Degrees of freedom of the Student's t that all draws come from.
DEGREES_OF_FREEDOM = 20.0

#: Parameters that after the trajectories remember most, and how often each is moved alone: an abundance may have a peak
#: and, a long way off, the flat tail of an upper limit. Proposals are drawn from this power of the copula's marginals,
#: to reach both.
SLOWEST, ALONE, LEVELLED = 3, 20, 0.4

#: Trajectories that move draws at a time, and the most times; their lengths in quarters of a turn (as
#: `chains.TRAJECTORY_QUARTERS`), the first step, the share of them that is to be accepted, and the most steps of one.
TRAJECTORIES, TIMES, TRAJECTORY_QUARTERS, STEP, ACCEPTED, LONGEST = 8, 6, (0.5, 1.5), 0.3, 0.8, 16

#: Draws have forgotten where they started when no parameter keeps more than this share of its variance from there. Of a
#: thousand draws that have, the worst of 40 parameters seems to keep 0.01.
MAX_CORRELATION = 0.02


class Proposal(NamedTuple):
    """Student's t in the copula's coordinates: location (n,) and Cholesky factor (n, n) of its scale."""

    mean: jax.Array
    spread: jax.Array

    def draws(self, count: int, rng: np.random.Generator) -> jax.Array:
        """(count, n)."""
        white = rng.standard_normal((count, self.mean.size)) * np.sqrt(
            DEGREES_OF_FREEDOM / rng.chisquare(DEGREES_OF_FREEDOM, (count, 1))
        )
        return self.mean + jnp.asarray(white) @ self.spread.T

    def log_density(self, e: jax.Array) -> jax.Array:
        """() at coordinates (n,), up to a constant."""
        white = solve_triangular(self.spread, e - self.mean, lower=True)
        size = jnp.sum(jnp.log(jnp.diagonal(self.spread)))
        return -0.5 * (DEGREES_OF_FREEDOM + e.size) * jnp.log1p(white @ white / DEGREES_OF_FREEDOM) - size


def sample_surrogate(
    surrogate: Surrogate, marginals: Marginals, prior: Prior, proposal: Proposal, count: int, rng: np.random.Generator
) -> tuple[jax.Array, Proposal, float]:
    """Draws (count, n) of the parameters from a surrogate's posterior.

    Importance sampling with resampling: a Student's t takes on the mean and the covariance of its own weighted draws, a
    few times, and what is drawn from the last is resampled. Where the weights cannot be trusted or too few are
    effective, which in some 30 dimensions takes no more than bent degeneracies, Hamiltonian Monte Carlo moves the draws
    until they have forgotten where they started (Gilks & Berzuini 2001, J. R. Stat. Soc. B 63, 127: resample-move).

    Returns
    -------
    tuple
        The draws; the last proposal; and the effective number that draws are from, 0 where they cannot be trusted.
    """
    for turn in range(PASSES):
        e = proposal.draws(MANY, rng)
        log_weight = np.asarray(_log_weight(surrogate, marginals, prior, proposal, e))
        if turn < PASSES - 1:
            proposal = _moments(e, jnp.asarray(tempered(log_weight, MOVED)))
    smooth, khat, ess = smoothed(log_weight)
    if khat < KHAT_MAX and ess > count:
        return _parameters(marginals, e[resampled(smooth, count, rng)]), proposal, ess
    flat = np.log(tempered(log_weight, MOVED) + 1e-300)
    start = x = _parameters(marginals, e[resampled(flat, count, rng)])
    step = jnp.asarray(STEP)
    for _ in range(TIMES):
        quarters = jnp.asarray(rng.uniform(*TRAJECTORY_QUARTERS, TRAJECTORIES))
        x, step = _hmc_moves(surrogate, prior, x, step, quarters, jax.random.key(rng.integers(1 << 31)))
        slowest = np.argsort(-_squared_autocorrelation(start, x))[:SLOWEST]
        which = jnp.asarray(np.tile(slowest, ALONE))
        x = _single_parameter_moves(
            surrogate, marginals, prior, x, which, jnp.asarray(rng.random((which.size, 2, count)))
        )
        if _squared_autocorrelation(start, x).max() < MAX_CORRELATION:
            return x, proposal, np.inf
    return x, proposal, 0.0


def _squared_autocorrelation(start: jax.Array, x: jax.Array) -> FloatArray:
    """(n,) squared correlations of values (k, n) with those at the start; 1 where they do not vary."""
    a, b = (np.asarray(v) - np.mean(v, axis=0) for v in (start, x))
    spread = a.std(axis=0) * b.std(axis=0)
    return np.divide((a * b).mean(axis=0), spread, out=np.ones_like(spread), where=spread > 0) ** 2


@batchable()
def _parameters(marginals: Marginals, e: jax.Array) -> jax.Array:
    return jax.vmap(marginals.parameters)(e)[0]


@batchable()
def _hmc_moves(
    surrogate: Surrogate, prior: Prior, x: jax.Array, step: jax.Array, quarters: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Parameters (k, n) after BlackJAX's HMC through a surrogate's posterior, and the step that suits it.

    They move in the unconstrained coordinates of the box, whitened by their own covariance, all with one step and one
    length at a time, ``quarters`` (t,) of a turn of a unit Gaussian: of a thousand short chains, eight trajectories are
    enough to find the step, which samplers that adapt each chain by itself have no time for.
    """
    from blackjax.mcmc import hmc  # not at the top, where it would start JAX: see `hmc_kernel`

    u = jax.vmap(lambda x: from_box(prior, x))(x)
    mean = jnp.mean(u, axis=0)
    spread = jnp.linalg.cholesky(jnp.cov(u.T) + 1e-9 * jnp.eye(mean.size))
    kernel = hmc.build_kernel()

    def density(w: jax.Array) -> jax.Array:
        u = mean + spread @ w
        x = to_box(prior, u)
        return surrogate.log_like(x) + prior.log_density(x) + log_volume(prior, u)

    def move(at: Any, chance: Any) -> tuple[Any, None]:
        (states, step), (quarter, key) = at, chance
        steps = jnp.clip(jnp.ceil(quarter * np.pi / 2 / step), 1, LONGEST).astype(int)
        one = partial(kernel, logdensity_fn=density, step_size=step, inverse_mass_matrix=jnp.ones_like(mean))
        states, info = jax.vmap(partial(one, num_integration_steps=steps))(jax.random.split(key, len(x)), states)
        return (states, step * jnp.exp(jnp.mean(info.acceptance_rate) - ACCEPTED)), None

    w = solve_triangular(spread, (u - mean).T, lower=True).T
    start = jax.vmap(lambda w: hmc.init(w, density))(w)
    (states, step), _ = jax.lax.scan(move, (start, step), (quarters, jax.random.split(key, quarters.size)))
    return jax.vmap(lambda w: to_box(prior, mean + spread @ w))(states.position), step


@batchable()
def _single_parameter_moves(
    surrogate: Surrogate, marginals: Marginals, prior: Prior, x: jax.Array, which: jax.Array, uniforms: jax.Array
) -> jax.Array:
    """Parameters (k, n) after Metropolis steps of one at a time, whose proposals are flattened marginals.

    ``which`` (t,) says which, one after the other; ``uniforms`` (t, 2, k) are uniform random numbers.
    """
    log_density = LEVELLED * marginals.log_density
    mass = jnp.diff(marginals.x, axis=1) * jnp.exp(log_density - jnp.max(log_density, axis=1, keepdims=True))
    cumulative = jnp.cumsum(jnp.pad(mass, ((0, 0), (1, 0))), axis=1) / jnp.sum(mass, axis=1, keepdims=True)

    def density(x: jax.Array) -> jax.Array:
        return jax.vmap(lambda x: surrogate.log_like(x) + prior.log_density(x))(x)

    def step(at: Any, which: Any) -> tuple[Any, None]:
        x, value = at
        i, (place, uniforms) = which

        def proposal(value: jax.Array) -> jax.Array:
            cell = jnp.searchsorted(marginals.x[i], value, side="right") - 1
            return log_density[i, jnp.clip(cell, 0, log_density.shape[1] - 1)]

        new = jnp.interp(place, cumulative[i], marginals.x[i])
        other = x.at[:, i].set(new)
        there = density(other)
        taken = jnp.log(uniforms) < there - value + proposal(x[:, i]) - proposal(new)
        return (jnp.where(taken[:, None], other, x), jnp.where(taken, there, value)), None

    (x, _), _ = jax.lax.scan(step, (x, density(x)), (which, uniforms))
    return x


@batchable()
def _log_weight(
    surrogate: Surrogate, marginals: Marginals, prior: Prior, proposal: Proposal, e: jax.Array
) -> jax.Array:
    """(k,) log density of a surrogate's posterior over that of the proposal, at e (k, n)."""

    def one(e: jax.Array) -> jax.Array:
        x, volume = marginals.parameters(e)
        return surrogate.log_like(x) + prior.log_density(x) + volume - proposal.log_density(e)

    value = jax.lax.map(one, e, batch_size=1000)
    return jnp.where(jnp.isfinite(value), value, NOTHING)


@batchable()
def _moments(e: jax.Array, weight: jax.Array) -> Proposal:
    """Mean and Cholesky factor of the covariance of draws (k, n) with weights (k,) of mean 1."""
    mean = weight @ e / len(e)
    off = (e - mean) * jnp.sqrt(weight[:, None] / len(e))
    return Proposal(mean, jnp.linalg.cholesky(off.T @ off + 1e-9 * jnp.eye(mean.size)))

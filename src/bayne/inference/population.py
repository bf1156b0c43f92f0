"""Draws from the posterior that a surrogate stands for, for next to nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from ..likelihood import Prior
from ..spectrum import FloatArray
from .copula import Marginals
from .surrogate import Surrogate
from .weights import KHAT_MAX, NOTHING, resampled, smoothed, tempered

#: Draws that a surrogate is tried at, passes that move them to where its posterior is, and the share of them that stays
#: effective in the moments of a pass.
MANY, PASSES, MOVED = 20_000, 4, 0.1

#: Walkers, in groups that know nothing of each other's draws, and moves of each after every change of temperature.
WALKERS, GROUPS, MOVES = 2000, 8, 40

#: Share of the walkers that stays effective when the temperature changes, and the most changes.
EFFECTIVE, STEPS = 0.5, 40

#: Length of the first moves, and the share of them that is to be accepted.
LENGTH, ACCEPTED = 0.5, 0.4

#: Degrees of freedom of the Student's t that walkers start from.
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


class Task(NamedTuple):
    """The density that is sampled: between a proposal and the posterior of a surrogate."""

    surrogate: Surrogate
    marginals: Marginals
    prior: Prior
    proposal: Proposal

    def ends(self, e: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Log densities of the proposal and of the posterior, in the copula's coordinates e (n,)."""
        x, volume = self.marginals.parameters(e)
        target = self.surrogate.log_like(x) + self.prior.log_density(x) + volume
        return self.proposal.log_density(e), jnp.where(jnp.isfinite(target), target, NOTHING)


def population(
    surrogate: Surrogate, marginals: Marginals, prior: Prior, proposal: Proposal, count: int, rng: np.random.Generator
) -> tuple[jax.Array, Proposal, float]:
    """Draws (count, n) of the copula's coordinates from a surrogate's posterior.

    Importance sampling with resampling: a Student's t takes on the mean and the covariance of its own weighted draws, a
    few times. Where the weights of the last cannot be trusted, its draws are `_annealed`.

    Returns
    -------
    tuple
        The draws; the last proposal; and the effective number that they were chosen from, 0 where it cannot be trusted.
    """
    for turn in range(PASSES):
        task = Task(surrogate, marginals, prior, proposal)
        e = proposal.draws(MANY, rng)
        start, end = (np.asarray(v) for v in _ends(task, e))
        gain = np.where(end > NOTHING / 2, end - start, NOTHING)
        if turn < PASSES - 1:
            proposal = _moments(e, jnp.asarray(tempered(gain, MOVED)[0]))
    smooth, khat, ess = smoothed(gain)
    if khat < KHAT_MAX:
        return e[resampled(smooth, count, rng)], proposal, ess
    walkers, worth = _annealed(task, e, gain, rng)
    return walkers[rng.permutation(WALKERS)[:count]], _moments(walkers, jnp.ones(WALKERS)), worth


@jax.jit
def _ends(task: Task, e: jax.Array) -> tuple[jax.Array, jax.Array]:
    found: tuple[jax.Array, jax.Array] = jax.lax.map(task.ends, e, batch_size=1000)
    return found


def _annealed(task: Task, e: jax.Array, gain: FloatArray, rng: np.random.Generator) -> tuple[jax.Array, float]:
    """Walkers (WALKERS, n) from the posterior, by sequential Monte Carlo, and what number of draws they are worth.

    From draws e (k, n) of the proposal, over which the posterior has the log densities `gain` (k,), to the posterior in
    steps of temperature so small that half of the walkers stay effective (Del Moral, Doucet & Jasra 2006, J. R. Stat.
    Soc. B 68, 411). After each they are resampled, in groups whose differences tell what they are worth, and moved by
    proposals that leave the Gaussian of their moments as it is (preconditioned Crank-Nicolson; Cotter et al. 2013,
    Stat. Sci. 28, 424): only what is not Gaussian in the posterior makes them fail.
    """
    _, power = tempered(gain, WALKERS / len(e))
    log_weight, length = power * gain, LENGTH
    for _ in range(STEPS):
        groups = np.arange(len(e)).reshape(GROUPS, -1)
        chosen = np.concatenate([own[resampled(log_weight[own], WALKERS // GROUPS, rng)] for own in groups])
        noise = jnp.asarray(rng.standard_normal((MOVES, WALKERS, e.shape[1])))
        luck = jnp.asarray(np.log(rng.random((MOVES, WALKERS))))
        middle = _moments(e[chosen], jnp.ones(WALKERS))
        e, accepted = _moved(task, middle, e[chosen], power, length, noise, luck)
        if power == 1:
            values = np.asarray(e).reshape(GROUPS, -1, e.shape[1])
            return e, min(float(az.ess(one, method="bulk")) for one in np.moveaxis(values, -1, 0))
        length = float(np.clip(length * np.exp(float(accepted) - ACCEPTED), 0.05, 1.0))
        start, end = (np.asarray(v) for v in _ends(task, e))
        gain = np.where(end > NOTHING / 2, end - start, NOTHING)
        step = min(tempered(gain, EFFECTIVE)[1], 1 - power)
        power, log_weight = power + step, step * gain
    return e, 0.0


@jax.jit
def _moments(e: jax.Array, weight: jax.Array) -> Proposal:
    """Mean and Cholesky factor of the covariance of draws (k, n) with weights (k,) of mean 1."""
    mean = weight @ e / len(e)
    off = (e - mean) * jnp.sqrt(weight[:, None] / len(e))
    return Proposal(mean, jnp.linalg.cholesky(off.T @ off + 1e-9 * jnp.eye(mean.size)))


@jax.jit
def _moved(
    task: Task, middle: Proposal, e: jax.Array, power: float, length: float, noise: jax.Array, luck: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Walkers (k, n) after a move for each of the noises (m, k, n) and log uniform numbers (m, k); accepted share."""

    def level(white: jax.Array) -> jax.Array:
        start, end = task.ends(middle.mean + middle.spread @ white)
        return (1 - power) * start + power * end + 0.5 * white @ white

    def move(at: tuple[jax.Array, jax.Array], now: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
        white, value = at
        tried = jnp.sqrt(1 - length**2) * white + length * now[0]
        found = jax.vmap(level)(tried)
        taken = now[1] < found - value
        return (jnp.where(taken[:, None], tried, white), jnp.where(taken, found, value)), jnp.mean(taken)

    white = solve_triangular(middle.spread, (e - middle.mean).T, lower=True).T
    (white, _), accepted = jax.lax.scan(move, (white, jax.vmap(level)(white)), (noise, luck))
    return middle.mean + white @ middle.spread.T, jnp.mean(accepted)

"""Draws from the posterior that a surrogate stands for, for next to nothing, by sequential Monte Carlo."""

from __future__ import annotations

from typing import Any, NamedTuple

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from ..likelihood import Prior
from .copula import Marginals
from .surrogate import Surrogate
from .weights import NOTHING, resampled, tempered

#: Walkers, in groups that know nothing of each other's draws, and moves of each after every change of temperature.
WALKERS, GROUPS, MOVES = 2000, 8, 15

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

    Sequential Monte Carlo (Del Moral, Doucet & Jasra 2006, J. R. Stat. Soc. B 68, 411): from draws of the proposal to
    the posterior in steps of temperature so small that half of the walkers stay effective; after each they are
    resampled, and moved by proposals that leave the Gaussian of their moments as it is (preconditioned Crank-Nicolson;
    Cotter et al. 2013, Stat. Sci. 28, 424), which only what is not Gaussian in the posterior makes fail.

    Returns
    -------
    tuple
        The draws; a proposal with their moments; and how many independent draws they are worth, by what the groups
        differ, 0 where the temperature of the posterior was not reached.
    """
    task = Task(surrogate, marginals, prior, proposal)
    walkers = proposal.draws(WALKERS, rng)
    start, end = (np.asarray(v) for v in _ends(task, walkers))
    power, length = 0.0, LENGTH
    for _ in range(STEPS):
        gain = np.where(end > NOTHING / 2, end - start, NOTHING)
        step = min(tempered(gain, EFFECTIVE)[1], 1 - power)
        power += step
        own = np.arange(WALKERS).reshape(GROUPS, -1)
        chosen = np.concatenate([group[resampled(step * gain[group], group.size, rng)] for group in own])
        middle = _moments(walkers[chosen])
        noise = jnp.asarray(rng.standard_normal((MOVES, *walkers.shape)))
        luck = jnp.asarray(np.log(rng.random((MOVES, WALKERS))))
        walkers, accepted = _moved(task, middle, walkers[chosen], power, length, noise, luck)
        start, end = (np.asarray(v) for v in _ends(task, walkers))
        length = float(np.clip(length * np.exp(float(accepted) - ACCEPTED), 0.05, 1.0))
        if power == 1:
            break
    e = np.asarray(walkers)
    grouped = e.reshape(GROUPS, -1, e.shape[1])
    worth = min(float(az.ess(grouped[..., i], method="bulk")) for i in range(e.shape[1])) if power == 1 else 0.0
    few = 1 / (1 / count + max(1 / max(worth, 1e-9) - 1 / WALKERS, 0.0))
    return walkers[rng.permutation(WALKERS)[:count]], _moments(walkers), few


_ends = jax.jit(lambda task, e: jax.vmap(task.ends)(e))


@jax.jit
def _moments(e: jax.Array) -> Proposal:
    """Mean and Cholesky factor of the covariance of draws (k, n)."""
    mean = jnp.mean(e, axis=0)
    return Proposal(mean, jnp.linalg.cholesky(jnp.cov(e.T) + 1e-9 * jnp.eye(mean.size)))


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

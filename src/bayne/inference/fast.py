"""Posteriors without chains: importance sampling from a surrogate of the likelihood that learns as it goes."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_triangular
from scipy.stats import multivariate_t

from ..forward import Arrays
from ..likelihood import Prior, Static, log_likes
from ..spectrum import FloatArray
from .chunks import in_chunks
from .copula import Marginals, profiles
from .sample import CHAINS, DRAWS, Draws
from .surrogate import Plane, Surrogate, learn, plane_at

#: Draws of every round, and the most rounds: the first draws from a copula, the others from what those before taught.
COUNT, ROUNDS = 1000, 8

#: Draws that a surrogate is tried at, and passes that move them to where its posterior is.
MANY, PASSES = 20_000, 4

#: Degrees of freedom of the Student's t that all draws come from.
FREEDOM = 20.0

#: Share of the draws that stays effective in a regression, and in the moments of a pass.
TAUGHT, MOVED = 0.5, 0.1

#: Log density of a draw where it is not finite: such a draw weighs nothing, and teaches nothing.
NOTHING = -1e10

#: Largest shape of the tail of the weights (Vehtari et al. 2024, JMLR 25, 72, section 3.2.4), and least
#: effective number, for which the weighted draws are kept.
KHAT_MAX, ESS_MIN = min(0.7, 1 - 1 / np.log10(COUNT)), 400.0


class Weighted(NamedTuple):
    """What importance sampling gives.

    ``draws`` are resampled to equal weights, with the ``lp`` and ``log_likelihood_total`` of every draw in their
    statistics; ``khat`` is the shape of the tail of the weights, ``ess`` their effective number.
    """

    draws: Draws
    khat: float
    ess: float

    @property
    def reliable(self) -> bool:
        """Whether the draws can stand for the posterior."""
        return trusted(self.khat, self.ess)


def trusted(khat: float, ess: float) -> bool:
    """Whether weights with this shape of their tail and this effective number can be trusted."""
    return khat < KHAT_MAX and ess > ESS_MIN


class Drawn(NamedTuple):
    """Log density of the copula's coordinates (k,), parameters x (k, n), their log posterior and log likelihood (k,),
    and c (k, m).
    """

    target: FloatArray
    x: FloatArray
    posterior: FloatArray
    likelihood: FloatArray
    c: FloatArray


def importance(
    static: Static, arrays: Arrays, prior: Prior, theta: FloatArray, covariance: FloatArray, key: jax.Array
) -> Weighted:
    """Draws from the posterior by Pareto-smoothed importance sampling.

    The first thousand draws are from a Gaussian copula with profiles as marginals. What the likelihood is there teaches
    a `Surrogate`, whose posterior is sampled for next to nothing; a thousand draws of it are weighted by what the true
    likelihood has over it. While the weights cannot be trusted these draws teach it too, and a thousand more follow.

    Parameters
    ----------
    static, arrays, prior
        The problem, `tabulated` at its maximum.
    theta, covariance
        (n,) maximum of the posterior and (n, n) covariance there.
    key
        JAX random key.
    """
    x = jnp.asarray(theta)
    plane = plane_at(static, arrays, x)
    marginals = profiles(static, arrays, prior, x, jnp.asarray(covariance))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    proposal = Proposal(np.zeros(theta.size), np.eye(theta.size))
    e = proposal.draws(COUNT, rng)
    drawn = _draw(static, arrays, prior, marginals, plane, e)
    log_weight = drawn.target - proposal.log_density(e)
    lessons: list[tuple[FloatArray, ...]] = []
    for _ in range(1, ROUNDS):
        lessons.append((drawn.x, drawn.c, drawn.likelihood, tempered(log_weight, TAUGHT)))
        surrogate = learn(*(np.concatenate(part) for part in zip(*lessons, strict=True)))
        e, proposal, tried = population(surrogate, marginals, prior, proposal, rng)
        drawn = _draw(static, arrays, prior, marginals, plane, e)
        log_weight = drawn.likelihood - np.asarray(jax.vmap(surrogate.log_like)(jnp.asarray(drawn.x)))
        smooth, khat, ess = smoothed(log_weight)
        ess = ess * tried / (ess + tried)  # both resamplings lose some
        if trusted(khat, ess):
            break
    chosen = resampled(smooth, CHAINS * DRAWS, rng)
    shape = (CHAINS, DRAWS)
    stats = {"lp": drawn.posterior, "log_likelihood_total": drawn.likelihood}
    draws = Draws(drawn.x[chosen].reshape(*shape, -1), {name: v[chosen].reshape(shape) for name, v in stats.items()})
    return Weighted(draws, khat, ess)


class Proposal(NamedTuple):
    """Student's t in the copula's coordinates: location (n,) and Cholesky factor (n, n) of its scale."""

    mean: FloatArray
    spread: FloatArray

    def draws(self, count: int, rng: np.random.Generator) -> FloatArray:
        """(count, n)."""
        white = rng.standard_normal((count, self.mean.size)) * np.sqrt(FREEDOM / rng.chisquare(FREEDOM, (count, 1)))
        return np.asarray(self.mean + white @ self.spread.T)

    def log_density(self, e: FloatArray) -> FloatArray:
        """(k,) at coordinates (k, n)."""
        white = solve_triangular(self.spread, (e - self.mean).T, lower=True).T
        size = np.sum(np.log(np.diag(self.spread)))
        return np.asarray(multivariate_t.logpdf(white, shape=np.eye(self.mean.size), df=FREEDOM) - size)


def population(
    surrogate: Surrogate, marginals: Marginals, prior: Prior, proposal: Proposal, rng: np.random.Generator
) -> tuple[FloatArray, Proposal, float]:
    """Draws (`COUNT`, n) of the copula's coordinates from a surrogate's posterior.

    Importance sampling with resampling: a Student's t takes on the mean and the covariance of its own weighted draws, a
    few times, and what is drawn from the last is resampled.

    Returns
    -------
    tuple
        The draws; the last proposal; and the effective number that they were chosen from, 0 where it cannot be trusted.
    """
    for turn in range(PASSES):
        e = proposal.draws(MANY, rng)
        log_weight = np.asarray(_target(surrogate, marginals, prior, jnp.asarray(e))) - proposal.log_density(e)
        log_weight = np.where(np.isfinite(log_weight), log_weight, NOTHING)
        if turn < PASSES - 1:
            weight = tempered(log_weight, MOVED)
            mean = np.average(e, axis=0, weights=weight)
            off = (e - mean) * np.sqrt(weight[:, None] / MANY)
            spread = np.linalg.cholesky(off.T @ off + 1e-9 * np.eye(mean.size))
            proposal = Proposal(mean, np.asarray(spread, dtype=np.float64))
    smooth, khat, ess = smoothed(log_weight)
    return e[resampled(smooth, COUNT, rng)], proposal, ess if khat < KHAT_MAX else 0.0


@jax.jit
def _target(surrogate: Surrogate, marginals: Marginals, prior: Prior, e: jax.Array) -> jax.Array:
    """(k,) log density of the copula's coordinates (k, n) when the surrogate is the likelihood."""

    def one(e: jax.Array) -> jax.Array:
        x, volume = marginals.parameters(e)
        return surrogate.log_like(x) + prior.log_density(x) + volume

    return jax.lax.map(one, e, batch_size=1000)


def tempered(log_weight: FloatArray, share: float) -> FloatArray:
    """Weights of mean 1, flattened by a power until this share of the draws that weigh anything is effective."""
    alive = log_weight > NOTHING / 2
    if not alive.any():
        return np.ones_like(log_weight)
    log_weight = np.where(alive, log_weight - log_weight.max(), 0.0)
    low, high = 0.0, 2.0
    for _ in range(30):
        power = min(0.5 * (low + high), 1.0)
        weight = np.exp(power * log_weight) * alive
        enough = weight.sum() ** 2 >= share * alive.sum() * np.sum(weight**2)
        low, high = (power, high) if enough else (low, power)
    weight = np.exp(low * log_weight) * alive
    return np.asarray(weight / weight.mean())


def smoothed(log_weight: FloatArray) -> tuple[FloatArray, float, float]:
    """Log weights with a smoothed tail, its shape k-hat, and the effective number."""
    with np.errstate(over="ignore"):  # ArviZ's fit of the tail divides by what may be infinite, rightly
        smooth, khat = (np.asarray(v) for v in az.psislw(log_weight))
    weight = np.exp(smooth - smooth.max())
    return smooth, float(khat), float(np.sum(weight) ** 2 / np.sum(weight**2))


def resampled(log_weight: FloatArray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Systematic resampling: every draw comes as often as its weight says, rounded up or down; in random order."""
    weight = np.exp(log_weight - log_weight.max())
    share = np.cumsum(weight) / np.sum(weight)
    points = (np.arange(count) + rng.random()) / count
    return rng.permutation(np.minimum(np.searchsorted(share, points), log_weight.size - 1))


def _draw(static: Static, arrays: Arrays, prior: Prior, marginals: Marginals, plane: Plane, e: FloatArray) -> Drawn:
    found = Drawn(*(np.asarray(v) for v in _evaluate(static, arrays, prior, marginals, plane, jnp.asarray(e))))
    finite = np.isfinite(found.target) & np.isfinite(found.c).all(axis=1)
    target, posterior, likelihood = (
        np.where(finite, v, NOTHING) for v in (found.target, found.posterior, found.likelihood)
    )
    return Drawn(target, found.x, posterior, likelihood, np.where(finite[:, None], found.c, 0.0))


@partial(jax.jit, static_argnums=0)
def _evaluate(
    static: Static, arrays: Arrays, prior: Prior, marginals: Marginals, plane: Plane, e: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
    """What `Drawn` has, for e (k, n)."""

    def some(e: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
        x, volume = jax.vmap(marginals.parameters)(e)
        like, models = log_likes(static, arrays, x)
        posterior = like + jax.vmap(prior.log_density)(x)
        return posterior + volume, x, posterior, like, plane.coordinates(models)

    return in_chunks(some, e)

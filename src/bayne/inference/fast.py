"""Posteriors without chains: importance sampling from a copula of the posterior's one-dimensional profiles."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jax.scipy.stats import norm
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from scipy.stats import multivariate_t

from ..forward import Arrays
from ..likelihood import Prior, Static, log_like
from ..spectrum import FloatArray
from .sample import CHAINS, DRAWS, Draws

#: Draws of every round, and degrees of freedom of the Student's t that they come from: tails heavier than the target's,
#: some by much. The first rounds are always made, the others only while the weights cannot be trusted.
ROUNDS, LEAST = ((1000, 20.0), (1000, 8.0), (2000, 20.0), (2000, 8.0), (2000, 20.0)), 3

#: Where profiles are computed, besides the ends of the box: standard deviations of the Gaussian approximation from the
#: maximum.
NODES = (-5.0, -3.0, -2.0, -1.2, -0.6, 0.0, 0.6, 1.2, 2.0, 3.0, 5.0)

#: Cells between two nodes of a tabulated profile, and the power it is raised to: a proposal must reach further than its
#: target.
CELLS, FLATTER = 20, 0.85

#: Ridge of the regression, in squared standard deviations per coefficient; what a log weight below the median counts as
#: at most; and the range of precisions that it may lead to, in units of those before.
RIDGE, DEEPEST, PRECISIONS = 50.0, 12.0, (0.2, 5.0)

#: Spectra that are computed side by side.
BATCH = 16

#: Largest shape of the tail of the weights (Vehtari et al. 2024, JMLR 25, 72, section 3.2.4), and least
#: effective number, for which the weighted draws are kept.
KHAT_MAX, ESS_MIN = min(0.7, 1 - 1 / np.log10(sum(count for count, _ in ROUNDS[:LEAST]))), 400.0


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


def importance(
    static: Static, arrays: Arrays, prior: Prior, theta: FloatArray, covariance: FloatArray, key: jax.Array
) -> Weighted:
    """Draws from the posterior by Pareto-smoothed importance sampling.

    The first proposal is a Gaussian copula with the correlations of `covariance`, whose marginals are profiles: the
    density along the line on which the Gaussian approximation has the other parameters follow one of them. A weak line,
    whose abundance is an upper limit, or a parameter that ends at its box, so has a proposal of the right form. In the
    copula's coordinates the posterior is nearly Gaussian; with which mean and covariance, a quadratic regression on the
    log densities of all rounds so far tells the next. Draws come from a Student's t of that mean and covariance, and
    are weighted against the mixture of all proposals.

    Parameters
    ----------
    static, arrays, prior
        The problem; with what `tabulate` adds, draws cost less.
    theta, covariance
        (n,) maximum of the posterior and (n, n) covariance there.
    key
        JAX random key.
    """
    marginals = _profiles(static, arrays, prior, jnp.asarray(theta), jnp.asarray(covariance))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    n = theta.size
    proposals: list[Proposal] = []
    e = np.zeros((0, n))
    found = tuple(np.zeros(shape) for shape in ((0, n), 0, 0, 0))
    for done, (count, freedom) in enumerate(ROUNDS, start=1):
        mean, spread = _gaussian(e, found[1]) if proposals else (np.zeros(n), np.eye(n))
        proposals.append(Proposal(count, freedom, mean, spread))
        white = rng.standard_normal((count, n)) * np.sqrt(freedom / rng.chisquare(freedom, (count, 1)))
        new = mean + white @ spread.T
        drawn = _draw(static, arrays, prior, marginals, jnp.asarray(new))
        e = np.concatenate([e, new])
        found = tuple(np.concatenate([old, np.asarray(v)]) for old, v in zip(found, drawn, strict=True))
        x, target, posterior, likelihood = found
        log_weight = target - _log_mixture(proposals, e)
        smooth, khat = az.psislw(log_weight)
        weight = np.exp(smooth - smooth.max())
        weight /= weight.sum()
        ess = float(1 / np.sum(weight**2))
        if done >= LEAST and trusted(float(khat), ess):
            break
    # systematic resampling: every draw comes as often as its weight says, rounded up or down
    points = (np.arange(CHAINS * DRAWS) + rng.random()) / (CHAINS * DRAWS)
    chosen = rng.permutation(np.minimum(np.searchsorted(np.cumsum(weight), points), len(e) - 1))
    shape = (CHAINS, DRAWS)
    stats = {"lp": posterior[chosen].reshape(shape), "log_likelihood_total": likelihood[chosen].reshape(shape)}
    return Weighted(Draws(x[chosen].reshape(*shape, -1), stats), float(khat), ess)


class Proposal(NamedTuple):
    """Student's t that a number of draws came from: location (n,) and Cholesky factor (n, n) of its scale."""

    draws: int
    freedom: float
    mean: FloatArray
    spread: FloatArray


def _log_mixture(proposals: list[Proposal], e: FloatArray) -> FloatArray:
    """(m,) log density of the mixture of all proposals in the shares of their draws.

    Every draw is weighted against the mixture, whichever proposal it came from (Cornuet, Marin, Mira & Robert 2012,
    Scand. J. Stat. 39, 798): where one reaches too far or not far enough another may do.
    """
    n = e.shape[1]
    parts = []
    for draws, freedom, mean, spread in proposals:
        distance = np.sum(solve_triangular(spread, (e - mean).T, lower=True) ** 2, axis=0)
        log_density = multivariate_t.logpdf(np.zeros(n), shape=np.eye(n), df=freedom) - np.sum(np.log(np.diag(spread)))
        parts.append(np.log(draws) + log_density - 0.5 * (freedom + n) * np.log1p(distance / freedom))
    return np.asarray(logsumexp(parts, axis=0))


def _gaussian(e: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (n,) and Cholesky factor (n, n) of the covariance of the Gaussian nearest to a log density (m,) at e (m, n).

    Ridge regression of what the log density has beyond a standard normal's on all products of two coordinates.
    """
    n = e.shape[1]
    excess = target + 0.5 * np.sum(e**2, axis=1)
    known = np.isfinite(excess)
    excess = np.where(known, np.maximum(excess - np.median(excess[known]), -DEEPEST), -DEEPEST)
    first, second = np.triu_indices(n)
    design = np.concatenate([np.ones((len(e), 1)), e, e[:, first] * e[:, second]], axis=1)
    ridge = np.full(design.shape[1], RIDGE)
    ridge[0] = 0.0
    solution = np.linalg.solve(design.T @ design + np.diag(ridge), design.T @ excess)
    curved = np.zeros((n, n))
    curved[first, second] = solution[1 + n :]
    precision, axes = np.linalg.eigh(np.eye(n) - curved - curved.T)
    precision = np.clip(precision, *PRECISIONS)
    mean = axes @ (axes.T @ solution[1 : 1 + n] / precision)
    return mean, np.linalg.cholesky((axes / precision) @ axes.T)


def _evaluate(static: Static, arrays: Arrays, prior: Prior, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Log posterior and log likelihood of parameter vectors (m, n)."""
    like = jax.lax.map(partial(log_like, static, arrays), x, batch_size=BATCH)
    return like + jax.vmap(prior.log_density)(x), like


@partial(jax.jit, static_argnums=0)
def _draw(
    static: Static, arrays: Arrays, prior: Prior, marginals: Marginals, e: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Parameters (m, n) at coordinates e (m, n); log density of e, log posterior and log likelihood (m,)."""
    each = partial(jax.vmap, in_axes=(1, 0, 0), out_axes=1)
    z = e @ marginals.mixing.T
    u = ndtr(z)
    x = each(jnp.interp)(u, marginals.cumulative, marginals.x)

    def in_cell(u: jax.Array, cumulative: jax.Array, log_density: jax.Array) -> jax.Array:
        return log_density[jnp.clip(jnp.searchsorted(cumulative, u, side="right") - 1, 0, log_density.size - 1)]

    log_density = jnp.sum(each(in_cell)(u, marginals.cumulative, marginals.log_density), axis=1)
    posterior, likelihood = _evaluate(static, arrays, prior, x)
    target = posterior - log_density + jnp.sum(norm.logpdf(z), axis=1)
    # nine sigma out Φ is 0 or 1, whose cell may have no width: such a draw counts for nothing
    return x, jnp.where(jnp.isfinite(target), target, -jnp.inf), posterior, likelihood


@partial(jax.jit, static_argnums=0)
def _profiles(static: Static, arrays: Arrays, prior: Prior, theta: jax.Array, covariance: jax.Array) -> Marginals:
    """Proposals of all parameters from the posterior along the regression on each."""
    n = theta.size
    sigma = jnp.sqrt(jnp.diagonal(covariance))
    ends = (prior.lower[:, None], prior.upper[:, None])
    nodes = jnp.clip(theta[:, None] + sigma[:, None] * jnp.asarray(NODES), *ends)
    nodes = jnp.concatenate([ends[0], nodes, ends[1]], axis=1)
    others = covariance / jnp.diagonal(covariance)[:, None]  # row i: how all move when i moves by one
    lines = theta + (nodes - theta[:, None])[..., None] * others[:, None]
    inside = jnp.clip(lines, prior.lower, prior.upper)
    value = _evaluate(static, arrays, prior, inside.reshape(-1, n))[0].reshape(n, -1)
    value = jnp.where(jnp.isfinite(value), value, -jnp.inf)
    value = jnp.maximum(value - jnp.max(value, axis=1, keepdims=True), -30.0)
    last = nodes.shape[1] - 1
    place = jnp.linspace(0, last, CELLS * last + 1)
    x, log_density = (jax.vmap(partial(jnp.interp, place, jnp.arange(last + 1)))(v) for v in (nodes, value))
    width = jnp.diff(x, axis=1)
    mass = width * jnp.exp(FLATTER * 0.5 * (log_density[:, 1:] + log_density[:, :-1]))
    mass = mass / jnp.sum(mass, axis=1, keepdims=True)
    cumulative = jnp.concatenate([jnp.zeros((n, 1)), jnp.cumsum(mass, axis=1)], axis=1)
    mixing = jnp.linalg.cholesky(covariance / jnp.outer(sigma, sigma))
    # cells of no width hold no draw
    return Marginals(x, cumulative, jnp.log(mass) - jnp.log(jnp.where(width > 0, width, 1.0)), mixing)

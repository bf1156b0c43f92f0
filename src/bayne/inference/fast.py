"""Posteriors without chains: importance sampling from a surrogate of the likelihood that learns as it goes."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from ..forward import Arrays
from ..likelihood import Prior, Static, log_likes
from ..lockstep import lockstep
from ..spectrum import FloatArray
from .chunks import in_chunks
from .copula import Marginals, profiles
from .population import Proposal, population
from .sample import CHAINS, DRAWS, Draws
from .surrogate import BEYOND, Plane, Surrogate, learn, plane_at
from .weights import KHAT_MAX, NOTHING, resampled, smoothed, tempered

#: Draws of every round, and the most rounds: the first draws from a copula, the others from what those before taught.
COUNT, ROUNDS = 1000, 20

#: Share of the draws that stays effective in a regression.
TAUGHT = 0.5

#: Where draws lie on average this far out in one of the copula's coordinates, in standard deviations, the copula is
#: about a wrong place (in the right one it is 0.8). Where this many draws are effective, they tell where the next is to
#: be; it is wider than they are by a factor.
FAR, MOVABLE, WIDER = 2.0, 100.0, 2.0

#: Most weight that draws beyond half of where a surrogate ends may have.
ENDS = 0.01

#: Least effective number for which the weighted draws are kept.
ESS_MIN = 400.0


class Weighted(NamedTuple):
    """What importance sampling gives.

    ``draws`` are resampled to equal weights, with the ``lp`` and ``log_likelihood_total`` of every draw in their
    statistics; ``khat`` is the shape of the tail of the weights, the heaviest where several rounds count, ``ess`` their
    effective number.
    """

    draws: Draws
    khat: float
    ess: float

    @property
    def reliable(self) -> bool:
        """Whether the draws can stand for the posterior."""
        return self.khat < KHAT_MAX and self.ess > ESS_MIN


class Drawn(NamedTuple):
    """Parameters x (k, n), their log posterior and log likelihood (k,), and c (k, m)."""

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
    likelihood has over it. While too few are effective these draws teach it too, and a thousand more follow; all rounds
    whose weights can be trusted count, each as much as its effective number. A posterior that is found far from
    where the copula is, for the maximum may stand in a corner, gets another copula.

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
    proposal = unit = Proposal(jnp.zeros(theta.size), jnp.eye(theta.size))
    e = proposal.draws(COUNT, rng)
    x, density = _proposed(marginals, proposal, e)
    drawn = _draw(static, arrays, prior, plane, x)
    log_weight = drawn.posterior - np.asarray(density)
    lessons: list[tuple[FloatArray, ...]] = []
    trustworthy: list[tuple[Drawn, FloatArray, float, float]] = []
    for _ in range(1, ROUNDS):
        lessons.append((drawn.x, drawn.c, drawn.likelihood, tempered(log_weight, TAUGHT)))
        surrogate = learn(*(np.concatenate(part) for part in zip(*lessons, strict=True)))
        x, proposal, worth = population(surrogate, marginals, prior, proposal, COUNT, rng)
        drawn = _draw(static, arrays, prior, plane, x)
        stand_in, scores, beyond = (np.asarray(v) for v in _judged(surrogate, marginals, x))
        log_weight = np.where(np.isfinite(stand_in), drawn.likelihood - stand_in, NOTHING)
        smooth, khat, close = smoothed(log_weight)
        far = np.abs(scores).mean(axis=0).max() > FAR
        # draws that were moved do not come from the copula
        reached = worth == np.inf or (worth > 0 and not far)
        # where those at the end of what the surrogate knows weigh something, the posterior goes on there
        ends = np.average(beyond > 0.5 * BEYOND, weights=np.exp(smooth - smooth.max()))
        if khat < KHAT_MAX and reached and ends < ENDS:
            # both resamplings lose some
            trustworthy.append((drawn, smooth, khat, 1 / (1 / close + 1 / worth)))
            if sum(ess for *_, ess in trustworthy) > ESS_MIN:
                break
        if far:
            proposal = unit  # not where it went: the surrogate may be wrong so far out
            if khat < 1 and min(close, worth) > MOVABLE:
                weight = tempered(log_weight, TAUGHT)
                middle, spread = np.average(drawn.x, axis=0, weights=weight), np.cov(drawn.x.T, aweights=weight)
                marginals = profiles(static, arrays, prior, jnp.asarray(middle), jnp.asarray(WIDER**2 * spread))
    # where none can be trusted, what is returned says so
    rounds = trustworthy or [(drawn, smooth, khat, 0.0)]
    pool = Drawn(*(np.concatenate(part) for part in zip(*(drawn for drawn, *_ in rounds), strict=True)))
    weights = [smooth - logsumexp(smooth) + np.log(max(ess, 1.0)) for _, smooth, _, ess in rounds]
    chosen = resampled(np.concatenate(weights), CHAINS * DRAWS, rng)
    shape = (CHAINS, DRAWS)
    stats = {"lp": pool.posterior, "log_likelihood_total": pool.likelihood}
    draws = Draws(pool.x[chosen].reshape(*shape, -1), {name: v[chosen].reshape(shape) for name, v in stats.items()})
    return Weighted(draws, max(khat for *_, khat, _ in rounds), sum(ess for *_, ess in rounds))


def _draw(static: Static, arrays: Arrays, prior: Prior, plane: Plane, x: jax.Array) -> Drawn:
    posterior, likelihood, c = (np.asarray(v) for v in _evaluate(static, arrays, prior, plane, x))
    finite = np.isfinite(posterior) & np.isfinite(c).all(axis=1)
    posterior, likelihood = (np.where(finite, v, NOTHING) for v in (posterior, likelihood))
    return Drawn(np.asarray(x), posterior, likelihood, np.where(finite[:, None], c, 0.0))


@lockstep()
def _proposed(marginals: Marginals, proposal: Proposal, e: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Parameters (k, n) at coordinates e (k, n), and the log of their density (k,)."""
    x, volume = jax.vmap(marginals.parameters)(e)
    return x, jax.vmap(proposal.log_density)(e) - volume


@lockstep()
def _judged(surrogate: Surrogate, marginals: Marginals, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The surrogate's log likelihood (k,) at parameters (k, n), their scores (k, n), and how far out they are (k,)."""
    return jax.vmap(surrogate.log_like)(x), jax.vmap(marginals.scores)(x), jax.vmap(surrogate.beyond)(x)


@lockstep(0)
def _evaluate(
    static: Static, arrays: Arrays, prior: Prior, plane: Plane, x: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log posterior and log likelihood (k,), and c (k, m), of parameters (k, n)."""

    def some(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        like, models = log_likes(static, arrays, x)
        return like + jax.vmap(prior.log_density)(x), like, plane.coordinates(models)

    return in_chunks(some, x)

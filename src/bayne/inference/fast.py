"""Posteriors without chains: importance sampling from a surrogate of the likelihood that learns as it goes."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..forward import Arrays
from ..likelihood import Prior, Static, log_likes
from ..lockstep import lockstep
from ..spectrum import FloatArray
from .chunks import in_chunks
from .copula import Marginals, profiles
from .population import Proposal, population
from .sample import CHAINS, DRAWS, Draws
from .surrogate import Plane, learn, plane_at
from .weights import KHAT_MAX, NOTHING, resampled, smoothed, tempered

#: Draws of every round, and the most rounds: the first draws from a copula, the others from what those before taught.
COUNT, ROUNDS = 1000, 12

#: Share of the draws that stays effective in a regression.
TAUGHT = 0.5

#: Where draws lie on average this far out in one of the copula's coordinates, in standard deviations, the copula is
#: about a wrong place (in the right one it is 0.8). Where this many draws are effective, they tell where the next is to
#: be; it is wider than they are by a factor.
FAR, MOVABLE, WIDER = 2.0, 100.0, 2.0

#: Least effective number for which the weighted draws are kept.
ESS_MIN = 400.0


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
    likelihood has over it. While the weights cannot be trusted these draws teach it too, and a thousand more follow. A
    posterior that is found far from where the copula is, for the maximum may stand in a corner, gets another copula.

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
    drawn = _draw(static, arrays, prior, marginals, plane, e)
    log_weight = drawn.target - np.asarray(jax.vmap(proposal.log_density)(e))
    lessons: list[tuple[FloatArray, ...]] = []
    for _ in range(1, ROUNDS):
        lessons.append((drawn.x, drawn.c, drawn.likelihood, tempered(log_weight, TAUGHT)))
        surrogate = learn(*(np.concatenate(part) for part in zip(*lessons, strict=True)))
        e, proposal, chance, worth = population(surrogate, marginals, prior, proposal, COUNT, rng)
        drawn = _draw(static, arrays, prior, marginals, plane, e)
        log_weight = drawn.likelihood - np.asarray(jax.vmap(surrogate.log_like)(jnp.asarray(drawn.x)))
        smooth, khat, close = smoothed(log_weight)
        far = np.abs(np.asarray(e @ marginals.mixing.T)).mean(axis=0).max() > FAR
        # both resamplings lose some
        ess = 0.0 if far or chance > KHAT_MAX else close * worth / (close + worth)
        if trusted(khat, ess):
            break
        if far:
            proposal = unit  # not where it went: the surrogate may be wrong so far out
            if khat < 1 and min(close, worth) > MOVABLE:
                weight = tempered(log_weight, TAUGHT)
                middle, spread = np.average(drawn.x, axis=0, weights=weight), np.cov(drawn.x.T, aweights=weight)
                marginals = profiles(static, arrays, prior, jnp.asarray(middle), jnp.asarray(WIDER**2 * spread))
    chosen = resampled(smooth, CHAINS * DRAWS, rng)
    shape = (CHAINS, DRAWS)
    stats = {"lp": drawn.posterior, "log_likelihood_total": drawn.likelihood}
    draws = Draws(drawn.x[chosen].reshape(*shape, -1), {name: v[chosen].reshape(shape) for name, v in stats.items()})
    return Weighted(draws, khat, ess)


def _draw(static: Static, arrays: Arrays, prior: Prior, marginals: Marginals, plane: Plane, e: jax.Array) -> Drawn:
    found = Drawn(*(np.asarray(v) for v in _evaluate(static, arrays, prior, marginals, plane, e)))
    finite = np.isfinite(found.target) & np.isfinite(found.c).all(axis=1)
    target, posterior, likelihood = (
        np.where(finite, v, NOTHING) for v in (found.target, found.posterior, found.likelihood)
    )
    return Drawn(target, found.x, posterior, likelihood, np.where(finite[:, None], found.c, 0.0))


@lockstep(0)
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

"""Posteriors without chains: importance sampling from a surrogate of the likelihood that learns as it goes."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from ..batching import batchable
from ..likelihoods import PixelModel, Prior
from ..spectrum import FloatArray
from .chunks import in_chunks, predictions
from .copula import Marginals, profiles
from .draws import Approximation, Draws, Sampler
from .expansion import jacobian
from .surrogate import MAX_EXTRAPOLATION, Surrogate, TangentPlane, learn, tangent_plane
from .surrogate_sampling import Proposal, sample_surrogate
from .weights import KHAT_MAX, NOTHING, resampled, smoothed, tempered

#: Draws of every round, and the most rounds: the first draws from a copula, the others from what those before taught.
COUNT, ROUNDS = 1000, 20

#: Share of the draws that stays effective in a regression.
TEMPERED_SHARE = 0.5

#: Where draws lie on average this far out in one of the copula's coordinates, in standard deviations, the copula is
#: about a wrong place (in the right one it is 0.8). Where this many draws are effective, they tell where the next is to
#: be; it is wider than they are by a factor.
MAX_SCORE, MIN_ESS_TO_MOVE, WIDENING = 2.0, 100.0, 2.0

#: Most weight that draws beyond half of where a surrogate ends may have.
MAX_END_WEIGHT = 0.01

#: Least effective number for which the weighted draws are kept.
ESS_MIN = 400.0


class Drawn(NamedTuple):
    """Parameters x (k, n), their log posterior and log likelihood (k,), and c (k, m)."""

    x: FloatArray
    posterior: FloatArray
    likelihood: FloatArray
    c: FloatArray


def fast(key: jax.Array, model: PixelModel, prior: Prior, start: Approximation, sampler: Sampler) -> Draws:
    """Draws from the posterior by Pareto-smoothed importance sampling; see `Method`.

    The first thousand draws are from a Gaussian copula with profiles as marginals. What the likelihood is there teaches
    a `Surrogate`, whose posterior is sampled for next to nothing; a thousand draws of it are weighted by what the true
    likelihood has over it. While too few are effective these draws teach it too, and a thousand more follow; all rounds
    whose weights can be trusted count, each as much as its effective number. A posterior that is found far from
    where the copula is, for the maximum may stand in a corner, gets another copula.

    Draws are resampled to equal weights. ``khat`` is the shape of the tail of the weights, the heaviest where several
    rounds count, ``ess_weights`` their effective number; `is_reliable` says whether they can stand for the posterior.
    """
    theta, covariance = start.centre, start.covariance
    x, exact = jnp.asarray(theta), replace(model, table=None)
    plane = tangent_plane(exact, x, *jacobian(exact, x))

    def posterior(x: FloatArray) -> FloatArray:
        return _draw(model, prior, plane, x).posterior

    marginals = profiles(posterior, prior, theta, covariance)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    proposal = unit = Proposal(jnp.zeros(theta.size), jnp.eye(theta.size))
    e = proposal.draws(COUNT, rng)
    x, density = _proposed(marginals, proposal, e)
    drawn = _draw(model, prior, plane, x)
    log_weight = drawn.posterior - np.asarray(density)
    lessons: list[tuple[FloatArray, ...]] = []
    trustworthy: list[tuple[Drawn, FloatArray, float, float]] = []
    for _ in range(1, ROUNDS):
        lessons.append((drawn.x, drawn.c, drawn.likelihood, tempered(log_weight, TEMPERED_SHARE)))
        surrogate = learn(*(np.concatenate(part) for part in zip(*lessons, strict=True)))
        x, proposal, worth = sample_surrogate(surrogate, marginals, prior, proposal, COUNT, rng)
        drawn = _draw(model, prior, plane, x)
        stand_in, scores, extrapolation = (np.asarray(v) for v in _judged(surrogate, marginals, x))
        log_weight = np.where(np.isfinite(stand_in), drawn.likelihood - stand_in, NOTHING)
        smooth, khat, close = smoothed(log_weight)
        far = np.abs(scores).mean(axis=0).max() > MAX_SCORE
        # draws that were moved do not come from the copula
        reached = worth == np.inf or (worth > 0 and not far)
        # where those at the end of what the surrogate knows weigh something, the posterior goes on there
        ends = np.average(extrapolation > 0.5 * MAX_EXTRAPOLATION, weights=np.exp(smooth - smooth.max()))
        if khat < KHAT_MAX and reached and ends < MAX_END_WEIGHT:
            # both resamplings lose some
            trustworthy.append((drawn, smooth, khat, 1 / (1 / close + 1 / worth)))
            if sum(ess for *_, ess in trustworthy) > ESS_MIN:
                break
        if far:
            proposal = unit  # not where it went: the surrogate may be wrong so far out
            if khat < 1 and min(close, worth) > MIN_ESS_TO_MOVE:
                weight = tempered(log_weight, TEMPERED_SHARE)
                middle, spread = np.average(drawn.x, axis=0, weights=weight), np.cov(drawn.x.T, aweights=weight)
                marginals = profiles(posterior, prior, middle, WIDENING**2 * spread)
    # where none can be trusted, what is returned says so
    rounds = trustworthy or [(drawn, smooth, khat, 0.0)]
    pool = Drawn(*(np.concatenate(part) for part in zip(*(drawn for drawn, *_ in rounds), strict=True)))
    weights = [smooth - logsumexp(smooth) + np.log(max(ess, 1.0)) for _, smooth, _, ess in rounds]
    chosen = resampled(np.concatenate(weights), sampler.total, rng)
    stats = {"lp": pool.posterior[chosen][None], "log_likelihood_total": pool.likelihood[chosen][None]}
    numbers = {"khat": max(khat for *_, khat, _ in rounds), "ess_weights": sum(ess for *_, ess in rounds)}
    return Draws(pool.x[chosen][None], stats, numbers)


def is_reliable(draws: Draws) -> bool:
    """Whether draws of `fast` can stand for the posterior."""
    return draws.numbers["khat"] < KHAT_MAX and draws.numbers["ess_weights"] > ESS_MIN


def _draw(model: PixelModel, prior: Prior, plane: TangentPlane, x: FloatArray | jax.Array) -> Drawn:
    posterior, likelihood, c = in_chunks(lambda x: _evaluate(model, prior, plane, x, predictions(model, x)), x)
    finite = np.isfinite(posterior) & np.isfinite(c).all(axis=1)
    posterior, likelihood = (np.where(finite, v, NOTHING) for v in (posterior, likelihood))
    return Drawn(np.asarray(x), posterior, likelihood, np.where(finite[:, None], c, 0.0))


@batchable()
def _proposed(marginals: Marginals, proposal: Proposal, e: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Parameters (k, n) at coordinates e (k, n), and the log of their density (k,)."""
    x, volume = jax.vmap(marginals.parameters)(e)
    return x, jax.vmap(proposal.log_density)(e) - volume


@batchable()
def _judged(surrogate: Surrogate, marginals: Marginals, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The surrogate's log likelihood (k,) at parameters (k, n), their scores (k, n), and how far out they are (k,)."""
    return jax.vmap(surrogate.log_like)(x), jax.vmap(marginals.scores)(x), jax.vmap(surrogate.extrapolation)(x)


@batchable()
def _evaluate(
    model: PixelModel, prior: Prior, plane: TangentPlane, x: jax.Array, models: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log posterior and log likelihood (k,), and c (k, m), of parameters (k, n) with the spectra (a, n_pixels, k)."""
    like = model.log_likes(x, models)
    return like + jax.vmap(prior.log_density)(x), like, plane.coordinates(models)

"""Posteriors without chains on the full model: importance sampling from a surrogate that learns as it goes."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np

from ..forward import Arrays
from ..likelihood import Prior, Static, jitter_variance, log_likelihood, predict
from ..spectrum import FloatArray
from .sample import CHAINS, DRAWS, Draws, whitening
from .surrogate import Frame, frame_at, learn, tempered, walk

#: Draws of every round, and the most rounds: the first draws from a Gaussian, the others from what those before taught.
COUNT, ROUNDS = 1000, 6

#: Log density of a draw where it is not finite: such a draw weighs nothing, and teaches nothing.
NOTHING = -1e10

#: Spectra that are computed side by side.
BATCH = 16

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
    """Whitened coordinates z (k, n), log density there, parameters x (k, n), their log posterior and log likelihood
    (k,), and c (k, m).
    """

    z: FloatArray
    target: FloatArray
    x: FloatArray
    posterior: FloatArray
    likelihood: FloatArray
    c: FloatArray


def importance(static: Static, arrays: Arrays, prior: Prior, centre: jax.Array, key: jax.Array) -> Weighted:
    """Draws from the posterior by Pareto-smoothed importance sampling.

    The first thousand draws are from the Gaussian approximation. What the likelihood is there teaches a `Surrogate`,
    whose posterior is sampled for next to nothing; a thousand draws of it are weighted by what the true posterior has
    over it. While the weights cannot be trusted these draws teach it too, and a thousand more follow.

    Parameters
    ----------
    static, arrays, prior
        The problem; with what `tabulate` adds, draws cost less.
    centre
        (n,) maximum of the density of the unconstrained coordinates.
    key
        JAX random key.
    """
    frame = frame_at(static, arrays, prior, centre, whitening(static, arrays, prior, centre))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    drawn = _draw(static, arrays, prior, frame, rng.standard_normal((COUNT, centre.size)))
    log_weight = drawn.target + 0.5 * np.sum(drawn.z**2, axis=1)
    lessons: list[tuple[FloatArray, ...]] = []
    for turn in range(1, ROUNDS):
        lessons.append((drawn.x, drawn.c, drawn.likelihood, tempered(log_weight)))
        surrogate = learn(*(np.concatenate(part) for part in zip(*lessons, strict=True)))
        start = drawn.z[_chosen(np.asarray(az.psislw(log_weight)[0]), COUNT, rng)]
        z = walk(surrogate, frame, prior, jnp.asarray(start), jax.random.fold_in(key, turn))
        drawn = _draw(static, arrays, prior, frame, np.asarray(z))
        log_weight = drawn.likelihood - np.asarray(jax.vmap(surrogate.log_like)(jnp.asarray(drawn.x)))
        smooth, khat = az.psislw(log_weight)
        weight = np.exp(smooth - np.max(smooth))
        ess = float(np.sum(weight) ** 2 / np.sum(weight**2))
        if trusted(float(khat), ess):
            break
    chosen = _chosen(np.asarray(smooth), CHAINS * DRAWS, rng)
    shape = (CHAINS, DRAWS)
    stats = {"lp": drawn.posterior, "log_likelihood_total": drawn.likelihood}
    draws = Draws(drawn.x[chosen].reshape(*shape, -1), {name: v[chosen].reshape(shape) for name, v in stats.items()})
    return Weighted(draws, float(khat), ess)


def _chosen(log_weight: FloatArray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Systematic resampling: every draw comes as often as its weight says, rounded up or down; in random order."""
    weight = np.exp(log_weight - log_weight.max())
    share = np.cumsum(weight) / np.sum(weight)
    points = (np.arange(count) + rng.random()) / count
    return rng.permutation(np.minimum(np.searchsorted(share, points), log_weight.size - 1))


def _draw(static: Static, arrays: Arrays, prior: Prior, frame: Frame, z: FloatArray) -> Drawn:
    target, x, posterior, likelihood, c = (
        np.asarray(v) for v in _evaluate(static, arrays, prior, frame, jnp.asarray(z))
    )
    finite = np.isfinite(target) & np.isfinite(c).all(axis=1)
    target, posterior, likelihood = (np.where(finite, v, NOTHING) for v in (target, posterior, likelihood))
    return Drawn(z, target, x, posterior, likelihood, np.where(finite[:, None], c, 0.0))


@partial(jax.jit, static_argnums=0)
def _evaluate(
    static: Static, arrays: Arrays, prior: Prior, frame: Frame, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
    """What `Drawn` has, for z (k, n)."""

    def one(z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
        x, volume = frame.parameters(prior, z)
        # without the barrier XLA fuses the last steps of the spectrum into each of its uses, and does them every time
        model: jax.Array = jax.lax.optimization_barrier(predict(static, arrays, x))  # type: ignore[no-untyped-call]
        like = log_likelihood(arrays, model, jitter_variance(static, arrays, x))
        posterior = like + prior.log_density(x)
        c = jnp.einsum("an,anm->m", model - frame.model, frame.axes)
        return posterior + volume, x, posterior, like, c

    return jax.lax.map(one, z, batch_size=BATCH)

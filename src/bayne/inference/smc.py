"""Sequential Monte Carlo from the prior to the posterior, for posteriors with several modes; with the evidence."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..batching import batchable
from ..likelihoods import PixelModel, Prior
from .chains import trajectory_steps, with_densities
from .chunks import CHUNK
from .draws import Approximation, Draws, Sampler
from .optimise import from_box, log_volume, to_box

#: Share of the particles that stays effective from one temperature to the next.
EFFECTIVE = 0.7

#: Transitions of every chain at a temperature: all they come by are particles, too (Dau & Chopin 2022, J. R. Stat.
#: Soc. B 84, 114).
TRANSITIONS = 10

#: The first step size of the moves and its factor from one temperature to the next where all or no moves are accepted.
STEP_SIZE, FACTOR = 0.3, 2.0

#: Most temperatures.
MAX_TEMPERATURES = 400


class _Moves(NamedTuple):
    """Step size () and covariance (n, n) of the moves."""

    step_size: jax.Array
    covariance: jax.Array


def smc(key: jax.Array, model: PixelModel, prior: Prior, start: Approximation, sampler: Sampler) -> Draws:
    """Draws by adaptively tempered, waste-free SMC, from the prior; see `Method`.

    Particles move by HMC with the covariance of all of them as mass matrix. The numbers say the ``log_evidence`` of the
    data (normalised as `Pixels` are) under the prior, how many ``temperatures`` there were, the power of the likelihood
    at the last (``tempering``: 1, or draws are none of the posterior), and the share of moves accepted there.
    """
    from blackjax.smc import tempered  # not at the top, where it would start JAX: see `hmc_kernel`

    first, key = jax.random.split(key)
    count = -(-sampler.total // TRANSITIONS) * TRANSITIONS
    rng = np.random.default_rng(np.asarray(jax.random.key_data(first)).tolist())
    x, inside = prior.sample(rng, count)
    u = jax.vmap(lambda x: from_box(prior, x))(jnp.asarray(x))
    state, evidence = tempered.init(u), -np.log(inside)
    moves = _Moves(jnp.asarray(STEP_SIZE), _covariance(u, jnp.ones(count) / count))
    temperatures, done = 0, False
    while not done and temperatures < MAX_TEMPERATURES:
        key, this = jax.random.split(key)
        done = float(state.tempering_param) >= 1  # once more: the particles of the last temperature have weights
        state, increment, accepted = _temper(model, prior, this, state, moves)
        evidence += float(increment)
        temperatures += 1
        factor = FACTOR ** (float(accepted) - sampler.target_accept)
        moves = _Moves(moves.step_size * factor, _covariance(state.particles, state.weights))
    kept = jnp.asarray(rng.permutation(count)[: sampler.total])
    values, posterior, likelihood = with_densities(model, prior, state.particles[kept])
    stats = {"lp": np.asarray(posterior)[None], "log_likelihood_total": np.asarray(likelihood)[None]}
    numbers = {
        "log_evidence": float(evidence),
        "temperatures": float(temperatures),
        "tempering": float(state.tempering_param),
        "smc_accepted": float(accepted),
    }
    return Draws(np.asarray(values, dtype=np.float64)[None], stats, numbers)


@batchable()
def _covariance(u: jax.Array, weight: jax.Array) -> jax.Array:
    """(n, n) covariance of particles (k, n) with weights (k,)."""
    off = u - weight @ u
    return (off.T * weight) @ off + 1e-9 * jnp.eye(u.shape[1])


@batchable()
def _temper(
    model: PixelModel, prior: Prior, key: jax.Array, state: Any, moves: _Moves
) -> tuple[Any, jax.Array, jax.Array]:
    """Particles at the next temperature, the log evidence gained, and the share of moves that were accepted."""
    from blackjax.mcmc import dynamic_hmc
    from blackjax.smc import adaptive_tempered, resampling
    from blackjax.smc.waste_free import waste_free_smc

    def log_prior(u: jax.Array) -> jax.Array:
        return prior.log_density(to_box(prior, u)) + log_volume(prior, u)

    def log_likelihood(u: jax.Array) -> jax.Array:
        value = model.log_like(to_box(prior, u))
        return jnp.where(jnp.isfinite(value), value, -1e30)

    # LAPACK on batches waits inside a thread of XLA's CPU pool for others of the pool: several such calls wait forever
    side_by_side = 1 if jax.default_backend() == "cpu" else CHUNK
    move = dynamic_hmc.build_kernel(next_random_arg_fn=lambda i: i + 1, integration_steps_fn=trajectory_steps)

    def step(key, state, log_density, step_size, inverse_mass_matrix):  # type: ignore[no-untyped-def]
        return move(key, state, log_density, step_size, inverse_mass_matrix, (step_size,))

    kernel = adaptive_tempered.build_kernel(
        log_prior, log_likelihood, step, lambda u, log_density: dynamic_hmc.init(u, log_density, jnp.asarray(0)),
        resampling.systematic, EFFECTIVE, batch_size=side_by_side,
        update_strategy=waste_free_smc(state.weights.size, TRANSITIONS),
    )  # fmt: skip
    shared = {"step_size": moves.step_size[None], "inverse_mass_matrix": moves.covariance[None]}
    state, info = kernel(key, state, None, shared)
    return state, info.log_likelihood_increment, jnp.mean(info.update_info.acceptance_rate)

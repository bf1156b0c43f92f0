"""Markov chains: NumPyro's NUTS and BlackJAX's dynamic HMC, in Fisher-whitened coordinates."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import NUTS
from rich.console import Console
from rich.progress import track

from ..batching import batchable
from ..likelihoods import PixelModel, Prior
from ..spectrum import FloatArray
from .chunks import in_chunks, predictions
from .draws import Approximation, Draws, Sampler
from .optimise import ARRIVED, Climb, density, to_box

#: Draws are made in this many pieces where they can be, so that progress can be shown.
PIECES = 5

#: Starts are drawn this much wider than the Gaussian approximation of the posterior.
DISPERSION = 1.5

#: Most steps to the maximum of the density of the unconstrained coordinates.
STEPS = 20

#: The first step size, and the most steps of a trajectory of HMC.
STEP_SIZE, MAX_STEPS = 0.3, 1024

#: Range of the lengths of HMC's trajectories, in quarters of a turn: one takes a draw from a unit Gaussian to another
#: that does not depend on it, two to its mirror image. With one length for all draws, parameters of another scale would
#: come back to where they were every time. The lengths follow Halton's sequence (Hoffman, Radul & Sountsov 2021,
#: AISTATS 130, 3907), the same for all chains and stars: in a batch none waits for a longer one.
TRAJECTORY_QUARTERS = (0.5, 2.5)

#: What NUTS tells of a transition, by its ArviZ name.
_NUTS_STATS = {
    "diverging": "diverging",
    "energy": "energy",
    "n_steps": "num_steps",
    "acceptance_rate": "accept_prob",
}  # fmt: skip


class Kernel(NamedTuple):
    """A chain: ``init(key, z)`` is its state at z (n,); ``step(state)`` the next one, z, and numbers by name."""

    init: Callable[[jax.Array, jax.Array], Any]
    step: Callable[[Any], tuple[Any, jax.Array, dict[str, jax.Array]]]


def nuts_kernel(log_density: Callable[[jax.Array], jax.Array], sampler: Sampler) -> Kernel:
    """NumPyro's No-U-Turn sampler; Hoffman & Gelman (2014, JMLR 15, 1593)."""
    # whitened coordinates have unit scale: a mass matrix learned from a few hundred draws would only be noise
    kernel = NUTS(
        potential_fn=lambda z: -log_density(z), step_size=STEP_SIZE, adapt_mass_matrix=False,
        target_accept_prob=sampler.target_accept, max_tree_depth=sampler.max_tree_depth,
    )  # fmt: skip

    def step(state: Any) -> tuple[Any, jax.Array, dict[str, jax.Array]]:
        state = kernel.sample(state, (), {})
        stats = {name: getattr(state, field) for name, field in _NUTS_STATS.items()}
        stats["tree_depth"] = jnp.ceil(jnp.log2(state.num_steps + 1.0))
        return state, state.z, stats | {"step_size": state.adapt_state.step_size}

    return Kernel(lambda key, z: kernel.init(key, sampler.warmup, z, (), {}), step)


class _Hmc(NamedTuple):
    key: jax.Array
    chain: Any
    step_size: Any


def hmc_kernel(log_density: Callable[[jax.Array], jax.Array], sampler: Sampler) -> Kernel:
    """BlackJAX's dynamic HMC: trajectories of quasi-random length, the step size by dual averaging."""
    # BlackJAX computes as it is imported, which starts JAX's threads: processes that are forked later would hang
    from blackjax.adaptation.step_size import dual_averaging_adaptation
    from blackjax.mcmc import dynamic_hmc

    begin, adapt, _ = dual_averaging_adaptation(sampler.target_accept)
    kernel = dynamic_hmc.build_kernel(next_random_arg_fn=lambda i: i + 1, integration_steps_fn=trajectory_steps)

    def init(key: jax.Array, z: jax.Array) -> _Hmc:
        return _Hmc(key, dynamic_hmc.init(z, log_density, jnp.asarray(0)), begin(STEP_SIZE))

    def step(state: _Hmc) -> tuple[_Hmc, jax.Array, dict[str, jax.Array]]:
        warm = state.chain.random_generator_arg < sampler.warmup
        own = state.step_size
        size = jnp.exp(jnp.where(warm, own.log_step_size, own.log_step_size_avg))
        key, this = jax.random.split(state.key)
        chain, info = kernel(this, state.chain, log_density, size, jnp.ones_like(state.chain.position), (size,))
        own = jax.tree.map(lambda new, old: jnp.where(warm, new, old), adapt(own, info.acceptance_rate), own)
        stats = {
            "diverging": info.is_divergent,
            "energy": info.energy,
            "n_steps": info.num_integration_steps,
            "acceptance_rate": info.acceptance_rate,
            "step_size": size,
        }
        return _Hmc(key, chain, own), chain.position, stats

    return Kernel(init, step)


def trajectory_steps(i: jax.Array, step_size: jax.Array) -> jax.Array:
    """() steps of the ith trajectory, whose length in quarters of a turn lies in `TRAJECTORY_QUARTERS`."""
    from blackjax.mcmc.dynamic_hmc import halton_sequence

    quarters = TRAJECTORY_QUARTERS[0] + (TRAJECTORY_QUARTERS[1] - TRAJECTORY_QUARTERS[0]) * halton_sequence(i)
    return jnp.clip(jnp.ceil(quarters * np.pi / 2 / step_size), 1, MAX_STEPS).astype(int)


KERNELS = {"nuts": nuts_kernel, "hmc": hmc_kernel}


@batchable(7, 8, 9)
def _advance(
    model: PixelModel,
    prior: Prior,
    centre: jax.Array,
    white: jax.Array,
    keys: jax.Array,
    starts: jax.Array,
    state: Any,
    count: int,
    method: str,
    sampler: Sampler,
) -> tuple[Any, jax.Array, dict[str, jax.Array]]:
    """Move all chains by a number of transitions, from their starts where `state` is None."""
    # NumPyro keeps its adaptation schedule in a closure that init makes; what is not used is compiled away
    kernel = KERNELS[method](lambda z: density(model, prior, centre + white @ z), sampler)
    first = jax.vmap(kernel.init)(keys, starts)

    def chain(state: Any) -> tuple[Any, jax.Array, dict[str, jax.Array]]:
        def step(state: Any, _: None) -> tuple[Any, Any]:
            state, z, stats = kernel.step(state)
            return state, (z, stats)

        state, (z, stats) = jax.lax.scan(step, state, None, length=count)
        return state, z, stats

    # side by side every transition takes as long as the longest of them, which only pays where cores would be idle
    over = partial(jax.lax.map, chain) if jax.default_backend() == "cpu" else jax.vmap(chain)
    return over(first if state is None else state)


def nuts(key: jax.Array, model: PixelModel, prior: Prior, start: Approximation, sampler: Sampler) -> Draws:
    """Draws by NUTS; see `Method`."""
    return _chains(key, model, prior, start, sampler, "nuts")


def hmc(key: jax.Array, model: PixelModel, prior: Prior, start: Approximation, sampler: Sampler) -> Draws:
    """Draws by Hamiltonian Monte Carlo, whose trajectories have one length for all chains; see `Method`."""
    return _chains(key, model, prior, start, sampler, "hmc")


def _chains(
    key: jax.Array, model: PixelModel, prior: Prior, start: Approximation, sampler: Sampler, method: str
) -> Draws:
    """Draws from dispersed starts; progress is shown where standard error is a terminal."""
    exact = replace(model, table=None)
    climb = Climb(exact, prior, True, start.centre)
    climb.up(STEPS, ARRIVED)
    # L⁻ᵀ, with L Lᵀ the curvature, takes whitened coordinates to unconstrained ones
    centre, white = jnp.asarray(climb.u), jnp.asarray(np.linalg.inv(np.linalg.cholesky(climb.matrix)).T)
    first, second = jax.random.split(key)
    starts = _dispersed(model, prior, centre, white, first, sampler.chains)
    keys, state = jax.random.split(second, sampler.chains), None
    pieces = PIECES if sampler.draws % PIECES == 0 else 1
    counts = [sampler.warmup, *[sampler.draws // pieces] * pieces]
    console = Console(stderr=True)
    # stars of a batch leave the terminal to the bar that counts them
    quiet = not console.is_terminal or threading.current_thread() is not threading.main_thread()
    blocks = []
    for count in track(counts, "sampling", console=console, disable=quiet, transient=True):
        state, z, stats = _advance(model, prior, centre, white, keys, starts, state, count, method, sampler)
        blocks.append(jax.tree.map(np.asarray, (z, stats)))
    z, stats = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *blocks[1:])
    values, posterior, likelihood = with_densities(model, prior, centre + z.reshape(-1, centre.size) @ white.T)
    shape = z.shape[:2]
    densities = {"lp": posterior, "log_likelihood_total": likelihood}
    told = {name: np.asarray(value).reshape(shape) for name, value in densities.items()}
    return Draws(np.asarray(values, dtype=np.float64).reshape(*shape, -1), told | stats)


def with_densities(model: PixelModel, prior: Prior, u: jax.Array) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Labels (d, n), log posterior in label space and log likelihood (d,) of unconstrained coordinates (d, n)."""
    x = np.asarray(jax.vmap(partial(to_box, prior))(u))
    posterior, likelihood = in_chunks(lambda x: _densities(model, prior, x, predictions(model, x)), x)
    return x, posterior, likelihood


@batchable()
def _densities(model: PixelModel, prior: Prior, x: jax.Array, models: jax.Array) -> tuple[jax.Array, jax.Array]:
    like = model.log_likes(x, models)
    return like + jax.vmap(prior.log_density)(x), like


_density = batchable()(density)


def _dispersed(
    model: PixelModel, prior: Prior, centre: jax.Array, white: jax.Array, key: jax.Array, count: int
) -> jax.Array:
    """(count, n) starts from an overdispersed Gaussian, each drawn closer until its density is finite."""
    z = DISPERSION * jax.random.normal(key, (count, centre.size))
    best = float(_density(model, prior, centre))
    rows: list[jax.Array] = []
    for row in z:
        # far out in a curved posterior a Gaussian start can be hopeless: halve until it is merely bad
        for _ in range(6):
            there = _density(model, prior, centre + white @ row)
            if bool(jnp.isfinite(there)) and best - float(there) < 10 * centre.size:
                break
            row = row / 2
        rows.append(row)
    return jnp.stack(rows)

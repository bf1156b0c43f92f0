"""Samplers: NUTS and HMC in Fisher-whitened coordinates, and the truncated Laplace approximation."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import HMC, NUTS
from numpyro.infer.util import log_density
from rich.console import Console
from rich.progress import track
from scipy.special import ndtr, ndtri

from ..forward import Arrays
from ..likelihood import Prior, Static, log_likes
from ..lockstep import lockstep
from ..spectrum import FloatArray
from .chunks import in_chunks
from .optimise import density, landscape, to_box

#: Chains, warm-up and kept draws per chain. In whitened coordinates warm-up only has to find a step size.
CHAINS, WARMUP, DRAWS = 4, 200, 500

#: Kept draws are made in this many pieces, so that progress can be shown.
CHUNKS = 5

#: Starts are drawn this much wider than the Gaussian approximation of the posterior.
DISPERSION = 1.5

MAX_TREE_DEPTH = 8

#: Range of the lengths of HMC's trajectories, in quarters of a turn: one takes a draw from a unit Gaussian to another
#: that does not depend on it, two to its mirror image. With one length for all draws, parameters of another scale would
#: come back to where they were every time. The lengths follow an additive recurrence with the golden ratio, which fills
#: the range evenly (Hoffman, Radul & Sountsov 2021, AISTATS 130, 3907, use Halton's), the same for all stars: in lock
#: step none waits for a longer one.
QUARTERS = (0.5, 2.5)

#: Sweeps of `laplace` over its lines.
SWEEPS = 50


@dataclass(frozen=True)
class Draws:
    """Posterior draws in label space (chains, draws, n), and statistics of the sampler (chains, draws) by name."""

    values: FloatArray
    stats: dict[str, FloatArray]


@lockstep(0)
def whitening(static: Static, arrays: Arrays, prior: Prior, centre: jax.Array) -> jax.Array:
    """(n, n) matrix that takes whitened coordinates to unconstrained ones: L⁻ᵀ, L Lᵀ the curvature."""
    lower = jnp.linalg.cholesky(landscape(static, arrays, prior, centre, volume=True)[2])
    return jax.scipy.linalg.solve_triangular(lower, jnp.eye(centre.size), lower=True).T


def model(static: Static, arrays: Arrays, prior: Prior, centre: jax.Array, white: jax.Array) -> None:
    """NumPyro model of one star: a flat site ``z`` in whitened coordinates, the posterior density as a factor."""
    flat = dist.ImproperUniform(dist.constraints.real_vector, (), (centre.size,))
    z = numpyro.sample("z", flat)
    u = centre + white @ z
    numpyro.factor("density", density(static, arrays, prior, u, volume=True))


@lockstep(0)
def _describe(
    static: Static, arrays: Arrays, prior: Prior, centre: jax.Array, white: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Labels, log posterior in label space and log likelihood of every draw (d, n)."""

    def some(z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        x = jax.vmap(partial(to_box, prior))(centre + z @ white.T)
        like = log_likes(static, arrays, x)[0]
        return x, like + jax.vmap(prior.log_density)(x), like

    return in_chunks(some, z)


def _kernel(
    static: Static,
    arrays: Arrays,
    prior: Prior,
    centre: jax.Array,
    white: jax.Array,
    keys: jax.Array,
    starts: jax.Array,
    warmup: int,
    method: str,
) -> tuple[HMC, Any]:
    """NumPyro's NUTS or HMC on `model`, and its initial state for all chains."""

    def potential(z: jax.Array) -> jax.Array:
        return -log_density(model, (static, arrays, prior, centre, white), {}, {"z": z})[0]

    # whitened coordinates have unit scale: a mass matrix learned from a few hundred draws would only be noise
    settings = {"potential_fn": potential, "step_size": 0.3, "adapt_mass_matrix": False, "target_accept_prob": 0.8}
    if method == "nuts":
        kernel: HMC = NUTS(max_tree_depth=MAX_TREE_DEPTH, **settings)
    else:
        kernel = HMC(trajectory_length=np.pi / 2, **settings)
    return kernel, jax.vmap(lambda key, z: kernel.init(key, warmup, z, (), {}))(keys, starts)


@lockstep(0, 8, 9)
def _advance(
    static: Static,
    arrays: Arrays,
    prior: Prior,
    centre: jax.Array,
    white: jax.Array,
    keys: jax.Array,
    starts: jax.Array,
    state: Any,
    warmup: int,
    method: str,
    quarters: jax.Array,
) -> tuple[Any, dict[str, jax.Array]]:
    """Move all chains by a transition for each of `quarters`; from their starts where `state` is None."""
    # the kernel keeps its adaptation schedule in a closure that init makes; what is not used is compiled away
    kernel, first = _kernel(static, arrays, prior, centre, white, keys, starts, warmup, method)

    def step(state: Any, quarter: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        if method == "hmc":
            state = state._replace(trajectory_length=quarter * np.pi / 2)
        state = kernel.sample(state, (), {})
        kept = {name: getattr(state, name) for name in ("z", "diverging", "energy", "num_steps", "accept_prob")}
        return state, kept | {"step_size": state.adapt_state.step_size}

    def chain(state: Any) -> tuple[Any, dict[str, jax.Array]]:
        return jax.lax.scan(step, state, quarters)

    # side by side every transition takes as long as the longest of them, which only pays where cores would be idle
    over = partial(jax.lax.map, chain) if jax.default_backend() == "cpu" else jax.vmap(chain)
    return over(first if state is None else state)


def chains(static: Static, arrays: Arrays, prior: Prior, centre: jax.Array, key: jax.Array, method: str) -> Draws:
    """Sample with NUTS or HMC from dispersed starts; progress is shown where standard error is a terminal.

    Parameters
    ----------
    static, arrays, prior
        The problem, `tabulated` at its maximum.
    centre
        (n,) maximum of the density of the unconstrained coordinates.
    key
        JAX random key.
    method
        ``"nuts"`` or ``"hmc"``, whose trajectories have one length per draw for all chains and stars.
    """
    white = whitening(static, arrays, prior, centre)
    first, second = jax.random.split(key)
    starts = _dispersed(static, arrays, prior, centre, white, first)
    fixed = (static, arrays, prior, centre, white, jax.random.split(second, CHAINS), starts)
    state, kept = None, []
    places = (np.arange(WARMUP + DRAWS) * (np.sqrt(5) - 1) / 2) % 1
    quarters = jnp.asarray(QUARTERS[0] + (QUARTERS[1] - QUARTERS[0]) * places)
    pieces = [quarters[:WARMUP], *jnp.split(quarters[WARMUP:], CHUNKS)]
    console = Console(stderr=True)
    # stars of a batch leave the terminal to the bar that counts them
    quiet = not console.is_terminal or threading.current_thread() is not threading.main_thread()
    for piece in track(pieces, "sampling", console=console, disable=quiet, transient=True):
        state, block = _advance(*fixed, state, WARMUP, method, piece)
        kept.append(jax.tree.map(np.asarray, block))
    out = {name: np.concatenate([block[name] for block in kept[1:]], axis=1) for name in kept[0]}
    shape = out["diverging"].shape
    z = jnp.asarray(out.pop("z").reshape(-1, centre.size))
    values, posterior, likelihood = _describe(static, arrays, prior, centre, white, z)
    steps = out.pop("num_steps")
    stats = {
        "lp": np.asarray(posterior).reshape(shape),
        "log_likelihood_total": np.asarray(likelihood).reshape(shape),
        "n_steps": steps,
        "acceptance_rate": out.pop("accept_prob"),
        **out,
    }
    if method == "nuts":
        stats["tree_depth"] = np.ceil(np.log2(steps + 1))
    return Draws(np.asarray(values, dtype=np.float64).reshape(*shape, -1), stats)


_density = lockstep(0, 4)(density)


def _dispersed(
    static: Static, arrays: Arrays, prior: Prior, centre: jax.Array, white: jax.Array, key: jax.Array
) -> jax.Array:
    """(chains, n) starts from an overdispersed Gaussian, each drawn closer until its density is finite."""
    z = DISPERSION * jax.random.normal(key, (CHAINS, centre.size))
    best = float(_density(static, arrays, prior, centre, True))
    rows = []
    for row in z:
        # far out in a curved posterior a Gaussian start can be hopeless: halve until it is merely bad
        for _ in range(6):
            start = _density(static, arrays, prior, centre + white @ row, True)
            if bool(jnp.isfinite(start)) and best - float(start) < 10 * centre.size:
                break
            row = row / 2
        rows.append(row)
    return jnp.stack(rows)


def laplace(
    precision: FloatArray,
    centre: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    walls: tuple[FloatArray, FloatArray],
    seed: Any,
) -> FloatArray:
    """Draws (chains, draws, n) from a Gaussian cut to a box and to half-spaces, by Gibbs sampling.

    Along any line a truncated Gaussian is a truncated Gaussian in one dimension (Geweke 1991). The lines are the axes,
    for parameters that the data leave to the box, and the principal axes, for those that are strongly correlated. All
    draws advance side by side from the centre, each a chain of its own.

    Parameters
    ----------
    precision, centre
        (n, n) and (n,) of the Gaussian; the centre lies inside the box.
    lower, upper, walls
        The box, and ``a @ x <= b``; the centre may lie behind a wall by a hair.
    seed
        Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    x = np.repeat(centre[None], CHAINS * DRAWS, axis=0)
    a, b = walls
    felt = np.flatnonzero(np.any(a != 0, axis=0))
    width = upper - lower
    _, axes = np.linalg.eigh(precision * np.outer(width, width))
    for _ in range(SWEEPS):
        for line in width * rng.permutation(np.concatenate([np.eye(centre.size), axes.T])):
            slope = precision @ line
            scale = 1 / np.sqrt(line @ slope)
            moving = np.abs(line) > 1e-12 * width
            ends = np.stack([lower - x, upper - x])[..., moving] / line[moving]
            low, high = ends.min(0).max(-1), ends.max(0).min(-1)
            # walls give way to the optimiser by a hair: what lies behind one can only come back
            speed, room = a[:, felt] @ line[felt], np.maximum(b - x[:, felt] @ a[:, felt].T, 0.0)
            positive, negative = speed > 1e-12, speed < -1e-12
            high = np.minimum(high, np.min(room[:, positive] / speed[positive], axis=1, initial=np.inf))
            low = np.maximum(low, np.max(room[:, negative] / speed[negative], axis=1, initial=-np.inf))
            mean = -(x - centre) @ slope * scale**2
            x += _truncated(mean, scale, low, np.maximum(low, high), rng)[:, None] * line
    return np.clip(x, lower, upper).reshape(CHAINS, DRAWS, -1)


def _truncated(
    mean: FloatArray, scale: float, low: FloatArray, high: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Gaussian draws between two ends by inversion, mirrored so that a far interval lies in the left tail."""
    left, right = (low - mean) / scale, (high - mean) / scale
    sign = np.where(left > 0, -1.0, 1.0)
    left, right = np.minimum(sign * left, sign * right), np.maximum(sign * left, sign * right)
    below, above = ndtr(left), ndtr(right)
    z = ndtri(below + rng.random(mean.shape) * (above - below))
    # more than 37 sigma out the tail underflows: all mass sits at the nearer end
    z = np.clip(np.where(above > 0, z, right), left, right)
    return np.clip(mean + scale * sign * z, low, high)

"""Posterior maxima by damped Fisher scoring, batched over starts, with a fixed number of steps."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from ..forward import Arrays
from ..information import fisher_matrix
from ..likelihood import Prior, Static, log_posterior

#: Unconstrained coordinates stay within this: 0.03% of the domain from its edge.
MAX_U = 8.0

#: Levenberg-Marquardt dampings tried at every step, relative to the diagonal.
DAMPINGS = (0.0, 1e-2, 1e-1, 1.0, 10.0, 100.0)


#: Coordinates, log density, decrement.
State = tuple[jax.Array, jax.Array, jax.Array]


def to_box(prior: Prior, u: jax.Array) -> jax.Array:
    """Parameters inside their box from unconstrained coordinates: lower + width * logistic(u)."""
    return prior.lower + (prior.upper - prior.lower) * jax.nn.sigmoid(u)


def from_box(prior: Prior, x: jax.Array) -> jax.Array:
    """Inverse of `to_box`, kept within ±`MAX_U`."""
    fraction = (x - prior.lower) / (prior.upper - prior.lower)
    edge = jax.nn.sigmoid(-MAX_U)
    fraction = jnp.clip(fraction, edge, 1 - edge)
    return jnp.log(fraction) - jnp.log1p(-fraction)


def log_volume(prior: Prior, u: jax.Array) -> jax.Array:
    """Log of the Jacobian of `to_box`."""
    width = jnp.log(prior.upper - prior.lower)
    return jnp.sum(width + jax.nn.log_sigmoid(u) + jax.nn.log_sigmoid(-u))


def density(static: Static, arrays: Arrays, prior: Prior, u: jax.Array, volume: bool) -> jax.Array:
    """Log posterior in label space at unconstrained coordinates; with `volume`, the density of u itself."""
    value = log_posterior(static, arrays, prior, to_box(prior, u))
    return value + log_volume(prior, u) if volume else value


def curvature(static: Static, arrays: Arrays, prior: Prior, u: jax.Array) -> jax.Array:
    """Positive definite (n, n) curvature in unconstrained coordinates: Fisher, priors and the logistic's own.

    The logistic bends a slope into a curvature, -x'' ∂lp/∂x: all there is for a parameter pressed against its end.
    """
    s = jax.nn.sigmoid(u)
    slope = (prior.upper - prior.lower) * s * (1 - s)
    x = to_box(prior, u)
    information = fisher_matrix(static, arrays, x) + prior.curvature(x)
    gradient = jax.grad(partial(log_posterior, static, arrays, prior))(x)
    bent = jnp.maximum(-slope * (1 - 2 * s) * gradient, 0.0)
    return slope[:, None] * information * slope + jnp.diag(bent + 2 * s * (1 - s) + 1e-6)


@partial(jax.jit, static_argnums=(0, 4, 5))
def optimise(
    static: Static, arrays: Arrays, prior: Prior, starts: jax.Array, steps: int, volume: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Climb from every start.

    Parameters
    ----------
    static, arrays, prior
        The problem.
    starts
        (k, n) unconstrained coordinates.
    steps
        Number of steps; each tries all `DAMPINGS` and keeps the best, or stays.
    volume
        Maximise the density of the unconstrained coordinates rather than that of the labels.

    Returns
    -------
    tuple
        (k, n) coordinates, (k,) log densities, (k,) gradientᵀ curvature⁻¹ gradient before the last step: twice
        what a step could still gain, NaN where a derivative is not finite.
    """
    value = partial(density, static, arrays, prior, volume=volume)

    def step(state: State, _: None) -> tuple[State, None]:
        u, best, _decrement = state
        gradient = jax.grad(value)(u)
        matrix = curvature(static, arrays, prior, u)
        diagonal = jnp.diagonal(matrix)

        def attempt(damping: jax.Array) -> tuple[jax.Array, jax.Array]:
            move = jnp.linalg.solve(matrix + damping * jnp.diag(diagonal), gradient)
            move = jnp.clip(move, -3.0, 3.0)  # one step crosses at most most of the domain
            new = jnp.clip(u + move, -MAX_U, MAX_U)
            return new, value(new)

        tried, values = jax.lax.map(attempt, jnp.asarray(DAMPINGS))
        values = jnp.where(jnp.isfinite(values), values, -jnp.inf)
        k = jnp.argmax(values)
        better = values[k] > best
        # what presses against an end has arrived
        free = jnp.where((jnp.abs(u) >= MAX_U) & (u * gradient > 0), 0.0, gradient)
        decrement = free @ jnp.linalg.solve(matrix, free)
        return (jnp.where(better, tried[k], u), jnp.where(better, values[k], best), decrement), None

    def climb(u: jax.Array) -> State:
        first = value(u)
        start = (u, jnp.where(jnp.isfinite(first), first, -jnp.inf), jnp.asarray(jnp.inf))
        return jax.lax.scan(step, start, None, length=steps)[0]

    return jax.lax.map(climb, starts)

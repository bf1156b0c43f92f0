"""Posterior maxima by damped Fisher scoring from several starts."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..batching import batchable
from ..likelihoods import PixelModel, Prior, log_posterior

#: Unconstrained coordinates stay within this: 0.03% of the domain from its edge.
MAX_U = 8.0

#: Levenberg-Marquardt damping relative to the diagonal: of the first step, what a step that gains half of what was
#: expected and one that gains nothing multiply it by (to no less than the first), and where a climb that only fails is
#: given up.
DAMPING, LESS_DAMPING, MORE_DAMPING, MAX_DAMPING = 1e-2, 0.1, 10.0, 1e8

#: How much a climb to the maximum in label space counts of the curvature that comes from the logistic: with all of it,
#: a parameter whose maximum is its end would go there by a unit a step, or less where the data say little.
EDGE_CURVATURE = 0.1

#: Twice what a step could still gain in log density, at which a climb has arrived: 0.03 sigma.
ARRIVED = 1e-3


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


def density(model: PixelModel, prior: Prior, u: jax.Array, volume: bool) -> jax.Array:
    """Log posterior in label space at unconstrained coordinates; with `volume`, the density of u itself."""
    value = log_posterior(model, prior, to_box(prior, u))
    return value + log_volume(prior, u) if volume else value


def density_and_derivatives(
    model: PixelModel, prior: Prior, u: jax.Array, volume: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`density`, its gradient (n,) and a positive definite curvature (n, n) in unconstrained coordinates.

    The curvature is that of the Fisher matrix, the priors and the logistic, which bends a slope into a curvature,
    -u'' ∂lp/∂u: all there is for a parameter pressed against its end. Without `volume`: times `EDGE_CURVATURE`.
    """
    s = jax.nn.sigmoid(u)
    slope = (prior.upper - prior.lower) * s * (1 - s)
    x = to_box(prior, u)
    value, gradient, fisher = model.expand(x)
    own, by_prior = jax.value_and_grad(prior.log_density)(x)
    value, gradient = value + own, slope * (gradient + by_prior)
    # the second term is the curvature of `log_volume`; without `volume` some of it bounds steps where nothing is known
    bent = jnp.maximum(-(1 - 2 * s) * gradient, 0.0) + 2 * s * (1 - s)
    own_curvature = (1.0 if volume else EDGE_CURVATURE) * bent + 1e-6
    matrix = slope[:, None] * (fisher + prior.curvature(x)) * slope + jnp.diag(own_curvature)
    if volume:
        value, gradient = value + log_volume(prior, u), gradient + 1 - 2 * s
    return value, gradient, matrix


class OptimiserState(NamedTuple):
    """Where a climb stands: coordinates, log density, gradient, curvature, damping, decrement, steps taken."""

    u: jax.Array
    value: jax.Array
    gradient: jax.Array
    matrix: jax.Array
    damping: jax.Array
    decrement: jax.Array
    taken: jax.Array


@batchable(3, 4, 5)
def optimise(
    model: PixelModel,
    prior: Prior,
    starts: jax.Array,
    steps: int,
    volume: bool,
    enough: float = ARRIVED,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Climb from every start: Levenberg-Marquardt with the Fisher matrix as curvature.

    Parameters
    ----------
    model, prior
        The problem.
    starts
        (k, n) unconstrained coordinates.
    steps
        Most steps; one that gains is kept, one that does not is taken again with more damping.
    volume
        Maximise the density of the unconstrained coordinates rather than that of the labels.
    enough
        Twice what a step could still gain in log density, at which a climb ends.

    Returns
    -------
    tuple
        (k, n) coordinates, (k,) log densities, (k,) gradientᵀ curvature⁻¹ gradient: twice what a step could still
        gain, NaN where a derivative is not finite.
    """

    def standing(u: jax.Array, damping: jax.Array, taken: jax.Array) -> OptimiserState:
        value, gradient, matrix = density_and_derivatives(model, prior, u, volume)
        fixed = (jnp.abs(u) >= MAX_U) & (u * gradient > 0)  # what presses against an end has arrived
        gradient = jnp.where(fixed, 0.0, gradient)
        matrix = jnp.where(fixed[:, None] | fixed, jnp.eye(u.size), matrix)
        decrement = gradient @ jnp.linalg.solve(matrix, gradient)
        return OptimiserState(u, value, gradient, matrix, damping, decrement, taken)

    def step(at: OptimiserState) -> OptimiserState:
        move = jnp.linalg.solve(at.matrix + at.damping * jnp.diag(jnp.diagonal(at.matrix)), at.gradient)
        move = jnp.clip(move, -3.0, 3.0)  # one step crosses at most most of the domain
        u = jnp.clip(at.u + move, -MAX_U, MAX_U)
        gain = density(model, prior, u, volume) - at.value
        expected = at.gradient @ move - 0.5 * move @ at.matrix @ move
        return jax.lax.cond(
            gain > 0,
            lambda: standing(u, at.damping * jnp.where(gain > 0.5 * expected, LESS_DAMPING, 3.0), at.taken + 1),
            lambda: at._replace(damping=jnp.maximum(at.damping * MORE_DAMPING, DAMPING), taken=at.taken + 1),
        )

    def going(at: OptimiserState) -> jax.Array:
        return (at.taken < steps) & (at.decrement > enough) & (at.damping < MAX_DAMPING)

    def climb(u: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        start = standing(u, jnp.asarray(DAMPING), jnp.asarray(0))
        end = jax.lax.while_loop(going, step, start)
        return end.u, jnp.where(jnp.isfinite(end.value), end.value, -jnp.inf), end.decrement

    return jax.lax.map(climb, starts)

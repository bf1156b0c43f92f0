"""The Laplace approximation, truncated to the domain."""

from __future__ import annotations

import jax
import numpy as np
from scipy.special import ndtr, ndtri

from ..likelihoods import PixelModel, Prior
from ..spectrum import FloatArray
from .draws import Approximation, Draws, Sampler

#: Sweeps of the Gibbs sampler over its lines.
SWEEPS = 50


def laplace(key: jax.Array, model: PixelModel, prior: Prior, start: Approximation, sampler: Sampler) -> Draws:
    """Draws from a Gaussian at the maximum, cut to the domain; see `Method`."""
    lower, upper, a, b = (np.asarray(v) for v in (prior.lower, prior.upper, *prior.halfspaces))
    precision = start.precision + np.diag(1e-6 / (upper - lower) ** 2)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    return Draws(truncated_gaussian(precision, start.centre, lower, upper, (a, b), sampler.total, rng)[None], {})


def truncated_gaussian(
    precision: FloatArray,
    centre: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    halfspaces: tuple[FloatArray, FloatArray],
    count: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Draws (count, n) from a Gaussian cut to a box and to half-spaces, by Gibbs sampling.

    Along any line a truncated Gaussian is a truncated Gaussian in one dimension (Geweke 1991). The lines are the axes,
    for parameters that the data leave to the box, and the principal axes, for those that are strongly correlated. All
    draws advance side by side from the centre, each a chain of its own.

    Parameters
    ----------
    precision, centre
        (n, n) and (n,) of the Gaussian; the centre lies inside the box.
    lower, upper, halfspaces
        The box, and ``a @ x <= b``; the centre may lie behind a wall by a hair.
    count, rng
        How many draws, and their random numbers.
    """
    x = np.repeat(centre[None], count, axis=0)
    a, b = halfspaces
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
            x += truncated_normal(rng.random(count), mean, scale, low, np.maximum(low, high))[:, None] * line
    return np.asarray(np.clip(x, lower, upper))


def truncated_normal(
    u: FloatArray, mean: FloatArray, scale: float, low: FloatArray | float, high: FloatArray | float
) -> FloatArray:
    """Gaussian draws between two ends by inversion at u, mirrored so that a far interval is in the left tail."""
    left, right = (low - mean) / scale, (high - mean) / scale
    sign = np.where(left > 0, -1.0, 1.0)
    left, right = np.minimum(sign * left, sign * right), np.maximum(sign * left, sign * right)
    below, above = ndtr(left), ndtr(right)
    z = ndtri(below + u * (above - below))
    # more than 37 sigma out the tail underflows: all mass sits at the nearer end
    z = np.clip(np.where(above > 0, z, right), left, right)
    return np.clip(mean + scale * sign * z, low, high)

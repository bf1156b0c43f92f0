"""Pixels that no model here explains: lines missing from the line list or wrong in it, sky lines, cosmic rays."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from ..likelihoods import Problem, best_continuum
from ..likelihoods.marginal import EmulatorError
from ..spectrum import FloatArray

#: A pixel this many robust standard deviations from the model is an outlier: one in two million of Gaussian noise.
OUTLIER = 5.0

#: An arm with a larger share of outliers has no outliers but a wrong model: nothing of it is left out.
MAX_SHARE = 0.15


def outliers(problem: Problem, theta: FloatArray) -> np.ndarray:
    """(a, n) True for used pixels that stand out from the model at `theta`, and for their two neighbours.

    The unit is the photon and emulator error, times the arm's own scatter in that unit (1.4826 times the median
    absolute value) where that is larger than 1: noise that the file understates makes no outliers.
    """
    model, ratio, correction = (np.asarray(v) for v in best_continuum(problem, jnp.asarray(theta)))
    pixels, used = problem.model.pixels, problem.plan.used
    residual = np.asarray(pixels.data) - (model + correction) * ratio
    pull = np.abs(residual) / np.sqrt(np.asarray(pixels.total_variance))
    bad = np.zeros_like(used)
    for own, good, size in zip(bad, used, pull, strict=True):
        if good.any():
            own |= good & (size > OUTLIER * max(1.0, 1.4826 * float(np.median(size[good]))))
            own |= good & (np.convolve(own, np.ones(3), mode="same") > 0)
            if own.sum() > MAX_SHARE * good.sum():
                own[:] = False
    return bad


def without(problem: Problem, bad: np.ndarray) -> Problem:
    """The problem with pixels (a, n) taken out; same shapes, so that nothing is compiled again."""
    used = problem.plan.used & ~bad
    out = jnp.asarray(~used)
    pixels, error = problem.model.pixels, problem.model.pixels.error
    if error is not None:
        error = EmulatorError(jnp.where(out[..., None], 0.0, error.basis), jnp.where(out, 0.0, error.variance))
    data, variance = (jnp.where(out, 1.0, value) for value in (pixels.data, pixels.variance))
    pixels = replace(pixels, used=jnp.asarray(used), data=data, variance=variance, error=error)
    return replace(problem.changed(pixels=pixels), plan=replace(problem.plan, used=used))

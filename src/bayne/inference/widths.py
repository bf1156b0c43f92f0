"""How well the parameters of a star are known: by the noise, by the likelihood, and where the model is wrong."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from ..information.robust import Misfit, misfit, scores
from ..likelihoods import Problem, padded
from ..spectrum import FloatArray, Spectrum
from .expansion import expand, jacobian

#: A broadening (km/s) at which a spectrum shows how it depends on it.
PROBE = 3.0


def precision(problem: Problem, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fisher matrix (n, n), and with the curvature of the priors, where a uniform one counts as a Gaussian.

    A spectrum depends on the square of a broadening velocity v: at v = 0 it has no slope, and the matrix would say that
    v may be anything. It is then taken at half of the v that the data exclude by one sigma, where the slope is that
    of the line from 0 to there.
    """
    fisher, bounded = _precision(problem, theta)
    for name in ("vsini", "vmac"):
        if name in problem.model.names:
            i = problem.model.names.index(name)
            if theta[i] < np.sqrt(np.linalg.inv(bounded)[i, i]):
                own, theta = theta[i], np.array(theta)
                theta[i] = PROBE
                sigma = np.sqrt(np.linalg.inv(_precision(problem, theta)[1])[i, i])
                theta[i] = max(own, np.sqrt(sigma * PROBE / 2))
                fisher, bounded = _precision(problem, theta)
    return fisher, bounded


def _precision(problem: Problem, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`precision` just there."""
    at, prior = expand(problem.model, problem.prior, theta), problem.prior
    uniform = np.where(np.asarray(prior.precision) > 0, 0.0, 12 / np.asarray(prior.upper - prior.lower) ** 2)
    return at.fisher, at.fisher + at.prior_curvature + np.diag(uniform)


def photon_covariance(problem: Problem, theta: FloatArray) -> FloatArray:
    """(n, n) covariance if nothing but the noise of the photons were wrong: no jitter, no error of the emulator."""
    # an error of zero: of the same shape, so that nothing is compiled again
    pixels = problem.model.pixels
    perfect = problem.changed(pixels=replace(pixels, error=jax.tree.map(jnp.zeros_like, pixels.error)))
    quiet = np.array(theta)
    quiet[problem.model.n_mean :] = 0.0
    return np.asarray(np.linalg.inv(precision(perfect, quiet)[1]), dtype=np.float64)


def find_misfit(problem: Problem, spectrum: Spectrum, theta: FloatArray) -> Misfit:
    """What blocks of wavelength say about the misfit at `theta`."""
    model = problem.model
    at = jnp.asarray(theta)
    each = np.asarray(scores(model, at, *jacobian(model, at)))
    wavelength = padded(spectrum, [arm.wavelength for arm in spectrum.arms], 0.0)
    bounded = precision(problem, theta)[1][: model.n_mean, : model.n_mean]
    return misfit(each, wavelength, problem.plan.used, bounded)

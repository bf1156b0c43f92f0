"""How well the parameters of a star are known: by the noise, by the likelihood, and where the model is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator
from ..information import fisher_matrix
from ..information.robust import Misfit, misfit, scores
from ..likelihood import Problem, padded
from ..lockstep import lockstep
from ..spectrum import FloatArray, Spectrum

#: A broadening (km/s) at which a spectrum shows how it depends on it.
PROBE = 3.0


class Widths(NamedTuple):
    """How well the n parameters are known at the maximum.

    ``fisher`` (n, n) without what the misfit adds and without priors; ``covariance`` (n, n) with both; ``photon``
    (n, n) with priors, if photon noise were all; ``misfit`` None where it was not asked for.
    """

    fisher: FloatArray
    covariance: FloatArray
    photon: FloatArray
    misfit: Misfit | None


_fisher = lockstep(0)(fisher_matrix)


def precision(problem: Problem, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fisher matrix (n, n), and with the curvature of the priors, where a uniform one counts as a Gaussian.

    A spectrum depends on the square of a broadening velocity v: at v = 0 it has no slope, and the matrix would say that
    v may be anything. It is then taken at half of the v that the data exclude by one sigma, where the slope is that
    of the line from 0 to there.
    """
    fisher, bounded = _precision(problem, theta)
    for name in ("vsini", "vmac"):
        if name in problem.static.names:
            i = problem.static.names.index(name)
            if theta[i] < np.sqrt(np.linalg.inv(bounded)[i, i]):
                own, theta = theta[i], np.array(theta)
                theta[i] = PROBE
                sigma = np.sqrt(np.linalg.inv(_precision(problem, theta)[1])[i, i])
                theta[i] = max(own, np.sqrt(sigma * PROBE / 2))
                fisher, bounded = _precision(problem, theta)
    return fisher, bounded


def _precision(problem: Problem, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`precision` just there."""
    x, prior = jnp.asarray(theta), problem.prior
    fisher = np.asarray(_fisher(problem.static, problem.arrays, x))
    uniform = np.where(np.asarray(prior.precision) > 0, 0.0, 12 / np.asarray(prior.upper - prior.lower) ** 2)
    return fisher, fisher + np.asarray(prior.curvature(x)) + np.diag(uniform)


def photon_covariance(problem: Problem, theta: FloatArray) -> FloatArray:
    """(n, n) covariance if nothing but the noise of the photons were wrong: no jitter, no error of the emulator."""
    arrays = {name: value for name, value in problem.arrays.items() if name not in ("error_basis", "error_variance")}
    quiet = np.array(theta)
    quiet[problem.static.n_mean :] = 0.0
    return np.asarray(np.linalg.inv(precision(replace(problem, arrays=arrays), quiet)[1]), dtype=np.float64)


def find_misfit(problem: Problem, spectrum: Spectrum, emulator: Emulator, theta: FloatArray) -> Misfit:
    """What blocks of wavelength, and the reference stars of the emulator's card, say about the misfit at `theta`."""
    static = problem.static
    each = np.asarray(scores(static, problem.arrays, jnp.asarray(theta)))
    wavelength = padded(spectrum, [arm.wavelength for arm in spectrum.arms], 0.0)
    bounded = precision(problem, theta)[1][: static.n_mean, : static.n_mean]
    at = dict(zip(emulator.label_names, np.asarray(problem.arrays["labels"]), strict=True))
    at |= dict(zip(static.names, theta, strict=True))
    known = emulator.card.discrepancies(float(at.get("fe_h", 0.0)))
    floor = np.array([known.get(name, 0.0) for name in static.names[: static.n_mean]])
    return misfit(each, wavelength, problem.plan.used, bounded, floor)

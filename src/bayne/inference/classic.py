"""The classical fit: least squares with one emulator on a spectrum that was normalised beforehand."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import curve_fit

from ..emulators import Emulator
from ..likelihoods import StarModel, build
from ..precision import double
from ..spectrum import FloatArray
from .maximum import first_guess, overlap, start_of
from .prepare import Settings, prepare

#: Step of the finite differences, in widths of the box: less, and differences of float32 spectra are noise.
STEP = 1e-3


@dataclass(frozen=True)
class LeastSquares:
    """What a classical fit gives.

    Parameters
    ----------
    names
        Of the n free parameters.
    value, std
        (n,) best values, and errors from the curvature of chi-square; NaN where the fit failed.
    chi2_reduced
        Chi-square per degree of freedom.
    seconds
        Wall time.
    message
        Why there are no values; empty where there are.
    """

    names: tuple[str, ...]
    value: FloatArray
    std: FloatArray
    chi2_reduced: float
    seconds: float
    message: str = ""


def failed(message: str, clock: float | None = None) -> LeastSquares:
    """No answer and why, of a fit that began at a reading of `time.perf_counter`."""
    seconds = 0.0 if clock is None else time.perf_counter() - clock
    return LeastSquares((), np.zeros(0), np.zeros(0), np.nan, seconds, message)


@double
def least_squares(spectrum: Any, emulator: Emulator, settings: Settings) -> LeastSquares:
    """Fit a spectrum as The Payne does (Ting et al. 2019, ApJ 879, 69): `scipy.optimize.curve_fit`.

    The flux is divided by the pilot continuum once and for all; errors are the photons'; derivatives are finite
    differences; there is one start, the best template of the cross-correlation. Nothing is marginalised: no
    continuum, no error of the emulator, no jitter, no width of the LSF. It is what `compare` measures the others by.

    Parameters
    ----------
    spectrum, emulator, settings
        As for `fit_star`; ``method`` plays no role.
    """
    clock = time.perf_counter()
    ready, verdict = prepare(spectrum, emulator, settings, None)
    met = overlap(ready.spectrum, emulator)
    if verdict.flags.bad or not met.any():
        return failed(" ".join(verdict.messages) or "no pixel within the emulator's wavelengths", clock)
    emulator = emulator.cut(met)
    start = start_of(ready.spectrum, emulator, ready.pilot, settings, ready.bary)
    problem = build(
        ready.spectrum, emulator, velocity=start.velocity, bary=ready.bary, free=settings.free,
        fixed={"lsf_scale": 1.0} | settings.fixed, priors={}, order=None, pilot=ready.pilot, with_jitter=False,
    )  # fmt: skip
    used = problem.plan.used
    if used.sum() <= len(problem.model.names):
        return failed(f"{used.sum()} pixels for {len(problem.model.names)} parameters", clock)
    lower, width = np.asarray(problem.prior.lower), np.asarray(problem.prior.upper - problem.prior.lower)
    model = jax.jit(StarModel.predict)

    def flux(_: None, *scaled: float) -> FloatArray:
        return np.asarray(model(problem.model, jnp.asarray(lower + width * (np.array(scaled) - 1))))[used]

    guess = np.asarray(first_guess(problem, emulator, start.labels[0], start.velocity + ready.bary))
    data, sigma = np.asarray(problem.model.pixels.data)[used], np.sqrt(np.asarray(problem.model.pixels.variance)[used])
    try:
        # the box is 1 to 2, since steps are relative to the values
        scaled, covariance = curve_fit(
            flux, None, data, 1 + (guess - lower) / width, sigma, absolute_sigma=True, bounds=(1, 2), diff_step=STEP
        )
    except RuntimeError as error:
        return failed(str(error), clock)
    chi2 = float(np.sum(((data - flux(None, *scaled)) / sigma) ** 2) / (data.size - scaled.size))
    std = width * np.sqrt(np.diag(covariance))
    spent = time.perf_counter() - clock
    return LeastSquares(problem.model.names, lower + width * (scaled - 1), std, chi2, spent)

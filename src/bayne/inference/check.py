"""How far a distilled emulator's posterior is from its teacher's, from a few spectra of the teacher."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator
from ..forward import Arrays
from ..likelihood import Problem, Static, build, log_like
from ..spectrum import FloatArray
from .prepare import Ready, Settings

#: Draws at which the teacher is asked.
DRAWS = 16

#: Shift in sigma above which `Flag.TEACHER_DIFFERS` is set: with it added, an error is larger by 4%.
MAX_SHIFT = 0.3


def teacher_shift(problem: Problem, teacher: Emulator, ready: Ready, settings: Settings, draws: FloatArray) -> float:
    """Root mean square over the parameters of how far the teacher would move their means, in standard deviations.

    To first order the means move by the covariance of the parameters with Δ, the difference of the two log
    likelihoods. Where Δ is linear over the posterior, the shifts along its n principal axes, in standard deviations,
    have the squared sum var Δ; their root mean square is the standard deviation of Δ over sqrt(n), which a few draws
    tell.

    Parameters
    ----------
    problem
        Of the distilled emulator.
    teacher
        What it was distilled from.
    ready, settings
        The spectrum, and the arguments of the fit.
    draws
        (..., n) from the posterior.
    """
    other = build(
        ready.spectrum, teacher, velocity=float(problem.arrays["velocity"]), bary=ready.bary, free=settings.free,
        fixed=settings.fixed, priors=settings.priors, order=ready.order, pilot=ready.pilot, with_jitter=settings.jitter,
    )  # fmt: skip
    kept = ("error_basis", "error_variance", "photon")
    shared = {name: problem.arrays[name] for name in kept if name in problem.arrays}
    shared["used"] = problem.arrays["used"] & other.arrays["used"]
    every = draws.reshape(-1, draws.shape[-1])
    few = jnp.asarray(every[np.linspace(0, len(every) - 1, DRAWS).astype(int)])
    ours, theirs = (np.asarray(_at(p.static, dict(p.arrays) | shared, few)) for p in (problem, other))
    return float(np.std(theirs - ours, ddof=1) / np.sqrt(draws.shape[-1]))


@partial(jax.jit, static_argnums=0)
def _at(static: Static, arrays: Arrays, x: jax.Array) -> jax.Array:
    """(m,) log likelihood of parameters (m, n)."""
    return jax.lax.map(partial(log_like, static, arrays), x)

"""A distilled emulator: when fits make one, how its teacher corrects it at a star, and how it is checked."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from ..emulators import Emulator
from ..forward import Arrays
from ..likelihood import Problem, Static, build, log_like, predict
from ..lockstep import lockstep
from ..spectrum import FloatArray
from .prepare import Ready, Settings

log = logging.getLogger("bayne")

#: Draws at which the teacher is asked.
DRAWS = 16

#: Shift in sigma above which `Flag.TEACHER_DIFFERS` is set: with it added, an error is larger by 4%.
MAX_SHIFT = 0.3


def affordable(emulator: Emulator, settings: Settings, instrument: str) -> Emulator:
    """The emulator, or where it is too costly for ``fast`` the one that `compile` makes of it, once for an instrument.

    Parameters
    ----------
    emulator, settings
        Arguments of the fit.
    instrument
        The spectrum's own; without one of either nothing is distilled.
    """
    profile = settings.instrument or instrument
    if settings.method != "fast" or not emulator.network.costly or not profile:
        return emulator
    from ..training import compile  # optimisers: not needed to import bayne

    with Console(stderr=True).status("distilling") as status:

        def tell(done: float, text: str) -> None:
            if done == 0:  # not where it is in the cache
                log.warning("%s is distilled for this instrument first: as long as 16,000 spectra", emulator.card.name)
            status.update(f"distilling: {done:.0%}, {text}")

        return compile(emulator, profile, tell=tell)


def as_taught(problem: Problem, teacher: Emulator, ready: Ready, settings: Settings) -> Problem:
    """The same star, pixels, noise and pilot through the teacher.

    Parameters
    ----------
    problem
        Of the distilled emulator.
    teacher
        What it was distilled from.
    ready, settings
        The spectrum, and the arguments of the fit.
    """
    other = build(
        ready.spectrum, teacher, velocity=float(problem.arrays["velocity"]), bary=ready.bary, free=settings.free,
        fixed=settings.fixed, priors=settings.priors, order=ready.order, pilot=ready.pilot, with_jitter=settings.jitter,
        process=settings.robust and ready.order is not None,
    )  # fmt: skip
    return replace(other, arrays=dict(other.arrays) | _noise(problem))


def _noise(problem: Problem) -> Arrays:
    """What a distilled emulator and its teacher have in common: noise, errors, the continuum's process, widths."""
    kept = ("error_basis", "error_variance", "photon", "spread", "centre", "shrink")
    return {name: problem.arrays[name] for name in kept if name in problem.arrays}


def corrected(problem: Problem, taught: Problem, theta: FloatArray) -> Problem:
    """The problem whose model is the teacher's at `theta`, and keeps its distance to it elsewhere."""
    arrays = {name: value for name, value in problem.arrays.items() if name != "offset"}
    at = jnp.asarray(theta)
    ours, theirs = (_model(p.static, a, at) for p, a in ((problem, arrays), (taught, taught.arrays)))
    both = arrays["used"] & taught.arrays["used"]
    return replace(problem, arrays=arrays | {"offset": jnp.where(both, theirs - ours, 0.0)})


_model = lockstep(0)(predict)


def teacher_shift(problem: Problem, taught: Problem, draws: FloatArray) -> float:
    """Root mean square over the parameters of how far the teacher would move their means, in standard deviations.

    To first order the means move by the covariance of the parameters with Δ, the difference of the two log
    likelihoods. Where Δ is linear over the posterior, the shifts along its n principal axes, in standard deviations,
    have the squared sum var Δ; their root mean square is the standard deviation of Δ over sqrt(n), which a few draws
    tell.

    Parameters
    ----------
    problem
        Of the distilled emulator.
    taught
        `as_taught`.
    draws
        (..., n) from the posterior.
    """
    used = problem.arrays["used"] & taught.arrays["used"]
    every = draws.reshape(-1, draws.shape[-1])
    few = jnp.asarray(every[np.linspace(0, len(every) - 1, DRAWS).astype(int)])
    common = _noise(problem) | {"used": used}
    ours, theirs = (np.asarray(_at(p.static, dict(p.arrays) | common, few)) for p in (problem, taught))
    return float(np.std(theirs - ours, ddof=1) / np.sqrt(draws.shape[-1]))


@lockstep(0)
def _at(static: Static, arrays: Arrays, x: jax.Array) -> jax.Array:
    """(m,) log likelihood of parameters (m, n)."""
    return jax.lax.map(partial(log_like, static, arrays), x)

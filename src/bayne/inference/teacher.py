"""A distilled emulator: when fits make one, how its teacher corrects it at a star, and how it is checked."""

from __future__ import annotations

import logging
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from ..batching import batchable
from ..emulators import Emulator
from ..likelihoods import Problem, StarModel, build
from ..spectrum import FloatArray
from .prepare import PreparedSpectrum, Settings

log = logging.getLogger("bayne")

#: Draws at which the teacher is asked.
DRAWS = 16

#: Shift in sigma above which `Flag.TEACHER_DIFFERS` is set: with it added, an error is larger by 4%.
MAX_SHIFT = 0.3


def distilled_if_costly(emulator: Emulator, settings: Settings, instrument: str) -> Emulator:
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
                log.warning(
                    "%s is first distilled for this instrument: as long as 16,000 spectra take", emulator.card.name
                )
            status.update(f"distilling: {done:.0%}, {text}")

        return compile(emulator, profile, tell=tell)


def teacher_problem(problem: Problem, teacher: Emulator, ready: PreparedSpectrum, settings: Settings) -> Problem:
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
        ready.spectrum, teacher, velocity=float(problem.model.forward.velocity), bary=ready.bary, free=settings.free,
        fixed=settings.fixed, priors=settings.priors, order=ready.order, pilot=ready.pilot, with_jitter=settings.jitter,
        process=settings.robust and ready.order is not None,
    )  # fmt: skip
    return replace(other, model=_with_noise_of(other.model, problem.model))


def _with_noise_of(model: StarModel, other: StarModel) -> StarModel:
    """A model with what a distilled emulator and its teacher share: noise, errors, the continuum's process, widths."""
    pixels = replace(model.pixels, spread=other.pixels.spread, error=other.pixels.error)
    return replace(model, pixels=pixels, photon=other.photon, robust=other.robust)


def add_correction(problem: Problem, teacher: Problem, theta: FloatArray) -> Problem:
    """The problem whose model is the teacher's at `theta`, and keeps its distance to it elsewhere."""
    problem, at = problem.changed(offset=None), jnp.asarray(theta)
    ours, theirs = (_model(p.model, at) for p in (problem, teacher))
    both = problem.model.pixels.used & teacher.model.pixels.used
    return problem.changed(offset=jnp.where(both, theirs - ours, 0.0))


_model = batchable()(StarModel.predict)


def teacher_shift(problem: Problem, teacher: Problem, draws: FloatArray) -> float:
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
        `teacher_problem`.
    draws
        (..., n) from the posterior.
    """
    used = problem.model.pixels.used & teacher.model.pixels.used
    every = draws.reshape(-1, draws.shape[-1])
    few = jnp.asarray(every[np.linspace(0, len(every) - 1, DRAWS).astype(int)])
    models = (_with_noise_of(p.model, problem.model) for p in (problem, teacher))
    ours, theirs = (np.asarray(_at(replace(m, pixels=replace(m.pixels, used=used)), few)) for m in models)
    return float(np.std(theirs - ours, ddof=1) / np.sqrt(draws.shape[-1]))


@batchable()
def _at(model: StarModel, x: jax.Array) -> jax.Array:
    """(m,) log likelihood of parameters (m, n)."""
    return jax.lax.map(model.log_like, x)

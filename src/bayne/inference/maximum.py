"""Where the posterior of a star has its maximum, and the likelihood that is sampled about it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator
from ..errors import BayneError
from ..flags import Flag
from ..forward import VELOCITY_MARGIN, TooSharp
from ..information.robust import Misfit
from ..likelihoods import (
    MAX_VELOCITY,
    Prior,
    Problem,
    StarModel,
    best_continuum,
    build,
    padded,
    prior_range,
    reachable,
    with_continuum_process,
    with_emulator_error,
    with_robust_widths,
)
from ..spectrum import FloatArray, Spectrum
from ..wavelength import C_KMS, within
from . import diagnose
from .diagnose import Verdict
from .discrepancy import Discrepancy
from .optimise import ARRIVED, optimise
from .outliers import outliers, without
from .prepare import PreparedSpectrum, Settings, prepare
from .start import Start, find_start, template_labels
from .teacher import add_correction, teacher_problem
from .widths import find_misfit

log = logging.getLogger("bayne")

#: Starts of the optimiser, its most steps before and after the pilot continuum is replaced.
STARTS, FIRST_STEPS, LAST_STEPS = 4, 20, 60

#: Climbs before the last use about so many pixels, evenly spread, and end where a step would gain half of the tolerance
#: at most: pilot continuum, process and outliers move the maximum by as much as what that leaves.
COARSE_PIXELS, COARSE_TOLERANCE = 4000, 1.0

#: Times that amplitude and scale of the continuum are looked for, each followed by a climb.
PROCESS_ROUNDS = 2

#: Most rounds of leaving out pixels.
ROUNDS = 4

#: Times that a distilled emulator is corrected by its teacher at the maximum, each followed by a climb.
CORRECTIONS = 2

#: Squared distance from the maximum, in sigma, that counts as having arrived.
MAX_DECREMENT = 0.1


@dataclass
class FitState:
    """A star on the way to its result: what was found so far.

    Parameters
    ----------
    settings, emulator, ready, verdict
        Arguments of the fit; the emulator cut to windows that the spectrum meets; the spectrum; flags and numbers.
    clock
        Readings of `time.perf_counter` by the stage that ended.
    start
        Where the search began; None where it never did.
    whole, plain, problem
        With all pixels, without outliers, and that with robust widths; None where there is no maximum.
    teacher
        The problem through the teacher of a distilled emulator; None without.
    theta
        (n,) posterior maximum, of fitted labels.
    discrepancy
        What the true labels differ from the fitted ones by; None where there is no maximum.
    misfit
        What blocks of wavelength say; None where the model is taken for right.
    """

    settings: Settings
    emulator: Emulator
    ready: PreparedSpectrum
    verdict: Verdict
    clock: dict[str, float]
    start: Start | None = None
    whole: Problem | None = None
    plain: Problem | None = None
    problem: Problem | None = None
    teacher: Problem | None = None
    theta: FloatArray = field(default_factory=lambda: np.zeros(0))
    discrepancy: Discrepancy | None = None
    misfit: Misfit | None = None


def find_maximum(given: Any, emulator: Emulator, settings: Settings, id: str | None) -> FitState:
    """The posterior maximum of one star, whose arguments were checked; without a problem where there is none."""
    clock = {"start": time.perf_counter()}
    ready, verdict = prepare(given, emulator, settings, id)
    found = FitState(settings, emulator, ready, verdict, clock)
    if not verdict.flags.bad:
        _search(found)
    return found


def _search(found: FitState) -> None:
    """Fill in all that follows from the arguments."""
    ready, settings, verdict = found.ready, found.settings, found.verdict
    met = overlap(ready.spectrum, found.emulator)
    if not met.any():
        verdict.raise_flag(Flag.NO_OVERLAP, _ranges(ready.spectrum, found.emulator))
        return
    found.emulator = emulator = found.emulator.cut(met)
    found.start = start = start_of(ready.spectrum, emulator, ready.pilot, settings, ready.bary)
    verdict.numbers["rv_significance"] = start.significance
    unknown = "rv" in settings.free and "rv" not in settings.fixed
    if unknown and start.significance < diagnose.RV_SIGNIFICANCE:
        verdict.raise_flag(
            Flag.RV_UNCERTAIN, f"The best velocity is preferred over any other by only {start.significance:.1f} sigma."
        )
    if unknown and start.at_edge:
        verdict.raise_flag(Flag.RV_AT_EDGE)
    try:
        whole, theta, decrement, found.discrepancy = _maximum(ready, emulator, settings, start)
    except TooSharp as error:
        verdict.raise_flag(Flag.TOO_SHARP, str(error))
        return
    if whole is None:
        verdict.raise_flag(Flag.NO_OVERLAP, _ranges(ready.spectrum, emulator))
        return
    if emulator.teacher is not None and np.isfinite(decrement):
        teacher = emulator.teacher.cut(overlap(ready.spectrum, emulator.teacher))
        found.teacher = teacher_problem(whole, teacher, ready, settings)
        for _ in range(CORRECTIONS):
            whole = add_correction(whole, found.teacher, theta)
            theta, decrement = approach_maximum(whole, theta)
    plain = whole
    if settings.jitter and np.isfinite(decrement):
        plain, theta = _without_outliers(whole, theta)
        removed = int(whole.plan.used.sum() - plain.plan.used.sum())
        verdict.numbers["n_outliers"] = float(removed)
        if removed:
            verdict.raise_flag(
                Flag.OUTLIERS_REMOVED, f"{removed} of {whole.plan.used.sum()} pixels were excluded as outliers."
            )
    if np.isfinite(decrement):
        theta, decrement = refine_maximum(plain, theta)
    if not np.isfinite(decrement):
        verdict.raise_flag(Flag.FAILED, "Posterior density or derivatives are not finite at any starting point.")
        return
    problem = plain
    if settings.robust and plain.model.n_mean:  # else nothing is free but the noise
        found.misfit = find_misfit(plain, ready.spectrum, theta)
        problem = with_robust_widths(plain, theta, found.misfit.shrink)
        theta, decrement = refine_maximum(problem, theta)  # a prior counts more where the data say less
    verdict.numbers["map_decrement"] = decrement
    if decrement > MAX_DECREMENT:
        verdict.raise_flag(
            Flag.NOT_CONVERGED, f"The optimiser stopped {np.sqrt(decrement):.1f} sigma short of the predicted maximum."
        )
    found.whole, found.plain, found.problem, found.theta = whole, plain, problem, theta
    found.clock["map"] = time.perf_counter()


def overlap(spectrum: Spectrum, emulator: Emulator) -> np.ndarray:
    """(p,) True in the emulator's windows that a good pixel lies in at any velocity that is searched."""
    met = [
        any(bool(np.any(arm.good & (arm.wavelength > low) & (arm.wavelength < high))) for arm in spectrum.arms)
        for low, high in reachable(emulator)
    ]
    return np.array(met)[emulator.segment]


def _ranges(spectrum: Spectrum, emulator: Emulator) -> str:
    own = ", ".join(f"{arm.wavelength[0]:.0f}-{arm.wavelength[-1]:.0f}" for arm in spectrum.arms)
    return f"Spectrum: {own} Å; emulator: {emulator.windows_in_words()} Å."


def start_of(spectrum: Spectrum, emulator: Emulator, pilot: list[FloatArray], settings: Settings, bary: float) -> Start:
    """Cross-correlate, or take the velocity that is given."""
    lower, upper = emulator.lower.copy(), emulator.upper.copy()
    around = (-MAX_VELOCITY, MAX_VELOCITY)
    for name, prior in settings.priors.items():
        low, high = prior_range(name, prior)
        if name == "rv":
            around = (max(low - bary, around[0]), min(high - bary, around[1]))
            if around[0] > around[1]:
                raise BayneError(f"prior of rv: {low:g} to {high:g} km/s lies outside the range that is searched")
        elif name in emulator.label_names:
            i = emulator.label_names.index(name)
            lower[i] = max(lower[i], min(low, upper[i] - 1e-6))
            upper[i] = min(upper[i], max(high, lower[i] + 1e-6))
    if "rv" not in settings.free or "rv" in settings.fixed:
        velocity = settings.fixed["rv"] - bary if "rv" in settings.fixed else 0.0
        around = (velocity, velocity)
    elif "rv" in settings.start:
        near = np.clip(settings.start["rv"] - bary, *around)
        around = (max(near - VELOCITY_MARGIN, around[0]), min(near + VELOCITY_MARGIN, around[1]))
    labels = template_labels(emulator, settings.fixed, lower, upper)
    found = find_start(spectrum, emulator, pilot, labels, around)
    given = [settings.start.get(name, value) for name, value in zip(emulator.label_names, found.labels[0], strict=True)]
    return replace(found, labels=np.vstack([given, found.labels])) if set(settings.start) - {"rv"} else found


def _maximum(
    ready: PreparedSpectrum, emulator: Emulator, settings: Settings, start: Start
) -> tuple[Problem | None, FloatArray, float, Discrepancy | None]:
    """Posterior maximum in two passes: the second has pilot continuum, pixels, emulator error and discrepancy from the
    first."""
    spectrum, pilot, bary, order = ready.spectrum, ready.pilot, ready.bary, ready.order

    def problem_at(velocity: float, priors: Mapping[str, Any]) -> Problem:
        problem = build(
            spectrum, emulator, velocity=velocity, bary=bary, free=settings.free, fixed=settings.fixed,
            priors=priors, order=order, pilot=pilot, with_jitter=settings.jitter,
            process=settings.robust and order is not None,
        )  # fmt: skip
        rest = padded(spectrum, [arm.wavelength / (1 + velocity / C_KMS) for arm in spectrum.arms], 0.0)
        return without(problem, within(rest, emulator.card.excluded))

    problem = problem_at(start.velocity, settings.priors)
    if not problem.plan.used.any():
        return None, np.zeros(0), 0.0, None
    guesses = [first_guess(problem, emulator, labels, start.velocity + bary) for labels in start.labels[:STARTS]]
    if settings.emulator_error:
        problem = with_emulator_error(problem, emulator, guesses[0])
    found, values, _ = optimise(
        _coarse(problem), problem.prior, np.stack(guesses), FIRST_STEPS, False, COARSE_TOLERANCE
    )
    log.info("optimiser: log posterior of the starting points %s", np.round(np.asarray(values), 1))
    best = found[np.argmax(values)]
    if order is not None and np.isfinite(values).any():
        _, ratio, _ = best_continuum(problem, jnp.asarray(best))
        for a, arm in enumerate(spectrum.arms):
            # a wild continuum means a hopeless model: the pilot moves by no more than a factor of two
            pilot[a] = pilot[a] * np.clip(np.asarray(ratio[a, : arm.flux.size]), 0.5, 2.0)
    names = problem.model.names
    velocity = float(best[names.index("rv")]) - bary if "rv" in names else start.velocity
    problem = problem_at(velocity, settings.priors)
    discrepancy = Discrepancy.of(problem, emulator.card if settings.robust else None, jnp.asarray(best))
    if wider := discrepancy.priors(names, settings.priors):
        problem = problem_at(velocity, {**settings.priors, **wider})
    if settings.emulator_error:
        problem = with_emulator_error(problem, emulator, best)
    theta, decrement = best, np.inf
    for _ in range(PROCESS_ROUNDS):
        problem = with_continuum_process(problem, theta)
        theta, decrement = approach_maximum(problem, theta)
    return problem, theta, decrement, discrepancy


def approach_maximum(problem: Problem, theta: FloatArray) -> tuple[FloatArray, float]:
    """As `refine_maximum`, but of few pixels only: a sigma or two of the spectrum's from its maximum."""
    return _climb(_coarse(problem), problem.prior, theta, COARSE_TOLERANCE)


def _coarse(problem: Problem) -> StarModel:
    return problem.model.thinned(max(1, problem.model.pixels.data.size // COARSE_PIXELS))


def refine_maximum(problem: Problem, theta: FloatArray) -> tuple[FloatArray, float]:
    """Posterior maximum near `theta`, and the squared distance in sigma that was left at the end."""
    return _climb(problem.model, problem.prior, theta, ARRIVED)


def _climb(model: StarModel, prior: Prior, theta: FloatArray, enough: float) -> tuple[FloatArray, float]:
    found, _, decrement = optimise(model, prior, np.asarray(theta)[None], LAST_STEPS, False, enough)
    return found[0], float(decrement[0])


def _without_outliers(whole: Problem, theta: FloatArray) -> tuple[Problem, FloatArray]:
    """The problem less its outliers, and where its maximum is: what is left out is looked for again from there."""
    problem = whole
    for _ in range(ROUNDS):
        bad = outliers(problem, theta)
        if not bad.any():
            break
        problem = with_continuum_process(without(problem, bad), theta)
        theta, _ = approach_maximum(problem, theta)
    return problem, theta


def first_guess(problem: Problem, emulator: Emulator, labels: FloatArray, rv: float) -> FloatArray:
    """(n,) parameters of a template at the found velocity, with modest broadening and jitter."""
    prior = problem.prior
    middle = np.asarray(0.5 * (prior.lower + prior.upper))
    width = np.asarray(prior.upper - prior.lower)
    values = np.where(np.asarray(prior.precision) > 0, np.asarray(prior.mean), middle)
    for i, name in enumerate(problem.model.names):
        if name in emulator.label_names:
            values[i] = labels[emulator.label_names.index(name)]
        elif name == "rv":
            values[i] = rv
        elif name in ("vsini", "vmac"):
            values[i] = 8.0
        elif name.startswith("excess_"):
            values[i] = 1.0
    return np.asarray(np.clip(values, middle - 0.45 * width, middle + 0.45 * width))

"""`fit_star`: one spectrum in, one posterior out."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator
from ..errors import BayneError
from ..flags import Flag
from ..forward import VELOCITY_MARGIN, TooSharp
from ..instrument import Instrument
from ..likelihood import (
    MAX_VELOCITY,
    Problem,
    best_continuum,
    build,
    padded,
    reach,
    reachable,
    tabulated,
    with_continuum_process,
    with_emulator_error,
    with_robust_widths,
)
from ..lockstep import in_lockstep
from ..precision import double
from ..spectrum import FloatArray, Spectrum
from ..wavelength import C_KMS, within
from . import diagnose
from .fast import importance
from .optimise import from_box, optimise, to_box
from .outcome import finish, give_up
from .outliers import outliers, without
from .prepare import Settings, check_arguments, prepare
from .result import FitResult
from .sample import MAX_TREE_DEPTH, chains, laplace
from .start import Start, find_start, template_labels
from .teacher import MAX_SHIFT, affordable, as_taught, corrected, teacher_shift
from .widths import Widths, find_misfit, photon_covariance, precision

log = logging.getLogger("bayne")

T = TypeVar("T")

#: Fits from several threads wait for each other. LAPACK on batches of matrices waits inside a thread of XLA's pool for
#: others of the pool (jaxlib 0.10): two at a time on two cores wait forever.
_ONE_AT_A_TIME = threading.Lock()

#: Stars that an accelerator has at a time.
LANES = 128

#: Starts of the optimiser, its most steps before and after the pilot continuum is replaced.
STARTS, FIRST_STEPS, LAST_STEPS = 4, 20, 60

#: Where the first climbs end: less than a sigma from their maximum, which the second pass moves.
ROUGHLY = 1.0

#: Times that amplitude and scale of the continuum are looked for, each followed by a climb.
PROCESS_ROUNDS = 2

#: Most rounds of leaving out pixels.
ROUNDS = 4

#: Times that a distilled emulator is corrected by its teacher at the maximum, each followed by a climb.
CORRECTIONS = 2

#: Squared distance from the maximum, in sigma, that counts as having arrived.
MAX_DECREMENT = 0.1


def fit_star(
    spectrum: Any,
    emulator: Emulator,
    *,
    method: str = "nuts",
    instrument: str | Instrument | None = None,
    resolution: float | None = None,
    snr: float | Sequence[float] | None = None,
    priors: Mapping[str, Any] = {},
    fixed: Mapping[str, float] = {},
    start: Mapping[str, float] = {},
    free: Sequence[str] = ("rv", "vsini"),
    continuum: int | bool | None = None,
    windows: Sequence[tuple[float, float]] | None = None,
    mask: Sequence[np.ndarray] | None = None,
    emulator_error: bool = True,
    jitter: bool = True,
    robust: bool = True,
    seed: int = 0,
    id: str | None = None,
) -> FitResult:
    """Posterior of the labels of one star.

    Parameters
    ----------
    spectrum
        `Spectrum`, `specutils.Spectrum` or `specutils.SpectrumList`. Never modified.
    emulator
        From `load_emulator`.
    method
        ``"nuts"``: the posterior by NUTS; ``"hmc"``: by Hamiltonian Monte Carlo with trajectories of random length;
        ``"fast"``: by importance sampling, or by ``"hmc"`` where that cannot be trusted (a flag tells); networks that
        evaluate every wavelength by itself are distilled for the instrument first (`bayne.compile`), once;
        ``"laplace"``: a Gaussian at the maximum, cut to the domain; ``"map"``: the maximum, with the Cramér-Rao bound
        as error.
    instrument
        Profile name or `Instrument`: gives the LSF of arms that have none, and the continuum's order.
    resolution
        R = λ/FWHM of the spectrum; overrides every other LSF.
    snr
        Signal-to-noise per native pixel, one number or one per arm, for spectra without errors.
    priors
        By label: ``(mean, sd)`` of a Gaussian, or a scalar NumPyro distribution; cut to the domain. Others are
        uniform in the emulator's domain; the prior of ``rv`` also narrows the search for it.
    fixed
        Labels held at a value, in their units.
    start
        Where the search for the maximum begins, besides other places: values of labels, and ``rv``, within 50 km/s of
        which the velocity is looked for. Not a prior.
    free
        Which of ``rv``, ``vsini`` and ``vmac`` are free; the others are zero in the frame of the file.
    continuum
        Chebyshev order per arm; None for the instrument's recommendation; False for a flux that is
        normalised and stays so.
    windows
        Wavelength ranges to use, vacuum Å in the frame of the file, pairs or one pair; None for all.
    mask
        Additional bad pixels: one boolean array per arm, True = bad.
    emulator_error
        Count the emulator's own error where its card states one.
    jitter
        Take the errors as incomplete: free one extra scatter per arm, and leave out pixels more than 5 times as far
        from the best model as the arm's others.
    robust
        Let the continuum wander about its polynomial, and count what blocks of wavelength say about the misfit of the
        model: errors are then those to be believed for a real star.
    seed
        Root of the random numbers; folded with the identity of the spectrum.
    id
        Replaces the identity of the spectrum.

    Returns
    -------
    FitResult
        Also for spectra that cannot be fitted: then with a BAD flag, NaN and a sentence. Its arms are those of the
        spectrum, cut to the windows of the emulator; each has a continuum of its own. An arm ``"0"`` that covers the
        first and third window becomes ``"0-1"`` and ``"0-3"``.

    Raises
    ------
    BayneError
        Arguments that are wrong: unknown labels (the likely one is named), values or priors outside the
        domain, a spectrum without LSF, an unknown method.
    """
    settings = Settings(
        method, instrument, resolution, snr, dict(priors), dict(fixed), dict(start), tuple(free), continuum, windows,
        mask, emulator_error, jitter, robust, seed,
    )  # fmt: skip
    check_arguments(settings, emulator)
    emulator = affordable(emulator, settings, getattr(spectrum, "instrument", ""))
    with _ONE_AT_A_TIME:
        return fit(spectrum, emulator, settings, id)


def together(calls: Iterable[Callable[[], T]], method: str) -> Generator[tuple[int, T], None, None]:
    """Place and result of calls of `fit` as they end, side by side where that pays; taken as there is room."""
    width = lanes(method)
    with ThreadPoolExecutor(1) as pool:
        # in another thread than the main one, where each star would show progress of its own
        one_by_one = ((place, pool.submit(call).result()) for place, call in enumerate(calls))
        with closing(in_lockstep(calls, width) if width > 1 else one_by_one) as results:
            while True:
                with _ONE_AT_A_TIME:  # not while the caller has the result, which may fit a star itself
                    following = next(results, None)
                if following is None:
                    return
                yield following


def lanes(method: str) -> int:
    """How many stars a device fits side by side.

    A CPU's cores are as busy with one star after the other; trees of NUTS would all grow to the size of the largest.
    """
    return 1 if method == "nuts" or jax.default_backend() == "cpu" else LANES


@double
def fit(spectrum: Any, emulator: Emulator, settings: Settings, id: str | None) -> FitResult:
    """The result of one star, whose arguments were checked."""
    clock = {"start": time.perf_counter()}
    ready, verdict = prepare(spectrum, emulator, settings, id)
    if verdict.flags.bad:
        return give_up(ready.spectrum, emulator, settings, verdict, clock)
    met = meeting(ready.spectrum, emulator)
    if not met.any():
        verdict.raise_flag(Flag.NO_OVERLAP, _ranges(ready.spectrum, emulator))
        return give_up(ready.spectrum, emulator, settings, verdict, clock)
    emulator = emulator.cut(met)
    start = start_of(ready.spectrum, emulator, ready.pilot, settings, ready.bary)
    verdict.numbers["rv_significance"] = start.significance
    unknown = "rv" in settings.free and "rv" not in settings.fixed
    if unknown and start.significance < diagnose.RV_SIGNIFICANCE:
        verdict.raise_flag(
            Flag.RV_UNCERTAIN, f"The best velocity is better than any other by only {start.significance:.1f} sigma."
        )
    if unknown and start.at_edge:
        verdict.raise_flag(Flag.RV_AT_EDGE)
    try:
        whole, theta, decrement = _maximum(
            ready.spectrum, emulator, ready.pilot, settings, ready.bary, ready.order, start
        )
    except TooSharp as error:
        verdict.raise_flag(Flag.TOO_SHARP, str(error))
        return give_up(ready.spectrum, emulator, settings, verdict, clock, start)
    if whole is None:
        verdict.raise_flag(Flag.NO_OVERLAP, _ranges(ready.spectrum, emulator))
        return give_up(ready.spectrum, emulator, settings, verdict, clock, start)
    taught = None
    if emulator.teacher is not None and np.isfinite(decrement):
        teacher = emulator.teacher.cut(meeting(ready.spectrum, emulator.teacher))
        taught = as_taught(whole, teacher, ready, settings)
        for _ in range(CORRECTIONS):
            whole = corrected(whole, taught, theta)
            theta, decrement = _climb(whole, theta)
    problem = whole
    if settings.jitter and np.isfinite(decrement):
        problem, theta, decrement = _without_outliers(whole, theta, decrement)
        removed = int(whole.plan.used.sum() - problem.plan.used.sum())
        verdict.numbers["n_outliers"] = float(removed)
        if removed:
            verdict.raise_flag(
                Flag.OUTLIERS_REMOVED, f"{removed} of {whole.plan.used.sum()} pixels were left out as outliers."
            )
    clock["map"] = time.perf_counter()
    if not np.isfinite(decrement):
        verdict.raise_flag(Flag.FAILED, "The posterior density or its derivatives are not finite at any start.")
        return give_up(ready.spectrum, emulator, settings, verdict, clock, start)
    verdict.numbers["map_decrement"] = decrement
    if decrement > MAX_DECREMENT:
        verdict.raise_flag(
            Flag.NOT_CONVERGED, f"The optimiser stopped {np.sqrt(decrement):.1f} sigma from where it was heading."
        )
    plain, found = problem, None
    if settings.robust and plain.static.n_mean:  # else nothing is free but the noise
        found = find_misfit(plain, ready.spectrum, emulator, theta)
        problem = with_robust_widths(plain, theta, found.shrink)
        theta, decrement = _climb(problem, theta)  # a prior counts more where the data say less
    draws, stats, covariance = _posterior(problem, theta, settings, ready.spectrum.id, verdict)
    if taught is not None and settings.method != "map":
        shift = teacher_shift(problem, taught, draws)
        verdict.numbers["teacher_shift"] = shift
        if shift > MAX_SHIFT:
            verdict.raise_flag(Flag.TEACHER_DIFFERS, f"The teacher would move the labels by {shift:.1f} sigma (rms).")
    clock["posterior"] = time.perf_counter()
    if "diverging" in stats:
        diagnose.judge_chains(verdict, problem.static.names, draws, stats, MAX_TREE_DEPTH)
    widths = Widths(precision(plain, theta)[0], covariance, photon_covariance(plain, theta), found)
    return finish(ready, emulator, settings, verdict, clock, start, whole, problem, theta, widths, draws, stats)


def meeting(spectrum: Spectrum, emulator: Emulator) -> np.ndarray:
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
        low, high = reach(name, prior)
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
    spectrum: Spectrum,
    emulator: Emulator,
    pilot: list[FloatArray],
    settings: Settings,
    bary: float,
    order: int | None,
    start: Start,
) -> tuple[Problem | None, FloatArray, float]:
    """Posterior maximum in two passes: the second has pilot continuum, pixels and emulator error from the first."""

    def problem_at(velocity: float) -> Problem:
        problem = build(
            spectrum, emulator, velocity=velocity, bary=bary, free=settings.free, fixed=settings.fixed,
            priors=settings.priors, order=order, pilot=pilot, with_jitter=settings.jitter,
            process=settings.robust and order is not None,
        )  # fmt: skip
        rest = padded(spectrum, [arm.wavelength / (1 + velocity / C_KMS) for arm in spectrum.arms], 0.0)
        return without(problem, within(rest, emulator.card.excluded))

    problem = problem_at(start.velocity)
    if not problem.plan.used.any():
        return None, np.zeros(0), 0.0
    guesses = [first_guess(problem, emulator, labels, start.velocity + bary) for labels in start.labels[:STARTS]]
    starts = jnp.stack([from_box(problem.prior, guess) for guess in guesses])
    u, values, _ = optimise(problem.static, problem.arrays, problem.prior, starts, FIRST_STEPS, False, ROUGHLY)
    log.info("optimiser: log posterior of the starts %s", np.round(np.asarray(values), 1))
    best = to_box(problem.prior, u[jnp.argmax(values)])
    if order is not None and np.isfinite(values).any():
        _, ratio, _ = best_continuum(problem, best)
        for a, arm in enumerate(spectrum.arms):
            # a wild continuum means a hopeless model: the pilot moves by no more than a factor of two
            pilot[a] = pilot[a] * np.clip(np.asarray(ratio[a, : arm.flux.size]), 0.5, 2.0)
    names = problem.static.names
    velocity = float(best[names.index("rv")]) - bary if "rv" in names else start.velocity
    problem = problem_at(velocity)
    if settings.emulator_error:
        problem = with_emulator_error(problem, emulator, best)
    theta, decrement = np.asarray(best), np.inf
    for _ in range(PROCESS_ROUNDS):
        problem = with_continuum_process(problem, theta)
        theta, decrement = _climb(problem, theta)
    return problem, theta, decrement


def _climb(problem: Problem, theta: FloatArray | jax.Array) -> tuple[FloatArray, float]:
    """Posterior maximum near `theta`, and the squared distance in sigma that was left at the end."""
    again = from_box(problem.prior, jnp.asarray(theta))[None]
    u, _, decrement = optimise(problem.static, problem.arrays, problem.prior, again, LAST_STEPS, False)
    return np.asarray(to_box(problem.prior, u[0])), float(decrement[0])


def _without_outliers(whole: Problem, theta: FloatArray, decrement: float) -> tuple[Problem, FloatArray, float]:
    """The problem less its outliers, and its maximum: what is left out is looked for again from there."""
    problem = whole
    for _ in range(ROUNDS):
        bad = outliers(problem, theta)
        if not bad.any():
            break
        problem = with_continuum_process(without(problem, bad), theta)
        theta, decrement = _climb(problem, theta)
    return problem, theta, decrement


def first_guess(problem: Problem, emulator: Emulator, labels: FloatArray, rv: float) -> jax.Array:
    """(n,) parameters of a template at the found velocity, with modest broadening and jitter."""
    prior = problem.prior
    middle = np.asarray(0.5 * (prior.lower + prior.upper))
    width = np.asarray(prior.upper - prior.lower)
    values = np.where(np.asarray(prior.precision) > 0, np.asarray(prior.mean), middle)
    for i, name in enumerate(problem.static.names):
        if name in emulator.label_names:
            values[i] = labels[emulator.label_names.index(name)]
        elif name == "rv":
            values[i] = rv
        elif name in ("vsini", "vmac"):
            values[i] = 8.0
        elif name.startswith("excess_"):
            values[i] = 1.0
    return jnp.asarray(np.clip(values, middle - 0.45 * width, middle + 0.45 * width))


def _posterior(
    problem: Problem, theta: FloatArray, settings: Settings, name: str, verdict: diagnose.Verdict
) -> tuple[FloatArray, dict[str, FloatArray], FloatArray]:
    """Draws (chains, draws, n), sampler statistics, covariance with priors."""
    static, arrays, prior = problem.static, problem.arrays, problem.prior
    x = jnp.asarray(theta)
    fisher, bounded = precision(problem, theta)
    covariance = np.asarray(np.linalg.inv(bounded), dtype=np.float64)
    # one root seed, folded with a hash of the name that does not change between runs or machines
    key = jax.random.fold_in(jax.random.key(settings.seed), zlib.crc32(name.encode()) & 0x7FFFFFFF)
    if settings.method == "map":
        return theta[None, None], {}, covariance
    if settings.method == "laplace":
        walls = tuple(np.asarray(v) for v in prior.walls)
        width = np.asarray(prior.upper - prior.lower)
        ridge = fisher + np.asarray(prior.curvature(x)) + np.diag(1e-6 / width**2)
        seed = np.asarray(jax.random.key_data(key)).tolist()
        draws = laplace(ridge, theta, np.asarray(prior.lower), np.asarray(prior.upper), (walls[0], walls[1]), seed)
        return draws, {}, covariance
    table = tabulated(static, arrays, prior, x)
    if settings.method == "fast":
        answer = importance(static, table, prior, theta, covariance, key)
        verdict.numbers |= {"khat": answer.khat, "ess_weights": answer.ess}
        # a result that must not be used already is not worth minutes of HMC
        hopeless = bool(verdict.flags.bad)
        if not answer.reliable:
            verdict.raise_flag(
                Flag.NOT_CONVERGED if hopeless else Flag.SAMPLED_INSTEAD,
                f"Importance sampling: k-hat {answer.khat:.2f}, effective draws {answer.ess:.0f}.",
            )
        if answer.reliable or hopeless:
            return answer.draws.values, answer.draws.stats, covariance
    u, _, _ = optimise(static, arrays, prior, from_box(prior, x)[None], FIRST_STEPS, True)
    draw = chains(static, table, prior, u[0], key, "nuts" if settings.method == "nuts" else "hmc")
    return draw.values, draw.stats, covariance

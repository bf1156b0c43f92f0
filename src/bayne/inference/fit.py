"""`fit_star`: one spectrum in, one posterior out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

import jax
import numpy as np

from ..batching import forget_functions_if_many, run_together
from ..emulators import Emulator
from ..flags import Flag
from ..instrument import Instrument
from ..precision import double
from . import diagnose
from .draws import DEFAULT, Sampler
from .maximum import find_maximum
from .methods import approximation, sample
from .outcome import failed_result, finish
from .prepare import Settings, check_arguments, emulator_for
from .result import FitResult
from .teacher import MAX_SHIFT, distilled_if_costly, teacher_shift

T = TypeVar("T")

#: Fits from several threads wait for each other. LAPACK on batches of matrices waits inside a thread of XLA's pool for
#: others of the pool (jaxlib 0.10): two at a time on two cores wait forever.
_ONE_AT_A_TIME = threading.Lock()

#: Stars that an accelerator has at a time.
LANES = 128


def fit_star(
    spectrum: Any,
    emulator: Emulator | None = None,
    *,
    method: str = "fast",
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
    sampler: Sampler = DEFAULT,
    seed: int = 0,
    id: str | None = None,
) -> FitResult:
    """Posterior of the labels of one star.

    Parameters
    ----------
    spectrum
        `Spectrum`, `specutils.Spectrum` or `specutils.SpectrumList`. Never modified.
    emulator
        From `load_emulator`; None for the one of the package that suits the spectrum's wavelengths and resolution.
    method
        ``"fast"``: importance sampling, or ``"hmc"`` where that cannot be trusted (flag SAMPLED_INSTEAD); networks
        that evaluate every wavelength separately are first distilled for the instrument (`bayne.compile`), once.
        ``"nuts"``: the No-U-Turn sampler, to check an important star. ``"hmc"``: Hamiltonian Monte Carlo with
        quasi-random trajectory lengths. ``"smc"``: sequential Monte Carlo from the prior, for posteriors with several
        modes, with the evidence; slow. ``"laplace"``: a Gaussian at the maximum, truncated to the domain. ``"map"``:
        the maximum, with the Cramér-Rao bound as error.
    instrument
        Profile name or `Instrument`: gives the LSF of arms without one, and the continuum order.
    resolution
        R = λ/FWHM of the spectrum; overrides every other LSF.
    snr
        Signal-to-noise per native pixel, one number or one per arm, for spectra without errors.
    priors
        By label: ``(mean, sd)`` of a Gaussian, or a scalar NumPyro distribution; truncated to the domain. All other
        priors are uniform over the emulator's domain. A prior on ``rv`` also narrows its search range.
    fixed
        Labels fixed at a value, in their units.
    start
        An extra starting point for the search for the maximum: values of labels, and ``rv``, within 50 km/s of which
        the velocity is searched. Not a prior.
    free
        Which of ``rv``, ``vsini`` and ``vmac`` are free; the others are zero in the frame of the file.
    continuum
        Chebyshev order per arm; None for the instrument's default; False to fit no continuum to a normalised
        flux.
    windows
        Wavelength ranges to use, vacuum Å in the frame of the file, pairs or one pair; None for all.
    mask
        Additional bad pixels: one boolean array per arm, True = bad.
    emulator_error
        Include the emulator's own error where its card states one.
    jitter
        Treat the quoted errors as incomplete: fit one extra scatter per arm, and exclude pixels more than 5 robust
        standard deviations from the best model.
    robust
        Add a Gaussian process to the continuum's polynomial, and enlarge the errors by the misfit measured in blocks
        of wavelength: use this for real stars.
    sampler
        Number of draws, chains and warm-up transitions.
    seed
        Root of the random numbers; folded with the spectrum's `id`.
    id
        Replaces the spectrum's `id`.

    Returns
    -------
    FitResult
        Also for spectra that cannot be fitted: then with a BAD flag, NaN and a sentence. Its arms are those of the
        spectrum, cut to the windows of the emulator, each with its own continuum. An arm ``"0"`` that covers the
        first and third window becomes ``"0-1"`` and ``"0-3"``.

    Raises
    ------
    BayneError
        Wrong arguments: unknown labels (with a suggestion), values or priors outside the domain, a spectrum
        without LSF, an unknown method.
    """
    settings = Settings.of(locals())
    emulator = emulator_for(spectrum, settings) if emulator is None else emulator
    check_arguments(settings, emulator)
    emulator = distilled_if_costly(emulator, settings, getattr(spectrum, "instrument", ""))
    with _ONE_AT_A_TIME:
        return fit_checked(spectrum, emulator, settings, id, complete=method != "map")


def fit_concurrently(calls: Iterable[Callable[[], T]], method: str) -> Generator[tuple[int, T], None, None]:
    """Place and result of calls of `fit_checked` as they end, side by side where that pays; taken as there is room."""
    width = stars_at_a_time(method)
    with ThreadPoolExecutor(1) as pool:
        # in another thread than the main one, where each star would show progress of its own
        one_by_one = ((place, pool.submit(call).result()) for place, call in enumerate(calls))
        with closing(run_together(calls, width) if width > 1 else one_by_one) as results:
            while True:
                with _ONE_AT_A_TIME:  # not while the caller has the result, which may fit a star itself
                    following = next(results, None)
                if following is None:
                    return
                yield following


def stars_at_a_time(method: str) -> int:
    """How many stars a device fits side by side.

    A CPU's cores are as busy with one star after the other; trees of NUTS would all grow to the size of the largest.
    """
    return 1 if method == "nuts" or jax.default_backend() == "cpu" else LANES


@double
def fit_checked(
    spectrum: Any, emulator: Emulator, settings: Settings, id: str | None, complete: bool = False
) -> FitResult:
    """The result of one star, whose arguments were checked; see `finish`."""
    if stars_at_a_time(settings.method) == 1:
        forget_functions_if_many()
    found = find_maximum(spectrum, emulator, settings, id)
    problem, verdict = found.problem, found.verdict
    if problem is None:
        return failed_result(found)
    start = approximation(problem, found.theta)
    draws = sample(problem, start, settings.method, settings.sampler, settings.seed, found.ready.spectrum.id, verdict)
    if found.teacher is not None and settings.method != "map":
        shift = teacher_shift(problem, found.teacher, draws.values)
        verdict.numbers["teacher_shift"] = shift
        if shift > MAX_SHIFT:
            verdict.raise_flag(
                Flag.TEACHER_DIFFERS, f"The original emulator would shift the labels by {shift:.1f} sigma (rms)."
            )
    found.clock["posterior"] = time.perf_counter()
    if "diverging" in draws.stats:
        diagnose.judge_chains(verdict, problem.model.names, draws, settings.sampler.max_tree_depth)
    return finish(found, start.covariance, draws, complete)

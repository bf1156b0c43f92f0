"""`compare`: the same stars through several emulators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpyro.distributions as dist
from astropy.table import Table
from numpy.typing import ArrayLike

from ..emulators import Emulator
from ..errors import BayneError
from ..labels import check_known, unit
from ..spectrum import FloatArray
from .batch import BatchResult, attempt, bound_settings, fit_batch, identity
from .classic import failed, least_squares
from .prepare import Settings

#: Median absolute deviation to standard deviation, for a Gaussian.
MAD_TO_SIGMA = 1.4826

#: Name of the classical fit among the answers: that of its emulator, and this.
CLASSICAL = "{} (least squares)"


@dataclass(frozen=True)
class Answers:
    """What one emulator says of s stars and l labels.

    Parameters
    ----------
    value, std
        (s, l) medians of the posterior and its standard deviations; NaN where there are none.
    ok
        (s,) whether a star carries no BAD flag.
    chi2
        (s,) reduced chi-square, with the photons' errors.
    seconds
        (s,) wall time of each star.
    messages
        (s,) what went wrong, in words.
    """

    value: FloatArray
    std: FloatArray
    ok: np.ndarray
    chi2: FloatArray
    seconds: FloatArray
    messages: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Answers of several emulators about the same stars; the first is what the others are compared with.

    Parameters
    ----------
    ids
        (s,) identities of the spectra.
    labels
        (l,) labels and velocities that all emulators have.
    answers
        By name.
    truth
        (s, l), NaN where unknown.
    method
        Of the fits.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    answers: Mapping[str, Answers]
    truth: FloatArray
    method: str

    @property
    def reference(self) -> str:
        """Name of the emulator that the others are compared with."""
        return next(iter(self.answers))

    @property
    def table(self) -> Table:
        """One row per emulator and label, over the stars for which both it and the reference have an answer.

        ``difference`` (median over stars of value minus reference) and its ``scatter`` (1.4826 times the median
        absolute deviation) in ``unit``; ``rms_sigma``, root mean square of the difference in the reference's standard
        deviations; ``std_ratio``, median ratio of standard deviations. Where the truth is known: ``bias`` and
        ``truth_scatter``, the same against it, and ``rms_pull``, root mean square of the error in units of its own
        standard deviation.
        """
        rows = [self._row(name, i) for name in self.answers for i in range(len(self.labels))]
        return Table(rows=rows)

    def _row(self, name: str, i: int) -> dict[str, Any]:
        first, other = (self.answers[key] for key in (self.reference, name))
        value, std, truth = other.value[:, i], other.std[:, i], self.truth[:, i]
        off, error = value - first.value[:, i], value - truth
        return {
            "emulator": name,
            "label": self.labels[i],
            "unit": unit(self.labels[i]),
            "n": int(np.isfinite(off).sum()),
            "difference": _median(off),
            "scatter": _scatter(off),
            "rms_sigma": _rms(off / first.std[:, i]),
            "std_ratio": _median(std / first.std[:, i]),
            "bias": _median(error),
            "truth_scatter": _scatter(error),
            "rms_pull": _rms(error / std),
        }

    @property
    def summary(self) -> Table:
        """One row per emulator: stars with an answer and ``ok`` ones, median chi-square and seconds per star.

        ``rms_pull``: root mean square over all labels and stars of the error in its own standard deviations, where
        the truth is known.
        """
        rows = []
        for name, own in self.answers.items():
            row = {"emulator": name, "stars": int(np.isfinite(own.chi2).sum()), "ok": int(own.ok.sum())}
            row |= {"chi2": _median(own.chi2), "seconds": _median(own.seconds)}
            rows.append(row | {"rms_pull": _rms((own.value - self.truth) / own.std)})
        return Table(rows=rows)


def compare(
    spectra: Sequence[Any],
    emulators: Mapping[str, Emulator],
    *,
    truth: Mapping[str, ArrayLike] | None = None,
    classical: str | None = None,
    method: str = "fast",
    **options: Any,
) -> Comparison:
    """Fit the same stars with several emulators.

    All use the same pixels (where their windows differ, those that all share at zero velocity), the same noise, and the
    same uniform priors (the overlap of their domains, label by label). Labels that only some emulators have are free
    in those.

    Parameters
    ----------
    spectra
        As for `fit_batch`.
    emulators
        By name; differences are relative to the first.
    truth
        (s,) true values by label, where they are known.
    classical
        Name of an emulator that is also fitted in the classical way, by `scipy.optimize.curve_fit` on the normalised
        spectrum: one starting point, errors from photon noise only.
    method, options
        See `fit_batch`.

    Returns
    -------
    Comparison

    Raises
    ------
    BayneError
        Fewer than two answers to compare, no wavelength or no label in common, truth of the wrong length or name; what
        `fit_batch` raises.
    """
    if len(emulators) + (classical is not None) < 2:
        raise BayneError("give two emulators, or one and classical=")
    if classical is not None:
        check_known([classical], emulators, "classical")
    settings = bound_settings(method, options)
    options = dict(options) | _common(emulators, settings)
    settings = bound_settings(method, options)
    reported = [settings.reported(emulator) for emulator in emulators.values()]
    labels = tuple(name for name in reported[0] if all(name in other for other in reported))
    known = {} if truth is None else {name: np.asarray(v, dtype=np.float64) for name, v in truth.items()}
    check_known(known, labels, "truth")
    for name, values in known.items():
        if values.shape != (len(spectra),):
            raise BayneError(
                f"truth of {name}: shape {values.shape}, give one value for each of {len(spectra)} spectra"
            )
    answers = {}
    for name, emulator in emulators.items():
        batch = fit_batch(spectra, emulator, method=method, **options)
        answers[name] = _of_batch(batch, labels)
    if classical is not None:
        answers[CLASSICAL.format(classical)] = _classical(spectra, emulators[classical], settings, labels)
    unknown = np.full(len(spectra), np.nan)
    true = np.stack([known.get(name, unknown) for name in labels], axis=-1)
    return Comparison(batch.ids, labels, answers, true, method)


def _common(emulators: Mapping[str, Emulator], settings: Settings) -> dict[str, Any]:
    """Options that give all fits the same pixels and the same uniform priors; empty where they have them anyway."""
    given: dict[str, Any] = {}
    every = list(emulators.values())
    windows = every[0].windows()
    for other in every[1:]:
        windows = [(max(a, c), min(b, d)) for a, b in windows for c, d in other.windows() if max(a, c) < min(b, d)]
    if not windows:
        raise BayneError("the emulators have no wavelength in common")
    same = all(len(e.windows()) == len(windows) and np.allclose(e.windows(), windows, atol=1.0) for e in every)
    if settings.windows is None and not same:
        given["windows"] = windows
    shared = [name for name in every[0].label_names if all(name in e.label_names for e in every)]
    if not shared:
        raise BayneError("the emulators have no label in common")
    priors = {}
    for name in shared:
        low = [float(e.lower[e.label_names.index(name)]) for e in every]
        high = [float(e.upper[e.label_names.index(name)]) for e in every]
        if max(low) >= min(high):
            raise BayneError(f"the emulators' domains in {name} have nothing in common")
        if np.ptp(low) or np.ptp(high):
            priors[name] = dist.Uniform(max(low), min(high))
    kept = {name: prior for name, prior in priors.items() if name not in settings.fixed}
    return given | {"priors": kept | settings.priors}


def _of_batch(batch: BatchResult, labels: tuple[str, ...]) -> Answers:
    table = batch.table
    value, std = (np.stack([table[f"{name}{end}"] for name in labels], axis=-1) for end in ("", "_std"))
    messages = tuple(str(text) for text in table["message"])
    ok, chi2, seconds = (np.asarray(table[name]) for name in ("ok", "chi2_reduced", "seconds"))
    return Answers(np.asarray(value), np.asarray(std), ok, chi2, seconds, messages)


def _classical(spectra: Sequence[Any], emulator: Emulator, settings: Settings, labels: tuple[str, ...]) -> Answers:
    bare, found = replace(settings, priors={}), []
    for i, spectrum in enumerate(spectra):
        fit = attempt(partial(least_squares, spectrum, emulator, bare), identity(spectrum) or f"spectrum-{i}", False)
        found.append(failed(fit) if isinstance(fit, str) else fit)
    value, std = (np.full((len(found), len(labels)), np.nan) for _ in range(2))
    for star, fit in enumerate(found):
        for i, name in enumerate(labels):
            if name in fit.names:
                value[star, i], std[star, i] = (v[fit.names.index(name)] for v in (fit.value, fit.std))
    return Answers(
        value,
        std,
        np.array([not fit.message for fit in found]),
        np.array([fit.chi2_reduced for fit in found]),
        np.array([fit.seconds for fit in found]),
        tuple(fit.message for fit in found),
    )


def _median(values: FloatArray) -> float:
    good = values[np.isfinite(values)]
    return float(np.median(good)) if good.size else np.nan


def _scatter(values: FloatArray) -> float:
    return MAD_TO_SIGMA * _median(np.abs(values - _median(values)))


def _rms(values: FloatArray) -> float:
    good = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(good**2))) if good.size else np.nan

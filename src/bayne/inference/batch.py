"""`fit_batch`: many spectra of one instrument, one result each, in their order."""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeVar

import numpy as np
from astropy.table import Table
from rich.console import Console
from rich.progress import track

from ..emulators import Emulator
from ..errors import BayneError, did_you_mean
from ..flags import Flag
from ..labels import over_hydrogen, unit
from ..spectrum import Spectrum
from .fit import fit_checked, fit_concurrently, fit_star
from .prepare import Settings, check_arguments
from .result import FitResult
from .teacher import distilled_if_costly

log = logging.getLogger("bayne")

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class BatchResult:
    """Results of many stars.

    Parameters
    ----------
    ids
        (s,) ids of the spectra, in the order given.
    results
        (s,) `FitResult`, or a sentence that says why there is none.
    label_names
        Labels and velocities that have columns in the table.
    """

    ids: tuple[str, ...]
    results: tuple[FitResult | str, ...]
    label_names: tuple[str, ...]

    @property
    def table(self) -> Table:
        """One row per star: ``id``, ``ok``, ``flags``, and for each label its median, ``_std`` and ``_flag``.

        [X/H] follow the labels. ``khat`` shows how far importance sampling can be trusted, ``seconds`` is wall time,
        ``message`` gives the flags in words, with details. Stars without a result have NaN and the flag FAILED.
        """
        names = (*self.label_names, *over_hydrogen(self.label_names))
        rows = [self._row(i, names) for i in range(len(self.ids))]
        table = Table(rows=rows, names=list(rows[0]) if rows else None)
        for name in names if rows else ():
            table[name].unit = table[f"{name}_std"].unit = unit(name)
        return table

    def _row(self, i: int, names: tuple[str, ...]) -> dict[str, Any]:
        result = self.results[i]
        if isinstance(result, str):
            head = {"id": self.ids[i], "ok": False, "flags": int(Flag.FAILED)}
            empty = (("", np.nan), ("_std", np.nan), ("_flag", 0))
            numbers = {f"{n}{end}": value for n in names for end, value in empty}
            return head | numbers | {"khat": np.nan, "chi2_reduced": np.nan, "seconds": 0.0, "message": result}
        rows = {str(row["label"]): row for row in result.table}
        head = {"id": self.ids[i], "ok": result.ok, "flags": int(result.flags)}
        columns = (("", "median"), ("_std", "std"), ("_flag", "flag"))
        numbers = {f"{n}{end}": rows[n][column].item() for n in names for end, column in columns}
        told = {key: result.diagnostics.get(key, np.nan) for key in ("khat", "chi2_reduced", "seconds")}
        return head | numbers | told | {"message": " ".join((*result.flags.sentences(), *result.messages))}


def fit_batch(
    spectra: Sequence[Any], emulator: Emulator, *, method: str = "fast", debug: bool = False, **options: Any
) -> BatchResult:
    """Posteriors of many spectra of one instrument.

    A star's result does not depend on the other stars, bit for bit. A CPU fits one star after the other, exactly as
    `fit_star` does. Accelerators, all that the machine has, fit many at a time: each function runs for all stars that
    need it next, in smaller batches where memory is short, always for the same number of stars; rounding then differs
    from that of `fit_star`. A star that fails, for whatever reason, gets a row that says so and the flag FAILED; the
    others are not affected.

    Parameters
    ----------
    spectra
        `Spectrum` or anything `fit_star` accepts. Spectra of the same shape share compiled functions.
    emulator
        From `load_emulator`.
    method, options
        See `fit_star`; ``id`` and ``mask`` belong to one star and are not accepted here.
    debug
        Raise unexpected errors; by default they are logged with traceback and the star gets a row.

    Returns
    -------
    BatchResult
        In the order of `spectra`.

    Raises
    ------
    BayneError
        Arguments that are wrong for every star, two spectra with the same `id`, or no spectrum at all.
    """
    if not len(spectra):
        raise BayneError("no spectra to fit")
    settings = bound_settings(method, options)
    check_arguments(settings, emulator)
    ids = [identity(spectrum) or f"spectrum-{i}" for i, spectrum in enumerate(spectra)]
    twice = sorted(name for name, count in Counter(ids).items() if count > 1)
    if twice:
        raise BayneError(
            f"ids must be unique, because they seed the random numbers: {', '.join(twice[:5])} come more than once"
        )
    instrument = next((s.instrument for s in spectra if isinstance(s, Spectrum) and s.instrument), "")
    emulator = distilled_if_costly(emulator, settings, instrument)
    calls = (
        partial(attempt, partial(_one, *star, emulator, settings, instrument), star[1], debug)
        for star in zip(spectra, ids, strict=True)
    )
    console = Console(stderr=True)
    hidden = not console.is_terminal
    done = track(
        fit_concurrently(calls, method), "fitting", total=len(ids), console=console, disable=hidden, transient=True
    )
    results = dict(done)
    return BatchResult(tuple(ids), tuple(results[i] for i in range(len(ids))), settings.reported(emulator))


def bound_settings(method: str, options: Mapping[str, Any]) -> Settings:
    """The arguments of `fit_star` that hold for many stars, from those that are given by name.

    Raises
    ------
    BayneError
        An argument is of one star.
    """
    for name in ("id", "mask"):
        if name in options:
            raise BayneError(f"{name} belongs to one star, not to a batch: set it on each Spectrum")
    known = [field.name for field in fields(Settings) if field.name not in ("method", "mask")]
    for name in options:
        if name not in known:
            raise BayneError(f"no option {name!r}. {did_you_mean(name, known)}")
    bound = inspect.signature(fit_star).bind(None, None, method=method, **options)
    bound.apply_defaults()
    return Settings.of(bound.arguments)


def identity(spectrum: Any) -> str:
    """The ``id`` of a `Spectrum`, or that of ``meta`` of a specutils object (a list: of its first); else ""."""
    if isinstance(spectrum, Spectrum):
        return spectrum.id
    first = spectrum[0] if isinstance(spectrum, list) and spectrum else spectrum
    meta = getattr(first, "meta", None) or {}
    return str(meta.get("id") or "").strip()


def attempt(call: Callable[[], T], name: str, debug: bool) -> T | str:
    """What is done for one star, or why it failed, in a sentence: no error of one star may end a survey.

    Parameters
    ----------
    call
        Reads or fits the star.
    name
        Identity of the spectrum, for the log.
    debug
        Raise what is unexpected.
    """
    try:
        return call()
    except BayneError as error:
        return str(error)
    except Exception as error:
        if debug:
            error.add_note(f"at {name!r}")
            raise
        log.exception("%s: unexpected error", name)
        return f"Unexpected error, traceback in the log: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _one(spectrum: Any, name: str, emulator: Emulator, settings: Settings, instrument: str) -> FitResult:
    """Result of one star, which must be of the batch's instrument."""
    own = getattr(spectrum, "instrument", "")
    if own and instrument and own != instrument:
        raise BayneError(
            f"The spectrum is from instrument {own!r}, this batch from {instrument!r}: fit it in a separate batch."
        )
    return fit_checked(spectrum, emulator, settings, name)

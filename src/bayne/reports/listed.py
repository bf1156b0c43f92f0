"""The spectra that a run's page lists, and pages of their own for those whose result was kept."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ..catalog.store import file_name
from ..errors import BayneError
from ..flags import SENTENCES, Flag
from .html import Html, Row, breaking, note, number, table, tip
from .page import report, words_of
from .run import Run

log = logging.getLogger(__name__)

#: Rows of the tables of worst, failed and random spectra.
LISTED = 12

_HEAD = ("spectrum", "Teff (K)", "log g", "[Fe/H]", "S/N", "χ² / pixels", "what to know")


@dataclass(frozen=True)
class Listed:
    """Which rows are listed.

    Parameters
    ----------
    worst, doubtful
        Those with the largest chi-square per pixel that are ok, and that are flagged bad.
    random
        Some that are ok.
    failed
        All without a result.
    """

    worst: list[int]
    doubtful: list[int]
    random: list[int]
    failed: list[int]

    @classmethod
    def of(cls, run: Run, seed: int) -> Listed:
        """The choice of a run; the seed is that of the random stars."""
        chi2 = run.stars.column("chi2_reduced")
        order = np.argsort(-chi2, kind="stable")  # NaN comes last
        order = order[np.isfinite(chi2[order])]
        worst, doubtful = (order[which[order]][:LISTED].tolist() for which in (run.stars.ok, run.doubtful))
        ok = np.flatnonzero(run.stars.ok)
        random = np.sort(np.random.default_rng(seed).choice(ok, min(LISTED, ok.size), replace=False)).tolist()
        return cls(worst, doubtful, random, np.flatnonzero(run.failed).tolist())


def write_star_pages(run: Run, found: Listed, tell: Callable[[float, str], None]) -> None:
    """Write pages of the listed stars that have none, or an older one, where the run keeps spectra.

    What is damaged or cannot be written is told to the log, and has no page.
    """
    if "spectra" not in run.store.kinds:
        return
    names = {_name(run, i): None for i in (*found.worst, *found.doubtful, *found.random)}
    missing = [name for name in names if _outdated(run, name)]
    for done, name in enumerate(missing):
        tell(done / len(missing), name)
        try:
            _page(run, name).parent.mkdir(exist_ok=True)
            report(run.store.kept(name), _page(run, name), overwrite=True)
        except (BayneError, OSError) as error:
            log.warning("no page of %s: %s", name, error)


def _outdated(run: Run, name: str) -> bool:
    page, kept = _page(run, name), run.store.path("spectra", run.store.place(name) // run.store.manifest["block"])
    return not page.is_file() or (kept.is_file() and kept.stat().st_mtime > page.stat().st_mtime)


def listed(run: Run, found: Listed) -> str:
    """Tables of the worst, of random and of failed spectra."""
    worst: list[Row] = []
    for title, own in (("Ok", found.worst), ("Flagged bad", found.doubtful)):
        worst += [title, *_star_rows(run, own)] if own else []
    first = f"The first {LISTED} of {len(found.failed):,}." if len(found.failed) > LISTED else None
    return "\n".join(
        (
            "<h2>Worst fits</h2>",
            note("The largest χ² of photon noise per pixel.") if worst else note("Nothing was fitted."),
            table(_HEAD, worst) if worst else "",
            "<h2>Random spectra</h2>",
            note("Drawn from those that are ok." if found.random else "No spectrum is ok."),
            table(_HEAD, _star_rows(run, found.random)) if found.random else "",
            "<h2>Failed</h2>",
            note(first or f"{len(found.failed)} in all.") if found.failed else note("None."),
            table(("spectrum", "file", "reason"), _file_rows(run, found.failed[:LISTED])) if found.failed else "",
        )
    )


def _star_rows(run: Run, rows: Iterable[int]) -> Iterable[Row]:
    stars = run.stars
    for i in rows:
        bits = sorted((bit for bit in Flag if int(stars.flags[i]) & int(bit)), key=lambda bit: not bit.bad)
        yield [
            ("left", _linked(run, i)),
            *(number(stars.column(name)[i], places) for name, places in (("teff", 0), ("logg", 2), ("fe_h", 2))),
            number(stars.snr[i], 0),
            number(stars.column("chi2_reduced")[i], 2),
            breaking(Html(", ".join(tip(words_of(bit), SENTENCES[bit]) for bit in bits))),
        ]


def _file_rows(run: Run, rows: Iterable[int]) -> Iterable[Row]:
    for i in rows:
        name = _name(run, i)
        file, reason = run.store.catalogue[run.store.place(name)].name, run.store.message(name)
        yield [("left", _linked(run, i)), breaking(file), breaking(reason)]


def _name(run: Run, i: int) -> str:
    return str(run.stars.table["spectrum_id"][i])


def _page(run: Run, name: str) -> Path:
    return run.folder / "pages" / f"{file_name(name)}.html"


def _linked(run: Run, i: int) -> str:
    """The identity, linked to the star's own page where there is one."""
    name = _name(run, i)
    page = _page(run, name)
    if not page.is_file():
        return name
    return Html(f'<a href="{quote(Path(os.path.relpath(page, run.here)).as_posix())}">{escape(name)}</a>')

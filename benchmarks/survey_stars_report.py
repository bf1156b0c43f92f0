"""Tables and figures of `survey_stars.py`."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import bayne
from bayne.calibration import label_discrepancy
from bayne.emulators import Card
from bayne.labels import pretty, unit
from bayne.reports.style import BLUE, GREY, ORANGE, STYLE

#: Labels that are compared, with the decimals of their tables.
LABELS = {"teff": 0, "logg": 2, "fe_h": 2, "rv": 2}

#: Errors that a fit has: what to quote, that without the discrepancy that the emulator's card states, and that of the
#: photons alone. The discrepancy is of the physics: it is the same for two spectra of one star.
ERRORS = {"std": "quoted error", "own": "quoted error without the card's discrepancy", "photon": "error of the photons"}

#: Parts of the stars, each of which tests what the others tune.
FOLDS = 5

#: A survey of no more stars than these has a table of them.
FEW = 25

HEAD = """\
| stars | label | n | bias | scatter | rms | σ | scatter/σ | within 2σ | with error of the known label |
|---|---|---|---|---|---|---|---|---|---|"""

NOTES = """\
Bias is the median of the deviations, scatter 1.4826 times their median distance from it, rms about zero; σ is the
median of the quoted errors, scatter/σ the scatter of the deviations over them. Stars whose known labels lie outside the
domain of the emulator are not counted.
"""

TUNED_NOTES = """\
What has to be added to errors, in quadrature, for them to cover the deviations of the stars that are ok; the second
number is per dex of [Fe/H] below 0. In the table, a star's errors contain what the *other* stars need, so that no star
tests what it helped to tune.
"""

PAIR_NOTES = """\
Deviations are differences between two spectra of one star, and σ is of the difference. Spectra of one star share the
errors of the physics, which is what the card's discrepancy stands for: the quoted error should be too large for
repeats, and the one without it should be right if blocks of wavelength measure noise. LAMOST's own velocities scatter
by some 4 km/s between visits.
"""

Record = dict[str, Any]


class Compared(NamedTuple):
    """(n,) values and their errors, known values and theirs, and whether the fits are ok."""

    value: np.ndarray
    sigma: np.ndarray
    known: np.ndarray
    known_sigma: np.ndarray
    ok: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """(n,) value less the known one."""
        difference: np.ndarray = self.value - self.known
        return difference

    def some(self, which: np.ndarray) -> Compared:
        """Those among the stars."""
        return Compared(*(column[which] for column in self))


def read_records(path: Path) -> list[Record]:
    """Records of a file, without a line that was cut short."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def value_of(record: Record, label: str, error: str) -> tuple[float, float]:
    """A label of a star, and its error of a kind of `ERRORS`."""
    value, std, photon = record["labels"].get(label, [np.nan] * 3)
    return value, {"std": std, "own": record.get("own", {}).get(label, np.nan), "photon": photon}[error]


def as_on_card(record: Record, card: Card) -> Record:
    """A fit whose errors contain the discrepancy that the card states now, instead of what it did when it was made."""
    if not record["labels"]:
        return record
    more = card.discrepancies(record["labels"]["fe_h"][0])
    labels = {
        label: [value, float(np.hypot(value_of(record, label, "own")[1], more.get(label, 0.0))), photon]
        for label, (value, _, photon) in record["labels"].items()
    }
    return record | {"labels": labels, "discrepancy": more}


def compared(records: Sequence[Record], label: str, error: str = "std") -> Compared:
    """Stars for which a label is known and was found, inside the domain."""
    rows = [
        (*value_of(r, label, error), *r["known"][label], r["ok"])
        for r in records
        if r["inside"] and label in r["known"] and np.isfinite(r["labels"].get(label, [np.nan])[0])
    ]
    value, sigma, known, known_sigma, ok = np.array(rows, dtype=float).reshape(-1, 5).T
    return Compared(value, sigma, known, known_sigma, ok.astype(bool))


def pairs(records: Sequence[Record], error: str) -> list[Record]:
    """Two spectra of a star as one record: for the first, the second is what is known; both errors are of the first."""
    found = []
    for one, two in combinations(records, 2):
        if one["group"] == two["group"] and one["labels"] and two["labels"]:
            labels, known = {}, {}
            for label in LABELS:
                (first, sigma), (second, other) = (value_of(each, label, error) for each in (one, two))
                labels[label], known[label] = [first, float(np.hypot(sigma, other)), np.nan], [second, 0.0]
            parts = min(one["parts"], two["parts"])  # the lower S/N: "<" comes before ">"
            ok = one["ok"] and two["ok"]
            found.append({"labels": labels, "known": known, "parts": parts, "ok": ok, "inside": True})
    return found


def tuned(records: Sequence[Record]) -> tuple[dict[str, tuple[float, float]], list[Record]]:
    """Discrepancies by label from all stars, and the stars with errors that contain what others than they need."""
    found, judged = {}, [record | {"labels": dict(record["labels"])} for record in records]
    for label in ("teff", "logg", "fe_h"):
        some = [r for r in judged if r["ok"] and r["inside"] and label in r["known"] and "fe_h" in r["known"]]
        stars = compared(some, label, "own")
        iron = np.array([record["known"]["fe_h"][0] for record in some])
        sigma = np.hypot(stars.sigma, stars.known_sigma)
        # spectra of one star have the same known labels
        _, star = np.unique([str(record["known"]["teff"]) for record in some], return_inverse=True)
        found[label] = label_discrepancy(stars.deviation, sigma, iron, star)
        fold = star % FOLDS
        for k in range(FOLDS):
            rest = fold != k
            base, slope = label_discrepancy(stars.deviation[rest], sigma[rest], iron[rest], star[rest])
            for i in np.flatnonzero(~rest):
                more = np.hypot(base, slope * max(-some[i]["labels"]["fe_h"][0], 0.0))
                some[i]["labels"][label] = [float(stars.value[i]), float(np.hypot(stars.sigma[i], more)), np.nan]
    return found, [record for record in judged if record["ok"] and record["inside"]]


def scatter(values: np.ndarray) -> float:
    """Robust standard deviation: 1.4826 times the median distance from the median."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def row(part: str, label: str, stars: Compared) -> str:
    """A line of a table."""
    if not stars.value.size:
        return ""
    deviation, decimals = stars.deviation, LABELS[label]
    numbers = [scatter(deviation), np.sqrt(np.mean(deviation**2)), np.median(stars.sigma)]
    shares = [np.mean(np.abs(deviation) < 2 * s) for s in (stars.sigma, np.hypot(stars.sigma, stars.known_sigma))]
    cells = [
        *(part, label, str(stars.value.size), f"{np.median(deviation):+.{decimals}f}"),
        *(f"{number:.{decimals}f}" for number in numbers),
        f"{scatter(deviation / stars.sigma):.2f}",
        *(f"{share:.0%}" for share in shares),
    ]
    return f"| {' | '.join(cells)} |"


def table(records: Sequence[Record]) -> list[str]:
    """Lines of a table: all stars and every part, those that are ok and all."""
    lines = [HEAD]
    parts = sorted({part for record in records for part in record["parts"]})
    for part in ["all", *parts]:
        some = [record for record in records if part == "all" or part in record["parts"]]
        for label in LABELS:
            stars = compared(some, label)
            lines.append(row(f"{part}, ok", label, stars.some(stars.ok)))
            if not stars.ok.all():
                lines.append(row(part, label, stars))
    return [line for line in lines if line]


def star_table(records: Sequence[Record]) -> list[str]:
    """Lines of a table with a row for every star, known values in brackets."""
    lines = [f"| star | {' | '.join(pretty(label) for label in LABELS)} | verdict |", "|---" * (len(LABELS) + 2) + "|"]
    for record in records:
        cells = []
        for label, decimals in LABELS.items():
            value, sigma = value_of(record, label, "std")
            known = f" ({record['known'][label][0]:.{decimals}f})" if label in record["known"] else ""
            cells.append(f"{value:.{decimals}f} ± {sigma:.{decimals}f}{known}")
        bad = ", ".join(name for name in record["flags"] if bayne.Flag[name].bad)
        place = "" if record["inside"] else "outside the domain as known; "
        lines.append(f"| {record['name']} | {' | '.join(cells)} | {place}{bad or 'ok'} |")
    return lines


def costs(records: Sequence[Record]) -> str:
    """A sentence on time and memory."""
    seconds, compiling, memory = (np.array([r[key] for r in records]) for key in ("seconds", "compiling", "memory"))
    work, memory = seconds - compiling, memory / 1024
    return (
        f"Time of a star without compilation: median {np.median(work):.2f} s, at most {work.max():.1f} s; the first "
        f"star took {seconds[0]:.1f} s, of which {compiling[0]:.1f} s for compilation or its cache. Peak memory of the "
        f"process: median {np.median(memory):.2f} GB, at most {memory.max():.2f} GB. Machine: {os.cpu_count()} cores, "
        f"{platform.machine()}."
    )


def verdicts(records: Sequence[Record]) -> str:
    """Sentences on flags."""
    outside = [record for record in records if not record["inside"]]
    flags = Counter(name for record in records for name in record["flags"])
    named = ", ".join(f"{name} {count}" for name, count in flags.most_common())
    return (
        f"{sum(record['ok'] for record in records)} of {len(records)} are ok. {len(outside)} are known to lie outside "
        f"the domain, of which {sum(not record['ok'] for record in outside)} are flagged as bad. Flags: {named}."
    )


def report(survey: str, folder: Path) -> None:
    """Write the tables and the figure of a survey from its file, and print the tables.

    Errors are those that fits with the card of the package would have: a new discrepancy needs no new fits.
    """
    records = read_records(folder / f"{survey}.jsonl")
    if not records:
        return
    cards = {name: bayne.load_emulator(name).card for name in {record["emulator"][0] for record in records}}
    records = [as_on_card(record, cards[record["emulator"][0]]) for record in records]
    versions = ", ".join(f"{name} {version(name)}" for name in ("bayne", "jax"))
    emulators = ", ".join(sorted({" ".join(record["emulator"]) for record in records}))
    lines = [f"# {survey}", "", f"{date.today()}; {versions}; emulator {emulators}.", ""]
    lines += [verdicts(records), "", costs(records), ""]
    if len(records) <= FEW:
        lines += [*star_table(records), ""]
    if any(record["group"] for record in records):
        lines += [PAIR_NOTES]
        for error, words in ERRORS.items():
            lines += [f"With the {words}:", "", *table(pairs(records, error)), ""]
        records = pairs(records, "std")
    else:
        lines += [NOTES, *table(records), ""]
        found, judged = tuned(records)
        values = (f"{label} {base:.3g}, {slope:.3g} per dex" for label, (base, slope) in found.items())
        lines += [TUNED_NOTES, f"{'; '.join(values)}.", "", *table(judged), ""]
    for record in records:
        if record.get("compared"):
            numbers = ", ".join(f"{key} {value:.4f}" for key, value in record["compared"].items())
            lines.append(f"- {record['name']}: {numbers}")
    text = "\n".join(lines).rstrip() + "\n"
    (folder / f"{survey}.md").write_text(text, encoding="utf-8")
    print(text)
    draw(records, folder / f"{survey}.png")


def draw(records: Sequence[Record], path: Path) -> None:
    """Measured against known, and the deviations in units of both errors."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, len(LABELS), figsize=(3.4 * len(LABELS), 6), layout="constrained")
        for label, (top, bottom) in zip(LABELS, axes.T, strict=True):
            stars = compared(records, label)
            for ok, marker, colour, words in ((True, "o", BLUE, "ok"), (False, "x", ORANGE, "flagged as bad")):
                some = stars.some(stars.ok == ok)
                pull = some.deviation / np.hypot(some.sigma, some.known_sigma)
                style: dict[str, Any] = {"fmt": marker, "color": colour, "ms": 3.5, "elinewidth": 0.5, "label": words}
                top.errorbar(some.known, some.value, some.sigma, some.known_sigma, **style)
                bottom.plot(some.known, np.clip(pull, -8, 8), marker, color=colour, ms=3.5)
            if stars.value.size:
                ends = [stars.known.min(), stars.known.max()]
                top.plot(ends, ends, color=GREY, lw=0.8)
            for level in (-2, 0, 2):
                bottom.axhline(level, color=GREY, lw=0.8, ls="--" if level else "-")
            bottom.set_ylim(-8.4, 8.4)
            name = f"{pretty(label)} ({unit(label)})" if unit(label) else pretty(label)
            top.set_title(name)
            bottom.set_xlabel("known")
        axes[0, 0].set_ylabel("measured")
        axes[1, 0].set_ylabel("deviation over its error")
        axes[0, 0].legend()
        figure.savefig(path, dpi=130)
        plt.close(figure)

"""One self-contained HTML page about several emulators on the same stars."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ..labels import pretty
from .html import Row, header, note, number, picture, table, write
from .style import BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, RED, SKY, STYLE

if TYPE_CHECKING:
    from ..inference.compare import Comparison

COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)

#: Differences beyond this many sigma are drawn at the edge of their panel.
SHOWN = 6.0


def comparison_page(comparison: Comparison, path: str | Path, overwrite: bool = False) -> Path:
    """Write a page about a comparison: summary, differences per label, numbers.

    Parameters
    ----------
    comparison
        From `compare`.
    path
        File to write, by rename.
    overwrite
        Replace the file if it is there.

    Raises
    ------
    FileExistsError
        The file is there and `overwrite` is False.
    FileNotFoundError
        The folder does not exist.
    """
    title = ", ".join(comparison.answers)
    return write(path, f"{title}: comparison", (part(comparison) for part in (_header, _differences)), overwrite)


def comparison_figure(comparison: Comparison) -> Figure:
    """Difference of every star from the reference, and from the truth where it is known, in sigma, label by label.

    Against the reference in the reference's standard deviations, against the truth in the answer's own. Bars: the
    middle 68% of the stars.
    """
    answers, first = comparison.answers, comparison.answers[comparison.reference]
    against = [(f"against {comparison.reference}", {k: v for k, v in answers.items() if v is not first})]
    if np.isfinite(comparison.truth).any():
        against.append(("against the truth", dict(answers)))
    colour = dict(zip(answers, COLOURS * len(answers), strict=False))
    count = len(comparison.labels)
    with rc_context(STYLE):
        figure = Figure(figsize=(max(0.36 * count + 1.6, 7.0), 2.9 * len(against) + 0.5), layout="constrained")
        panels = figure.subplots(len(against), 1, squeeze=False, sharex=True)[:, 0]
        for axes, (title, shown) in zip(panels, against, strict=True):
            axes.axhspan(-1, 1, color=PALE, alpha=0.3, lw=0)
            axes.axhline(0, color=GREY, lw=0.7)
            for k, (name, own) in enumerate(shown.items()):
                off = own.value - comparison.truth if title.endswith("truth") else own.value - first.value
                sigma = off / (own.std if title.endswith("truth") else first.std)
                x = np.arange(count) + 0.7 * ((k + 0.5) / len(shown) - 0.5)
                for place, column in zip(x, sigma.T, strict=True):
                    good = column[np.isfinite(column)]
                    if good.size:
                        axes.plot(
                            np.full(good.size, place),
                            np.clip(good, -SHOWN, SHOWN),
                            ".",
                            ms=3,
                            color=colour[name],
                            alpha=0.4,
                        )
                        low, middle, high = np.clip(np.percentile(good, [16, 50, 84]), -SHOWN, SHOWN)
                        axes.plot([place, place], [low, high], color=colour[name], lw=1.6)
                        axes.plot(place, middle, "_", ms=7, mew=1.8, color=colour[name])
                axes.plot([], [], color=colour[name], lw=1.6, label=name)
            axes.set_ylim(-SHOWN - 0.3, SHOWN + 0.3)
            axes.set_ylabel("difference (σ)")
            axes.set_title(title, loc="left")
            axes.legend(loc="upper right", ncols=len(shown), bbox_to_anchor=(1, 1.14), borderaxespad=0)
        panels[-1].set_xlim(-0.7, count - 0.3)
        panels[-1].set_xticks(
            range(count), [pretty(name) for name in comparison.labels], rotation=60, ha="right", rotation_mode="anchor"
        )
    return figure


def _header(comparison: Comparison) -> str:
    rows = (
        [("left", row["emulator"]), row["stars"], row["ok"]]
        + [number(row[name], digits) for name, digits in (("chi2", 2), ("seconds", 1), ("rms_pull", 2))]
        for row in comparison.summary
    )
    head = ["", "stars", "ok", "chi²", "s per star", "rms pull"]
    return "\n".join(
        (
            header(", ".join(comparison.answers), {}),
            note(
                f"{len(comparison.ids)} stars, method {comparison.method}. chi²: median over the stars, per degree of "
                "freedom, with the errors of the photons. Rms pull: root mean square of (value − truth) / its standard "
                "deviation over all labels and stars, 1 for honest errors; empty where the truth is not known."
            ),
            table(head, rows),
        )
    )


def _differences(comparison: Comparison) -> str:
    return "\n".join(
        (
            "<h2>Differences</h2>",
            note(
                "Dots: stars; bars: the middle 68% of them, with the median; grey: one sigma. Upper panel: value minus "
                "that of the reference, in the reference's standard deviations; lower panel, where the truth is known: "
                "value minus truth, in its own. "
                f"Beyond {SHOWN:g} sigma dots lie on the edge."
            ),
            picture(comparison_figure(comparison), "Differences of all stars by label, in sigma"),
            "<h2>Numbers</h2>",
            note(
                "Difference: median of value minus the reference's; scatter: 1.4826 times the median absolute "
                "deviation; rms: in the reference's standard deviations; ratio: of standard deviations, median. Bias, "
                "scatter and pull: the same against the truth, the pull in the answer's own standard deviations."
            ),
            table(
                ["", "stars", "difference", "scatter", "rms (σ)", "ratio of σ", "bias", "scatter", "rms pull"],
                _rows(comparison),
            ),
        )
    )


def _rows(comparison: Comparison) -> Iterable[Row]:
    found, known = comparison.table, np.isfinite(comparison.truth).any()
    for label in comparison.labels:
        own = found[found["label"] == label]
        yield f"{pretty(label)} ({own['unit'][0]})" if own["unit"][0] else pretty(label)
        digits = 1 if label == "teff" else 3
        for row in own if known else own[own["emulator"] != comparison.reference]:
            columns = (("difference", digits), ("scatter", digits), ("rms_sigma", 2), ("std_ratio", 2))
            truth = (("bias", digits), ("truth_scatter", digits), ("rms_pull", 2))
            cells = [number(row[name], places) for name, places in (*columns, *truth)]
            yield [("left", row["emulator"]), row["n"], *cells]

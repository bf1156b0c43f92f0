"""Pictures of what an emulator's wavelengths answer to: derivatives, gradients and attention over named lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..labels import pretty
from ..synthesis.lines import Line, lines_between
from .style import BLUE, GREEN, GREY, INK, ORANGE, PALE, RED, STYLE

if TYPE_CHECKING:
    from ..training.attention import LineMap
    from ..training.derivatives import StarDerivatives
    from ..training.evaluate import Evaluation

#: Half the width of a close-up on a line, Å.
HALF = 0.9

#: A correlation that calls a derivative right, and the least distance from 1 that is drawn.
GOOD, LEAST = 0.99, 1e-4

COLUMNS = 6


def correlation_figure(evaluation: Evaluation) -> Figure:
    """Correlation of every derivative with the physical one, per star."""
    stars, labels = evaluation.derivatives, evaluation.card.labels
    with rc_context(STYLE):
        figure = Figure(figsize=(max(5.0, 0.36 * len(labels) + 1.2), 3.3))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.75 / figure.get_figwidth(), right=0.99, top=0.9, bottom=0.24)
        axes.set_yscale("log")
        axes.axhline(1 - GOOD, color=GREY, lw=0.9, ls="--")
        for k, (star, colour) in enumerate(zip(stars, (BLUE, ORANGE, GREEN, RED) * len(stars), strict=False)):
            x = np.arange(len(labels)) + 0.18 * (k - 0.5 * (len(stars) - 1))
            far, can = np.maximum(1 - star.correlation, LEAST), star.measurable
            axes.plot(x[can], far[can], "o", color=colour, ms=6, mew=0, label=star.name)
            axes.plot(x[~can], far[~can], "o", mfc="none", mec=colour, ms=5.5)
        axes.set_xticks(range(len(labels)), [pretty(name) for name in labels], rotation=60, ha="right")
        axes.set_xlim(-0.7, len(labels) - 0.3)
        axes.set_ylim(1.5, LEAST)
        ticks = [1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001]
        axes.set_yticks(ticks, [f"{1 - value:g}" for value in ticks], minor=False)
        axes.set_yticks([], minor=True)
        axes.grid(axis="y", color="#e6e6e6", lw=0.6)
        axes.set_axisbelow(True)
        axes.set_ylabel("correlation")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, handletextpad=0.1)
    return figure


def derivative_figure(evaluation: Evaluation, star: StarDerivatives) -> Figure:
    """Physical and emulated derivative by every label around the pixel where the physical one is strongest."""
    labels = evaluation.card.labels
    with rc_context(STYLE):
        figure, panels = _grid(len(labels), 1.45)
        limit = 1.35
        for i, name in enumerate(labels):
            axes, centre = panels[i], evaluation.wavelength[np.argmax(np.abs(star.physical[i]))]
            near = np.abs(evaluation.wavelength - centre) <= HALF
            wave, top = evaluation.wavelength[near], np.abs(star.physical[i]).max() or 1.0
            axes.axhline(0, color=PALE, lw=0.6)
            axes.plot(wave - centre, star.physical[i, near] / top, color=INK, lw=1.3)
            axes.plot(wave - centre, star.emulated[i, near] / top, color=RED, lw=1.0)
            mark = "" if star.measurable[i] else " (not measurable)"
            axes.set_title(f"{pretty(name)}, {centre:.1f} Å{mark}", fontsize=8.5, pad=3)
            limit = max(limit, min(1.1 * float(np.abs(star.emulated[i, near]).max()) / top, 2.5))
        axes.set_ylim(-limit, limit)
        figure.legend(
            handles=[Line2D([], [], color=INK, label="physical"), Line2D([], [], color=RED, label="emulator")],
            loc="upper left",
            ncols=2,
            bbox_to_anchor=(0.0, 1.0),
        )
    return figure


def named_lines(evaluation: Evaluation) -> dict[str, Line]:
    """For every element that is tested, that line of the table at which the flux answers most to it."""
    gradients, found = evaluation.maps[0], {}
    for element in dict.fromkeys(test.element for test in evaluation.line_tests):
        if element in gradients.names:
            value = gradients.values[gradients.names.index(element)]
            lines = [
                line
                for low, high in _windows(evaluation)
                for line in lines_between(low, high)
                if line.species.split()[0] == element
            ]
            found[element] = max(lines, key=lambda line: value[_near(evaluation, line, 0.2)].max(initial=-1.0))
    return dict(sorted(found.items(), key=lambda pair: pair[1].wavelength))


def profile_figure(evaluation: Evaluation) -> Figure:
    """Each element's gradient, and the attention to its token, around one of its lines."""
    lines = named_lines(evaluation)
    styles = {"gradient": (BLUE, "|gradient|"), "attention": (ORANGE, "attention")}
    with rc_context(STYLE):
        figure, panels = _grid(len(lines), 1.45)
        for axes, (element, line) in zip(panels, lines.items(), strict=False):
            near = _near(evaluation, line, HALF)
            wave = evaluation.wavelength[near] - line.wavelength
            for other in lines_between(line.wavelength - HALF, line.wavelength + HALF):
                own = other.species.split()[0] == element
                axes.axvline(
                    other.wavelength - line.wavelength, color=GREY if own else PALE, lw=0.8, ls="-" if own else ":"
                )
            for line_map in evaluation.maps:
                if element in line_map.names:
                    value = line_map.values[line_map.names.index(element)][line_map.cell[near]]
                    axes.plot(wave, value / (value.max() or 1.0), color=styles[line_map.kind][0], lw=1.2,
                              drawstyle="steps-mid" if line_map.kind == "attention" else "default")  # fmt: skip
            axes.set_ylim(0, 1.15)
            axes.set_title(f"{line.species} {line.wavelength:.2f}", fontsize=8.5, pad=3)
        figure.legend(
            handles=[Line2D([], [], color=colour, label=words) for colour, words in
                     (styles[line_map.kind] for line_map in evaluation.maps)],
            loc="upper left",
            ncols=2,
            bbox_to_anchor=(0.0, 1.0),
        )  # fmt: skip
    return figure


def matrix_figure(evaluation: Evaluation, line_map: LineMap) -> Figure:
    """Which label or token (row) each named line (column) answers to.

    Gradients in units of the largest in each column, attention in units of the token's mean.
    """
    lines = named_lines(evaluation)
    own = [name for name in lines if name in line_map.names]
    # tokens have no unit: all are shown; gradients by kelvin and by dex cannot share a column
    gradient = line_map.kind == "gradient"
    rows = own if gradient else [*own, *(name for name in line_map.names if name not in own)]
    value = np.array([line_map.values[line_map.names.index(name)] for name in rows])
    table = np.stack([value[:, line_map.cell[_near(evaluation, line, 0.2)]].max(axis=1) for line in lines.values()], 1)
    table = table / np.maximum(table.max(axis=0) if gradient else value.mean(axis=1, keepdims=True), 1e-30)
    with rc_context(STYLE):
        figure = Figure(figsize=(0.36 * len(lines) + 2.2, 0.26 * len(rows) + 1.5))
        axes = figure.subplots()
        shown = axes.imshow(table, cmap="Blues", vmin=0 if gradient else 1, aspect="auto")
        axes.set_xticks(
            range(len(lines)),
            [f"{line.species} {line.wavelength:.1f}" for line in lines.values()],
            rotation=60,
            ha="right",
        )
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xticks(np.arange(len(lines)) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(rows)) - 0.5, minor=True)
        axes.grid(which="minor", color="#eeeeee", lw=0.5)
        axes.tick_params(which="minor", length=0)
        figure.colorbar(shown, ax=axes, fraction=0.03, pad=0.02)
        figure.tight_layout()
    return figure


def _grid(count: int, height: float) -> tuple[Figure, np.ndarray]:
    """A figure of small panels that share their axes; unused panels are hidden."""
    rows = max(1, -(-count // COLUMNS))
    figure = Figure(figsize=(13.0, height * rows + 0.65))
    total = figure.get_figheight()
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True, sharey=True)
    figure.subplots_adjust(
        left=0.035, right=0.99, top=1 - 0.45 / total, bottom=0.4 / total, wspace=0.07, hspace=0.08 + 0.22 / height
    )
    for axes in panels.ravel()[count:]:
        axes.set_visible(False)
    figure.supxlabel("distance in vacuum wavelength (Å)", fontsize=9, y=0.0)
    return figure, panels.ravel()


def _windows(evaluation: Evaluation) -> list[tuple[float, float]]:
    return [
        (float(own[0]), float(own[-1]))
        for own in (evaluation.wavelength[evaluation.segment == k] for k in np.unique(evaluation.segment))
    ]


def _near(evaluation: Evaluation, line: Line, distance: float) -> np.ndarray:
    return np.abs(evaluation.wavelength - line.wavelength) <= distance

"""Figures and a page of Cramér-Rao bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ..information import Bounds, Sweep
from ..labels import pretty
from ..spectrum import FloatArray
from .html import Row, header, note, number, picture, table, write
from .style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, SKY, STYLE

COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, INK, GREY)

#: Per arm wavelengths (p,) (vacuum Å), and a number (n, p) per parameter and pixel.
Pixels = tuple[Sequence[FloatArray], Sequence[FloatArray]]

#: Bounds that people ask about (dex).
LEVELS = (0.1, 0.3)


def _abundances(bounds: Bounds) -> list[str]:
    """Abundances of the emulator, those with the least bound first."""
    names = [name for name in bounds.labels if name.endswith(("_fe", "fe_h")) and name in bounds.names]
    return sorted(names, key=lambda name: bounds.std[bounds.names.index(name)])


def bounds_figure(found: Mapping[str, Bounds]) -> Figure:
    """Bound of every abundance, sorted by those of the first, with 0.1 and 0.3 dex; open marks at the top: none."""
    first = next(iter(found.values()))
    names = _abundances(first)
    with rc_context(STYLE):
        figure = Figure(figsize=(max(0.34 * len(names) + 1.2, 6.5), 3.6), layout="constrained")
        axes = figure.subplots()
        _logarithmic(axes)
        finite = [b.std[b.names.index(n)] for b in found.values() for n in names if n in b.names]
        top = 1.4 * max([x for x in finite if np.isfinite(x)] + [max(LEVELS)])
        for (title, own), colour in zip(found.items(), COLOURS, strict=False):
            std = np.array([own.std[own.names.index(n)] if n in own.names else np.nan for n in names])
            known = np.isfinite(std)
            x = np.arange(len(names))
            axes.plot(x[known], std[known], "o", color=colour, ms=5, label=title)
            axes.plot(x[np.isinf(std)], np.full(np.isinf(std).sum(), top), "^", mfc="none", mec=colour, ms=5)
        _levels(axes)
        axes.set_ylim(None, 1.15 * top)
        axes.set_xlim(-0.7, len(names) - 0.3)
        axes.set_xticks(range(len(names)), [pretty(n) for n in names], rotation=60, ha="right", rotation_mode="anchor")
        axes.set_ylabel("bound (dex)")
        if len(found) > 1:
            axes.legend(loc="upper left", ncols=len(found))
    return figure


def _logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _levels(axes: Axes) -> None:
    for level in LEVELS:
        axes.axhline(level, color=PALE, lw=0.9, ls="--", zorder=0)


def pixels_figure(waves: Sequence[FloatArray], values: Sequence[FloatArray], names: Sequence[str], what: str) -> Figure:
    """A number per pixel for some labels, by arm.

    Parameters
    ----------
    waves, values
        Per arm (p,) wavelengths and (k, p) numbers of k labels.
    names
        (k,) labels.
    what
        Title of the vertical axis.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(max(2.6 * len(waves), 7.0), 0.85 * len(names) + 0.8), layout="constrained")
        panels = figure.subplots(len(names), len(waves), squeeze=False, sharex="col", sharey="row")
        for row, name in enumerate(names):
            for column, (wave, value) in enumerate(zip(waves, values, strict=True)):
                axes = panels[row, column]
                axes.fill_between(wave, value[row], color=BLUE, lw=0.6, step="mid")
                axes.axhline(0, color=PALE, lw=0.5)
                axes.margins(x=0.01)
                for side in ("top", "right"):
                    axes.spines[side].set_visible(False)
            panels[row, 0].set_ylabel(pretty(name), rotation=0, ha="right", va="center")
        figure.supxlabel("vacuum wavelength (Å)", fontsize=9)
        figure.supylabel(what, fontsize=9)
    return figure


def sweep_figure(swept: Sweep) -> Figure:
    """Bounds of all abundances against what was swept over; labels stand at their lines' ends."""
    names = _abundances(swept.bounds[-1])
    with rc_context(STYLE):
        figure = Figure(figsize=(7.4, 4.8), layout="constrained")
        axes = figure.subplots()
        _logarithmic(axes)
        if swept.over == "window":
            x = np.arange(len(swept.values), dtype=float)
            axes.set_xticks(x, [f"{low:.0f}-{high:.0f}" for low, high in swept.values])
            axes.set_xlabel("window (vacuum Å)")
        else:
            x = np.array(swept.values, dtype=float) / (1 if swept.over == "snr" else 1000)
            axes.set_xscale("log")
            axes.set_xticks(x, [f"{v:g}" for v in x], minor=False)
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("S/N" if swept.over == "snr" else "R = λ/FWHM (thousands)")
        ends = []
        for k, name in enumerate(names):
            std = np.where(np.isfinite(swept.of(name)), swept.of(name), np.nan)
            line = "none" if swept.over == "window" else "-"
            axes.plot(x, std, color=COLOURS[k % len(COLOURS)], lw=1.0, ls=line, marker="o", ms=2.5)
            if np.isfinite(std).any():
                last = np.flatnonzero(np.isfinite(std))[-1]
                ends.append((float(np.log(std[last])), name, COLOURS[k % len(COLOURS)]))
        _levels(axes)
        low, high = np.log(axes.get_ylim())
        places = _apart([end for end, _, _ in ends], (high - low) / 34)
        for place, (end, name, colour) in zip(places, ends, strict=True):
            axes.annotate(
                pretty(name), (1.0, np.exp(end)), (1.05, np.exp(place)), xycoords=("axes fraction", "data"),
                textcoords=("axes fraction", "data"), color=colour, fontsize=7.5, va="center",
                arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.4, "shrinkA": 1, "shrinkB": 0},
            )  # fmt: skip
        axes.set_ylabel("bound (dex)")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure


def _apart(places: Sequence[float], least: float) -> list[float]:
    """Places moved so that neighbours are at least so far apart, in the same order."""
    order = np.argsort(places)
    moved = np.array(places, dtype=float)[order]
    for _ in range(200):
        gap = np.diff(moved)
        push = np.maximum(least - gap, 0) / 2
        if not push.any():
            break
        moved[:-1] -= push
        moved[1:] += push
    out = np.empty_like(moved)
    out[order] = moved
    return list(out)


def bounds_page(
    found: Mapping[str, Bounds],
    path: str | Path,
    *,
    title: str,
    information: Pixels | None = None,
    gradients: Pixels | None = None,
    swept: Sweep | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a page about bounds.

    Parameters
    ----------
    found
        Bounds by name, such as that of an emulator; numbers are those of the first.
    path
        File to write, by rename.
    title
        Star, instrument and S/N in words.
    information
        What `Exposure.information` gives for the first.
    gradients
        What `Exposure.gradients` gives for the first.
    swept
        A sweep to draw.
    overwrite
        Replace the file if it is there.
    """
    first = next(iter(found.values()))

    def body() -> Iterable[str]:
        yield header(title, {})
        yield note(
            "No unbiased estimate from this spectrum has a smaller error than these bounds. They are joint ones: every "
            "label, the velocities, the continuum and the emulator's error are unknown at once. Dashed: 0.1 and "
            "0.3 dex; open triangles: not constrained."
        )
        yield picture(bounds_figure(found), "Bound of every abundance")
        if swept is not None:
            yield f"<h2>Against {'S/N' if swept.over == 'snr' else swept.over}</h2>"
            yield picture(sweep_figure(swept), "Bounds of all abundances against what was changed", "natural")
        best = ["teff", "logg", *_abundances(first)[:8]]
        shown = [name for name in best if name in first.names]
        rows = [first.names.index(name) for name in shown]
        if information is not None:
            yield "<h2>Where the information is</h2>"
            yield note("Each pixel's share of the information on a label, when all other unknowns follow it.")
            waves, shares = information
            percent = [100 * share[rows] for share in shares]
            figure = pixels_figure(waves, percent, shown, "share of the information (% per pixel)")
            yield picture(figure, "Share of each pixel in the information, by label and arm")
        if gradients is not None:
            yield "<h2>How the spectrum changes</h2>"
            yield note("Change of the normalised flux for +100 K, or +0.1 in other labels, all others as they are.")
            waves, slopes = gradients
            steps = np.array([100.0 if name == "teff" else 0.1 for name in shown])[:, None]
            figure = pixels_figure(waves, [100 * steps * slope[rows] for slope in slopes], shown, "change of flux (%)")
            yield picture(figure, "Gradient of the spectrum, by label and arm")
        yield "<h2>Numbers</h2>"
        loose = [" ".join(f"{w:+.2f} {pretty(n)}" for n, w in c.items()) for c in first.unconstrained()]
        yield note(
            "With priors: a Bayesian bound at this star, the inverse of the information of data and priors together, "
            "uniform priors counted as Gaussians of their standard deviation. Loss: by "
            f"how much not knowing a nuisance widens the bound. Condition number: {first.condition:.1e}. "
            + (f"Not constrained, in units of the domain: {'; '.join(loose)}." if loose else "All is constrained.")
        )
        losses = list(first.losses)
        yield table(["", "value", "bound", "with priors", "prior", *(f"loss: {n} (%)" for n in losses)], _rows(first))

    return write(path, title, body(), overwrite)


def _rows(bounds: Bounds) -> Iterable[Row]:
    for row in bounds.table:
        digits = 1 if row["unit"] == "K" else 3
        cells = [
            ("left", pretty(row["label"]) + (f" ({row['unit']})" if row["unit"] else "")),
            number(row["value"], digits),
            "none" if np.isinf(row["bound"]) else number(row["bound"], digits),
            number(row["with_prior"], digits),
            number(row["prior_std"], digits),
        ]
        losses = (row[f"loss_{name.replace(' ', '_')}"] for name in bounds.losses)
        yield [*cells, *(number(100 * loss, 1) for loss in losses)]

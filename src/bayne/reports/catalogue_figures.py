"""Pictures of the stars of a run: Kiel diagram, abundance planes, errors against S/N, pulls between visits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy.table import Table
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from ..flags import Flag
from ..labels import over_hydrogen, pretty, unit
from ..spectrum import FloatArray
from .style import BLUE, GREY, INK, ORANGE, PALE, STYLE

#: Stars that a panel shows at most; beyond, a random part of them.
MOST = 20_000

#: Bins of S/N with equal numbers of stars, and how many stars each needs.
BINS, LEAST = 12, 8

#: Pulls beyond this are counted in the last bins.
SHOWN = 5.0

COLUMNS = 6


@dataclass(frozen=True)
class Stars:
    """Rows of a run, and what the page asks of them.

    Parameters
    ----------
    table
        See `bayne.catalog`: one row per spectrum.
    """

    table: Table

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str) -> FloatArray:
        """(n,) numbers; NaN where the table has no such column."""
        if name not in self.table.colnames:
            return np.full(len(self), np.nan)
        return np.ma.filled(np.ma.asarray(self.table[name], dtype=np.float64), np.nan)

    @cached_property
    def ok(self) -> np.ndarray:
        """(n,) whether the numbers may be used as they are."""
        return np.asarray(self.table["ok"], dtype=bool)

    @cached_property
    def flags(self) -> np.ndarray:
        """(n,) bits of `Flag`."""
        warn, bad = (np.asarray(self.table[name], dtype=np.int64) for name in ("flag_warn", "flag_bad"))
        return warn | bad << 32

    def flagged(self, bit: Flag) -> np.ndarray:
        """(n,) whether this bit is set."""
        return (self.flags & int(bit)) != 0

    @cached_property
    def labels(self) -> list[str]:
        """Labels with a value and an error; [X/H] that follow from others are left out."""
        every = [name for name in self.table.colnames if f"{name}_std" in self.table.colnames]
        return [name for name in every if name not in over_hydrogen(every)]

    @cached_property
    def snr(self) -> FloatArray:
        """(n,) S/N per native pixel, median over the arms; NaN where it is unknown."""
        arms = [self.column(name) for name in self.table.colnames if name.startswith("snr_")]
        every = np.stack([*arms, np.full(len(self), np.nan)])
        known = np.isfinite(every).any(axis=0)
        found = np.full(len(self), np.nan)
        found[known] = np.nanmedian(every[:, known], axis=0)
        return found

    def limit(self, name: str) -> FloatArray:
        """(n,) 95% upper limits; NaN of stars whose label is measured."""
        return self.column(f"{name}_upper_95")

    def told(self, name: str) -> np.ndarray:
        """(n,) whether the data say more of this label than its prior."""
        flag = np.nan_to_num(self.column(f"{name}_flag")).astype(np.int64)
        return (flag & int(Flag.PRIOR_DOMINATED)) == 0

    def some(self, which: np.ndarray) -> np.ndarray:
        """Indices of these stars, a random part of them where they are too many to draw."""
        index = np.flatnonzero(which)
        if index.size > MOST:
            index = np.sort(np.random.default_rng(0).choice(index, MOST, replace=False))
        return index


def _size(count: int) -> float:
    return float(np.clip(90.0 / np.sqrt(max(count, 1)), 1.3, 5.0))


def kiel_figure(stars: Stars) -> Figure | None:
    """Teff against log g of stars that are ok, coloured by [Fe/H]; None where there are none."""
    teff, logg, iron = (stars.column(name) for name in ("teff", "logg", "fe_h"))
    index = stars.some(stars.ok & np.isfinite(teff) & np.isfinite(logg))
    if not index.size:
        return None
    known = np.isfinite(iron[index])
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 5.2), layout="constrained")
        axes = figure.subplots()
        size = (1.4 * _size(index.size)) ** 2
        axes.scatter(teff[index][~known], logg[index][~known], s=size, color=GREY, lw=0)
        if known.any():
            index = index[known]
            low, high = np.percentile(iron[index], [1, 99])
            ends = {"vmin": low, "vmax": max(high, low + 0.1)}
            shown = axes.scatter(teff[index], logg[index], c=iron[index], s=size, lw=0, cmap="viridis", **ends)
            figure.colorbar(shown, ax=axes, pad=0.01, fraction=0.05, label="[Fe/H] (dex)")
        axes.set_xlabel("Teff (K)")
        axes.set_ylabel("log g (dex cgs)")
        axes.invert_xaxis()
        axes.invert_yaxis()
        axes.grid(color="#eeeeee", lw=0.6)
        axes.set_axisbelow(True)
    return figure


def planes_figure(stars: Stars) -> Figure | None:
    """[X/Fe] against [Fe/H] of stars that are ok, one panel per element; None where there are none."""
    iron = stars.column("fe_h")
    usable = stars.ok & np.isfinite(iron)
    names = [n for n in stars.labels if n.endswith("_fe") and (usable & np.isfinite(stars.column(n))).any()]
    if not names:
        return None
    with rc_context(STYLE):
        figure, panels = _panels(len(names), 1.75)
        low, high = _limits(iron[usable])
        for axes, name in zip(panels, names, strict=False):
            value, limit = stars.column(name), stars.limit(name)
            measured = usable & np.isfinite(value) & ~np.isfinite(limit)
            below = stars.some(usable & np.isfinite(limit))
            axes.plot(iron[below], limit[below], "v", color=PALE, ms=2.8, mew=0)
            vague, told = stars.some(measured & ~stars.told(name)), stars.some(measured & stars.told(name))
            axes.plot(iron[vague], value[vague], "o", color=PALE, ms=_size(vague.size + 200) * 0.6, mew=0)
            axes.plot(iron[told], value[told], "o", color=BLUE, ms=_size(told.size) * 0.7, mew=0, alpha=0.6)
            axes.axhline(0, color=GREY, lw=0.5, zorder=0)
            axes.set_xlim(low, high)
            shown = np.r_[value[told], value[vague], limit[below]]
            bottom, top = _limits(shown)
            axes.set_ylim(bottom, top + 0.2 * (top - bottom))
            axes.text(0.04, 0.95, pretty(name), transform=axes.transAxes, va="top", fontsize=9, weight="bold")
            _typical(axes, stars, name, told)
            axes.locator_params(axis="y", nbins=4)
            axes.locator_params(axis="x", nbins=4)
        figure.supxlabel("[Fe/H] (dex)", fontsize=9, y=0.0)
        figure.supylabel("[X/Fe] (dex)", fontsize=9, x=0.0)
    return figure


def _typical(axes: Axes, stars: Stars, name: str, index: np.ndarray) -> None:
    """The median errors as a cross in the upper right corner."""
    if not index.size:
        return
    x, y = (float(np.nanmedian(stars.column(f"{n}_std")[index])) for n in ("fe_h", name))
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    at = right - max(0.08 * (right - left), x), top - max(0.12 * (top - bottom), y)
    axes.errorbar(*at, xerr=x, yerr=y, color=INK, lw=1.1)


def errors_figure(stars: Stars) -> Figure | None:
    """Posterior errors and Cramér-Rao bounds against S/N, one panel per label; None where no star has an S/N."""
    usable = stars.ok & (stars.snr > 0)
    names = [n for n in stars.labels if (usable & (stars.column(f"{n}_std") > 0)).any()]
    if not names:
        return None
    with rc_context(STYLE):
        figure, panels = _panels(len(names), 1.75)
        for axes, name in zip(panels, names, strict=False):
            std, bound = stars.column(f"{name}_std"), stars.column(f"{name}_bound")
            std_of, bound_of = (usable & (x > 0) & np.isfinite(x) for x in (std, bound))
            axes.set_xscale("log")
            axes.set_yscale("log")
            for value, use, colour, line in ((std, std_of, BLUE, "-"), (bound, bound_of, ORANGE, "--")):
                index, middle = stars.some(use), _medians(stars.snr[use], value[use])
                if not middle[0] or colour == BLUE:
                    axes.plot(
                        *(stars.snr[index], value[index]),
                        "o",
                        color=colour,
                        ms=_size(index.size),
                        mew=0,
                        alpha=0.15 if middle[0] else 0.7,
                    )
                axes.plot(*middle, line, color=colour, lw=1.8)
            both = np.r_[std[std_of], bound[bound_of]]
            low, high = np.percentile(both, [0.5, 99.5])
            axes.set_ylim(0.8 * low, 1.25 * high * (high / low) ** 0.15)
            _plain_log(axes)
            title = f"{pretty(name)} ({unit(name)})" if unit(name) else pretty(name)
            axes.text(0.96, 0.95, title, transform=axes.transAxes, va="top", ha="right", fontsize=8.5, weight="bold")
        figure.legend(
            handles=[
                Line2D([], [], color=BLUE, marker="o", ms=4, mew=0, label="posterior error"),
                Line2D([], [], color=ORANGE, ls="--", marker="o", ms=4, mew=0, label="Cramér-Rao bound"),
            ],
            loc="upper left",
            ncols=2,
            bbox_to_anchor=(0.03, 1.0),
        )
        figure.supxlabel("S/N per pixel, median of the arms", fontsize=9, y=0.0)
        figure.supylabel("1 σ", fontsize=9, x=0.0)
    return figure


def _medians(x: FloatArray, y: FloatArray) -> tuple[list[float], list[float]]:
    """Medians in bins of x that hold equally many."""
    bins = min(BINS, x.size // LEAST)
    if bins < 2:
        return [], []
    parts = np.array_split(np.argsort(x), bins)
    return [float(np.median(x[part])) for part in parts], [float(np.median(y[part])) for part in parts]


def _plain_log(axes: Axes) -> None:
    """Numbers as people write them, three or four of them on either axis."""
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        for subs in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
            ticks = [t for t in LogLocator(subs=subs, numticks=99).tick_values(low, high) if low <= t <= high]
            if len(ticks) <= 4:
                break
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())


def visits_figure(pulls: Mapping[str, FloatArray]) -> Figure:
    """Histogram of the pulls between visits of each label, with the unit Gaussian that honest errors give."""
    edges = np.linspace(-SHOWN, SHOWN, 41)
    fine = np.linspace(-SHOWN, SHOWN, 201)
    with rc_context(STYLE):
        figure, panels = _panels(len(pulls), 1.35)
        for axes, (name, values) in zip(panels, pulls.items(), strict=False):
            height = np.histogram(np.clip(values, -SHOWN, SHOWN), edges)[0] / (values.size * (edges[1] - edges[0]))
            axes.stairs(height, edges, color=BLUE, fill=True, alpha=0.35)
            axes.plot(fine, np.exp(-0.5 * fine**2) / np.sqrt(2 * np.pi), color=ORANGE, lw=1.3)
            axes.set_xlim(-SHOWN, SHOWN)
            axes.set_ylim(0, 1.15 * max(0.4, float(height.max())))
            axes.set_yticks([])
            axes.set_xticks([-4, -2, 0, 2, 4])
            axes.text(0.04, 0.93, pretty(name), transform=axes.transAxes, va="top", fontsize=8.5, weight="bold")
        figure.legend(
            handles=[
                Line2D([], [], color=BLUE, lw=5, alpha=0.35, label="pulls"),
                Line2D([], [], color=ORANGE, label="unit Gaussian"),
            ],
            loc="upper left",
            ncols=2,
            bbox_to_anchor=(0.03, 1.0),
        )
        figure.supxlabel("difference between visits / its error", fontsize=9, y=0.0)
    return figure


def _limits(values: FloatArray) -> tuple[float, float]:
    """The bulk, with a margin."""
    low, high = np.percentile(values[np.isfinite(values)], [0.5, 99.5])
    pad = 0.08 * (high - low) + 0.05
    return float(low - pad), float(high + pad)


def _panels(count: int, height: float) -> tuple[Figure, Sequence[Axes]]:
    """A figure of small panels; unused ones are hidden."""
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    width = 13.0 if columns == COLUMNS else 2.1 * columns + 0.7
    figure = Figure(figsize=(width, height * rows + 0.75))
    total = figure.get_figheight()
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(
        left=0.7 / width, right=1 - 0.1 / width, top=1 - 0.35 / total, bottom=0.45 / total, wspace=0.3, hspace=0.28
    )
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, list(panels)

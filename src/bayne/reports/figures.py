"""Pictures of the posterior: corner, traces, cross-correlation, errors against bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import corner
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from scipy.stats import rankdata

from ..labels import VELOCITIES, pretty, unit
from ..spectrum import FloatArray
from .style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, SKY, STYLE

if TYPE_CHECKING:
    from astropy.table import Row, Table

    from ..inference.result import FitResult

#: Labels of the corner plot: stellar parameters and velocities; others join while there are fewer than `CORNER_LEAST`.
MAIN = ("teff", "logg", "fe_h", "vmic", *VELOCITIES)
CORNER_LEAST, CORNER_MOST = 5, 8

#: Fewest draws that make contours.
MIN_DRAWS = 50

#: Probability inside 1 and 2 sigma of a two-dimensional Gaussian.
LEVELS = (0.3935, 0.8647)


def moving(result: FitResult) -> list[str]:
    """Sampled labels whose draws are finite and differ from each other."""
    names = [name for name in result.label_names if name in result.names]
    return [name for name in names if np.isfinite(result.draws(name)).all() and np.ptp(result.draws(name)) > 0]


def corner_names(result: FitResult) -> list[str]:
    """Labels that the corner plot shows."""
    able = moving(result)
    main = [name for name in MAIN if name in able]
    others = [name for name in able if name not in main]
    return (main + others[: max(0, CORNER_LEAST - len(main))])[:CORNER_MOST]


def corner_figure(result: FitResult) -> Figure | None:
    """Posterior draws with the Cramér-Rao ellipse on top; None where there is no posterior to draw."""
    names = corner_names(result)
    if len(names) < 2 or result.draws(names[0]).size < MIN_DRAWS:
        return None
    draws = np.stack([result.draws(name).ravel() for name in names], axis=1)
    index = [result.names.index(name) for name in names]
    centre, bound = result.map[index], result.fisher_covariance[np.ix_(index, index)]
    sigma = np.sqrt(np.diag(bound))
    limits = [_limits(draws[:, i], centre[i], sigma[i]) for i in range(len(names))]
    with rc_context(STYLE | {"axes.labelsize": 9.5, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5}):
        side = 1.55 * len(names) + 0.9
        figure = Figure(figsize=(side, side))
        corner.corner(
            draws,
            fig=figure,
            range=limits,
            labels=[_with_unit(name) for name in names],
            levels=LEVELS,
            bins=30,
            smooth=1.0,
            color=BLUE,
            plot_datapoints=len(draws) < 5000,
            data_kwargs={"ms": 1.5, "alpha": 0.25},
            max_n_ticks=3,
            hist_kwargs={"density": True, "lw": 1.1},
        )
        panels = np.array(figure.axes).reshape(len(names), len(names))
        for i in range(len(names)):
            _draw_bound(panels, i, centre, bound)
            median, low, high = np.quantile(draws[:, i], [0.5, 0.158655, 0.841345])
            panels[i, i].set_title(f"{pretty(names[i])}\n{_numbers(median, low, high)}", fontsize=8.5)
        figure.subplots_adjust(left=0.95 / side, bottom=0.8 / side, top=1 - 0.45 / side, right=1 - 0.15 / side)
        figure.legend(
            handles=[
                Line2D([], [], color=BLUE, lw=1.5, label="posterior: 1 and 2 σ"),
                Line2D([], [], color=RED, lw=1.5, label="Cramér-Rao bound with the priors, 1 σ, about the maximum"),
            ],
            loc="upper right",
            bbox_to_anchor=(0.985, 0.985),
        )
    return figure


def _draw_bound(panels: np.ndarray, i: int, centre: FloatArray, bound: FloatArray) -> None:
    if not np.isfinite(bound[i, i]) or bound[i, i] <= 0:
        return
    sd = np.sqrt(bound[i, i])
    x = np.linspace(centre[i] - 4 * sd, centre[i] + 4 * sd, 200)
    density = np.exp(-0.5 * ((x - centre[i]) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    limits = panels[i, i].get_xlim()
    panels[i, i].plot(x, density, color=RED, lw=1.1)
    panels[i, i].set_xlim(limits)
    panels[i, i].set_ylim(0, 1.08 * max(panels[i, i].get_ylim()[1], float(density.max())))
    for j in range(i):
        pair = bound[np.ix_([j, i], [j, i])]
        if np.isfinite(pair).all():
            ellipse = centre[[j, i]][:, None] + _root(pair) @ _circle()
            panels[i, j].plot(*ellipse, color=RED, lw=1.2)
            panels[i, j].plot(centre[j], centre[i], "+", color=RED, ms=5)


def _circle() -> FloatArray:
    angle = np.linspace(0, 2 * np.pi, 181)
    return np.stack([np.cos(angle), np.sin(angle)])


def _root(covariance: FloatArray) -> FloatArray:
    value, vector = np.linalg.eigh(covariance)
    return np.asarray(vector * np.sqrt(np.clip(value, 0, None)), dtype=np.float64)


def _limits(draws: FloatArray, centre: float, sigma: float) -> tuple[float, float]:
    # The draws and the ellipse, unless a loose bound would shrink the draws to a dot.
    low, high = np.quantile(draws, [0.0015, 0.9985])
    width = high - low
    if np.isfinite(sigma) and np.isfinite(centre):
        low = max(min(low, centre - 1.3 * sigma), low - width)
        high = min(max(high, centre + 1.3 * sigma), high + width)
    return float(low - 0.03 * width), float(high + 0.03 * width)


def _with_unit(name: str) -> str:
    return f"{pretty(name)} ({unit(name)})" if unit(name) else pretty(name)


def decimals(sd: float) -> int:
    """Decimals that show two digits of an error; 3 where it is zero or unknown."""
    return int(np.clip(1 - np.floor(np.log10(sd)), 0, 6)) if np.isfinite(sd) and sd > 0 else 3


def _numbers(median: float, low: float, high: float) -> str:
    n = decimals(min(median - low, high - median))
    return f"${median:.{n}f}^{{+{high - median:.{n}f}}}_{{-{median - low:.{n}f}}}$"


def trace_figure(result: FitResult) -> Figure | None:
    """Draws in order and ranks of the draws, one colour per chain; None unless a sampler made them."""
    names = moving(result)
    if not result.has_chains or not names:
        return None
    stats = getattr(result.drawn, "sample_stats", {})
    diverging = np.asarray(stats["diverging"].values, bool) if "diverging" in stats else np.zeros((1, 1), bool)
    colours = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, INK, GREY)
    with rc_context(STYLE):
        height = 0.85 * len(names) + 0.7
        figure = Figure(figsize=(12.0, height))
        panels = figure.subplots(len(names), 2, squeeze=False, gridspec_kw={"width_ratios": (3, 1)})
        figure.subplots_adjust(
            left=0.1, right=0.99, top=1 - 0.3 / height, bottom=0.45 / height, wspace=0.05, hspace=0.14
        )
        for (trace, ranks), name in zip(panels, names, strict=True):
            draws = result.draws(name)
            rank = rankdata(draws).reshape(draws.shape) / draws.size
            for chain, values in enumerate(draws):
                colour = colours[chain % len(colours)]
                trace.plot(values, color=colour, lw=0.45, alpha=0.85)
                height_of, edges = np.histogram(rank[chain], bins=20, range=(0, 1))
                ranks.stairs(height_of * 20 / draws.shape[1], edges, color=colour, lw=1.0)
            for when in np.flatnonzero(diverging.any(axis=0)):
                trace.axvline(when, ymax=0.1, color=INK, lw=0.8)
            trace.set_xlim(0, draws.shape[1] - 1)
            trace.set_ylabel(_with_unit(name).replace(" (", "\n("), rotation=0, ha="right", va="center")
            trace.locator_params(axis="y", nbins=3)
            ranks.axhline(1.0, color=GREY, lw=0.8, ls="--")
            ranks.set_xlim(0, 1)
            ranks.set_ylim(0, None)
            ranks.set_yticks([])
            for axes in (trace, ranks):
                axes.tick_params(labelbottom=name == names[-1])
        panels[0, 0].set_title("draws, one colour per chain" + ("; ticks: divergences" if diverging.any() else ""))
        panels[0, 1].set_title("ranks: flat where chains agree")
        panels[-1, 0].set_xlabel("draw")
        panels[-1, 1].set_xlabel("rank of the draw among all")
    return figure


def ccf_figure(result: FitResult, velocity: float) -> Figure | None:
    """Cross-correlation that started the fit, with its peak and the velocity found; None where there is none."""
    finite = np.isfinite(result.ccf)
    if not finite.any():
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(6.2, 3.0))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.11, right=0.98, bottom=0.16, top=0.96)
        axes.plot(result.ccf_velocity, result.ccf, color=INK, lw=1.0)
        peak = float(result.ccf_velocity[finite][np.argmax(result.ccf[finite])])
        axes.axvline(peak, color=GREY, lw=1.0, ls=":", label=f"highest peak: {peak:.1f} km/s")
        if np.isfinite(velocity):
            axes.axvline(velocity, color=RED, lw=1.1, label=f"fitted: {velocity:.2f} km/s")
        axes.set_xlim(result.ccf_velocity[0], result.ccf_velocity[-1])
        axes.set_xlabel("velocity in the frame of the file (km/s)")
        axes.set_ylabel("cross-correlation")
        axes.legend(loc="upper right", frameon=True, framealpha=0.85, edgecolor="none")
    return figure


def influence_figure(result: FitResult) -> Figure | None:
    """By how many of its errors each block of wavelength moves the main labels; None where that is not known."""
    index = [
        i for name in MAIN[:3] if name in result.names and (i := result.names.index(name)) < result.influence.shape[1]
    ]
    if not index or not len(result.blocks):
        return None
    sigma = np.sqrt(np.diag(result.fisher_covariance))
    arms = np.unique(result.blocks[:, 0])
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 1.5 * len(index) + 0.8), constrained_layout=True)
        panels = figure.subplots(len(index), len(arms), sharey="row", squeeze=False)
        for axes, arm in zip(panels[0], arms, strict=True):
            axes.set_title(result.arms[int(arm)].name, fontsize=9)
        for row, i in zip(panels, index, strict=True):
            for axes, arm in zip(row, arms, strict=True):
                own = result.blocks[:, 0] == arm
                place, height = result.blocks[own, 1], result.influence[own, i] / sigma[i]
                width = 0.85 * float(np.median(np.diff(place))) if place.size > 1 else 1.0
                axes.axhline(0.0, color=GREY, lw=0.8)
                axes.bar(place, height, width, color=np.where(np.abs(height) > 1, RED, BLUE))
            row[0].set_ylabel(f"{pretty(result.names[i])} (σ)")
        figure.supxlabel("wavelength, vacuum, in the frame of the file (Å)", fontsize=9)
    return figure


def bounds_figure(table: Table) -> Figure | None:
    """Posterior error, Cramér-Rao bound and prior width of every sampled label; None where nothing is known.

    Parameters
    ----------
    table
        Rows of `FitResult.table` for sampled labels.
    """
    rows = [r for r in table if np.isfinite(r["crb"]) or (np.isfinite(r["std"]) and r["std"] > 0)]
    units = [u for u in ("K", "dex", "km/s", "") if any(r["unit"] == u for r in rows)]
    if not rows:
        return None
    counts = [sum(r["unit"] == u for r in rows) for u in units]
    margin = 0.72  # inches left of every panel, for its tick labels
    slot = min(0.42, (12.0 - margin * len(units)) / (sum(counts) + 0.5 * len(units)))
    widths = [slot * (n + 0.5) for n in counts]
    with rc_context(STYLE):
        width, height = max(sum(widths) + margin * len(units) + 0.1, 4.2), 3.7
        figure = Figure(figsize=(width, height))
        left = np.cumsum([margin, *(w + margin for w in widths[:-1])])
        panels = [figure.add_axes((x / width, 0.24, w / width, 0.64)) for x, w in zip(left, widths, strict=True)]
        for axes, which in zip(panels, units, strict=True):
            _compare(axes, [r for r in rows if r["unit"] == which])
            axes.set_ylabel(f"1 σ ({which})" if which else "1 σ", labelpad=1)
        figure.legend(
            handles=[
                Line2D([], [], ls="none", marker="o", mfc=BLUE, mew=0, ms=6, label="posterior"),
                Line2D([], [], ls="none", marker="D", mfc=ORANGE, mew=0, ms=6, label="Cramér-Rao bound"),
                Line2D([], [], ls="none", marker="_", mec=GREY, mew=1.5, ms=10, label="prior"),
            ],
            loc="upper left",
            ncols=3,
            bbox_to_anchor=(0.4 / width, 1.0),
            columnspacing=1.2,
            handletextpad=0.2,
        )
    return figure


def _compare(axes: Axes, rows: list[Row]) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    for x, row in enumerate(rows):
        std, bound, prior = float(row["std"]), float(row["crb"]), float(row["prior_std"])
        if np.isfinite(std) and std > 0 and np.isfinite(bound):
            axes.plot([x, x], [std, bound], color=PALE, lw=2.5, zorder=1, solid_capstyle="butt")
        axes.plot(x, prior if np.isfinite(prior) else np.nan, "_", color=GREY, ms=11, mew=1.5)
        axes.plot(x, bound if np.isfinite(bound) else np.nan, "D", color=ORANGE, ms=5, mew=0)
        axes.plot(x, std if std > 0 else np.nan, "o", color=BLUE, ms=5.5, mew=0)
    axes.set_xticks(range(len(rows)), [pretty(str(row["label"])) for row in rows], rotation=60, ha="right")
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.grid(axis="y", color="#e6e6e6", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)

"""Spectrum, model and residuals of every arm, in rows wide enough to see lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from ..spectrum import FloatArray
from ..synthesis.lines import Line, lines_between
from .style import BLUE, FAINT, GREY, INK, ORANGE, PALE, RED, STYLE

if TYPE_CHECKING:
    from ..inference.result import ArmFit

#: A row shows about this many pixels, but no less and no more Å than `ROW_SPAN`; coarse spectra get wider
#: rows, so that they fill them with at least `MIN_PIXELS`.
PIXELS, ROW_SPAN, MIN_PIXELS = 1000, (60.0, 100.0), 400

#: Rows of one page; beyond, rows become wider, and then the arms with the fewest used pixels are left out.
MAX_ROWS = 60

#: Lines less deep than this in the model are not marked.
MIN_DEPTH = 0.04

WIDTH = 13.0  # of the figures, inches
LEFT, RIGHT = 0.65, 0.15
MARKS, FLUX, RESIDUAL, TICKS, GAP = 0.6, 1.5, 0.62, 0.22, 0.16  # heights of the parts of a row, inches
LABEL_STEP = 0.125  # least distance between the names of two lines, inches


@dataclass(frozen=True)
class Plan:
    """What of a spectrum is drawn.

    Parameters
    ----------
    rows
        For every arm that is drawn, its index among the arms and the (low, high) wavelengths of its rows, Å.
    left_out
        Sentences about what is not drawn.
    """

    rows: tuple[tuple[int, tuple[tuple[float, float], ...]], ...]
    left_out: tuple[str, ...]


def plan_rows(arms: Sequence[ArmFit], max_rows: int = MAX_ROWS) -> Plan:
    """Split arms into rows: only what has used pixels, or everything where no pixel was used."""
    fitted = any(arm.used.any() for arm in arms)
    chosen = [i for i, arm in enumerate(arms) if arm.used.any() or not fitted]
    left_out = []
    if len(chosen) < len(arms):
        left_out.append(f"{_arms(len(arms) - len(chosen))} without used pixels {_are(len(arms) - len(chosen))}")
    if len(chosen) > max_rows:
        ranked = sorted(chosen, key=lambda i: -int(arms[i].used.sum()))
        left_out.append(f"{_arms(len(chosen) - max_rows)} with the fewest used pixels {_are(len(chosen) - max_rows)}")
        chosen = sorted(ranked[:max_rows])
    widen = 1.0
    while True:
        rows = [(i, _rows(arms[i], widen, fitted)) for i in chosen]
        if sum(len(r) for _, r in rows) <= max_rows:
            break
        widen *= 1.2
    drawn = sum(high - low for _, r in rows for low, high in r)
    full = sum(float(arms[i].wavelength[-1] - arms[i].wavelength[0]) for i in chosen)
    if full - drawn > 1.0:
        left_out.append(f"{full - drawn:.0f} Å without used pixels are not shown.")
    return Plan(tuple(rows), tuple(left_out))


def _arms(n: int) -> str:
    return f"{n} arm" if n == 1 else f"{n} arms"


def _are(n: int) -> str:
    return "is not shown." if n == 1 else "are not shown."


def _rows(arm: ArmFit, widen: float, fitted: bool) -> tuple[tuple[float, float], ...]:
    wave = arm.wavelength
    step = float(np.median(np.diff(wave)))
    span = widen * max(float(np.clip(PIXELS * step, *ROW_SPAN)), MIN_PIXELS * step)
    edges = np.linspace(wave[0], wave[-1], max(1, round(float(wave[-1] - wave[0]) / span)) + 1)
    return tuple(
        (float(low), float(high))
        for low, high in pairwise(edges)
        if not fitted or arm.used[(wave >= low) & (wave <= high)].any()
    )


def spectrum_figures(arms: Sequence[ArmFit], velocity: float, plan: Plan) -> Iterator[tuple[ArmFit, Iterator[Figure]]]:
    """Every arm of the plan with its rows, each a figure that is made when it is asked for.

    Parameters
    ----------
    arms
        Of the result.
    velocity
        Of the star in the frame of the file, km/s: where the line marks go.
    plan
        From `plan_rows`.
    """
    for index, rows in plan.rows:
        yield arms[index], _row_figures(arms[index], rows, velocity)


def _row_figures(arm: ArmFit, rows: Sequence[tuple[float, float]], velocity: float) -> Iterator[Figure]:
    scale, fitted = continuum_of(arm)
    with np.errstate(invalid="ignore", divide="ignore"):
        flux, model = arm.flux / scale, arm.model / scale
        residual = np.where(arm.used, (arm.flux - arm.model) / arm.total_sigma, np.nan)
    flux_limits, sigma_limit = _flux_limits(flux, model, arm.used), _residual_limit(residual)
    for low, high in rows:
        inside = (arm.wavelength >= low - 1.0) & (arm.wavelength <= high + 1.0)
        wave, used = arm.wavelength[inside], arm.used[inside]
        lines = [line for line in lines_between(low, high, velocity) if _is_deep(line, wave, model[inside])]
        last = high == rows[-1][1]
        marks, ticks = (MARKS if lines else GAP), TICKS + (GAP if last else 0.0)
        with rc_context(STYLE):
            figure = Figure(figsize=(WIDTH, marks + FLUX + RESIDUAL + ticks))
            upper = _axes(figure, ticks + RESIDUAL, FLUX, (low, high))
            lower = _axes(figure, ticks, RESIDUAL, (low, high))
            _grey_out(upper, wave, used)
            _grey_out(lower, wave, used)
            upper.plot(wave, np.where(used, np.nan, flux[inside]), drawstyle="steps-mid", color=PALE, lw=0.6)
            upper.plot(wave, np.where(used, flux[inside], np.nan), drawstyle="steps-mid", color=INK, lw=0.7)
            upper.plot(wave, model[inside], color=RED, lw=1.0, alpha=0.9)
            upper.set_ylim(*flux_limits)
            upper.tick_params(labelbottom=False)
            upper.set_ylabel("flux / continuum" if fitted else "flux / median")
            _draw_residuals(lower, wave, residual[inside], sigma_limit)
            _mark_lines(upper, lines, (low, high))
            if last:
                lower.set_xlabel("vacuum wavelength (Å)", labelpad=1)
        yield figure


def _axes(figure: Figure, bottom: float, height: float, limits: tuple[float, float]) -> Axes:
    total = figure.get_figheight()
    axes = figure.add_axes((LEFT / WIDTH, bottom / total, 1.0 - (LEFT + RIGHT) / WIDTH, height / total))
    axes.set_xlim(*limits)
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.tick_params(direction="in", top=True, right=True)
    return axes


def _grey_out(axes: Axes, wave: FloatArray, used: np.ndarray) -> None:
    if used.all():
        return
    axes.fill_between(
        wave, 0, 1, where=~used, step="mid", color=FAINT, lw=0, zorder=0, transform=axes.get_xaxis_transform()
    )


def _draw_residuals(axes: Axes, wave: FloatArray, residual: FloatArray, limit: float) -> None:
    for level in (-3, 3):
        axes.axhline(level, color=GREY, lw=0.5, ls=(0, (4, 3)), zorder=1)
    axes.axhline(0, color=RED, lw=0.8, zorder=3)
    axes.plot(wave, residual, drawstyle="steps-mid", color="#555555", lw=0.6, zorder=2)
    with np.errstate(invalid="ignore"):
        for sign, marker in ((1, "^"), (-1, "v")):
            beyond = sign * residual > limit
            axes.plot(wave[beyond], np.full(beyond.sum(), sign * limit * 0.9), marker, color=BLUE, ms=3.5, mew=0)
    axes.set_ylim(-limit, limit)
    axes.set_yticks([-3, 0, 3] if limit < 7 else [-round(limit / 2), 0, round(limit / 2)])
    axes.set_ylabel("Δ / σ")


def continuum_of(arm: ArmFit) -> tuple[FloatArray, bool]:
    """What the flux is divided by for drawing, and whether that is the fitted continuum.

    The fitted continuum, continued over pixels where it is unknown; the median flux where nothing was fitted.
    """
    known = np.isfinite(arm.continuum) & (arm.continuum > 0)
    if known.any():
        return np.interp(arm.wavelength, arm.wavelength[known], arm.continuum[known]), True
    good = np.isfinite(arm.flux) & np.isfinite(arm.sigma)
    middle = float(np.median(arm.flux[good])) if good.any() else 1.0
    return np.full(arm.flux.shape, middle if middle > 0 else 1.0), False


def _flux_limits(flux: FloatArray, model: FloatArray, used: np.ndarray) -> tuple[float, float]:
    shown = flux[used & np.isfinite(flux)] if used.any() else flux[np.isfinite(flux)]
    if shown.size == 0:
        return 0.0, 1.2
    low, high = np.percentile(shown, [0.1, 99.8])
    if np.isfinite(model).any():
        low, high = min(low, float(np.nanmin(model))), max(high, float(np.nanmax(model)))
    pad = 0.06 * (high - low) + 1e-6
    return float(low - pad), float(high + pad)


def _residual_limit(residual: FloatArray) -> float:
    size = np.abs(residual[np.isfinite(residual)])
    return float(np.clip(1.1 * np.percentile(size, 99.7), 5.0, 20.0)) if size.size else 5.0


def _is_deep(line: Line, wave: FloatArray, model: FloatArray) -> bool:
    # Where nothing was fitted, nothing says that the line is absent: it stays.
    near = np.abs(wave - line.wavelength) < max(0.15, 1.5 * float(np.median(np.diff(wave))))
    depth = 1.0 - model[near]
    return not np.isfinite(depth).any() or bool(np.nanmax(depth) > MIN_DEPTH)


def _mark_lines(axes: Axes, lines: Sequence[Line], limits: tuple[float, float]) -> None:
    """Names above the panel, moved apart just enough to be read, with a tick at the wavelength itself."""
    if not lines:
        return
    inches = WIDTH - LEFT - RIGHT
    where = np.array([(line.wavelength - limits[0]) / (limits[1] - limits[0]) for line in lines])
    room = int(inches / LABEL_STEP) - 1
    if len(lines) > room:
        keep = np.unique(np.linspace(0, len(lines) - 1, room).astype(int))
        lines, where = [lines[i] for i in keep], where[keep]
    place = spread(where * inches, LABEL_STEP, inches) / inches
    data = axes.get_xaxis_transform()
    for line, moved in zip(lines, place, strict=True):
        x = limits[0] + moved * (limits[1] - limits[0])
        colour = ORANGE if line.kind == "band" else BLUE
        axes.plot(
            [line.wavelength, line.wavelength], [0, 1], color=colour, lw=0.5, alpha=0.35, zorder=0.5, transform=data
        )
        axes.plot(
            [line.wavelength, line.wavelength, x, x],
            [1.0, 1.02, 1.09, 1.12],
            color=colour,
            lw=0.6,
            alpha=0.8,
            transform=data,
            clip_on=False,
        )
        axes.text(x, 1.135, line.species, rotation=90, ha="center", va="bottom", fontsize=7, color=INK, transform=data)


def spread(wanted: FloatArray, step: float, width: float) -> FloatArray:
    """Increasing positions at least `step` apart, inside (0, width), closest to those wanted in least squares."""
    shift = step * np.arange(len(wanted))
    free = np.asarray(isotonic_regression(wanted - shift).x)
    # Clipping an isotonic solution of a shifted problem keeps it increasing and at least a step apart.
    return np.asarray(np.clip(free, step / 2, width - step / 2 - shift[-1]) + shift, dtype=np.float64)


def overview_figure(arms: Sequence[ArmFit]) -> Figure:
    """The whole spectrum in the units of the file, with the model and the continuum."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.7))
        separate = 1 < len(arms) <= 6
        spans = [float(arm.wavelength[-1] - arm.wavelength[0]) for arm in arms]
        layout = {"width_ratios": spans if separate else [1.0], "wspace": 0.24}
        panels = figure.subplots(1, len(arms) if separate else 1, squeeze=False, gridspec_kw=layout)[0]
        figure.subplots_adjust(left=0.06, right=0.988, bottom=0.17, top=0.88)
        for axes in panels:
            axes.locator_params(axis="y", nbins=5)
        for i, arm in enumerate(arms):
            axes = panels[i] if separate else panels[0]
            axes.plot(arm.wavelength, np.where(arm.used, np.nan, arm.flux), color=PALE, lw=0.4)
            axes.plot(arm.wavelength, np.where(arm.used, arm.flux, np.nan), color=INK, lw=0.4)
            axes.plot(arm.wavelength, arm.model, color=RED, lw=0.5, alpha=0.8)
            axes.plot(arm.wavelength, arm.continuum, color=BLUE, lw=1.2)
            if separate:
                axes.set_title(arm.name, loc="left")
                _limit_to_bulk(axes, [arm])
        if not separate:
            _limit_to_bulk(panels[0], arms)
        panels[0].set_ylabel("flux, as in the file")
        figure.supxlabel("vacuum wavelength (Å)", fontsize=9, y=0.0)
    return figure


def _limit_to_bulk(axes: Axes, arms: Sequence[ArmFit]) -> None:
    # Cosmic rays would otherwise set the scale.
    used = [arm.flux[arm.used] for arm in arms if arm.used.any()] or [arm.flux[np.isfinite(arm.flux)] for arm in arms]
    values = np.concatenate(used)
    values = values[np.isfinite(values)]
    if values.size:
        low, high = np.percentile(values, [0.05, 99.9])
        pad = 0.08 * (high - low) + 1e-12
        axes.set_ylim(min(0.0, low - pad), high + pad)
    axes.margins(x=0.01)

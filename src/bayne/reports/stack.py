"""Residuals of a run's stars, added up by wavelength: which wavelengths are wrong for everyone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import chi2

from ..errors import ReadError
from ..spectrum import FloatArray
from ..synthesis.lines import lines_between
from ..wavelength import C_KMS
from .style import BLUE, GREY, INK, ORANGE, PALE, SKY, STYLE

#: Fewest stars at a pixel for which a mean residual is told from noise.
MIN_STARS = 10

#: Width of a window in velocity (km/s); a window holds at least three pixels.
WINDOW = 60.0

#: Windows that are named at most, and the chance that noise makes one; small, as neighbouring pixels share noise.
WORST, CHANCE = 8, 1e-8

#: Steps wider than this many median steps separate segments.
GAP = 10.0

#: Rows of the figure of all wavelengths, about; half the width of a close-up in windows.
ROWS, CLOSE = 5, 3.0


@dataclass(frozen=True)
class Stack:
    """Residuals (flux - model) / continuum of many stars on common wavelengths. All arrays are (p,).

    Parameters
    ----------
    wavelength
        Rest frame, vacuum Å.
    number
        Stars that have the pixel.
    mean, scatter
        Over those stars; the scatter is the sample standard deviation, NaN for fewer than two stars.
    """

    wavelength: FloatArray
    number: FloatArray
    mean: FloatArray
    scatter: FloatArray

    @property
    def segments(self) -> list[slice]:
        """Pixels without a gap between them."""
        step = np.diff(self.wavelength)
        ends = np.flatnonzero(step > GAP * np.median(step)) + 1
        return [slice(a, b) for a, b in zip([0, *ends], [*ends, self.wavelength.size], strict=True)]


@dataclass(frozen=True)
class Window:
    """A short stretch of wavelengths with a mean residual that noise does not explain.

    Parameters
    ----------
    pixels
        Of the stack.
    low, high
        Vacuum Å, rest frame.
    size
        Root mean square over its pixels of the mean residual, the share of noise taken off.
    mean, scatter
        Mean residual at the pixel where it is largest; median scatter of a star.
    stars
        Median number of stars.
    lines
        Names of known lines inside.
    """

    pixels: slice
    low: float
    high: float
    size: float
    mean: float
    scatter: float
    stars: int
    lines: str


def read_stack(folder: Path) -> Stack | None:
    """The sum of the blocks of a run; None where it has none.

    Raises
    ------
    ReadError
        A block is damaged, or of other wavelengths than those before it.
    """
    wavelength, total = np.empty(0), np.zeros((3, 0))
    for path in sorted((folder / "residuals").glob("block-*.npz")):
        try:
            with np.load(path) as block:
                own, sums = block["wavelength"], np.stack([block[key] for key in ("number", "sum", "square")])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise ReadError(f"{path}: not the residuals of a run ({error})") from None
        if total.size and not np.array_equal(own, wavelength):
            raise ReadError(f"{path}: its wavelengths are not those of the other blocks")
        wavelength, total = own, (total + sums if total.size else sums.astype(np.float64))
    number, sums, square = total
    if number.max(initial=0.0) < 1:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / number
        scatter = np.sqrt(np.maximum(square / number - mean**2, 0.0) * number / (number - 1))
    return Stack(wavelength, number, np.where(number > 0, mean, np.nan), np.where(number > 1, scatter, np.nan))


def worst_windows(stack: Stack) -> list[Window]:
    """Windows that are wrong for everyone, the worst first, none inside the close-up of another.

    The square of a mean residual is what is wrong plus scatter^2 / number of stars, which is taken off.
    """
    noise = stack.scatter**2 / np.maximum(stack.number, 1)
    use = (stack.number >= MIN_STARS) & np.isfinite(noise)
    wrong, noise = np.where(use, stack.mean**2 - noise, 0.0), np.where(use, noise, 0.0)
    places: list[tuple[float, int, int]] = []
    for own in stack.segments:
        count = _pixels(stack.wavelength[own])
        if own.stop - own.start >= count:
            weight = np.hanning(count + 2)[1:-1]  # what is wrong comes to lie in the middle
            weight /= weight.sum()
            power, floor = (np.convolve(x[own], weight, mode="valid") for x in (wrong, noise))
            free = 1 / (weight**2).sum()  # degrees of freedom of a weighted mean (Satterthwaite 1946)
            for i in np.flatnonzero(power > (chi2.isf(CHANCE, free) / free - 1) * floor):
                places.append((float(power[i]), own.start + int(i), own.start + int(i) + count))
    found: list[Window] = []
    for _, start, stop in sorted(places, reverse=True):
        far = CLOSE * (stop - start)
        if len(found) < WORST and all(abs(start - w.pixels.start) > far for w in found):
            found.append(_window(stack, slice(start, stop), float(wrong[start:stop].mean())))
    return found


def _pixels(wave: FloatArray) -> int:
    step = float(np.median(np.diff(wave))) if wave.size > 1 else np.inf
    return max(3, round(float(np.median(wave)) * WINDOW / C_KMS / step))


def _window(stack: Stack, own: slice, power: float) -> Window:
    wave, mean = stack.wavelength[own], stack.mean[own]
    low, high = float(wave[0]), float(wave[-1])
    lines = dict.fromkeys(f"{line.species} {line.wavelength:.2f}" for line in lines_between(low, high))
    return Window(
        own,
        low,
        high,
        float(np.sqrt(max(power, 0.0))),
        float(mean[np.nanargmax(np.abs(mean))]),
        float(np.nanmedian(stack.scatter[own])),
        int(np.median(stack.number[own])),
        ", ".join(lines),
    )


def stack_figure(stack: Stack, windows: Sequence[Window]) -> Figure:
    """Mean residual and scatter at every wavelength, in per cent of the continuum; the worst windows numbered."""
    rows = _rows(stack)
    known = np.abs(stack.mean[stack.number >= min(MIN_STARS, stack.number.max())])
    limit = 130 * float(np.percentile(known, 99.95)) + 1e-3
    limit = max([limit, *(min(115 * abs(window.mean), 3 * limit) for window in windows)])
    finite = stack.scatter[np.isfinite(stack.scatter)]
    top = 220 * float(np.percentile(finite, 95)) if finite.size else 1.0
    with rc_context(STYLE):
        height = 1.45 * len(rows) + 0.5
        figure = Figure(figsize=(13.0, height))
        panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        figure.subplots_adjust(left=0.055, right=0.95, top=1 - 0.1 / height, bottom=0.45 / height, hspace=0.25)
        for axes, own in zip(panels, rows, strict=True):
            wave = stack.wavelength[own]
            behind = axes.twinx()
            behind.plot(wave, 100 * stack.scatter[own], color=PALE, lw=0.6)
            behind.set_ylim(0, top)
            behind.locator_params(axis="y", nbins=4)
            axes.axhline(0, color=GREY, lw=0.6)
            axes.plot(wave, 100 * stack.mean[own], color=BLUE, lw=0.7)
            for rank, window in enumerate(windows, 1):
                if own.start <= window.pixels.start < own.stop:
                    axes.axvspan(window.low, window.high, color=ORANGE, alpha=0.35, lw=0)
                    _number(axes, 0.5 * (window.low + window.high), rank)
            axes.set_xlim(wave[0], wave[-1])
            axes.set_ylim(-limit, limit)
            axes.ticklabel_format(axis="x", useOffset=False)
            axes.set_zorder(behind.get_zorder() + 1)
            axes.patch.set_visible(False)
        figure.supylabel("mean of (flux − model) / continuum (%, blue)", fontsize=9, x=0.0)
        figure.text(0.999, 0.5, "scatter over stars (%, grey)", rotation=270, ha="right", va="center", fontsize=9)
        panels[-1].set_xlabel("vacuum wavelength at rest (Å)", labelpad=2)
    return figure


def _number(axes: Axes, x: float, rank: int) -> None:
    place = axes.get_xaxis_transform()
    axes.text(x, 0.97, str(rank), ha="center", va="top", fontsize=8, color=INK, weight="bold", transform=place)


def _rows(stack: Stack) -> list[slice]:
    """Segments, the long ones in several pieces of equal length."""
    span = sum(float(np.ptp(stack.wavelength[own])) for own in stack.segments) / ROWS or 1.0
    rows = []
    for own in stack.segments:
        pieces = max(1, round(float(np.ptp(stack.wavelength[own])) / span))
        ends = np.linspace(own.start, own.stop, pieces + 1).astype(int)
        rows += [slice(int(a), int(b)) for a, b in pairwise(ends)]
    return [own for own in rows if own.stop - own.start > 1]


def close_figure(stack: Stack, windows: Sequence[Window]) -> Figure:
    """Close-ups of the worst windows: mean residual, its error from the scatter, known lines."""
    columns = min(4, len(windows))
    count = -(-len(windows) // columns)
    with rc_context(STYLE):
        height = 2.1 * count + 0.5
        figure = Figure(figsize=(13.0 * columns / 4 + 0.3 * (4 - columns), height))
        panels = figure.subplots(count, columns, squeeze=False).ravel()
        figure.subplots_adjust(
            left=0.055 * 4 / columns, right=0.99, top=1 - 0.3 / height, bottom=0.5 / height, wspace=0.2, hspace=0.4
        )
        for axes in panels[len(windows) :]:
            axes.set_visible(False)
        for rank, (axes, window) in enumerate(zip(panels, windows, strict=False), 1):
            middle, half = 0.5 * (window.low + window.high), CLOSE * (window.high - window.low)
            near = np.abs(stack.wavelength - middle) <= half
            wave, mean = stack.wavelength[near], 100 * stack.mean[near]
            error = 100 * stack.scatter[near] / np.sqrt(np.maximum(stack.number[near], 1))
            axes.axvspan(window.low, window.high, color=ORANGE, alpha=0.2, lw=0)
            axes.axhline(0, color=GREY, lw=0.6)
            axes.fill_between(wave, mean - error, mean + error, color=SKY, alpha=0.5, lw=0)
            axes.plot(wave, mean, color=BLUE, lw=1.0)
            top = 1.35 * float(np.nanmax(np.abs(mean)))
            axes.set_ylim(-top, top)
            axes.set_xlim(middle - half, middle + half)
            axes.locator_params(axis="x", nbins=4)
            axes.ticklabel_format(axis="x", useOffset=False)
            axes.set_title(f"{rank}: {window.low:.1f} to {window.high:.1f} Å", fontsize=8.5, pad=3)
            _mark(axes, middle - half, middle + half)
        figure.supxlabel("vacuum wavelength at rest (Å)", fontsize=9, y=0.0)
        figure.supylabel("mean residual (% of the continuum)", fontsize=9, x=0.0)
    return figure


def _mark(axes: Axes, low: float, high: float) -> None:
    room = 0.12 * (high - low)  # a name: those that would lie over each other or over the edge are left out
    last = low - 0.5 * room
    for line in lines_between(low, high):
        axes.axvline(line.wavelength, color=PALE, lw=0.7, ls=":", zorder=0)
        if line.wavelength > last + room and line.wavelength < high - 0.5 * room:
            last = line.wavelength
            axes.text(last, 0.03, line.species, fontsize=7, ha="center", transform=axes.get_xaxis_transform())

"""Pictures of an emulator's residuals: by wavelength, by star, by label, against its own error model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..labels import pretty, unit
from ..spectrum import FloatArray
from .style import BLUE, GREY, INK, ORANGE, PALE, RED, STYLE

if TYPE_CHECKING:
    from ..training.evaluate import Calibration, Evaluation

WIDTH = 13.0  # of the figures, inches

#: Wavelength bins of the picture of all stars; what is below `LEAST` has one colour.
BINS, LEAST = 900, 1e-4

#: Span of a close-up, Å.
CLOSE = 16.0


def wavelength_figure(evaluation: Evaluation) -> Figure:
    """Mean absolute residual of every pixel above the mean spectrum, one row per window."""
    mean, flux = np.abs(evaluation.residual).mean(axis=0), evaluation.flux.mean(axis=0)
    limit = 1.05 * float(np.percentile(mean, 99.95))
    windows = _windows(evaluation)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.45 * len(windows) + 0.4))
        panels = figure.subplots(len(windows), 1, squeeze=False)[:, 0]
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.055, right=0.95, top=1 - 0.08 / height, bottom=0.42 / height, hspace=0.22)
        for axes, own in zip(panels, windows, strict=True):
            wave = evaluation.wavelength[own]
            behind = axes.twinx()
            behind.plot(wave, flux[own], color=PALE, lw=0.5)
            behind.set_ylim(0, 1.03)
            behind.set_yticks([0, 0.5, 1])
            axes.plot(wave, mean[own], color=BLUE, lw=0.7)
            axes.set_zorder(behind.get_zorder() + 1)
            axes.patch.set_visible(False)
            axes.set_xlim(wave[0], wave[-1])
            axes.set_ylim(0, limit)
            axes.ticklabel_format(axis="x", useOffset=False)
        figure.supylabel("mean |residual| (blue)", fontsize=9, x=0.0)
        figure.text(0.999, 0.5, "mean flux (grey)", rotation=270, ha="right", va="center", fontsize=9)
        panels[-1].set_xlabel("vacuum wavelength (Å)", labelpad=2)
    return figure


def stars_figure(evaluation: Evaluation) -> Figure:
    """Absolute residuals of all stars, ordered by temperature where there is one, else by error."""
    names = evaluation.card.labels
    hot = "teff" in names
    value = evaluation.labels[:, names.index("teff")] if hot else evaluation.star_mae
    order, windows = np.argsort(value), _windows(evaluation)
    size = np.abs(evaluation.residual[order])
    span = [float(np.ptp(evaluation.wavelength[own])) for own in windows]
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.2))
        panels = figure.subplots(1, len(windows), squeeze=False, gridspec_kw={"width_ratios": span, "wspace": 0.03})[0]
        figure.subplots_adjust(left=0.055, right=0.93, top=0.98, bottom=0.12)
        scale = LogNorm(LEAST, max(float(np.percentile(size, 99.5)), 10 * LEAST))
        for axes, own, width in zip(panels, windows, span, strict=True):
            wave = evaluation.wavelength[own]
            bins = np.array_split(np.arange(wave.size), min(wave.size, max(1, round(BINS * width / sum(span)))))
            binned = np.stack([size[:, own][:, b].mean(axis=1) for b in bins], axis=1)
            shown = axes.imshow(
                np.maximum(binned, LEAST),
                aspect="auto",
                origin="lower",
                norm=scale,
                cmap="magma",
                interpolation="nearest",
                extent=(wave[0], wave[-1], -0.5, len(order) - 0.5),
            )
            axes.set_yticks([])
            axes.locator_params(axis="x", nbins=4)
            axes.ticklabel_format(axis="x", useOffset=False)
        ticks = np.unique(np.linspace(0, len(order) - 1, 9).astype(int))
        panels[0].set_yticks(ticks, [f"{value[order[i]]:.4g}" for i in ticks])
        panels[0].set_ylabel("star, by Teff (K)" if hot else "star, by mean |residual|")
        figure.supxlabel("vacuum wavelength (Å)", fontsize=9, y=0.0)
        bar = figure.colorbar(shown, cax=figure.add_axes((0.94, 0.12, 0.012, 0.86)))
        bar.set_label("|residual|, mean of a bin")
    return figure


def labels_figure(evaluation: Evaluation) -> Figure:
    """Error of every star against the labels of its atmosphere."""
    labels = evaluation.card.labels
    names = [name for name in labels if name in ("teff", "logg", "fe_h", "vmic")] or list(labels[:4])
    mae, errors = evaluation.star_mae, evaluation.errors
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.9))
        panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
        figure.subplots_adjust(left=0.06, right=0.99, top=0.97, bottom=0.16, wspace=0.05)
        for axes, name in zip(panels, names, strict=True):
            axes.axhline(errors.mae, color=ORANGE, lw=1.0, label="mean")
            axes.axhline(errors.median_star_mae, color=GREY, lw=1.0, ls="--", label="median star")
            axes.semilogy(evaluation.labels[:, labels.index(name)], mae, "o", color=BLUE, ms=4, mew=0)
            axes.set_xlabel(f"{pretty(name)} ({unit(name)})" if unit(name) else pretty(name))
        panels[0].set_ylabel("mean |residual| of a star")
        panels[-1].legend(loc="lower right")
    return figure


def star_figure(evaluation: Evaluation, star: int) -> Figure:
    """Close-ups of one star where its residuals are largest, one per window."""
    windows = _windows(evaluation)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.2 * len(windows) + 0.3))
        height = figure.get_figheight()
        rows = figure.add_gridspec(
            len(windows), left=0.055, right=0.99, top=1 - 0.08 / height, bottom=0.42 / height, hspace=0.2
        )
        for i, own in enumerate(windows):
            pair = rows[i].subgridspec(2, 1, height_ratios=(2.4, 1), hspace=0.06)
            upper, lower = figure.add_subplot(pair[0]), figure.add_subplot(pair[1])
            wave, residual = evaluation.wavelength[own], evaluation.residual[star, own]
            near = _worst_stretch(wave, residual)
            wave, residual, flux = wave[near], residual[near], evaluation.flux[star, own][near]
            upper.plot(wave, flux, color=INK, lw=1.0, label="grid")
            upper.plot(wave, flux + residual, color=RED, lw=0.9, label="emulator")
            lower.axhline(0, color=RED, lw=0.7)
            lower.plot(wave, residual, color="#555555", lw=0.8)
            limit = 1.1 * float(np.abs(residual).max()) + 1e-6
            lower.set_ylim(-limit, limit)
            upper.set_ylabel("flux")
            lower.set_ylabel("residual")
            upper.tick_params(labelbottom=False)
            for axes in (upper, lower):
                axes.set_xlim(wave[0], wave[-1])
                axes.ticklabel_format(axis="x", useOffset=False)
        figure.axes[0].legend(loc="lower right", frameon=True, framealpha=0.85, edgecolor="none", ncols=2)
        lower.set_xlabel("vacuum wavelength (Å)", labelpad=2)
    return figure


def calibration_figure(calibration: Calibration, chi: FloatArray) -> Figure:
    """Predicted against actual error of every pixel, and residuals in units of the predicted error."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10.5, 3.9))
        left, right = figure.subplots(1, 2)
        figure.subplots_adjust(left=0.075, right=0.985, top=0.97, bottom=0.13, wspace=0.2)
        predicted, actual = calibration.predicted, calibration.actual
        know = (predicted > 0) & (actual > 0)
        left.hexbin(predicted[know], actual[know], xscale="log", yscale="log", gridsize=70, mincnt=1, bins="log",
                    cmap="Blues", linewidths=0.1)  # fmt: skip
        ends = np.array(
            [min(predicted[know].min(), actual[know].min()), max(predicted[know].max(), actual[know].max())]
        )
        left.plot(ends, ends, color=RED, lw=1.0, label="equal")
        left.set_xlabel("predicted standard deviation of a pixel, root mean square over test stars")
        left.set_ylabel("root mean square over test stars")
        left.legend(loc="upper left")
        edges = np.linspace(-6, 6, 121)
        right.stairs(np.histogram(np.clip(chi, -6, 6), edges)[0] / chi.size / 0.1, edges, color=BLUE, lw=1.2,
                     label="test stars")  # fmt: skip
        right.plot(edges, np.exp(-0.5 * edges**2) / np.sqrt(2 * np.pi), color=RED, lw=1.0, label="unit Gaussian")
        right.set_yscale("log")
        right.set_ylim(1e-5, None)
        right.set_xlim(-6, 6)
        right.set_xlabel("residual / predicted standard deviation (beyond ±6 in the last bins)")
        right.set_ylabel("density")
        right.legend(loc="upper right")
    return figure


def _windows(evaluation: Evaluation) -> list[np.ndarray]:
    return [evaluation.segment == k for k in np.unique(evaluation.segment)]


def _worst_stretch(wave: FloatArray, residual: np.ndarray) -> slice:
    """Pixels of the `CLOSE` Å with the largest mean absolute residual."""
    count = min(wave.size, max(2, round(CLOSE / float(np.median(np.diff(wave))))))
    start = int(np.argmax(np.convolve(np.abs(residual), np.ones(count), mode="valid")))
    return slice(start, start + count)

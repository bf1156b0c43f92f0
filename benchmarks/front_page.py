"""The picture of README and front page: the example star, its best fit, the residuals, and the main labels.

python benchmarks/front_page.py --output docs/_static/fit.png
"""

from __future__ import annotations

import argparse
import json
from importlib.resources import files
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

import bayne
from bayne.labels import pretty, unit

#: Part of the spectrum that is shown (vacuum Å), and the labels whose posterior is.
WINDOW, LABELS = (4822.0, 4857.0), ("teff", "logg", "fe_h", "mg_fe")

DATA, MODEL, BOUND = "0.25", "#d55e00", "#0072b2"


def spectrum(result: bayne.FitResult, above: Axes, below: Axes) -> None:
    """Data with the model, and residuals in units of their errors."""
    for arm in result.arms:
        shown = arm.used & (arm.wavelength > WINDOW[0]) & (arm.wavelength < WINDOW[1])
        wave, level = arm.wavelength[shown], arm.continuum[shown]
        above.plot(
            wave, arm.flux[shown] / level, ".", color=DATA, markersize=3, label="observed" if wave.size else None
        )
        above.plot(wave, arm.model[shown] / level, color=MODEL, lw=1.2, label="best fit" if wave.size else None)
        below.plot(wave, (arm.flux[shown] - arm.model[shown]) / arm.total_sigma[shown], color=DATA, lw=0.8)
    above.set(xlim=WINDOW, ylabel="flux / continuum")
    above.legend(frameon=False, loc="lower center", ncols=2)
    below.set(ylim=(-5, 5), xlabel="vacuum wavelength (Å)", ylabel="residual (σ)")
    below.axhline(0, color=MODEL, lw=0.8)


def corner(result: bayne.FitResult, panels: np.ndarray, truth: dict[str, float]) -> None:
    """Draws of pairs of labels, their histograms, and what was put in."""
    draws = {name: result.draws(name).ravel() for name in LABELS}
    for i, one in enumerate(LABELS):
        for j, other in enumerate(LABELS):
            axes = panels[i, j]
            if j > i:
                axes.axis("off")
                continue
            if i == j:
                axes.hist(draws[one], 30, color=BOUND, alpha=0.7, histtype="stepfilled")
                axes.axvline(truth[one], color=MODEL, lw=1.2)
                row = result.table[result.table["label"] == one][0]
                digits = 0 if unit(one) == "K" else 2
                text = f"{pretty(one)} {row['median']:.{digits}f} ± {row['std']:.{digits}f}"
                axes.set_title(text, fontsize=7)
            else:
                axes.plot(draws[other], draws[one], ".", color=BOUND, markersize=1, alpha=0.4)
                axes.plot(truth[other], truth[one], "+", color=MODEL, markersize=9, markeredgewidth=1.5)
            axes.set(xticks=[], yticks=[])
            if i == len(LABELS) - 1:
                axes.set_xlabel(pretty(other), fontsize=8)
            if j == 0 and i:
                axes.set_ylabel(pretty(one), fontsize=8)


def main() -> None:
    """Fit and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    folder = files("bayne") / "examples"
    with (Path(str(folder)) / "demo_truth.json").open(encoding="utf-8") as file:
        truth = json.load(file)
    result = bayne.fit_star(bayne.read_spectrum(folder / "demo_star.ecsv"), bayne.load_emulator("galah"))
    figure = plt.figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1))
    above, below = left.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    spectrum(result, above, below)
    corner(result, right.subplots(len(LABELS), len(LABELS)), truth)
    figure.savefig(options.output, dpi=140)


if __name__ == "__main__":
    main()

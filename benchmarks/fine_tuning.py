"""How many spectra does fine-tuning save? From hot stars to cool ones.

    python benchmarks/fine_tuning.py --grid galah_pysme_stagger.h5 --output fine-tuning --minutes 4

A network is pre-trained on the stars of the grid above 5200 K for half of the steps, then fine-tuned on some of those
below for the other half. Against it: the same network trained on the same cool stars alone for all of the steps. Both
are judged on cool test rows. The factor saved is the number of spectra that training from scratch needs for the same
error (by interpolation in the logarithms) over the number that fine-tuning was given. An interrupted run goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, fields
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from emulators_report import COLOURS
from matplotlib import rc_context
from matplotlib.figure import Figure

import bayne
from bayne.report.style import GREY, STYLE
from bayne.training import Grid, read_grid
from bayne.training.evaluate import held_out_errors
from emulators import VARIANTS, read, steps_in, write

#: Temperature (K) that divides the grid.
EDGE = 5200.0

#: Fine-tuning starts near a good place: its learning rate is this much lower than that of training.
GENTLER = 0.3

#: Variants of ``emulators.py``.
NETWORKS = ("payne-large", "patch", "species")


@dataclass(frozen=True)
class Part(Grid):
    """Some rows of a grid; test rows of the grid are test rows of the part.

    Parameters
    ----------
    rows
        (n,) in the whole grid.
    """

    rows: np.ndarray

    @property
    def test(self) -> np.ndarray:
        """See `Grid`."""
        return self.rows % 10 == 0

    @property
    def validation(self) -> np.ndarray:
        """See `Grid`."""
        return self.rows % 10 == 1


def part(grid: Grid, keep: np.ndarray) -> Part:
    """The rows where `keep` is True."""
    own = {f.name: getattr(grid, f.name) for f in fields(grid)}
    return Part(**own | {"labels": grid.labels[keep], "flux": grid.flux[keep], "rows": np.flatnonzero(keep)})


def measure(network: str, grid: Grid, hot: Part, cool: Part, options: argparse.Namespace) -> dict[str, Any]:
    """Errors on cool test rows: before fine-tuning, and by number of spectra after it and from scratch."""
    path = options.output / f"{network}.json"
    result = read(path)
    base = VARIANTS[network]
    if "steps" not in result:
        write(path, result, steps=2 * (steps_in(grid, base, options.minutes) // 2))
    settings = base["training"] | {"steps": result["steps"]}
    half = {"steps": result["steps"] // 2}
    before = options.output / network
    if "before" not in result:
        emulator = bayne.train(hot, config=base | {"training": settings | half}, output=before)
        write(path, result, before=held_out_errors(emulator, cool)["mae"], hot=int(hot.train.sum()))
    for size in options.sizes:
        count = min(size or len(cool.rows), int(cool.train.sum()))
        some = settings | {"spectra": count}
        gentle = half | {"learning_rate": GENTLER * settings["learning_rate"]}
        tune, scratch = (base | {"training": some | own} for own in (gentle, {}))
        for way in ("tuned", "scratch"):
            key = f"{way}-{count}"
            if key not in result:
                start = time.perf_counter()
                emulator = (
                    bayne.finetune(before, cool, config=tune) if way == "tuned" else bayne.train(cool, config=scratch)
                )
                write(path, result, **{key: emulator.card.held_out_error["mae"]})
                print(f"{network} {key}: MAE {result[key]}, {time.perf_counter() - start:.0f} s", flush=True)
    return result


def curve(result: dict[str, Any], way: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of spectra, increasing, and MAE."""
    found = sorted((int(k.partition("-")[2]), v) for k, v in result.items() if k.startswith(way))
    return np.array([n for n, _ in found]), np.array([mae for _, mae in found])


def needed(result: dict[str, Any], mae: float) -> tuple[str, float]:
    """Number of spectra from scratch at an error: ``"="``, or ``"<"``, ``">"`` where it is beyond those tried."""
    n, tried = curve(result, "scratch")
    tried = np.minimum.accumulate(tried)
    if mae < tried[-1]:
        return ">", float(n[-1])
    if mae > tried[0]:
        return "<", float(n[0])
    return "=", float(np.exp(np.interp(-np.log(mae), -np.log(tried), np.log(n))))


def saved(result: dict[str, Any]) -> list[tuple[int, float, str]]:
    """Number of spectra, error and factor saved of every fine-tuned network."""
    rows = []
    for n, mae in zip(*curve(result, "tuned"), strict=True):
        sign, from_scratch = needed(result, mae)
        rows.append((int(n), float(mae), f"{'' if sign == '=' else sign + ' '}{from_scratch / n:.1f}"))
    return rows


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| network | spectra | from scratch | fine-tuned | factor saved |", "|---|---|---|---|---|"]
    for network, result in results.items():
        lines.append(f"| {network} | 0 | | {result['before']:.5f} | |")
        for n, mae, factor in saved(result):
            lines.append(f"| {network} | {n} | {result[f'scratch-{n}']:.5f} | {mae:.5f} | {factor} |")
    return "\n".join(lines)


def figure_of(results: dict[str, dict[str, Any]]) -> Figure:
    """Errors against the number of spectra, one panel per network, with the factors saved."""
    with rc_context(STYLE):
        figure = Figure(figsize=(3.4 * len(results) + 0.6, 3.7))
        panels = figure.subplots(1, len(results), squeeze=False, sharey=True)[0]
        figure.subplots_adjust(left=0.75 / figure.get_figwidth(), right=0.99, top=0.92, bottom=0.16, wspace=0.06)
        for axes, (network, result) in zip(panels, results.items(), strict=True):
            colour = COLOURS[VARIANTS[network]["network"]]
            axes.axhline(result["before"], color=GREY, lw=0.9, ls=":", label="before fine-tuning")
            axes.loglog(*curve(result, "scratch"), "o--", color=GREY, ms=5, lw=1.2, label="from scratch")
            axes.loglog(*curve(result, "tuned"), "o-", color=colour, ms=5, lw=1.4, label="fine-tuned")
            for n, mae, factor in saved(result):
                beside = (0, -13) if mae < result[f"scratch-{n}"] else (0, 7)  # away from the other curve
                axes.annotate(f"× {factor}", (n, mae), beside, textcoords="offset points", ha="center", fontsize=8)
            counts = curve(result, "tuned")[0]
            axes.set_xticks(counts, [str(n) for n in counts], minor=False)
            axes.set_xticks([], minor=True)
            axes.margins(0.12, 0.12)
            axes.set_title(network)
            axes.legend(loc="lower left")
        low, high = panels[0].get_ylim()
        ticks = [v for v in (0.001, 0.002, 0.003, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03) if low <= v <= high]
        panels[0].set_yticks(ticks, [f"{v:g}" for v in ticks], minor=False)
        panels[0].set_yticks([], minor=True)
        panels[0].set_ylabel(f"mean |residual| on test spectra below {EDGE:.0f} K")
        figure.supxlabel(f"training spectra below {EDGE:.0f} K", fontsize=9, y=0.0)
    return figure


def main() -> None:
    """Train, print the table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, required=True, help="grid file (HDF5)")
    parser.add_argument("--output", type=Path, required=True, help="folder for results and the figure")
    parser.add_argument("--networks", nargs="*", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--sizes", nargs="*", default=[30, 100, 0], type=int, help="training spectra, 0: all")
    parser.add_argument("--minutes", default=4.0, type=float, help="of a core or a GPU, for each from scratch")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    grid = read_grid(options.grid)
    warm = grid.labels[:, grid.names.index("teff")] > EDGE
    hot, cool = part(grid, warm), part(grid, ~warm)
    results = {network: measure(network, grid, hot, cool, options) for network in options.networks}
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax"))
    print(f"{date.today()}, {versions}, {jax.devices()[0].platform}, {os.cpu_count()} cores")
    print(f"pre-trained on {hot.train.sum()} spectra; {cool.test.sum()} test spectra\n\n{table(results)}")
    figure_of(results).savefig(options.output / "fine-tuning.png", dpi=150)


if __name__ == "__main__":
    main()

"""How many careful spectra does pre-training on simple physics save?

    python benchmarks/two_stage.py --grid galah_pysme_stagger.h5 --simple lte.h5 --config lte.toml --output two-stage

`lte.toml` is the configuration of `bayne grid` that made `lte.h5`, with ``like`` for the pixels of the careful grid. A
network is pre-trained on `lte.h5`, then tuned on some spectra of the careful grid; against it, the same network from
scratch on the same spectra. The kernel emulator is solved for on the same spectra, with and without the simple spectrum
of the same labels as the mean function. All are judged on the test rows of the careful grid. The factor saved is the
number of spectra that training from scratch needs for the same error (by interpolation in the logarithms) over the
number that was given. An interrupted run goes on where it stopped; ``--ways`` does a part.
"""

from __future__ import annotations

import argparse
import os
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from emulators_report import COLOURS
from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy.special import expit

import bayne
from bayne.emulators.coordinates import absorbance
from bayne.reports.style import GREY, STYLE
from bayne.synthesis.grid_config import read_grid_config
from bayne.synthesis.grids import Maker
from bayne.training import Grid, read_grid
from bayne.training.evaluate import held_out_errors
from emulators import VARIANTS, read, write

#: Fine-tuning starts near a good place: its learning rate is this much lower than that of training.
GENTLER = 0.3

#: The default emulator's settings, but for its own stages, and those of a variant of ``emulators.py``.
GALAH = tomllib.loads((Path(__file__).parent / "default" / "galah.toml").read_text())
NETWORKS = {
    "galah": {k: v for k, v in GALAH.items() if k != "stage"},
    "payne-large": VARIANTS["payne-large"],
}
KERNEL = "kernel-payne"

#: Spectra of the simple physics that are kept by a kill.
PART = 20


def simple_twins(grid: Grid, config: Path, path: Path) -> np.ndarray:
    """(n, p) spectra of the simple physics with the labels of the careful grid."""
    maker = Maker(read_grid_config(config))
    order = [grid.names.index(name) for name in maker.config.labels]
    made = list(np.load(path)) if path.exists() else []
    while len(made) < len(grid.labels):
        made += [maker.spectrum(row[order]) for row in grid.labels[len(made) : len(made) + PART]]
        np.save(path, np.array(made, dtype=np.float32))
    return np.array(made, dtype=np.float32)


def difference(grid: Grid, twins: np.ndarray, count: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """How the absorbance of careful and of simple spectra differs, by labels (n, l), learned by the kernel emulator.

    From the first `count` training rows, or for 0 from all rows but the test rows.
    """
    mean = absorbance(twins).mean(axis=0)
    left = absorbance(grid.flux) - absorbance(twins)
    # as a spectrum: that of the mean star of the simple physics, changed by the difference
    changed = replace(grid, flux=expit(-left - mean).astype(np.float32))
    emulator = bayne.train(changed, KERNEL, config={"kernel": {"spectra": count}})
    # not `flux`: labels of the simple grid may lie a little outside the hull of the careful one
    return lambda labels: absorbance(np.asarray(emulator.evaluate(labels), dtype=np.float64)) - mean


def on_difference(grid: Grid, twins: np.ndarray, count: int) -> float:
    """MAE of the kernel emulator on what the simple spectra leave over, in absorbance."""
    flux = expit(-absorbance(twins[grid.test]) - difference(grid, twins, count)(grid.labels[grid.test]))
    return float(np.abs(flux - grid.flux[grid.test]).mean())


def measure_kernel(grid: Grid, options: argparse.Namespace) -> dict[str, Any]:
    """Errors of the kernel emulator with and without the simple spectrum as its mean function."""
    path = options.output / f"{KERNEL}.json"
    result = read(path)
    twins = simple_twins(grid, options.config, options.output / "twins.npy")
    write(path, result, before=float(np.abs(twins - grid.flux)[grid.test].mean()))
    for size in options.sizes:
        count = size or int(grid.train.sum())
        if f"tuned-{count}" not in result:
            write(path, result, **{f"tuned-{count}": on_difference(grid, twins, count)})
        if f"scratch-{count}" not in result:
            alone = bayne.train(grid, KERNEL, config={"kernel": {"spectra": count}})
            write(path, result, **{f"scratch-{count}": alone.card.held_out_error["mae"]})
        print(f"{KERNEL} {count}: {result[f'scratch-{count}']:.5f}, {result[f'tuned-{count}']:.5f}", flush=True)
    return result


def pretrained(network: str, grid: Grid, options: argparse.Namespace) -> dict[str, Any]:
    """Errors after the first stage, whose emulator is in the output folder: on simple and on careful test rows."""
    path = options.output / f"{network}-before.json"
    result, base = read(path), NETWORKS[network]
    if not result:
        simple = read_grid(options.simple)
        config = base | {"training": timeless(base) | {"steps": options.before}}
        emulator = bayne.train(
            simple, config=config, output=options.output / network, resume=True, tell=lambda _, text: print(text)
        )
        errors = {"before": held_out_errors(emulator, grid)["mae"], "on_simple": emulator.card.held_out_error["mae"]}
        write(path, result, **errors, simple=int(simple.train.sum()))
    return result


def timeless(base: dict[str, Any]) -> dict[str, Any]:
    """Settings of a training without its length."""
    return {k: v for k, v in base["training"].items() if k != "minutes"}


def measure(network: str, way: str, grid: Grid, options: argparse.Namespace) -> dict[str, Any]:
    """Errors on the test rows by number of careful spectra, fine-tuned or from scratch."""
    path = options.output / f"{network}-{way}.json"
    result, base = read(path), NETWORKS[network]
    settings = timeless(base)
    gentle = {"steps": options.after, "learning_rate": GENTLER * settings["learning_rate"]}
    for size in options.sizes:
        count = size or int(grid.train.sum())
        key = f"{way}-{count}"
        if key not in result:
            length = gentle if way == "tuned" else {"steps": options.scratch}
            own = base | {"training": settings | length | {"spectra": count}}
            start, folder = time.perf_counter(), options.output / f"{network}-{key}"
            if way == "tuned":
                emulator = bayne.finetune(options.output / network, grid, config=own, output=folder, resume=True)
            else:
                emulator = bayne.train(grid, config=own, output=folder, resume=True)
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
    """Number of spectra, error and factor saved after every second stage."""
    rows = []
    for n, mae in zip(*curve(result, "tuned"), strict=True):
        sign, from_scratch = needed(result, mae)
        rows.append((int(n), float(mae), f"{'' if sign == '=' else sign + ' '}{from_scratch / n:.1f}"))
    return rows


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| emulator | careful spectra | from scratch | two stages | factor saved |", "|---|---|---|---|---|"]
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
            colour = COLOURS[NETWORKS.get(network, {"network": network})["network"]]
            axes.axhline(result["before"], color=GREY, lw=0.9, ls=":", label="simple physics alone")
            axes.loglog(*curve(result, "scratch"), "o--", color=GREY, ms=5, lw=1.2, label="from scratch")
            axes.loglog(*curve(result, "tuned"), "o-", color=colour, ms=5, lw=1.4, label="two stages")
            for n, mae, factor in saved(result)[:-1]:  # with all of them there is nothing to save
                axes.annotate(f"× {factor}", (n, mae), (-8, -13), textcoords="offset points", ha="center", fontsize=8)
            counts = curve(result, "tuned")[0]
            axes.set_xticks(counts, [str(n) for n in counts], minor=False)
            axes.set_xticks([], minor=True)
            axes.margins(0.2, 0.12)
            axes.set_title(network)
            axes.legend(loc="upper right")
        low, high = panels[0].get_ylim()
        ticks = [v for v in (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03) if low <= v <= high]
        panels[0].set_yticks(ticks, [f"{v:g}" for v in ticks], minor=False)
        panels[0].set_yticks([], minor=True)
        panels[0].set_ylabel("mean |residual| on test spectra")
        figure.supxlabel("careful training spectra", fontsize=9, y=0.01)
    return figure


def main() -> None:
    """Train, print the table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, required=True, help="careful grid (HDF5)")
    parser.add_argument("--simple", type=Path, required=True, help="simple grid (HDF5)")
    parser.add_argument("--config", type=Path, required=True, help="configuration of the simple grid (TOML)")
    parser.add_argument("--output", type=Path, required=True, help="folder for results and the figure")
    parser.add_argument("--emulators", nargs="*", default=[*NETWORKS, KERNEL], choices=[*NETWORKS, KERNEL])
    parser.add_argument("--ways", nargs="*", default=["scratch", "tuned"], choices=["scratch", "tuned"])
    parser.add_argument("--sizes", nargs="*", default=[30, 100, 300, 0], type=int, help="training spectra, 0: all")
    parser.add_argument("--before", default=8000, type=int, help="steps of pre-training")
    parser.add_argument("--after", default=1500, type=int, help="steps of fine-tuning")
    parser.add_argument("--scratch", default=3000, type=int, help="steps from scratch")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    grid = read_grid(options.grid)
    results: dict[str, dict[str, Any]] = {}
    for name in options.emulators:
        if name == KERNEL:
            results[name] = measure_kernel(grid, options)
            continue
        results[name] = pretrained(name, grid, options) if "tuned" in options.ways else {}
        for way in options.ways:
            results[name] |= measure(name, way, grid, options)
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax"))
    print(f"{date.today()}, {versions}, {jax.devices()[0].platform}, {os.cpu_count()} cores")
    if len(options.ways) == 2:
        print(f"{grid.test.sum()} test spectra\n\n{table(results)}")
        figure_of(results).savefig(options.output / "two-stage.png", dpi=150)


if __name__ == "__main__":
    main()

"""Are posteriors calibrated? On mocks of the emulator, on physical spectra, and on repeated observations.

    python benchmarks/calibration.py mocks --emulator galah --stars 64 --output build/calibration
    python benchmarks/calibration.py physical --grid galah_pysme_stagger.h5 --snr 100 --output build/calibration
    python benchmarks/calibration.py repeats --emulator galah --stars 12 --epochs 3 --output build/calibration
    python benchmarks/calibration.py figure --output build/calibration

``mocks``: stars drawn from the prior (uniform in the domain), observed with one arm of HERMES through the emulator
itself; the rank of each true label among the draws must be uniform (Talts et al. 2018, arXiv:1804.06788).
``physical``: test rows of the grid, which no training saw, observed with all arms; how often the central 68% interval
covers the truth, with the emulator's error counted and not. Spectra are counted, not labels: labels of one star share
its error. ``repeats``: the same star several times with other noise; pulls between epochs. Every fit leaves a JSON
file, so that an interrupted run goes on; ``figure`` draws what is there and prints the tables.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from calibration_report import figure

import bayne
from bayne.emulators import Emulator
from bayne.information.mock import mock_star
from bayne.spectrum import Spectrum
from bayne.training import read_grid
from bayne.training.compiling import random_labels

ARMS = ("blue", "green", "red", "infrared")


def fitted(star: Spectrum, emulator: Emulator, truth: np.ndarray, path: Path, **options: Any) -> None:
    """Fit a star, and keep truth, mean, standard deviation and rank (share of draws below the truth) per label."""
    if path.exists():
        return
    result = bayne.fit_star(star, emulator, **options)
    told: dict[str, Any] = {"flags": result.flags.names, "ok": result.ok, "labels": list(emulator.label_names)}
    told |= {key: result.diagnostics.get(key) for key in ("khat", "seconds", "chi2_reduced", "teacher_shift")}
    told |= {"truth": truth.tolist(), "mean": [], "std": [], "rank": [], "prior": []}
    for name, true in zip(emulator.label_names, truth, strict=True):
        draws = result.draws(name)
        told["mean"].append(float(draws.mean()))
        told["std"].append(float(draws.std()))
        told["rank"].append(float(np.mean(draws < true)))
        told["prior"].append(float(result.prior_std[result.names.index(name)]))
    path.write_text(json.dumps(told))
    print(f"{path.name}: {told['seconds']:.0f} s, {', '.join(told['flags'])}", flush=True)


def mocks(emulator: Emulator, options: argparse.Namespace) -> list[Callable[[], None]]:
    """Simulation-based calibration: one task per star."""
    rng = np.random.default_rng(5)
    labels = random_labels(emulator, options.stars, rng)
    speeds, turns = rng.normal(0, 30, options.stars), rng.uniform(0, 30, options.stars)

    def task(i: int) -> None:
        rest = emulator.flux(labels[i])
        star = mock_star(emulator, rest, "hermes", arms=("red",), rv=speeds[i], vsini=turns[i], snr=options.snr, seed=i)
        path = options.output / f"mocks-{options.method}-{i}.json"
        fitted(star, emulator, labels[i], path, method=options.method, jitter=False, seed=i)

    return [lambda i=i: task(i) for i in range(options.stars)]  # type: ignore[misc]


def physical(emulator: Emulator, options: argparse.Namespace) -> list[Callable[[], None]]:
    """Held-out physical spectra: one task per star and treatment of the emulator's error."""
    grid = read_grid(options.grid)
    rows = np.flatnonzero(grid.test)[: options.stars]

    def task(row: int, counted: bool) -> None:
        star = mock_star(emulator, grid.flux[row], "hermes", arms=ARMS, rv=15.0, vsini=8.0, snr=options.snr, seed=row)
        path = options.output / f"physical-{options.snr:g}-{'on' if counted else 'off'}-{row}.json"
        fitted(star, emulator, grid.labels[row], path, method=options.method, emulator_error=counted)

    wanted = {"on": (True,), "off": (False,), "both": (True, False)}[options.emulator_error]
    return [lambda r=int(row), c=c: task(r, c) for row in rows for c in wanted]  # type: ignore[misc]


def repeats(emulator: Emulator, options: argparse.Namespace) -> list[Callable[[], None]]:
    """The same stars with other noise: one task per epoch."""
    rng = np.random.default_rng(6)
    labels = random_labels(emulator, options.stars, rng)

    def task(i: int, epoch: int) -> None:
        rest, rv = emulator.flux(labels[i]), float(rng.normal(0, 20))
        star = mock_star(
            emulator, rest, "hermes", arms=ARMS, rv=rv, vsini=8.0, snr=options.snr, seed=1000 * (epoch + 1) + i
        )
        path = options.output / f"repeats-{i}-{epoch}.json"
        fitted(star, emulator, labels[i], path, method=options.method)

    return [lambda i=i, e=e: task(i, e) for i in range(options.stars) for e in range(options.epochs)]  # type: ignore[misc]


def main() -> None:
    """Fit what is asked for, or draw what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["mocks", "physical", "repeats", "figure"])
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--teacher", help="what the emulator was distilled from, to follow at every star")
    parser.add_argument("--grid", type=Path)
    parser.add_argument("--stars", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--snr", type=float, default=100.0)
    parser.add_argument("--method", default="fast", choices=["fast", "nuts", "hmc", "laplace"])
    parser.add_argument("--emulator-error", default="both", choices=["both", "on", "off"])
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.what == "figure":
        versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax", "numpyro"))
        figure(options.output, f"{date.today()}, {versions}")
        return
    emulator = bayne.load_emulator(options.emulator)
    if options.teacher is not None:
        emulator = replace(emulator, teacher=bayne.load_emulator(options.teacher))
    tasks = {"mocks": mocks, "physical": physical, "repeats": repeats}[options.what](emulator, options)
    for task in tasks:
        task()


if __name__ == "__main__":
    main()

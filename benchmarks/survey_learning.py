"""Held-out error of the emulators for surveys against the number of training spectra, beside The Payne's.

    sed -e 's/^windows.*/windows = [[4200, 4320], [5140, 5240], [8480, 8680], [15900, 16100]]/' \
        -e 's/^number.*/number = 1100/' build/wide/wide.toml > build/wide/slices.toml
    bayne grid build/wide/slices.toml --output build/wide/slices.h5
    python benchmarks/survey_learning.py --grid build/wide/slices.h5 [--output build/survey-learning] [rvs apogee ...]

Both networks learn the same spectra, on a slice of a survey's wavelengths for trainings to be short: other spectra of
the wide grid (`wide_inputs.py`) than those that the emulators of the package learned. What is in ``results.json``
already is not trained again; the table is printed, the figure goes into the docs.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from train_surveys import CONFIGURATIONS

from bayne.reports.style import BLUE, ORANGE, STYLE
from bayne.training import Grid, read_grid, train
from bayne.training.config import read_config
from bayne.wavelength import log_pixels
from emulators import MUON, PUBLISHED

FIGURE = Path(__file__).parent.parent / "docs" / "_static" / "survey-learning.png"

#: Training spectra (0: all), pixels at most, and steps of every training.
NUMBERS, PIXELS, STEPS = (100, 300, 0), 600, 3000

#: What every survey is compared on (vacuum Å): parts of the windows above, with room for kernels of lower resolution.
SLICES = {
    "apogee": (15905, 16095),
    "optical-high": (5141, 5239),
    "optical-low": (4204, 4316),
    "rvs": (8484, 8676),
}

#: The Payne's published size, inputs and output (Ting et al. 2019, ApJ 879, 69), with the optimiser that suits it.
PAYNE = {
    "network": "payne",
    "architecture": PUBLISHED,
    "training": MUON | {"steps": STEPS, "batch": 96, "loss": "l1", "patience": 0},
}


def configurations(name: str) -> dict[str, dict[str, Any]]:
    """The networks that are compared, each with all its pixels in every step."""
    own = asdict(read_config(CONFIGURATIONS / f"{name}.toml"))
    species = {key: own[key] for key in ("network", "architecture")}
    return {"species": species | {"training": own["training"] | {"steps": STEPS, "pixels": 0}}, "payne": PAYNE}


def thinned(name: str, grid: Grid) -> Grid:
    """The spectra of a survey on every k-th pixel of its slice."""
    config = read_config(CONFIGURATIONS / f"{name}.toml")
    wavelength = np.concatenate(log_pixels([SLICES[name]], config.step_kms))
    return grid.observed(wavelength[:: -(-wavelength.size // PIXELS)], config.resolution)


def measure(names: list[str], grid: Grid, path: Path) -> list[dict[str, Any]]:
    """Train what is not in the file yet."""
    results: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    done = {(row["survey"], row["network"], row["asked"]) for row in results}
    for name in names:
        part = None
        for network, config in configurations(name).items():
            for number in NUMBERS:
                if (name, network, number) in done:
                    continue
                part = thinned(name, grid) if part is None else part
                start = time.perf_counter()
                emulator = train(part, config=config | {"training": config["training"] | {"spectra": number}})
                row = {
                    "survey": name, "network": network, "asked": number,
                    "spectra": number or int(part.train.sum()), "pixels": int(part.wavelength.size),
                    "seconds": time.perf_counter() - start, **emulator.card.held_out_error,
                }  # fmt: skip
                results.append(row)
                path.write_text(json.dumps(results, indent=1))
                print(row, flush=True)
    return results


def table(results: list[dict[str, Any]]) -> str:
    """Mean and median star by survey, network and number of spectra."""
    numbers = sorted({row["spectra"] for row in results})
    lines = [f"| emulator | network | {' | '.join(f'{number:,} spectra' for number in numbers)} |"]
    lines.append("|---" * (len(numbers) + 2) + "|")
    for name in dict.fromkeys(row["survey"] for row in results):
        for network in ("species", "payne"):
            found = {r["spectra"]: r for r in results if (r["survey"], r["network"]) == (name, network)}
            cells = [f"{found[n]['mae']:.4f}, {found[n]['median_star_mae']:.4f}" if n in found else "" for n in numbers]
            lines.append(f"| `{name}` | {network} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(results: list[dict[str, Any]]) -> None:
    """Error against number: the mean star solid, the median star dashed."""
    names = list(dict.fromkeys(row["survey"] for row in results))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(names), figsize=(2.8 * len(names), 3.3), sharey=True, layout="constrained")
        for name, axis in zip(names, np.atleast_1d(axes), strict=True):
            for network, colour, words in (("payne", ORANGE, "The Payne"), ("species", BLUE, "species network")):
                rows = sorted(
                    (r for r in results if (r["survey"], r["network"]) == (name, network)), key=lambda r: r["spectra"]
                )
                number = [r["spectra"] for r in rows]
                axis.loglog(number, [r["mae"] for r in rows], "o-", color=colour, ms=4, label=f"{words}, mean")
                axis.loglog(
                    number, [r["median_star_mae"] for r in rows], "o--", color=colour, ms=3, label=f"{words}, median"
                )
            axis.set_xticks(number, [f"{n:,}" for n in number])
            axis.minorticks_off()
            axis.set_title(name)
            axis.set_xlabel("training spectra")
        np.atleast_1d(axes)[0].set_ylabel("mean absolute error of the flux")
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        figure.savefig(FIGURE, dpi=130)
        plt.close(figure)


def main() -> None:
    """Train, tabulate, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted(path.stem for path in CONFIGURATIONS.glob("*.toml"))
    parser.add_argument("names", nargs="*", default=known, help=f"which ones; all of {', '.join(known)}")
    parser.add_argument("--grid", type=Path, required=True, help="wide grid (HDF5)")
    parser.add_argument("--output", type=Path, default=Path("build/survey-learning"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = measure(arguments.names, read_grid(arguments.grid), arguments.output / "results.json")
    print(table(results))
    draw(results)


if __name__ == "__main__":
    main()

"""What do fits recover? The same held-out physical spectra through several emulators.

    python benchmarks/recovery.py --grid galah_pysme_stagger.h5 --emulators galah galah-transformer galah-payne \\
        --classical galah-payne --stars 12 --output build/recovery

Test rows of the grid (row % 10 == 0), observed with all arms of HERMES at S/N 100, through `bayne.compare`: bias and
scatter per label, pulls, cost. Writes ``tables.md``, ``recovery.html`` and ``recovery.png``.
"""

from __future__ import annotations

import argparse
import os
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from matplotlib import rc_context

import bayne
from bayne.inference import Comparison
from bayne.information.mock import mock_star
from bayne.reports import comparison_page
from bayne.reports.comparison import comparison_figure
from bayne.reports.style import STYLE
from bayne.training import read_grid

ARMS = ("blue", "green", "red", "infrared")

#: Labels of the atmosphere, shown one by one, and their digits.
SHOWN = {"teff": 0, "logg": 2, "fe_h": 2, "vmic": 2}


def lines(found: Comparison) -> list[str]:
    """Markdown: bias ± scatter of the atmosphere, scatter of the abundances, pulls, cost."""
    head = "| emulator | Teff | log g | [Fe/H] | v mic | [X/Fe], scatter | pull: rms, median | chi² | s per fit |"
    made = [head, "|" + " --- |" * 9]
    table, ratios = found.table, [name for name in found.labels if name.endswith("_fe")]
    for row in found.summary:
        own = table[table["emulator"] == row["emulator"]]
        by_name = {label["label"]: label for label in own}
        cells = [f"{by_name[n]['bias']:+.{d}f} ± {by_name[n]['truth_scatter']:.{d}f}" for n, d in SHOWN.items()]
        answers = found.answers[row["emulator"]]
        pull = np.abs(answers.value - found.truth) / answers.std
        cells.append(f"{np.median([by_name[n]['truth_scatter'] for n in ratios]):.3f}")
        cells.append(f"{row['rms_pull']:.2f}, {np.nanmedian(pull):.2f}")
        cells += [f"{row['chi2']:.2f}", f"{row['seconds']:.0f}"]
        made.append(f"| {row['emulator']} | {' | '.join(cells)} |")
    return made


def main() -> None:
    """Fit, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--emulators", nargs="+", default=["galah", "galah-transformer", "galah-payne"])
    parser.add_argument("--classical")
    parser.add_argument("--stars", type=int, default=12)
    parser.add_argument("--method", default="map")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    grid = read_grid(options.grid)
    emulators = {Path(name).name: bayne.load_emulator(name) for name in options.emulators}
    first = next(iter(emulators.values()))
    rows = np.flatnonzero(grid.test)[: options.stars]
    stars = [
        mock_star(first, grid.flux[row], "hermes", arms=ARMS, rv=15.0, vsini=8.0, snr=100.0, seed=int(row))
        for row in rows
    ]
    truth = {name: grid.labels[rows, i] for i, name in enumerate(grid.names)}
    found = bayne.compare(stars, emulators, truth=truth, classical=options.classical, method=options.method)
    comparison_page(found, options.output / "recovery.html", overwrite=True)
    with rc_context(STYLE):
        comparison_figure(found).savefig(options.output / "recovery.png", dpi=110)
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax"))
    text = (
        "\n".join([f"{date.today()}, {versions}, {os.cpu_count()} cores, {len(rows)} stars", "", *lines(found)]) + "\n"
    )
    (options.output / "tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

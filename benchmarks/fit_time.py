"""How long fits take: mock stars of four surveys, one after the other, on this machine.

    python benchmarks/fit_time.py fit_time --stars 20 --methods map,laplace,fast
    python benchmarks/fit_time.py fit_time --stars 2 --methods nuts
    python benchmarks/fit_time.py fit_time --table old_fit_time

Stars are drawn inside the emulator's domain with S/N from 20 to 300, as in `mock_stars.py`. The first star of a survey
is fitted once more than the others: what it takes the first time is compilation. Each fit leaves its times in the
folder, so that an interrupted run goes on; ``--table`` prints medians, beside those of another version's folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from mock_stars import stars

import bayne

#: Emulator and instrument of each survey.
SURVEYS = {
    "GALAH": ("galah", "hermes"),
    "APOGEE": ("apogee", "apogee"),
    "Gaia RVS": ("rvs", "rvs"),
    "LAMOST": ("optical-low", "lamost"),
}


def main() -> None:
    """Fit, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--surveys", default=",".join(SURVEYS))
    parser.add_argument("--stars", type=int, default=20)
    parser.add_argument("--methods", default="map,laplace,fast")
    parser.add_argument("--table", type=Path, metavar="BEFORE", help="print medians beside those of another folder")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(arguments.output, arguments.table))
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    for survey in arguments.surveys.split(","):
        for method in arguments.methods.split(","):
            measure(survey, method, arguments.stars, arguments.output / f"{survey}-{method}.json".replace(" ", "-"))


def measure(survey: str, method: str, number: int, path: Path) -> None:
    """Times of one method for the stars of a survey."""
    name, instrument = SURVEYS[survey]
    emulator = bayne.load_emulator(name)
    done = json.loads(path.read_text()) if path.exists() else {"seconds": [], "flags": []}
    every = stars(emulator, None, number, instrument)
    for star in every[len(done["seconds"]) :]:
        if "first" not in done:
            done["first"], _ = timed(star, emulator, method)
        seconds, flags = timed(star, emulator, method)
        done["seconds"].append(seconds)
        done["flags"].append(flags)
        path.write_text(json.dumps(done))
        print(f"{survey}, {method}, {star.id}: {seconds:.2f} s, {flags or 'no flags'}", flush=True)


def timed(star: bayne.Spectrum, emulator: bayne.Emulator, method: str) -> tuple[float, str]:
    """Seconds of a fit, and its flags."""
    start = time.perf_counter()
    result = bayne.fit_star(star, emulator, method=method)
    return time.perf_counter() - start, ", ".join(result.flags.names)


def table(after: Path, before: Path) -> str:
    """Median seconds, before and after, and those of the first star."""
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax", "numpyro"))
    lines = [
        f"{date.today()}; {os.cpu_count()} cores, {platform.machine()}; Python {platform.python_version()}, {versions}",
        "",
        "| survey | method | stars | median before | median | slowest | first star before | first star |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(after.glob("*.json")):
        new, file = json.loads(path.read_text()), before / path.name
        old = json.loads(file.read_text()) if file.exists() else {"seconds": [np.nan], "first": np.nan}
        survey, method = path.stem.rsplit("-", 1)
        lines.append(
            f"| {survey.replace('-', ' ')} | `{method}` | {len(new['seconds'])} | {np.median(old['seconds']):.2f} "
            f"| {np.median(new['seconds']):.2f} | {max(new['seconds']):.2f} | {old['first']:.0f} | {new['first']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""Tables of what `calibrate_stars.py` measured: each star before, and after the others taught, in the linear fits of
the calibration and in those of `fit_star`.

    python benchmarks/calibrate_stars_report.py optical-high --output build/calibrated

Deviations are from the known labels; errors are those quoted, and pulls contain the errors of the known labels too.
Spectra of one star count as one star.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

LABELS = {"teff": 0, "logg": 2, "fe_h": 2}


def rows(records: list[dict[str, Any]]) -> list[str]:
    """A line for each spectrum."""
    found = ["| spectrum | when | Teff (K) | log g | [Fe/H] | verdict |", "|---|---|---|---|---|---|"]
    for record in records:
        for when in ("before", "after"):
            if when not in record:
                continue
            fit, cells = record[when], []
            for label, digits in LABELS.items():
                value, error, _ = fit["labels"][label]
                off = value - record["known"][label][0]
                cells.append(f"{value:.{digits}f} ± {error:.{digits}f} ({off:+.{digits}f})")
            verdict = "ok" if fit["ok"] else ", ".join(fit["flags"])
            found.append(f"| {record['name']} | {when} | {' | '.join(cells)} | {verdict} |")
    return found


def learnt(stars: Table) -> list[str]:
    """Deviations in the linear fits of the calibration, before and after; in the rms spectra of one star are one."""
    found = ["| star | Teff (K) | log g | [Fe/H] |", "|---|---|---|---|"]
    weight = [1 / np.sum(stars["star"] == name) for name in stars["star"]]
    off = {k: [np.asarray(stars[f"{k}_{when}"] - stars[k]) for when in ("before", "after")] for k in LABELS}

    def line(name: str, number: Callable[[np.ndarray], float], sign: str = "") -> str:
        cells = [" → ".join(f"{number(one):{sign}.{digits}f}" for one in off[k]) for k, digits in LABELS.items()]
        return f"| {name} | {' | '.join(cells)} |"

    found += [line(name, lambda one, i=i: one[i], "+") for i, name in enumerate(stars["star"])]
    found.append(line("rms", lambda one: np.sqrt(np.average(one**2, weights=weight))))
    return [*found, line("median of the absolute values", lambda one: np.median(np.abs(one)))]


def summary(records: list[dict[str, Any]], when: str) -> list[str]:
    """rms and mean of deviations, rms of pulls, share within one quoted error."""
    used = [record for record in records if when in record]
    if not used:
        return []
    weight = np.array([1 / sum(other["star"] == record["star"] for other in used) for record in used])
    cells: dict[str, list[str]] = {"rms": [], "mean": [], "rms pull": [], "within 1 σ": []}
    for label, digits in LABELS.items():
        value, error = np.array([record[when]["labels"][label][:2] for record in used]).T
        known, own = np.array([record["known"][label] for record in used]).T
        off, pull = value - known, (value - known) / np.hypot(error, own)
        cells["rms"].append(f"{np.sqrt(np.average(off**2, weights=weight)):.{digits + (digits > 0)}f}")
        cells["mean"].append(f"{np.average(off, weights=weight):+.{digits + (digits > 0)}f}")
        cells["rms pull"].append(f"{np.sqrt(np.average(pull**2, weights=weight)):.2f}")
        cells["within 1 σ"].append(f"{np.average(np.abs(pull) < 1, weights=weight):.0%}")
    return [f"| {when}, {what} | {' | '.join(values)} |" for what, values in cells.items()]


def abundances(records: list[dict[str, Any]]) -> list[str]:
    """[X/Fe] of the Sun, before and after."""
    found = ["| spectrum | when | [X/Fe] |", "|---|---|---|"]
    for record in records:
        for when in ("before", "after"):
            if record["star"] == "Sun" and when in record:
                told = [
                    f"{label.removesuffix('_fe').capitalize()} {value:+.2f} ± {error:.2f}"
                    for label, (value, error, _) in record[when]["labels"].items()
                    if label.endswith("_fe") and error < 0.1
                ]
                found.append(f"| {record['name']} | {when} | {', '.join(told)} |")
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("emulators", nargs="+")
    parser.add_argument("--output", type=Path, default=Path("build/calibrated"))
    given = parser.parse_args()
    for name in given.emulators:
        records = [json.loads(line) for line in (given.output / f"{name}.jsonl").read_text().splitlines()]
        print(f"\n## {name}, linear fits\n\n" + "\n".join(learnt(Table.read(given.output / f"{name}-stars.ecsv"))))
        groups = {"": records}
        if name == "optical-low":
            miles = [record for record in records if record["name"].startswith("miles")]
            groups = {"MILES": miles, "LAMOST": [record for record in records if record not in miles]}
        for group, own in groups.items():
            print(f"\n## {name} {group}\n")
            if not group:
                print("\n".join(rows(own)))
            for title, chosen in (("all", own), ("ok", [r for r in own if r["after"]["ok"]])):
                lines = summary(chosen, "before") + summary(chosen, "after")
                print(
                    f"\n| {title}, {len(chosen)} | Teff (K) | log g | [Fe/H] |\n|---|---|---|---|\n" + "\n".join(lines)
                )
            print("\n" + "\n".join(abundances(own)))


if __name__ == "__main__":
    main()

"""How often the radial velocity that a fit starts from is right, and whether `RV_UNCERTAIN` tells when it is not.

    python benchmarks/velocity.py [--number 400] [--output build/velocity.json]

Mock stars of the emulator ``galah`` through one arm of HERMES, from all over the domain, S/N 5 to 300, v sin i 1 to 100
km/s; and spectra without lines: noise, and noise on a continuum that waves. "Right" is within 50 km/s, from where a fit
reaches the maximum.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

import bayne
from bayne.inference.batch import bound_settings
from bayne.inference.diagnose import RV_SIGNIFICANCE
from bayne.inference.maximum import overlap, start_of
from bayne.inference.prepare import prepare
from bayne.information.mock import mock_star
from bayne.training.compiling import random_labels

ARMS = ("blue", "green", "red", "infrared")


def significance(spectrum: bayne.Spectrum, emulator: bayne.Emulator) -> tuple[float, float]:
    """Starting velocity (km/s) and its significance."""
    settings = bound_settings("map", {})
    ready, _ = prepare(spectrum, emulator, settings, None)
    cut = emulator.cut(overlap(ready.spectrum, emulator))
    start = start_of(ready.spectrum, cut, ready.pilot, settings, ready.bary)
    return start.velocity, start.significance


def lineless(spectrum: bayne.Spectrum, rng: np.random.Generator, waves: float) -> bayne.Spectrum:
    """The same pixels and noise with a flat continuum that waves by a share `waves` over 10 to 60 Å."""
    arms = []
    for arm in spectrum.arms:
        phase, length = rng.uniform(0, 2 * np.pi), rng.uniform(10, 60)
        level = np.median(arm.flux[arm.good])
        flux = level * (1 + waves * np.sin(phase + 2 * np.pi * arm.wavelength / length))
        arms.append(replace(arm, flux=flux + rng.normal(0, 1, flux.size) / np.sqrt(np.where(arm.good, arm.ivar, 1.0))))
    return replace(spectrum, arms=tuple(arms))


def main() -> None:
    """Measure, print a table, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=400, help="of mock stars")
    parser.add_argument("--output", type=Path, default=Path("build/velocity.json"))
    options = parser.parse_args()
    emulator, rng = bayne.load_emulator("galah"), np.random.default_rng(5)
    labels = random_labels(emulator, options.number, rng)
    rows = []
    for i, star in enumerate(labels):
        snr, turning, rv = np.exp(rng.uniform(np.log(5), np.log(300))), rng.uniform(1, 100), rng.normal(0, 100)
        made = mock_star(
            emulator, emulator.flux(star), "hermes", rv=rv, vsini=turning, snr=snr, arms=[ARMS[i % 4]], seed=i
        )
        velocity, found = significance(made, emulator)
        rows.append({"kind": "star", "snr": snr, "vsini": turning, "off": velocity - rv, "significance": found})
        if i % 4 == 0:
            for kind, waves in (("noise", 0.0), ("waves", 0.02)):
                velocity, found = significance(lineless(made, rng, waves), emulator)
                rows.append({"kind": kind, "snr": snr, "off": np.nan, "significance": found})
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(rows) + "\n", encoding="utf-8")
    for kind in ("star", "noise", "waves"):
        found = np.array([row["significance"] for row in rows if row["kind"] == kind])
        right = np.array([abs(row["off"]) < 50 for row in rows if row["kind"] == kind])
        trusted = found >= RV_SIGNIFICANCE
        least = np.percentile(found[right], [0, 5, 50]).round(1).tolist() if right.any() else []
        print(
            f"{kind}: {found.size}, right {right.sum()}; trusted {trusted.sum()}, of these wrong "
            f"{(trusted & ~right).sum()}; right but not trusted {(right & ~trusted).sum()}; significance of the wrong "
            f"{np.sort(found[~right])[::-1][:6].round(1).tolist()}, of the right (0, 5, 50%) {least}"
        )


if __name__ == "__main__":
    main()

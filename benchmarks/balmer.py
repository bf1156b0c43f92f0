"""Teff of the Sun from the wings of H alpha and H beta alone, by how much of their cores is left out; and a picture.

    python benchmarks/balmer.py --spectrum galah/2101150022012391.fits --output docs/_static/balmer.png

Everything but Teff and the continuum is held: log g and [Fe/H] at the Sun's values, the other labels at those of a fit
of the whole spectrum. `--spectrum` is a reduced GALAH spectrum of the Sun.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import bayne
from bayne.reports.style import GREY, ORANGE, STYLE

SUN = {"teff": 5772.0, "logg": 4.44, "fe_h": 0.0}
#: Name, vacuum Å, window.
LINES = (("Hβ", 4862.69, (4830.0, 4895.0)), ("Hα", 6564.61, (6530.0, 6600.0)))
CUTS = (5.0, 3.5, 2.0)


def cut(emulator: bayne.Emulator, half: float) -> bayne.Emulator:
    """The emulator with less or more of the cores left out."""
    cores = tuple((middle - half, middle + half) for _, middle, _ in LINES)
    return replace(emulator, card=replace(emulator.card, excluded=cores, discrepancy={}))


def main() -> None:
    """Fit, tabulate, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectrum", type=Path, required=True)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    print(date.today(), ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax")), arguments.emulator)
    emulator, sun = bayne.load_emulator(arguments.emulator), bayne.read_spectrum(arguments.spectrum)
    whole = bayne.fit_star(sun, emulator, method="map")
    held = {name: float(v) for name, v in zip(whole.names, whole.map, strict=True) if not name.startswith("excess_")}
    held = {name: value for name, value in held.items() if name != "teff"} | {k: SUN[k] for k in ("logg", "fe_h")}
    print("\n| line | left out (Å from the core) | with the process | polynomial alone |\n|---|---|---|---|")
    fits = {}
    for name, _, window in LINES:
        for half in CUTS:
            cells = []
            for robust in (True, False):
                result = bayne.fit_star(
                    sun, cut(emulator, half), method="map", windows=[window], fixed=held, robust=robust
                )
                row = result.table[list(result.table["label"]).index("teff")]
                cells.append(f"{row['median']:.0f} ± {row['std']:.0f}")
                fits[name, half, robust] = result
            print(f"| {name} | {half} | {' | '.join(cells)} |", flush=True)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(2, 2, figsize=(12, 5.5), sharex="col", height_ratios=(3, 1))
        for (name, middle, window), (above, below) in zip(LINES, panels.T, strict=True):
            # of the narrowest cut, which shows most of the core; what is left out by default is shaded
            (arm,) = (arm for arm in fits[name, min(CUTS), True].arms if arm.used.any())
            flux, model = arm.flux / arm.continuum, arm.model / arm.continuum
            above.set_xlim(window)
            above.set_ylim(0.0, 1.15)
            above.plot(arm.wavelength, flux, color="black", lw=0.8, label="the Sun")
            above.plot(arm.wavelength, model, color=ORANGE, lw=1.0, label="model, Teff from these wings")
            below.plot(arm.wavelength, flux - model, color="black", lw=0.8)
            below.axhline(0.0, color=ORANGE, lw=1.0)
            for axes in (above, below):
                axes.axvspan(middle - CUTS[0], middle + CUTS[0], color=GREY, alpha=0.2, lw=0)
            above.set_title(name)
            below.set_ylim(-0.08, 0.08)
            below.set_xlabel("wavelength, vacuum (Å)")
        panels[0, 0].set_ylabel("flux over continuum")
        panels[1, 0].set_ylabel("difference")
        panels[0, 0].legend(loc="lower left")
        figure.savefig(arguments.output, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()

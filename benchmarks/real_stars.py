"""Fits of real stars: values beside what is known of them, and pictures of the residuals.

    python benchmarks/real_stars.py --spectra spectra --output build/real-stars [sun ...]

`--spectra` is a folder with the files named below: reduced GALAH spectra, two TRES epochs of WASP-14 (from the examples
of Starfish) and HD 122563 observed with MIKE (from the examples of smhr). Every star is fitted with the defaults of
`fit_star` but for what its entry says, and with the errors of a model that is taken for right: `reference_stars.py` has
those to be believed.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

import bayne
from bayne.reports import report

matplotlib.use("Agg")
import matplotlib.pyplot as plt

#: File, options of `fit_star`, and what is known: the Sun by definition; GALAH's own quick values, from the headers;
#: the literature, rounded, for WASP-14 (Joshi et al. 2009, MNRAS 392, 1532; Torres et al. 2012, ApJ 757, 161) and
#: HD 122563 (Karovicova et al. 2020, A&A 640, A25).
STARS: dict[str, tuple[str, dict[str, Any], dict[str, float]]] = {
    "sun": ("galah/2101150022012391.fits", {}, {"teff": 5772, "logg": 4.438, "fe_h": 0.0, "rv": -21.4}),
    "giant-1": ("galah/2101150001010011.fits", {}, {"teff": 4688, "logg": 2.19, "fe_h": -0.27, "rv": -18.7}),
    "giant-2": ("galah/2101150001010021.fits", {}, {"teff": 4711, "logg": 2.40, "fe_h": -0.20, "rv": 31.9}),
    "rotator": (
        "galah/2101150001010031.fits",
        {},
        {"teff": 6592, "logg": 3.93, "fe_h": -0.82, "rv": 23.0, "vsini": 43},
    ),
    "wasp14-2009": (
        "WASP14-2009-06-14.hdf5",
        {"instrument": "tres", "medium": "air"},
        {"teff": 6450, "logg": 4.2, "fe_h": -0.1, "vsini": 5},
    ),
    "wasp14-2010": (
        "WASP14-2010-03-29.hdf5",
        {"instrument": "tres", "medium": "air"},
        {"teff": 6450, "logg": 4.2, "fe_h": -0.1, "vsini": 5},
    ),
    "hd122563": (
        "hd122563.fits",
        {"instrument": "mike", "medium": "air", "frame": "rest"},
        {"teff": 4620, "logg": 1.45, "fe_h": -2.6},
    ),
}
READING = ("medium", "frame")


def fit(name: str, folder: Path, emulator: bayne.Emulator, method: str) -> bayne.FitResult:
    """Result of one star."""
    file, options, _ = STARS[name]
    spectrum = bayne.read_spectrum(folder / file, **{k: v for k, v in options.items() if k in READING})
    rest = {k: v for k, v in options.items() if k not in READING}
    return bayne.fit_star(spectrum, emulator, method=method, robust=False, id=name, **rest)


def picture(results: dict[str, bayne.FitResult], path: Path) -> None:
    """Residuals of all stars in their rest frames, one row of panels per window of the emulator."""
    windows = next(iter(results.values())).provenance["emulator_windows"]
    figure, axes = plt.subplots(len(windows), 1, figsize=(16, 3.2 * len(windows)), constrained_layout=True)
    for axis, (low, high) in zip(axes, windows, strict=True):
        for row, (name, result) in enumerate(results.items()):
            velocity = result.diagnostics.get("velocity_frame", 0.0)
            for arm in result.arms:
                rest = arm.wavelength / (1 + velocity / 299792.458)
                inside = (rest > low) & (rest < high)
                residual = np.where(arm.used, (arm.flux - arm.model) / arm.continuum, np.nan)
                axis.plot(rest[inside], residual[inside] - 0.2 * row, lw=0.5, color=f"C{row}")
            axis.text(low, -0.2 * row + 0.05, name, color=f"C{row}", fontsize=8)
        axis.set_xlim(low, high)
        axis.set_ylim(-0.2 * len(results), 0.2)
        axis.set_yticks([])
    axes[-1].set_xlabel("rest wavelength, vacuum (Å)")
    figure.supylabel("(observed - model) / continuum, 0.2 between stars")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Fit, tabulate, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(STARS), help=f"which; all of {', '.join(STARS)}")
    parser.add_argument("--spectra", type=Path, required=True)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--method", default="map")
    parser.add_argument("--output", type=Path, default=Path("build/real-stars"))
    arguments = parser.parse_args()
    print(date.today(), ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax")), arguments.emulator, arguments.method)
    arguments.output.mkdir(parents=True, exist_ok=True)
    emulator, results = bayne.load_emulator(arguments.emulator), {}
    for name in arguments.names:
        result = results[name] = fit(name, arguments.spectra, emulator, arguments.method)
        rows = {str(row["label"]): row for row in result.table}
        print(f"\n{name}: {result.diagnostics['seconds']:.0f} s; {', '.join(result.flags.names)}")
        for label, known in STARS[name][2].items():
            row = rows[label]
            sigma = (row["median"] - known) / row["std"]
            print(f"  {label}: {row['median']:.3f} ± {row['std']:.3f}; known {known:g}: {sigma:+.1f} sigma")
        print(
            "  " + ", ".join(f"{k} {r['median']:.2f}±{r['std']:.2f}" for k, r in rows.items() if k.endswith("_fe")),
            flush=True,
        )
        result.save(arguments.output / f"{name}.nc", overwrite=True)
        report(result, arguments.output / f"{name}.html", overwrite=True)
        table = {k: [float(r["median"]), float(r["std"])] for k, r in rows.items()}
        (arguments.output / f"{name}.json").write_text(json.dumps(table, indent=1))
    picture(results, arguments.output / "residuals.png")


if __name__ == "__main__":
    main()

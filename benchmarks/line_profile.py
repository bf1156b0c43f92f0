"""What v sin i absorbs of the line profile of HERMES: fits with more or less trust in the file's widths.

    python benchmarks/line_profile.py 2101150022012391.fits 2101150001010011.fits 2101150001010021.fits

Files are reduced GALAH spectra: the Sun (v sin i 1.6, macroturbulence 3 to 4 km/s) and two giants (the survey's quick
values of v sin i, macroturbulence included: 6.7 and 6.8 km/s).
"""

from __future__ import annotations

import argparse
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import bayne

WITH_VMAC = ("rv", "vsini", "vmac")
#: What is asked of `fit_star`.
SETTINGS: dict[str, dict[str, Any]] = {
    "width free within 10%": {"priors": {"lsf_scale": (1, 0.1)}},
    "within 3%, the default": {},
    "and macroturbulence free": {"free": WITH_VMAC},
    "and macroturbulence of 3.5 km/s": {"fixed": {"vmac": 3.5}},
}
LABELS = ("vsini", "vmac", "lsf_scale")


def main() -> None:
    """Fit, and tabulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spectra", nargs="+", type=Path)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--method", default="fast")
    arguments = parser.parse_args()
    print(date.today(), ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax")), arguments.emulator, arguments.method)
    emulator = bayne.load_emulator(arguments.emulator)
    print("\n| spectrum | | v sin i: median, 95% limit | v mac | width over the file's |\n|---|---|---|---|---|")
    for path in arguments.spectra:
        spectrum = bayne.read_spectrum(path)
        for what, options in SETTINGS.items():
            result = bayne.fit_star(spectrum, emulator, method=arguments.method, **options)
            draws = {name: result.draws(name) for name in LABELS if name in result.names}
            told = {name: f"{own.mean():.2f} ± {own.std():.2f}" for name, own in draws.items()}
            low, middle, high, limit = np.quantile(draws["vsini"], (0.16, 0.5, 0.84, 0.95))
            print(
                f"| {path.stem} | {what} | {middle:.1f} ({low:.1f} to {high:.1f}), {limit:.1f} "
                f"| {told.get('vmac', '0')} | {told['lsf_scale']} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

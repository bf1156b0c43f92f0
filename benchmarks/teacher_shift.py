"""How far is a distilled emulator's posterior from its teacher's?

    python benchmarks/teacher_shift.py --emulator galah --instrument hermes --mocks 8 star1.fits star2.fits

Fits spectra, and every third of the mocks of `inference.py` (one arm, S/N from 20 to 300), by ``method="laplace"``,
and prints ``teacher_shift``, in sigma, for each.
"""

from __future__ import annotations

import argparse
from datetime import date
from importlib.metadata import version
from pathlib import Path

import bayne
from inference import stars


def main() -> None:
    """Distil, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spectra", type=Path, nargs="*")
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--instrument", default="hermes")
    parser.add_argument("--mocks", type=int, default=8)
    options = parser.parse_args()
    teacher = bayne.load_emulator(options.emulator)
    distilled = bayne.compile(teacher, options.instrument)
    print(date.today(), ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax")), distilled.card.held_out_error)
    for star in [*map(bayne.read_spectrum, options.spectra), *stars(teacher, ["red"], options.mocks)[::3]]:
        found = bayne.fit_star(star, distilled, method="laplace").diagnostics
        noise = ", ".join(f"{value:.0f}" for name, value in found.items() if name.startswith("snr_"))
        print(f"{star.id}: {found['teacher_shift']:.2f} sigma, S/N {noise}", flush=True)


if __name__ == "__main__":
    main()

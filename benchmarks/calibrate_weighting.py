"""How the weights of pixels move the labels of a star that taught nothing.

    python benchmarks/calibrate_weighting.py sun-hermes sun-atlas eps-eri --data data --output build/calibrated

`--output` is where `calibrate_stars.py optical-high` wrote what it learnt. Stars are measured by the linear fit of the
calibration, with other values of the constants of `bayne.calibration.linear`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from calibrate_stars import LABELS, SETS, optical_high, spectrum_of, without

import bayne
from bayne.calibration import linear as weights
from bayne.calibration.calibrate import Calibration
from bayne.calibration.reference import LABEL_STEPS
from bayne.calibration.stars import prepare_stars
from bayne.precision import double

#: Error of the ln of each line, floor (share of the continuum), degrees of freedom of Student's t.
VARIANTS = [
    (0.15, 0.004, 8.0),
    (0.15, 0.004, 1e9),
    (0.15, 0.0005, 8.0),
    (0.15, 0.0005, 1e9),
    (0.15, 0.008, 8.0),
    (0.3, 0.004, 8.0),
]


def measured(begun: Calibration, emulator: bayne.Emulator) -> list[float]:
    """Teff, log g and [Fe/H] less what is known, of the only star of a calibration, through a corrected emulator."""
    star = begun.stars[0].free()
    names = star.problem.model.names
    for _ in range(LABEL_STEPS):
        about = weights.linear(star.seen_by(emulator), begun.nodes, begun.absorber, np.zeros(3), 0.0, False)
        weighted = about.own * about.weight[:, None]
        precision = weighted.T @ about.own + np.diag(about.precision)
        star = star.moved(np.linalg.solve(precision, weighted.T @ about.residual + about.pull))
    return [star.theta[names.index(label)] - star.known[label][0] for label in LABELS]


@double
def main() -> None:
    """Print a table for each star."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stars", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("build/calibrated"))
    given = parser.parse_args()
    original = bayne.load_emulator("optical-high")
    for star in optical_high(given.data, original):
        if star.name not in given.stars:
            continue
        prepared = prepare_stars(original, [spectrum_of(star)], [star.known], SETS["optical-high"][1])
        begun = Calibration.begun(original, prepared, np.ones(original.wavelength.size), True)
        emulator = bayne.load_emulator(without(given.output, "optical-high", star.star))
        print(f"\n## {star.name}\n\n| error of a line | floor | outliers | Teff (K) | log g | [Fe/H] |")
        print("|---|---|---|---|---|---|")
        for weights.SCATTER, weights.FLOOR, weights.FREEDOM in VARIANTS:
            teff, logg, fe_h = measured(begun, emulator)
            outliers = "Gaussian" if weights.FREEDOM > 100 else "Student's t"
            floor = f"{100 * weights.FLOOR:g}%"
            print(f"| {weights.SCATTER} | {floor} | {outliers} | {teff:+.0f} | {logg:+.2f} | {fe_h:+.2f} |", flush=True)


if __name__ == "__main__":
    main()

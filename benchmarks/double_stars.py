"""Are two stars taken for one? Pairs of APOGEE's pixels, of known velocities, fitted as single stars.

    python benchmarks/double_stars.py --network binspec_NN_normalized_spectra.npz --pixels apogee_2M13012770.npz

Both stars are of the published network of binspec (El-Badry et al. 2018, MNRAS 476, 528), a dwarf of 5600 K and one of
4900 K, with macroturbulence of 3 km/s; their normalised spectra are added by their light, and noise is added.
`--pixels` is a spectrum whose pixels and masks are taken.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np

import bayne
from bayne.wavelength import C_KMS

FIRST = {"teff": 5600.0, "logg": 4.5, "fe_h": -0.1, "mg_fe": 0.05, "vmac": 3.0}
SECOND = FIRST | {"teff": 4900.0, "logg": 4.6}
#: Distance of the velocities (km/s), light of the second star over that of the first, S/N.
PAIRS = ((0, 0.6, 150), (12, 0.6, 150), (20, 0.3, 150), (20, 0.6, 60), (20, 0.6, 150), (20, 0.6, 400), (20, 0.9, 150),
         (30, 0.6, 150), (40, 0.6, 150))  # fmt: skip


def pair(pixels: bayne.Spectrum, emulator: bayne.Emulator, distance: float, light: float, snr: float) -> bayne.Spectrum:
    """The sum of the two stars, about the velocity of their light."""
    rng, arms = np.random.default_rng(1), []
    share = light / (1 + light)
    one, two = (emulator.flux(np.array([star[n] for n in emulator.label_names])) for star in (FIRST, SECOND))
    for arm in pixels.arms:
        moved = [
            np.interp(arm.wavelength, emulator.wavelength * (1 + velocity / C_KMS), np.asarray(flux))
            for flux, velocity in ((one, -share * distance), (two, (1 - share) * distance))
        ]
        flux = (1 - share) * moved[0] + share * moved[1] + rng.normal(0, 1 / snr, arm.wavelength.size)
        arms.append(replace(arm, flux=flux, ivar=np.where(arm.mask, 0.0, float(snr) ** 2)))
    return replace(pixels, arms=tuple(arms), id=f"{distance}-{light}-{snr}")


def main() -> None:
    """Fit, and tabulate the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", type=Path, required=True)
    parser.add_argument("--pixels", type=Path, required=True)
    arguments = parser.parse_args()
    print(date.today(), ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax")))
    emulator = bayne.load_emulator(
        arguments.network, card=Path(str(files("bayne") / "emulators" / "cards" / "binspec_apogee.json"))
    )
    pixels = bayne.read_spectrum(arguments.pixels)
    print("\n| km/s apart | light | S/N | Teff | v mac | explained | profile | verdict |")
    print("|---|---|---|---|---|---|---|---|")
    for distance, light, snr in PAIRS:
        result = bayne.fit_star(pair(pixels, emulator, distance, light, snr), emulator, method="map")
        rows = {str(row["label"]): row for row in result.table}
        bad = ", ".join(name for name in result.flags.names if bayne.Flag[name].bad)
        print(
            f"| {distance} | {light} | {snr} | {rows['teff']['median']:.0f} ± {rows['teff']['std']:.0f} "
            f"| {rows['vmac']['median']:.1f} | {result.diagnostics['explained']:.1%} "
            f"| {result.diagnostics['profile']:+.1%} | {bad or 'ok'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

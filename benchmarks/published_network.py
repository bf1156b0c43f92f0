"""A published network on real APOGEE spectra: Bayne against a direct least-squares fit, and what choices cost.

    python benchmarks/published_network.py --star apogee_2M13012770.npz --visit apVisit-r13-5095-55844-128.fits \\
        --network binspec_NN_normalized_spectra.npz --card src/bayne/emulators/cards/binspec_apogee.json

The direct fit shares no code with Bayne but the file of weights: the network in NumPy, one spline per chip after a
relativistic shift, `scipy.optimize.least_squares`, quoted errors, no continuum.
"""

from __future__ import annotations

import argparse
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import least_squares

import bayne

C_KMS = 299_792.458
NAMES = ("teff", "logg", "fe_h", "mg_fe", "vmac", "rv")


def direct_fit(
    weights: dict[str, np.ndarray], wave: np.ndarray, flux: np.ndarray, sigma: np.ndarray, used: np.ndarray, kind: str
) -> np.ndarray:
    """Labels and velocity by least squares; `kind` of interpolation is ``"cubic"`` or ``"linear"``."""
    chips = np.split(np.arange(wave.size), np.flatnonzero(np.diff(np.log(wave)) > 1e-4) + 1)

    def model(x: np.ndarray) -> np.ndarray:
        scaled = (x[:5] - weights["x_min"]) / (weights["x_max"] - weights["x_min"]) - 0.5
        hidden = 1 / (1 + np.exp(-(np.einsum("phl,l->ph", weights["w_array_0"], scaled) + weights["b_array_0"])))
        rest = (weights["w_array_1"] * hidden).sum(1) + weights["b_array_1"]
        doppler = np.sqrt((1 + x[5] / C_KMS) / (1 - x[5] / C_KMS))
        out = np.empty_like(rest)
        for chip in chips:
            at = wave[chip] * doppler
            shift = (
                CubicSpline(at, rest[chip]) if kind == "cubic" else lambda w, at=at, f=rest[chip]: np.interp(w, at, f)
            )
            out[chip] = shift(wave[chip])
        return out

    start = np.array([4800.0, 4.5, -0.2, 0.1, 10.0, 0.5])
    fit = least_squares(lambda x: (model(x) - flux)[used] / sigma[used], start, x_scale=[100, 0.1, 0.1, 0.1, 1, 1])
    return fit.x


def row(what: str, values: np.ndarray, note: str = "", digits: tuple[int, ...] = (0, 3, 3, 3, 2, 2)) -> None:
    """Print one line of the table."""
    print(
        f"| {what} | " + " | ".join(f"{v:.{d}f}" for v, d in zip(values, digits, strict=True)) + f" | {note} |",
        flush=True,
    )


def describe(what: str, result: bayne.FitResult) -> None:
    """Print median and standard deviation of a posterior, its convergence and its flags."""
    table = result.table[[int(np.flatnonzero(result.table["label"] == n)[0]) for n in NAMES]]
    d = result.diagnostics
    note = f"max R-hat {d['rhat_max']:.3f}, min bulk ESS {d['ess_bulk_min']:.0f}, {d['divergences']:.0f} divergences"
    row(f"{what}, median", table["median"], note)
    row(f"{what}, sd", table["std"])
    row(f"{what}, sd / bound", table["std"] / table["crb"], digits=(2,) * 6)
    print(f"  ok {result.ok}; {', '.join(result.flags.names)}")
    for message in result.messages:
        print("  " + message)


def main() -> None:
    """Print the tables that the docs quote."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("star", "visit", "network", "card"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    arguments = parser.parse_args()
    print(date.today(), ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax", "numpyro", "scipy")))
    weights = {k: v.astype(float) for k, v in np.load(arguments.network).items()}
    emulator = bayne.load_emulator(arguments.network, arguments.card)
    star = bayne.read_spectrum(arguments.star)
    bare = {"continuum": False, "jitter": False, "emulator_error": False, "free": ("rv",), "method": "map"}
    fits = {
        "Bayne, band-limited": bayne.fit_star(star, emulator, **bare),
        "Bayne, prior rv 0 ± 2": bayne.fit_star(star, emulator, **bare, priors={"rv": (0.0, 2.0)}),
    }
    wave = np.concatenate([arm.wavelength for arm in star.arms])
    flux = np.concatenate([arm.flux for arm in star.arms])
    ivar = np.concatenate([arm.ivar for arm in star.arms if arm.ivar is not None])
    good = np.concatenate([arm.good for arm in star.arms])
    sigma = 1 / np.sqrt(np.where(good, ivar, 1.0))
    print("| fit | " + " | ".join(NAMES) + " | pixels |\n|" + "---|" * 8)
    for kind in ("cubic", "linear"):
        row(f"direct, {kind}", direct_fit(weights, wave, flux, sigma, good, kind), str(good.sum()))
    for what, result in fits.items():
        used = np.concatenate([arm.used for arm in result.arms])
        row("direct, cubic, pixels of the next", direct_fit(weights, wave, flux, sigma, used, "cubic"), str(used.sum()))
        row(what, [result.map[result.names.index(n)] for n in NAMES], str(used.sum()))
    describe("NUTS, jitter and continuum", bayne.fit_star(star, emulator, free=("rv",)))
    describe("NUTS, visit", bayne.fit_star(bayne.read_spectrum(arguments.visit), emulator, free=("rv",)))


if __name__ == "__main__":
    main()

"""Which order of the continuum do spectra ask for? Evidence of fits with several orders.

    python benchmarks/continuum_order.py 2101150001010011.fits 2101150001010021.fits

The logarithm of the evidence is that of Laplace's approximation: log posterior density at the maximum, on the same
pixels for all orders, plus half the log determinant of the covariance there. Only differences mean something.
"""

from __future__ import annotations

import argparse
from datetime import date
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import bayne
from bayne.inference import maximum
from bayne.inference.batch import bound_settings
from bayne.inference.draws import Draws
from bayne.inference.methods import approximation
from bayne.inference.outcome import finish
from bayne.likelihoods import log_posterior


def evidence(spectrum: bayne.Spectrum, emulator: bayne.Emulator, order: int) -> tuple[float, bayne.FitResult]:
    """Log evidence up to a constant, and the result."""
    # no outliers are removed, so that all orders see the same pixels
    with jax.enable_x64(True), mock.patch.object(maximum, "ROUNDS", 0):
        found = maximum.find_maximum(spectrum, emulator, bound_settings("map", {"continuum": order}), None)
        problem = found.problem
        if problem is None:
            raise RuntimeError(f"{spectrum.id} has no maximum: {found.verdict.flags}")
        peak = log_posterior(problem.model, problem.prior, jnp.asarray(found.theta))
        covariance = approximation(problem, found.theta).covariance
    result = finish(found, covariance, Draws(found.theta[None, None], {}), complete=False)
    return float(peak) + 0.5 * float(np.linalg.slogdet(covariance)[1]), result


def main() -> None:
    """Print a table per star."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spectra", nargs="+", type=Path)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--orders", nargs="+", type=int, default=[4, 6, 8, 10])
    options = parser.parse_args()
    print(date.today(), ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax")), options.emulator)
    emulator = bayne.load_emulator(options.emulator)
    for path in options.spectra:
        spectrum, first = bayne.read_spectrum(path), None
        print(f"\n{path.name}\n\n| order | ln evidence | Teff | log g | [Fe/H] |\n|---|---|---|---|---|")
        for order in options.orders:
            value, result = evidence(spectrum, emulator, order)
            first = value if first is None else first
            teff, logg, iron = (result.map[result.names.index(name)] for name in ("teff", "logg", "fe_h"))
            print(f"| {order} | {value - first:+.0f} | {teff:.0f} | {logg:.2f} | {iron:.2f} |", flush=True)


if __name__ == "__main__":
    main()

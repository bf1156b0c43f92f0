"""Do errors hold where the model is wrong? Stars with wrong lines, a continuum that wanders and a boxy LSF.

    python benchmarks/wrong_model.py --grid galah_pysme_stagger.h5 --stars 30 --output build/wrong-model

Stars are test rows of the grid, which no training saw, observed with all arms of HERMES. They are fitted as they are,
at S/N 50, 100 and 200, and disturbed, at S/N 100: 5% of their lines stronger or weaker by 0.2 dex, a continuum that
wanders by 1% over 20 to 60 Å, and a line profile most of whose variance is that of a top hat, all unknown to the fit.
Errors are those of `fit_star` by default and, for the disturbed stars, also those of a model that is taken for right
(`robust=False`), as they were before. The discrepancy on the emulator's card, which tells of real stars, is left out.
Every fit leaves a JSON file; a run that is called again goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import argrelmin

import bayne
from bayne.information.mock import mock_star
from bayne.instrument import load_instrument
from bayne.training import read_grid

#: Share of lines that are wrong and by how much (dex); depth from which a minimum counts as a line.
WRONG, BY, DEPTH = 0.05, 0.2, 0.01
#: What the continuum wanders by, and over what lengths (Å).
WAVES, LENGTHS = 0.01, (20.0, 60.0)
#: Share of a top hat in the variance of the line-spread function.
BOX = 0.7


def with_wrong_lines(flux: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The spectrum (p,) with the absorption of some lines changed, each as far as half the way to the next."""
    minima = argrelmin(flux, order=3)[0]
    minima = minima[flux[minima] < 1 - DEPTH]
    owner = np.searchsorted((minima[1:] + minima[:-1]) / 2, np.arange(flux.size))
    change = np.where(rng.random(minima.size) < WRONG, rng.choice([-BY, BY], minima.size), 0.0)
    return np.asarray(np.clip(flux, 1e-3, None) ** (10 ** change[owner]))


def with_waves(star: bayne.Spectrum, rng: np.random.Generator) -> bayne.Spectrum:
    """The star with a continuum that wanders: three waves per arm."""
    arms = []
    for arm in star.arms:
        phases, lengths = rng.uniform(0, 2 * np.pi, 3), rng.uniform(*LENGTHS, 3)
        waves = np.sin(phases + 2 * np.pi * arm.wavelength[:, None] / lengths).sum(1) * np.sqrt(2 / 3)
        arms.append(replace(arm, flux=arm.flux * (1 + WAVES * waves)))
    return replace(star, arms=tuple(arms))


def star_of(emulator: bayne.Emulator, flux: np.ndarray, snr: float, row: int, disturbed: bool) -> bayne.Spectrum:
    """A mock observation of a physical spectrum."""
    instrument = load_instrument("hermes")
    rng = np.random.default_rng(row)
    if disturbed:
        flux = with_wrong_lines(flux, rng)
        instrument = replace(instrument, lsf_box=BOX)
    star = mock_star(emulator, flux, instrument, rv=15.0, vsini=8.0, snr=snr, seed=row)
    if not disturbed:
        return star
    # the fit believes the Gaussian of the profile
    gaussian = tuple(replace(arm, lsf=replace(arm.lsf, box=0.0)) for arm in star.arms)
    return with_waves(replace(star, arms=gaussian), rng)


def fitted(emulator: bayne.Emulator, star: bayne.Spectrum, truth: dict[str, float], **options: Any) -> dict[str, Any]:
    """Rank of every true label among the draws, and deviations in units of the errors."""
    result = bayne.fit_star(star, emulator, **options)
    draws = {label: result.draws(label).ravel() for label in truth}
    return {
        "rank": [float(np.mean(draws[label] < true)) for label, true in truth.items()],
        "pull": [float((draws[label].mean() - true) / draws[label].std()) for label, true in truth.items()],
        "ok": result.ok,
        "flags": result.flags.names,
    }


def main() -> None:
    """Fit, and tabulate how often errors hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--method", default="fast")
    parser.add_argument("--stars", type=int, default=24)
    parser.add_argument("--output", type=Path, default=Path("build/wrong-model"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    emulator = bayne.load_emulator(arguments.emulator)
    emulator = replace(emulator, card=replace(emulator.card, discrepancy={}))
    grid = read_grid(arguments.grid)
    print(date.today(), ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax")), arguments.emulator, arguments.method)
    print("\n| stars | S/N | errors | in 68% | in 95% | rms (sigma) | ok | of these in 68% | in 95% |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind, snr, robust in [("right", s, True) for s in (50, 100, 200)] + [
        ("disturbed", 100, r) for r in (True, False)
    ]:
        fits = []
        for row in np.flatnonzero(grid.test)[: arguments.stars]:
            path = arguments.output / f"{kind}-{snr}-{'robust' if robust else 'plain'}-{row}.json"
            if not path.exists():
                star = star_of(emulator, grid.flux[row], snr, int(row), kind == "disturbed")
                truth = dict(zip(grid.names, grid.labels[row], strict=True))
                path.write_text(json.dumps(fitted(emulator, star, truth, method=arguments.method, robust=robust)))
            fits.append(json.loads(path.read_text()))
        rank, pull = (np.array([found[what] for found in fits]) for what in ("rank", "pull"))
        ok = np.array([found["ok"] for found in fits])
        every, good = (
            " | ".join(f"{np.mean(np.abs(own - 0.5) < half):.0%}" for half in (0.3413, 0.475))
            for own in (rank, rank[ok])
        )
        print(
            f"| {kind} | {snr} | {'robust' if robust else 'of a right model'} | {every} "
            f"| {np.sqrt(np.mean(pull**2)):.2f} | {ok.sum()} of {ok.size} | {good} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Train the emulators for surveys on the wide grid, and write them into the package.

    python benchmarks/train_surveys.py --grid build/wide/wide.h5 [--output build/surveys] [rvs apogee ...]
    python benchmarks/train_surveys.py --cards [rvs apogee ...]

The second form writes only what real stars say onto the cards. The grid is that of ``benchmarks/wide.toml``. Each
configuration in ``benchmarks/surveys/`` takes its windows from it at its resolution. A training that is finished in
``--output`` is taken as it is, an interrupted one goes on. Weights of species that absorb nothing at a pixel become
zero, which a wheel stores in no space; the rest goes to half precision.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from train_default import BALMER_CORES, PACKAGE, rounded

from bayne.emulators import Card, Emulator, load_emulator, save_emulator
from bayne.emulators.species import LIMIT, SpeciesPayne
from bayne.training import Grid, evaluate, read_grid, train
from bayne.training.config import read_config
from bayne.wavelength import log_pixels

CONFIGURATIONS = Path(__file__).parent / "surveys"

WEIGHTS = PACKAGE / "emulators" / "weights"

#: Balmer lines from H alpha to H 11 (vacuum Å; NIST Atomic Spectra Database), and Ca II K, which chromospheres fill.
BALMER = (6564.6, 4862.7, 4341.7, 4102.9, 3971.2, 3890.2, 3836.5, 3799.0, 3771.7)
CALCIUM_K = 3934.8

#: What is left out of every fit (vacuum Å): cores of lines that form above the photosphere. With the cores of H gamma
#: and higher lines, metal-poor giants of MILES come out up to 250 K too hot. Ca II H is in the core of H epsilon.
EXCLUDED = {
    "optical-high": BALMER_CORES,
    "optical-low": tuple((centre - 6.0, centre + 6.0) for centre in sorted((*BALMER, CALCIUM_K))),
}

#: Stars of MILES (their numbers there) whose labels say what the physics of all four gets wrong, through `optical-low`.
MILES = (
    1, 4, 5, 7, 8, 10, 13, 14, 16, 17, 19, 23, 25, 26, 28, 29, 31, 34, 35, 37, 40, 41, 43, 46, 47, 49, 50, 52, 55, 56,
    58, 61, 62, 67, 68, 70, 73, 76, 77, 79, 82, 83, 86, 88, 89, 91, 92, 94, 95, 98, 100,
)  # fmt: skip

#: What has to be added to errors, by ``survey_stars.py miles --number 60`` (2026-11-26), and the stars that say so.
DISCREPANCY = {"teff": (164.0, 83.0), "logg": (0.41, 0.26), "fe_h": (0.24, 0.07)}
REFERENCE_STARS = tuple(f"MILES {number}" for number in MILES)

#: Largest change of the flux, over all spectra that were learnt, by a species that is left out at a pixel.
ABSENT = 1e-4


def without_absent(emulator: Emulator, grid: Grid) -> Emulator:
    """The emulator without the weights of species where they absorb nothing."""
    network, params = emulator.network, dict(emulator.params)
    assert isinstance(network, SpeciesPayne)

    @jax.jit
    def change(labels: jax.Array) -> jax.Array:
        """(n, p) how much the flux grows without a species."""
        odds = network.odds(params, labels)
        return odds / (1 + odds.sum(axis=0)) ** 2

    largest = np.zeros(np.shape(params["level"]))
    for labels in grid.labels[grid.train]:
        largest = np.maximum(largest, np.asarray(change(jnp.asarray(labels, jnp.float32))))
    there = largest > ABSENT
    new = {
        "level": np.where(there, params["level"], -LIMIT),
        "slope": np.where(there, params["slope"], 0.0),
        "basis": np.where(there[:, None], params["basis"], 0.0),
    }
    print(f"{emulator.card.name}: {there.mean():.0%} of the weights are of species that absorb there")
    return replace(emulator, params=params | {name: value.astype(np.float32) for name, value in new.items()})


def with_stars(card: Card) -> Card:
    """The card with what real stars say."""
    excluded = EXCLUDED.get(card.name, ())
    return replace(card, excluded=excluded, discrepancy=DISCREPANCY, reference_stars=REFERENCE_STARS)


def ship(name: str, grid: Grid, output: Path) -> None:
    """Train one configuration, write it into the package, and say how good what was written is."""
    start, path = time.perf_counter(), CONFIGURATIONS / f"{name}.toml"
    config = read_config(path)
    part = grid.observed(np.concatenate(log_pixels(config.windows, config.step_kms)), config.resolution)
    emulator = train(part, config=path, output=output / name, resume=True, tell=lambda done, text: print(text))
    print(f"{name}: {time.perf_counter() - start:.0f} s on {jax.devices()[0].platform}")
    emulator = replace(emulator, card=with_stars(emulator.card))
    folder = save_emulator(rounded(without_absent(emulator, part)), WEIGHTS / name)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"{name}: {size / 1e6:.1f} MB; on {part.test.sum()} test spectra: {evaluate(load_emulator(name), part).errors}"
    )


def main() -> None:
    """Train and ship."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted(path.stem for path in CONFIGURATIONS.glob("*.toml"))
    parser.add_argument("names", nargs="*", default=known, help=f"which ones; all of {', '.join(known)}")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--grid", type=Path, help="wide grid (HDF5)")
    what.add_argument("--cards", action="store_true", help="leave the weights as they are")
    parser.add_argument("--output", type=Path, default=Path("build/surveys"), help="folder of the trainings")
    arguments = parser.parse_args()
    if arguments.cards:
        for name in arguments.names:
            path = WEIGHTS / name / "card.json"
            path.write_text(with_stars(Card.read(path)).to_json(), encoding="utf-8")
        return
    grid = read_grid(arguments.grid)
    for name in arguments.names:
        ship(name, grid, arguments.output)


if __name__ == "__main__":
    main()

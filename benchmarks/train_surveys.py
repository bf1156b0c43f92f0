"""Train the emulators for surveys on the wide grid, and write them into the package.

    python benchmarks/train_surveys.py --grid build/wide/wide.h5 [--output build/surveys] [rvs apogee ...]

The grid is that of ``benchmarks/wide.toml``. Each configuration in ``benchmarks/surveys/`` takes its windows from it at
its resolution. A training that is finished in ``--output`` is taken as it is, an interrupted one goes on. Weights of
species that absorb nothing at a pixel become zero, which a wheel stores in no space; the rest goes to half precision.
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

from bayne.emulators import Emulator, load_emulator, save_emulator
from bayne.emulators.species import LIMIT, SpeciesPayne
from bayne.training import Grid, evaluate, read_grid, train
from bayne.training.config import read_config
from bayne.wavelength import log_pixels

CONFIGURATIONS = Path(__file__).parent / "surveys"

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


def ship(name: str, grid: Grid, output: Path) -> None:
    """Train one configuration, write it into the package, and say how good what was written is."""
    start, path = time.perf_counter(), CONFIGURATIONS / f"{name}.toml"
    config = read_config(path)
    part = grid.observed(np.concatenate(log_pixels(config.windows, config.step_kms)), config.resolution)
    emulator = train(part, config=path, output=output / name, resume=True, tell=lambda done, text: print(text))
    print(f"{name}: {time.perf_counter() - start:.0f} s on {jax.devices()[0].platform}")
    cores = tuple(core for core in BALMER_CORES if any(a < core[0] and core[1] < b for a, b in emulator.windows()))
    card = replace(emulator.card, excluded=cores)
    folder = save_emulator(
        rounded(without_absent(replace(emulator, card=card), part)), PACKAGE / "emulators" / "weights" / name
    )
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"{name}: {size / 1e6:.1f} MB; on {part.test.sum()} test spectra: {evaluate(load_emulator(name), part).errors}"
    )


def main() -> None:
    """Train and ship."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted(path.stem for path in CONFIGURATIONS.glob("*.toml"))
    parser.add_argument("names", nargs="*", default=known, help=f"which ones; all of {', '.join(known)}")
    parser.add_argument("--grid", type=Path, required=True, help="wide grid (HDF5)")
    parser.add_argument("--output", type=Path, default=Path("build/surveys"), help="folder of the trainings")
    arguments = parser.parse_args()
    grid = read_grid(arguments.grid)
    for name in arguments.names:
        ship(name, grid, arguments.output)


if __name__ == "__main__":
    main()

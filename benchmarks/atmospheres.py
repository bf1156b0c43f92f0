"""Where networks of model atmospheres hold, and how networks and grids of models differ.

    python benchmarks/atmospheres.py --network atmosnet_c3k_cool.npz --atlas9 atmospheres/ [--stagger models.npz]

Prints, for stars drawn evenly in Teff, log g, [Fe/H] and [alpha/Fe], the share that the networks have a possible
structure for, by region; errors of grids by leaving models out; and temperatures at equal Rosseland optical depth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from bayne.synthesis.atmosphere_grid import AtmosphereGrid, leave_one_out, read_grid
from bayne.synthesis.atmosphere_network import NetworkModels, read_network

NUMBER, RANGES = 40_000, np.array([(3800, 8000), (0, 5), (-4, 0.5), (-0.2, 0.6)])

#: Regions by Teff and log g.
REGIONS = (
    *(((3800, 8000), (2, 4.5)), ((4100, 8000), (4.5, 5)), ((3800, 4100), (4.5, 5)), ((3800, 8000), (1.5, 2))),
    *(((5250, 7000), (1, 1.5)), ((5250, 7000), (0, 0.5)), ((7000, 8000), (0, 0.5))),
)
STARS = ((5777.0, 4.44, 0.0), (4300.0, 1.5, -0.5), (6500.0, 4.0, -2.0))
DEPTHS = np.array([-4, -3, -2, -1, -0.5, 0, 0.5])

#: Leaving models out: those hotter, or of other depths, do not count.
HOTTEST, LOG_TAU = 8000.0, (-4.0, 1.0)


def validity(models: NetworkModels) -> None:
    rng = np.random.default_rng(0)
    stars = rng.uniform(*RANGES.T, (NUMBER, 4))
    good = np.concatenate([models.contains(part) for part in np.array_split(stars, 20)])
    print(f"{models.name}: {good.mean():.0%} of {NUMBER} stars have a possible structure")
    for (cool, hot), (low, high) in REGIONS:
        here = (stars[:, 0] >= cool) & (stars[:, 0] < hot) & (stars[:, 1] >= low) & (stars[:, 1] < high)
        print(f"  Teff {cool}-{hot}, log g {low}-{high}: {good[here].mean():.0%}")


def left_out(grid: AtmosphereGrid) -> None:
    found = leave_one_out(grid)
    some = grid.labels[found.models, 0] <= HOTTEST
    deep = (grid.log_tau >= LOG_TAU[0]) & (grid.log_tau <= LOG_TAU[1])
    for what, errors in (("K", found.temperature), ("dex of pressure", found.log_pressure)):
        errors = errors[some][:, deep]
        rms, median = np.sqrt(np.mean(errors**2)), np.median(np.abs(errors))
        print(f"{grid.name} ({grid.method}), {some.sum()} models left out: rms {rms:.2g}, median {median:.2g} {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", type=Path, required=True)
    parser.add_argument("--atlas9", type=Path, required=True, help="folder of ATLAS9 grids")
    parser.add_argument("--stagger", type=Path, help="<3D> STAGGER models")
    options = parser.parse_args()
    network, atlas = read_network(options.network), read_grid(options.atlas9)
    validity(network)
    for grid in (atlas, *([read_grid(options.stagger)] if options.stagger else [])):
        left_out(grid)
    for star in STARS:
        ours, theirs = network.at(*star), atlas.at(*star)
        apart = [np.interp(DEPTHS, m.log_tau, m.temperature) for m in (theirs, ours)]
        told = ", ".join(f"{depth:g}: {dt:+.0f}" for depth, dt in zip(DEPTHS, apart[0] - apart[1], strict=True))
        print(f"T of {atlas.name} less that of {network.name} (K) by log tau at {star}: {told}")


if __name__ == "__main__":
    main()

"""Which emulator? All networks on the same spectra for the same time: accuracy and cost.

    python benchmarks/emulators.py --grid galah_pysme_stagger.h5 --output emulators --minutes 5

Every (variant, number of training spectra) leaves its emulator and a JSON file in the folder, so that an interrupted
run goes on where it stopped. At the end: ``tables.md`` and the figures, of all that is in the folder by then.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from emulators_report import figures, tables

import bayne
from bayne.emulators import Emulator
from bayne.emulators.transformer import Transformer
from bayne.reports.answers import matrix_figure
from bayne.training import Grid, read_grid
from bayne.training.attention import line_tests
from bayne.training.derivatives import compare_derivatives

PUBLISHED = {"abundances": "fe", "output": "flux"}
BEST = {"abundances": "h", "output": "absorbance"}
TRUNK = {"token_kind": "element", "width": 64, "layers": 2}
PATCH = TRUNK | {"patch": 64, "rank": 64}

#: Of AdamW and Muon, mean square and absolute error, rates from 1e-3 to 3e-2, batches of 8 to 64: best in short trials.
MUON = {"optimiser": "muon", "learning_rate": 1e-2, "loss": "l1", "checks": 20}
SMALL = MUON | {"batch": 16}
PATCHES = SMALL | {"blocks": 400, "learning_rate": 2e-2, "weight_decay": 0.05}
PIXELS = SMALL | {"blocks": 2048}
SPECIES = {"batch": 16, "learning_rate": 1.4e-2, "loss": "l1", "checks": 20}

#: Configurations by name: inputs are [X/H] and the output is absorbance unless it says otherwise.
VARIANTS: dict[str, dict[str, Any]] = {
    "kernel-payne": {"network": "kernel-payne"},
    "payne-published": {"network": "payne", "architecture": PUBLISHED, "training": MUON},
    "payne": {"network": "payne", "architecture": BEST, "training": MUON},
    "payne-large": {"network": "payne-large", "training": MUON},
    "species": {"network": "species", "training": SPECIES},
    "patch": {"network": "patch-transformer", "architecture": PATCH, "training": PATCHES},
    "patch-mixed": {
        "network": "patch-transformer",
        "architecture": PATCH | {"token_kind": "mixed"},
        "training": PATCHES,
    },
    "patch-shared": {
        "network": "patch-transformer",
        "architecture": PATCH | {"rank": 0},
        "training": PATCHES,
    },
    "convolutional": {"network": "convolutional", "training": SMALL},
    "transformer": {"network": "transformer", "architecture": TRUNK, "training": PIXELS},
    "transformer-published": {
        "network": "transformer",
        "architecture": TRUNK | PUBLISHED | {"token_kind": "mixed"},
        "training": PIXELS,
    },
    "payne-large-adamw": {"network": "payne-large", "training": MUON | {"optimiser": "adamw", "learning_rate": 5e-3}},
    "patch-adamw": {
        "network": "patch-transformer",
        "architecture": PATCH,
        "training": PATCHES | {"optimiser": "adamw", "learning_rate": 3e-3},
    },
}

#: Seconds over which the cost of a spectrum is measured.
TIMED = 2.0

#: Numbers of steps from whose times, the least of some tries, that of one step follows; on the first rows of the grid.
FEW, MORE, ROWS, TRIES = 2, 22, 120, 3


def clock() -> float:
    """Seconds: on a CPU those that its cores worked for this process, so that nobody else's work counts."""
    return time.process_time() if jax.devices()[0].platform == "cpu" else time.perf_counter()


def steps_in(grid: Grid, config: dict[str, Any], minutes: float) -> int:
    """Number of steps that a network takes in so many minutes of `clock`, compilation apart."""
    small = replace(grid, labels=grid.labels[:ROWS], flux=grid.flux[:ROWS])

    def seconds(steps: int) -> float:
        begun = clock()
        bayne.train(small, config=config | {"training": config["training"] | {"steps": steps, "checks": 1}})
        return clock() - begun

    few, more = (min(seconds(steps) for _ in range(TRIES)) for steps in (FEW, MORE))  # the first of each compiles
    if more <= few:
        raise RuntimeError(f"{MORE} steps took {more:.2f} s and {FEW} took {few:.2f} s: the clock is too noisy")
    return max(1, round(60 * minutes * (MORE - FEW) / (more - few)))


def trained(grid: Grid, variant: str, size: int, minutes: float, folder: Path) -> dict[str, Any]:
    """Train a variant on the first `size` training rows (0: all of them); errors on the test rows, and seconds."""
    config = json.loads(json.dumps(VARIANTS[variant] | {"name": variant}))
    if variant == "kernel-payne":
        config["kernel"] = {"spectra": size or int(grid.train.sum())}
    else:
        config["training"] |= {"spectra": size, "steps": steps_in(grid, config, minutes)}
    begun = clock()
    emulator = bayne.train(grid, config=config, output=folder)
    told = {"spectra": size or int(grid.train.sum()), "minutes": minutes, "seconds": clock() - begun}
    return described(emulator, folder) | told


def described(emulator: Emulator, folder: Path) -> dict[str, Any]:
    """Errors, number of parameters, and what the log says of steps and their wall seconds, of an emulator."""
    log = folder / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    arrays = {k: v for k, v in emulator.params.items() if k not in emulator.network.derived}
    return {
        "network": emulator.card.network,
        "errors": emulator.card.held_out_error,
        "steps": lines[-1]["step"] if lines else None,
        "seconds": sum(line["seconds"] for line in lines) or None,
        "parameters": sum(np.size(v) for v in arrays.values()),
    }


def passed(start: float) -> float:
    """Seconds since."""
    return time.perf_counter() - start


def cost(emulator: Emulator) -> dict[str, Any]:
    """Median milliseconds, operations and bytes of one spectrum, and of the gradient of a sum of squares of it."""
    network = emulator.network

    def forward(params: Mapping[str, Any], labels: jax.Array) -> jax.Array:
        return network(params, labels)

    def squares(params: Mapping[str, Any], labels: jax.Array) -> jax.Array:
        return jnp.sum(network(params, labels) ** 2)

    found: dict[str, Any] = {}
    with jax.enable_x64(False):
        params = jax.tree.map(jnp.asarray, dict(emulator.params))
        labels = jnp.asarray(0.5 * (emulator.lower + emulator.upper), jnp.float32)
        functions: dict[str, Callable[..., Any]] = {"forward": forward, "gradient": jax.grad(squares, argnums=1)}
        for what, function in functions.items():
            compiled = jax.jit(function).lower(params, labels).compile()
            compiled(params, labels).block_until_ready()
            times, begun = [], time.perf_counter()
            while passed(begun) < TIMED:
                start = time.perf_counter()
                compiled(params, labels).block_until_ready()
                times.append(1e3 * passed(start))
            counted = compiled.cost_analysis()
            found[what] = {
                "ms": statistics.median(times),
                "operations": counted["flops"],
                "bytes": counted["bytes accessed"],
            }
    return found


def derivatives(emulator: Emulator, path: Path) -> dict[str, Any]:
    """Correlation with physical derivatives of the labels that have a measurable line, by star."""
    return {
        star.name: {
            name: float(r)
            for name, r, can in zip(emulator.label_names, star.correlation, star.measurable, strict=True)
            if can
        }
        for star in compare_derivatives(emulator, path)
    }


def judge(name: str, result: dict[str, Any], folder: Path, options: argparse.Namespace) -> None:
    """What is measured of the emulators that were trained on all spectra; written as soon as it is known."""
    path = options.output / f"{name}.json"
    emulator = bayne.load_emulator(folder)
    if "cost" not in result:
        write(path, result, cost=cost(emulator))
    if options.derivatives and "derivatives" not in result:
        write(path, result, derivatives=derivatives(emulator, options.derivatives))


def attention(name: str, emulator: Emulator, grid: Grid, folder: Path) -> None:
    """Figure and permutation tests of what named lines attend to, for emulators that have tokens."""
    if not isinstance(emulator.network, Transformer):
        return
    judged = bayne.evaluate(emulator, grid)
    for line_map in judged.maps:
        if line_map.kind == "attention":
            matrix_figure(judged, line_map).savefig(folder / f"emulators-attention-{name}.png", dpi=110)
            tests = line_tests(line_map, judged.wavelength, judged.segment)
            passed = [test.element for test in tests if test.passed]
            print(f"{name}: of {len(tests)} tokens {len(passed)} attract their own lines: {', '.join(passed)}")


def write(path: Path, result: dict[str, Any], **new: Any) -> None:
    """Add to a result and write it by rename."""
    result |= new
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def read(path: Path) -> dict[str, Any]:
    """A result that is there already, or nothing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def main() -> None:
    """Train, measure, and write tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, required=True, help="grid file (HDF5)")
    parser.add_argument("--output", type=Path, required=True, help="folder for emulators, results, tables, figures")
    parser.add_argument("--networks", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--sizes", nargs="*", default=[0, 100, 300], type=int, help="training spectra, 0: all")
    parser.add_argument("--minutes", default=5.0, type=float, help="of one core, or of a GPU, for each training")
    parser.add_argument("--derivatives", type=Path, help="file of physical derivatives")
    parser.add_argument("--trained", nargs="*", default=[], metavar="NAME=FOLDER", help="emulators that are there")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    grid = read_grid(options.grid)
    for size in options.sizes:
        for variant in options.networks:
            name = f"{variant}-{size or 'all'}"
            path = options.output / f"{name}.json"
            result = read(path)
            if not result:
                write(path, result, **trained(grid, variant, size, options.minutes, options.output / name))
                print(f"{name}: MAE {result['errors']['mae']}, {result['seconds']:.0f} s", flush=True)
            if not size:
                judge(name, result, options.output / name, options)
    for given in options.trained:
        name, _, place = given.partition("=")
        result = read(options.output / f"{name}-all.json")
        if not result:
            told = described(bayne.load_emulator(place), Path(place))
            write(options.output / f"{name}-all.json", result, **told, spectra=int(grid.train.sum()))
        judge(f"{name}-all", result, Path(place), options)
        attention(name, bayne.load_emulator(place), grid, options.output)
    results = {path.stem: read(path) for path in sorted(options.output.glob("*.json"))}
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax"))
    where = f"{date.today()}, {versions}, {jax.devices()[0].platform}, {os.cpu_count()} cores"
    text = "\n\n".join([where, *tables(results)]) + "\n"
    (options.output / "tables.md").write_text(text, encoding="utf-8")
    print(text)
    for name, figure in figures(results).items():
        figure.savefig(options.output / f"emulators-{name}.png", dpi=150)


if __name__ == "__main__":
    main()

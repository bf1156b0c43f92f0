"""How fast are posteriors, and is the fast one the right one? ``fast`` beside ``nuts`` on mock stars.

    python benchmarks/inference.py --emulator galah --arms red --stars 12 --output inference

Stars are drawn inside the emulator's domain with S/N from 20 to 300, observed with HERMES, and fitted by both methods.
Every star leaves a JSON file, so that an interrupted run goes on where it stopped. Then the stars go through
`fit_batch` together. ``fast`` runs twice per star, so that its second time holds no compilation; NUTS once.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from mocks import hermes_mock

import bayne
from bayne.emulators import Emulator
from bayne.inference import fast
from bayne.labels import over_hydrogen
from bayne.spectrum import Spectrum

#: Signal-to-noise ratios of the first and the last star, and scatter of abundances about solar ratios (dex).
SNR, SCATTER = (20.0, 300.0), 0.15


def stars(emulator: Emulator, arms: list[str], number: int) -> list[Spectrum]:
    """Mock observations of stars from all over the domain, through the emulator itself."""
    rng = np.random.default_rng(11)
    ratios = {over for over, _ in over_hydrogen(emulator.label_names).values()}
    lower, upper, made = emulator.lower, emulator.upper, []
    for i, snr in enumerate(np.geomspace(*SNR, number)):
        inside = False
        while not inside:
            labels = rng.uniform(0.95 * lower + 0.05 * upper, 0.05 * lower + 0.95 * upper)
            for k, name in enumerate(emulator.label_names):
                if name in ratios:
                    labels[k] = np.clip(rng.normal(0, SCATTER), lower[k], upper[k])
            inside = bool(emulator.contains(labels))
        rest = emulator.flux(labels)
        made.append(hermes_mock(emulator, rest, arms=arms, rv=rng.normal(0, 30), vsini=8.0, snr=snr, seed=i))
    return made


def measure(star: Spectrum, emulator: Emulator, method: str, path: Path) -> dict[str, Any]:
    """Means, standard deviations and diagnostics of a fit; taken from `path` if they are there."""
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    for _ in range(2 if method == "fast" else 1):
        start, busy = time.perf_counter(), time.process_time()
        result = bayne.fit_star(star, emulator, method=method)
    told = {
        "seconds": time.perf_counter() - start,
        "core_seconds": time.process_time() - busy,
        "labels": list(emulator.label_names),
        "mean": [float(result.draws(name).mean()) for name in emulator.label_names],
        "std": [float(result.draws(name).std()) for name in emulator.label_names],
        "ess": float(np.nanmin(result.table["ess_bulk"])),
        "flags": result.flags.names,
        "diagnostics": {k: float(v) for k, v in result.diagnostics.items()},
    }
    path.write_text(json.dumps(told, indent=1))
    return told


def compared(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[str]:
    """Lines of a Markdown table: differences of fast and NUTS, path taken, cost."""
    both = [(q, n) for q, n in pairs if "SAMPLED_INSTEAD" not in q["flags"]]
    quick = [q for q, _ in both]
    lines = [f"| stars | {len(pairs)} |", "|---|---|", f"| kept by importance sampling | {len(quick)} |"]
    khat = [q["diagnostics"]["khat"] for q, _ in pairs]
    lines.append(f"| k-hat, median and largest | {np.median(khat):.2f}, {max(khat):.2f} |")
    if both:
        shift = np.array([(np.array(q["mean"]) - n["mean"]) / n["std"] for q, n in both])
        ratio = np.array([np.array(q["std"]) / n["std"] for q, n in both])
        cost = [n["core_seconds"] / n["ess"] / (q["core_seconds"] / q["ess"]) for q, n in both]
        lines += [
            f"| effective draws, median: fast, NUTS | {np.median([q['ess'] for q in quick]):.0f}, "
            f"{np.median([n['ess'] for _, n in both]):.0f} |",
            f"| rms difference of means | {np.sqrt(np.mean(shift**2)):.3f} sigma |",
            f"| ratio of standard deviations: median, range of the labels' medians | {np.median(ratio):.3f}, "
            f"{np.median(ratio, axis=0).min():.3f} to {np.median(ratio, axis=0).max():.3f} |",
            f"| pairs within 0.9 to 1.1 | {np.mean((ratio > 0.9) & (ratio < 1.1)):.0%} |",
            f"| core-seconds per star, median: fast, NUTS | {np.median([q['core_seconds'] for q in quick]):.1f}, "
            f"{np.median([n['core_seconds'] for _, n in both]):.0f} |",
            f"| core-seconds per effective draw, NUTS over fast | {np.median(cost):.1f} |",
        ]
    return lines


def ceiling() -> float:
    """Operations per second of a float32 matrix product on all cores, the most that the machine can do."""
    a = jnp.ones((2048, 2048), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    product(a).block_until_ready()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        product(a).block_until_ready()
        times.append(time.perf_counter() - start)
    return float(2 * 2048**3 / np.median(times))


def main() -> None:
    """Fit, compare, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--arms", nargs="+", default=["red"], help="arms of HERMES")
    parser.add_argument("--stars", type=int, default=12)
    parser.add_argument("--methods", nargs="+", default=["fast", "nuts"], choices=["fast", "nuts"])
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    emulator = bayne.load_emulator(options.emulator)
    observed = stars(emulator, options.arms, options.stars)
    found: dict[str, list[dict[str, Any]]] = {method: [] for method in options.methods}
    for i, star in enumerate(observed):
        for method in options.methods:
            told = measure(star, emulator, method, options.output / f"{i}-{method}.json")
            found[method].append(told)
            print(f"star {i}, {method}: {told['seconds']:.1f} s, effective draws {told['ess']:.0f}", flush=True)
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax", "numpyro"))
    lines = [f"{date.today()}, {versions}, {jax.default_backend()}, {os.cpu_count()} cores, {options.emulator}, "]
    lines[0] += f"{'+'.join(options.arms)}, {found['fast'][0]['diagnostics']['n_pixels']:.0f} pixels"
    if "nuts" in found:
        lines += ["", *compared(list(zip(found["fast"], found["nuts"], strict=True)))]
    start = time.perf_counter()
    bayne.fit_batch(observed, emulator)
    spent = (time.perf_counter() - start) / len(observed)
    draws = sum(count for count, _ in fast.ROUNDS[: fast.LEAST])
    lines += [
        "",
        f"`fit_batch`, {len(observed)} stars together: {spent:.1f} s per star, with compilation; at least {draws} "
        f"draws per star, and {len(fast.NODES)} spectra per parameter; ceiling {ceiling() / 1e9:.0f} Gop/s.",
    ]
    text = "\n".join(lines) + "\n"
    (options.output / "tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

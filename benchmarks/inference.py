"""How fast are posteriors, and is the fast one the right one? ``fast`` beside ``nuts`` on mock stars.

    python benchmarks/inference.py --emulator galah --arms red --stars 12 --output inference

Stars are drawn inside the emulator's domain with S/N from 20 to 300, observed with HERMES, and fitted by both methods.
Every star leaves a JSON file, so that an interrupted run goes on where it stopped. Then the stars go through
`fit_batch` together. ``fast`` runs twice per star, so that its second time holds no compilation; NUTS once.

``--plain`` stars are also sampled by NumPyro's NUTS as it comes, on `bayne.model`: one chain from the maximum, labels
in their units, mass matrix adapted, no tabulated Gram matrix. ``--classical`` fits them by
`scipy.optimize.curve_fit` with the finite differences of a Payne network.

``--profile 11 li_fe`` prints mean and standard deviation of one label of one star with all else integrated out by
Laplace's method at each of its values: a judge where the two differ.

``--shard 0/2`` measures every second star, for one of two processes that have a core each (``taskset -c 0``); a run
without it makes the tables of what both left.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
from mock_stars import stars
from numpyro.infer import MCMC, NUTS, init_to_value

import bayne
from bayne.emulators import Emulator
from bayne.inference import fast
from bayne.inference.batch import bound_settings
from bayne.inference.chunks import CHUNK, predictions
from bayne.inference.classic import least_squares
from bayne.inference.copula import profiles
from bayne.inference.maximum import LAST_STEPS, find_maximum
from bayne.inference.optimise import optimise
from bayne.inference.surrogate import tangent_plane
from bayne.likelihoods import Problem, log_posterior
from bayne.spectrum import Spectrum

#: Warm-up and kept draws of NumPyro's NUTS as it comes.
PLAIN = (300, 300)

#: Values of a label that its profile is computed at.
PLACES = 28


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


def problem_of(star: Spectrum, emulator: Emulator) -> tuple[Problem, np.ndarray]:
    """What is sampled, and its maximum."""
    with jax.enable_x64(True):
        found = find_maximum(star, emulator, bound_settings("map", {}), None)
    if found.problem is None:
        raise RuntimeError(f"{star.id} has no maximum: {found.verdict.flags}")
    return found.problem, found.theta


def counted(star: Spectrum, emulator: Emulator) -> str:
    """Sentences: operations and bytes of one draw of ``fast`` by XLA's count beside the ceiling; how exact it is."""
    problem, theta = problem_of(star, emulator)
    model, prior = problem.model, problem.prior
    with jax.enable_x64(True):
        x, covariance = jnp.asarray(theta), jnp.linalg.inv(precision(problem, jnp.asarray(theta)))
        table = model.tabulated(x, prior.upper)
        plane = tangent_plane(model, x, *model.jacobian(x))
        draw = partial(fast._draw, table, prior, plane)
        marginals = profiles(lambda x: draw(x).posterior, prior, theta, np.asarray(covariance))
        few = jnp.broadcast_to(x, (CHUNK, theta.size))
        models = predictions(table, few)
        costs = [
            lowered.compile().cost_analysis()
            for lowered in (predictions.lower(table, few), fast._evaluate.lower(table, prior, plane, few, models))
        ]
        operations, moved = (sum(cost[name] for cost in costs) / CHUNK for name in ("flops", "bytes accessed"))
        many = jax.vmap(marginals.parameters)(jax.random.normal(jax.random.key(0), (fast.COUNT, theta.size), float))[0]
        seconds = timed(partial(draw, many)) / fast.COUNT
        draws, told = many[:100], draw(many[:100]).likelihood
        exact = jax.jit(lambda model, x: jax.lax.map(model.log_like, x))(model, draws)
        size, off = float(np.std(told)), float(np.std(told - np.asarray(exact)))
    return (
        f"A draw of `fast`: {operations / 1e6:.1f} Mop without the Fourier transforms, {moved / 1e6:.1f} MB, "
        f"{1e3 * seconds:.2f} ms: {operations / seconds / 1e9:.0f} Gop/s, of {ceiling() / 1e9:.0f} that a float32 "
        f"matrix product reaches; {fast.COUNT} draws a round, two rounds at least. Over draws the tabulated ln L "
        f"scatters by {size:.1f} and differs from the whole one by {off:.3f}."
    )


def profile(star: Spectrum, emulator: Emulator, label: str) -> str:
    """Sentence: moments of a label's posterior, all else maximised, and integrated as the Gaussian that it is there."""
    problem, theta = problem_of(star, emulator)
    model, prior = problem.model, problem.prior
    i = model.names.index(label)
    low, high = float(prior.lower[i]), float(prior.upper[i])
    others = np.arange(theta.size) != i
    values, density = np.linspace(low, high, PLACES + 2)[1:-1], []
    with jax.enable_x64(True):
        for value in values:
            pin = 1e-4 * (high - low) / PLACES
            held = replace(prior, lower=prior.lower.at[i].set(value - pin), upper=prior.upper.at[i].set(value + pin))
            start = np.where(np.arange(theta.size) == i, value, theta)
            at = jnp.asarray(optimise(model, held, start[None], LAST_STEPS, False)[0][0])
            volume = np.linalg.slogdet(np.asarray(precision(problem, at))[np.ix_(others, others)])[1]
            density.append(float(log_posterior(model, prior, at)) - 0.5 * volume)
    weight = np.exp(np.array(density) - max(density))
    mean = np.average(values, weights=weight)
    std = np.sqrt(np.average((values - mean) ** 2, weights=weight))
    return f"{star.id}, {label}: all else integrated out, {mean:.2f} ± {std:.2f}."


def precision(problem: Problem, x: jax.Array) -> jax.Array:
    """(n, n) inverse covariance of the parameters at x (n,), uniform priors counted by their spread."""
    uniform = jnp.diag(12 / (problem.prior.upper - problem.prior.lower) ** 2)
    fisher = jax.jit(lambda model, x: model.fisher(x))(problem.model, x)
    return fisher + problem.prior.curvature(x) + uniform


def timed(call: Callable[[], Any]) -> float:
    """Median seconds of five calls after one that compiles."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def plain(star: Spectrum, emulator: Emulator, path: Path) -> dict[str, Any]:
    """Seconds and least effective number of draws of NumPyro's NUTS; taken from `path` if they are there."""
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    model = bayne.model(star, emulator)
    with jax.enable_x64(True):
        kernel = NUTS(model, init_strategy=init_to_value(values=model.best))
        chain = MCMC(kernel, num_warmup=PLAIN[0], num_samples=PLAIN[1], progress_bar=False)
        start, busy = time.perf_counter(), time.process_time()
        chain.run(jax.random.key(0), extra_fields=("num_steps",))
        samples = chain.get_samples()
        draws = np.stack([samples[name] for name in model.likelihood.names], axis=-1)
        steps = np.asarray(chain.get_extra_fields()["num_steps"])
    ess = [float(az.ess(column[None])) for column in draws.T]
    told = {
        "seconds": time.perf_counter() - start,
        "core_seconds": time.process_time() - busy,
        "ess": min(ess),
        "steps": float(steps.mean()),
    }
    path.write_text(json.dumps(told, indent=1))
    return told


def against_plain(rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Sentence: seconds per effective draw, NumPyro as it comes over `fast`."""
    factor = [p["seconds"] / p["ess"] / (q["seconds"] / q["ess"]) for q, p in rows]
    each = ", ".join(
        f"{p['seconds']:.0f} s for {p['ess']:.0f} ({p['steps']:.0f} gradients per draw) against {q['seconds']:.1f} s "
        f"for {q['ess']:.0f}"
        for q, p in rows
    )
    return f"NumPyro's NUTS as it comes, seconds per effective draw over those of fast: {min(factor):.0f} ({each})."


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
            f"| NUTS not converged | {sum('NOT_CONVERGED' in n['flags'] for _, n in both)} |",
            f"| means apart: rms, most | {np.sqrt(np.mean(shift**2)):.3f}, {np.abs(shift).max():.2f} sigma |",
            f"| means within 0.1 sigma | {np.mean(np.abs(shift) < 0.1):.0%} |",
            f"| means apart, averaged over the stars: most of a label | {np.abs(shift.mean(axis=0)).max():.3f} sigma |",
            f"| ratio of standard deviations: median, range of the labels' medians | {np.median(ratio):.3f}, "
            f"{np.median(ratio, axis=0).min():.3f} to {np.median(ratio, axis=0).max():.3f} |",
            f"| pairs within 0.9 to 1.1 | {np.mean((ratio > 0.9) & (ratio < 1.1)):.0%} |",
            f"| seconds per star, median: fast, NUTS | {np.median([q['seconds'] for q in quick]):.1f}, "
            f"{np.median([n['seconds'] for _, n in both]):.0f} |",
            f"| core-seconds of NUTS, most of a star | {max(n['core_seconds'] for _, n in both):.0f} |",
            f"| core-seconds per star, median: fast, NUTS | {np.median([q['core_seconds'] for q in quick]):.1f}, "
            f"{np.median([n['core_seconds'] for _, n in both]):.0f} |",
            f"| core-seconds per effective draw, NUTS over fast | {np.median(cost):.1f} |",
        ]
    return lines


def ceiling() -> float:
    """Operations per second of a float32 matrix product on all cores, the most that the machine can do."""
    a = jnp.ones((2048, 2048), jnp.float32)
    return 2 * 2048**3 / timed(partial(jax.jit(lambda a: a @ a), a))


def main() -> None:
    """Fit, compare, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--arms", nargs="+", default=["red"], help="arms of HERMES")
    parser.add_argument("--stars", type=int, default=12)
    parser.add_argument("--methods", nargs="+", default=["fast", "nuts"], choices=["fast", "nuts"])
    parser.add_argument("--profile", nargs=2, metavar=("STAR", "LABEL"), help="only this")
    parser.add_argument("--shard", default="0/1", help="which stars to measure")
    parser.add_argument("--plain", type=int, default=0, help="stars to sample by NumPyro's NUTS as it comes")
    parser.add_argument("--classical", help="Payne network for least squares")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    emulator = bayne.load_emulator(options.emulator)
    observed = stars(emulator, options.arms, options.stars)
    if options.profile:
        print(profile(observed[int(options.profile[0])], emulator, options.profile[1]))
        return
    shard, shards = (int(part) for part in options.shard.split("/"))
    found: dict[str, list[dict[str, Any]]] = {method: [] for method in options.methods}
    for i, star in list(enumerate(observed))[shard::shards]:
        for method in options.methods:
            told = measure(star, emulator, method, options.output / f"{i}-{method}.json")
            found[method].append(told)
            print(f"star {i}, {method}: {told['seconds']:.1f} s, effective draws {told['ess']:.0f}", flush=True)
    if shards > 1:
        return
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax", "numpyro"))
    lines = [f"{date.today()}, {versions}, {jax.default_backend()}, {os.cpu_count()} cores, {options.emulator}, "]
    lines[0] += f"{'+'.join(options.arms)}, {found['fast'][0]['diagnostics']['n_pixels']:.0f} pixels"
    if "nuts" in found:
        lines += ["", *compared(list(zip(found["fast"], found["nuts"], strict=True)))]
    if options.plain:
        told = [
            plain(star, emulator, options.output / f"{i}-plain.json")
            for i, star in enumerate(observed[: options.plain])
        ]
        lines += ["", against_plain(list(zip(found["fast"], told, strict=False)))]
    if options.classical:
        network = bayne.load_emulator(options.classical)
        seconds = [least_squares(star, network, bound_settings("map", {})).seconds for star in observed]
        lines += ["", f"scipy's curve_fit with {options.classical}: {np.median(seconds):.1f} s per star."]
    start = time.perf_counter()
    bayne.fit_batch(observed, emulator)
    spent = (time.perf_counter() - start) / len(observed)
    lines += [
        "",
        f"`fit_batch`, {len(observed)} stars together: {spent:.1f} s per star, with compilation.",
        counted(observed[0], emulator),
    ]
    text = "\n".join(lines) + "\n"
    (options.output / "tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

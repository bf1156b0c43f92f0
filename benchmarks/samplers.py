"""Every sampler through one contract, on a star of 29 labels and on posteriors whose moments and evidence are known.

    python benchmarks/samplers.py --emulator build/galah-hermes --output build/samplers

The star is a mock one in some windows of HERMES, S/N 100, with photon noise alone; its judge is a NUTS of four times as
many draws. The other posteriors are those of `tests/inference/test_samplers.py`. Nested sampling by `blackjax.nss`,
which Bayne does not offer, runs beside them: 500 live points, twice as many slice steps as parameters for each new one.
Seconds hold the compilation.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from blackjax.ns import nss
from blackjax.ns.integrator import init_integrator, update_integrator
from blackjax.ns.utils import finalise, sample

import bayne
from bayne.inference import Sampler
from bayne.inference.batch import bound_settings
from bayne.inference.draws import Approximation, Draws
from bayne.inference.maximum import find_maximum
from bayne.inference.methods import SAMPLERS, approximation
from bayne.inference.optimise import from_box, log_volume, to_box
from bayne.information.mock import mock_star
from bayne.likelihoods import PixelModel, Prior

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from densities import Case, banana, bounded, many_labels, two_modes

#: How the star is fitted: the model is right, and SMC takes minutes, not hours. Windows in vacuum Å.
OPTIONS = {
    "windows": [(6490.0, 6530.0), (6700.0, 6720.0)], "robust": False, "jitter": False, "emulator_error": False
}  # fmt: skip

#: Posteriors that are known, and how much SMC draws of the star, far from whose maximum nothing can be tabulated.
CASES = {"29 labels": many_labels, "banana": banana, "bounded": bounded, "two modes": two_modes}
FEW = Sampler(draws=125)

#: Of nested sampling: live points, those replaced side by side, and the share of the evidence that may be left in them.
LIVE, DELETED, LEFT = 500, 50, 0.01


def nested(key: jax.Array, model: PixelModel, prior: Prior, start: Approximation, sampler: Sampler) -> Draws:
    """Draws and evidence by nested slice sampling; see `bayne.inference.draws.Method`."""
    x, inside = prior.sample(np.random.default_rng(0), LIVE)
    algorithm = nss.as_top_level_api(
        lambda u: prior.log_density(to_box(prior, u)) + log_volume(prior, u),
        lambda u: model.log_like(to_box(prior, u)),
        num_inner_steps=2 * x.shape[1], num_delete=DELETED,
    )  # fmt: skip
    state = algorithm.init(jax.vmap(lambda x: from_box(prior, x))(jnp.asarray(x)))
    step, total, dead, evaluations = jax.jit(algorithm.step), init_integrator(state.particles), [], 0
    while float(total.logZ_live - jnp.logaddexp(total.logZ, total.logZ_live)) > np.log(LEFT):
        key, this = jax.random.split(key)
        state, info = step(this, state)
        total = update_integrator(total, state.particles, info.particles)
        evaluations += int(jnp.sum(info.update_info.num_expansions + info.update_info.num_shrink))
        dead.append(info)
    found = sample(key, finalise(state, dead, update_info=False), sampler.total)
    values = np.asarray(jax.vmap(lambda u: to_box(prior, u))(found.position))
    evidence = float(jnp.logaddexp(total.logZ, total.logZ_live)) - np.log(inside)
    return Draws(values[None], {}, {"log_evidence": evidence, "evaluations": float(evaluations)})


def known(case: Case) -> list[str]:
    """Rows of a Markdown table: errors of the samplers of a posterior that is known."""
    rows = [f"exact | | | {case.log_evidence():.2f} | |"]
    for name, sampler in (SAMPLERS | {"nested": nested}).items():
        start = time.perf_counter()
        draws = case.draws(sampler)
        spent = time.perf_counter() - start
        off, wide = case.errors(draws)
        rows.append(f"{name} | {off:.2f} | {wide:.2f} | {told(draws)} | {spent:.0f} |")
    return rows


def shares(seeds: int = 8) -> str:
    """Sentence: how well SMC knows the share of the left one of two modes."""
    case, found = two_modes(), []
    for settings in (Sampler(), Sampler(draws=2000)):
        left = [np.mean(case.draws(SAMPLERS["smc"], settings, seed).values[..., 0] < 0) for seed in range(seeds)]
        found.append(f"{settings.total} draws: {np.mean(left):.2f} ± {np.std(left, ddof=1):.2f}")
    exact = 0.5 * (1 - case.exact[0, 0])  # the modes are at -1 and 1
    return f"Share of the left mode by SMC, {seeds} seeds, exactly {exact:.2f}: {'; '.join(found)}."


def told(draws: Draws) -> str:
    """Cell with the evidence, and of nested sampling with the evaluations of the likelihood."""
    evidence, count = draws.numbers.get("log_evidence"), draws.numbers.get("evaluations")
    return ("" if evidence is None else f"{evidence:.2f}") + ("" if count is None else f" ({count:.1e} evaluations)")


def of_a_star(emulator: bayne.Emulator, names: list[str]) -> list[str]:
    """Rows of a Markdown table: what the samplers make of a star of 29 labels, beside a long run of NUTS."""
    labels = np.array([{"teff": 5400.0, "logg": 4.3, "vmic": 1.1}.get(name, 0.05) for name in emulator.label_names])
    options = {"arms": ["red"], "rv": 12.0, "vsini": 5.0, "snr": 100.0, "seed": 1}
    star = mock_star(emulator, emulator.flux(labels), "hermes", **options)
    found = find_maximum(star, emulator, bound_settings("map", OPTIONS), None)
    if found.problem is None:
        raise RuntimeError(f"the star has no maximum: {found.verdict.flags}")
    problem, start = found.problem, approximation(found.problem, found.theta)
    local = problem.model.tabulated(jnp.asarray(found.theta), problem.prior.upper)
    judge = SAMPLERS["nuts"](jax.random.key(9), local, problem.prior, start, Sampler(draws=2000)).values
    judge = judge.reshape(-1, judge.shape[-1])
    rows = []
    for name in names:
        sampler = (SAMPLERS | {"nested": nested})[name]
        model, settings = (problem.model, FEW) if name in ("smc", "nested") else (local, Sampler())
        before = time.perf_counter()
        draws = sampler(jax.random.key(1), model, problem.prior, start, settings)
        spent = time.perf_counter() - before
        x = draws.values.reshape(-1, judge.shape[1])
        shift, ratio = (x.mean(0) - judge.mean(0)) / judge.std(0), x.std(0) / judge.std(0)
        rows.append(
            f"{name} | {np.sqrt(np.mean(shift**2)):.2f}, {np.abs(shift).max():.2f} | "
            f"{np.median(ratio):.2f}, {ratio.min():.2f} to {ratio.max():.2f} | {told(draws)} | {spent:.0f} |"
        )
        print(f"star | {rows[-1]}", flush=True)
    return rows


def main() -> None:
    """Sample, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--cases", nargs="*", default=[*CASES], choices=CASES, help="posteriors that are known")
    parser.add_argument("--star", nargs="*", default=[*SAMPLERS], help="samplers of the star")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_enable_x64", True)
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax", "numpyro", "blackjax"))
    lines = [f"{date.today()}, {versions}, {os.cpu_count()} cores, {options.emulator}", ""]
    lines += [
        "| posterior | sampler | mean off (sigma) | sd off | ln evidence | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name in options.cases:
        lines += [f"| {name} | {row}" for row in known(CASES[name]())]
        print("\n".join(lines[-len(SAMPLERS) - 2 :]), flush=True)
    if "two modes" in options.cases:
        lines += ["", shares()]
    if options.star:
        lines += ["", "| sampler | means off: rms, most (sigma) | ratio of sd: median, range | ln evidence | seconds |"]
        lines += ["|---" * 5 + "|"]
        lines += [f"| {row}" for row in of_a_star(bayne.load_emulator(options.emulator), options.star)]
    (options.output / "tables.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Stars of a cluster that share [Mg/Fe] up to a scatter: one model of all their spectra, and how it is calibrated.

    python benchmarks/cluster.py --output build/cluster --picture docs/_static/cluster.png

Mock stars have HERMES spectra about three magnesium lines, S/N 40 to 80, and [Mg/Fe] drawn about the cluster's mean.
One cluster is fitted as a whole: `bayne.likelihood` of every star in one NumPyro model. Others, whose mean and scatter
are drawn from their priors, are fitted in two stages: star by star with `fit_star`, then mean and scatter from the
stars' Gaussians. The true scatter must be anywhere in its posterior with equal probability. Every cluster leaves a
JSON file, so that an interrupted run goes on where it stopped.
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
import matplotlib.pyplot as plt
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS, init_to_value
from scipy.stats import kstest

import bayne
from bayne.information.mock import mock_star

#: About the magnesium lines at 4730, 5711 and 5528 Å that HERMES has, with iron lines beside them (vacuum Å).
WINDOWS = [(4725.0, 4740.0), (5705.0, 5725.0), (5740.0, 5760.0)]

#: Labels that a star of these clusters has, besides those that are fitted.
LABELS = {"logg": 4.4, "vmic": 1.1}

#: Prior of the cluster's mean [Mg/Fe] (mean, sd) and scale of the half-normal prior of its scatter (dex).
MEAN, SCATTER = (0.1, 0.2), 0.08


def mock_cluster(
    emulator: bayne.Emulator, mean: float, scatter: float, stars: int, seed: int
) -> tuple[list[bayne.Spectrum], np.ndarray]:
    """Spectra of a cluster's stars, and their [Mg/Fe]."""
    rng = np.random.default_rng(seed)
    magnesium = np.clip(rng.normal(mean, scatter, stars), -0.39, 0.69)
    spectra = []
    for i, mg in enumerate(magnesium):
        labels = LABELS | {"teff": rng.uniform(5300, 6100), "fe_h": -0.1, "mg_fe": mg}
        vector = np.array([labels.get(name, 0.0) for name in emulator.label_names])
        options = {"rv": rng.normal(0, 1), "vsini": 4.0, "snr": rng.uniform(40, 80), "seed": 100 * seed + i}
        spectra.append(mock_star(emulator, emulator.flux(vector), "hermes", arms=["blue", "green"], **options))
    return spectra, magnesium


def options_of(emulator: bayne.Emulator) -> dict[str, Any]:
    """What a star's fit has free: temperature, [Fe/H], [Mg/Fe] and velocity."""
    others = {n: 0.0 for n in emulator.label_names if n not in ("teff", "fe_h", "mg_fe")}
    fixed = others | LABELS | {"vsini": 4.0, "lsf_scale": 1.0}
    # a mock's model is right: neither jitter nor misfit is to be found
    return {"fixed": fixed, "windows": WINDOWS, "continuum": 1, "jitter": False, "robust": False}


def joint(likelihoods: list[bayne.Likelihood]) -> None:
    """The cluster as a NumPyro model."""
    mean = numpyro.sample("mean", dist.Normal(*MEAN))
    scatter = numpyro.sample("scatter", dist.HalfNormal(SCATTER))
    with numpyro.plate("stars", len(likelihoods)):
        teff = numpyro.sample("teff", dist.Uniform(4500, 7000))
        fe_h = numpyro.sample("fe_h", dist.Uniform(-1.0, 0.5))
        rv = numpyro.sample("rv", dist.Normal(0, 5))
        # in units of the scatter: a funnel would be hard to sample
        mg_fe = mean + scatter * numpyro.sample("deviation", dist.Normal(0, 1))
    numpyro.deterministic("mg_fe", mg_fe)
    for i, like in enumerate(likelihoods):
        flux = like.distribution({"teff": teff[i], "fe_h": fe_h[i], "mg_fe": mg_fe[i], "rv": rv[i]})
        numpyro.sample(f"flux_{i}", flux, obs=like.data)


def sampled(likelihoods: list[bayne.Likelihood]) -> dict[str, np.ndarray]:
    """Draws of the cluster's parameters, by NumPyro's NUTS from the stars' maxima."""
    best = {name: jnp.stack([like.best[name] for like in likelihoods]) for name in ("teff", "fe_h", "mg_fe", "rv")}
    mean, scatter = jnp.mean(best["mg_fe"]), jnp.std(best["mg_fe"]) + 0.01
    start = {name: best[name] for name in ("teff", "fe_h", "rv")} | {
        "mean": mean, "scatter": scatter, "deviation": (best["mg_fe"] - mean) / scatter
    }  # fmt: skip
    # short trees until the mass matrix is known
    kernel = NUTS(joint, init_strategy=init_to_value(values=start), dense_mass=True, max_tree_depth=(6, 10))
    chain = MCMC(kernel, num_warmup=300, num_samples=500, jit_model_args=True, progress_bar=False)
    chain.run(jax.random.key(0), likelihoods)
    return {name: np.asarray(values) for name, values in chain.get_samples().items()}


def two_stage(mean: float = 0.0, sigma: float = 1.0) -> None:
    """Mean and scatter from the stars' own Gaussians, which have a uniform prior."""
    centre = numpyro.sample("mean", dist.Normal(*MEAN))
    scatter = numpyro.sample("scatter", dist.HalfNormal(SCATTER))
    numpyro.sample("stars", dist.Normal(centre, jnp.hypot(scatter, sigma)), obs=mean)


def from_stars(mean: np.ndarray, sigma: np.ndarray) -> dict[str, np.ndarray]:
    """Draws of mean and scatter from means and standard deviations (s,) of the stars."""
    chain = MCMC(NUTS(two_stage, target_accept_prob=0.95), num_warmup=500, num_samples=2000, progress_bar=False)
    chain.run(jax.random.key(0), jnp.asarray(mean), jnp.asarray(sigma))
    return {name: np.asarray(values) for name, values in chain.get_samples().items()}


def calibrated(emulator: bayne.Emulator, number: int, stars: int, folder: Path) -> list[dict[str, float]]:
    """Truth, rank and interval of the scatter of mock clusters."""
    rows = []
    for i in range(number):
        path = folder / f"{i}.json"
        if not path.exists():
            rng = np.random.default_rng([3, i])
            mean, scatter = rng.normal(*MEAN), abs(rng.normal(0, SCATTER))
            spectra, _ = mock_cluster(emulator, mean, scatter, stars, 1000 + i)
            fits = [bayne.fit_star(s, emulator, method="laplace", **options_of(emulator)) for s in spectra]
            values = [fit.draws("mg_fe") for fit in fits]
            draws = from_stars(np.array([v.mean() for v in values]), np.array([v.std() for v in values]))["scatter"]
            low, high = np.quantile(draws, [0.16, 0.84])
            told = {"scatter": scatter, "rank": np.mean(draws < scatter), "low": low, "high": high}
            path.write_text(json.dumps({name: float(value) for name, value in told.items()}))
        rows.append(json.loads(path.read_text()))
    return rows


def draw(
    cluster: dict[str, np.ndarray], truth: np.ndarray, alone: tuple[np.ndarray, np.ndarray], scatter: float,
    stages: np.ndarray, ranks: np.ndarray, path: Path,
) -> None:  # fmt: skip
    """Stars alone and in the cluster; the scatter; ranks of true scatters."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    place = np.arange(truth.size)
    left.errorbar(place - 0.12, alone[0], alone[1], fmt="o", color="0.6", label="star alone")
    left.errorbar(
        place + 0.12, cluster["mg_fe"].mean(0), cluster["mg_fe"].std(0), fmt="o", color="C0", label="in the cluster"
    )
    left.plot(place, truth, "k_", markersize=14, label="truth")
    left.set(xlabel="star", ylabel="[Mg/Fe]", xticks=place)
    left.legend(frameon=False, fontsize="small")
    bins = np.linspace(0, 0.2, 41)
    middle.hist(cluster["scatter"], bins, density=True, color="C0", alpha=0.6, label="one model of all spectra")
    middle.hist(stages, bins, density=True, histtype="step", color="C1", label="two stages")
    middle.axvline(scatter, color="k", label="truth")
    middle.set(xlabel="scatter of [Mg/Fe] (dex)", yticks=[])
    middle.legend(frameon=False, fontsize="small")
    level = np.sort(ranks)
    right.plot([0, 1], [0, 1], color="0.7")
    right.step(np.concatenate([[0], level, [1]]), np.linspace(0, 1, level.size + 2), where="mid", color="C0")
    right.set(
        xlabel="rank of the true scatter in its posterior", ylabel="share of clusters", xlim=(0, 1), ylim=(0, 1),
        aspect="equal",
    )  # fmt: skip
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Fit, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--stars", type=int, default=6, help="of a cluster")
    parser.add_argument("--clusters", type=int, default=50, help="for the calibration")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--picture", type=Path, required=True)
    options = parser.parse_args()
    numpyro.enable_x64()
    options.output.mkdir(parents=True, exist_ok=True)
    emulator, true = bayne.load_emulator(options.emulator), 0.06
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax", "numpyro"))
    print(f"{date.today()}, {versions}, {os.cpu_count()} cores, {options.emulator}", flush=True)
    rows = calibrated(emulator, options.clusters, options.stars, options.output)
    ranks = np.array([row["rank"] for row in rows])
    inside = np.mean([row["low"] <= row["scatter"] <= row["high"] for row in rows])
    print(
        f"{len(rows)} clusters of {options.stars} stars: {inside:.0%} of the true scatters within their 68% intervals; "
        f"ranks uniform with p = {kstest(ranks, 'uniform').pvalue:.2f}", flush=True,
    )  # fmt: skip
    spectra, truth = mock_cluster(emulator, 0.1, true, options.stars, 7)
    likelihoods = [bayne.likelihood(spectrum, emulator, **options_of(emulator)) for spectrum in spectra]
    start = time.perf_counter()
    cluster = sampled(likelihoods)
    spent = time.perf_counter() - start
    fits = [bayne.fit_star(s, emulator, method="laplace", **options_of(emulator)) for s in spectra]
    alone = (
        np.array([fit.draws("mg_fe").mean() for fit in fits]),
        np.array([fit.draws("mg_fe").std() for fit in fits]),
    )
    stages = from_stars(*alone)["scatter"]
    print(f"the stars have a scatter of {truth.std(ddof=1):.3f}")
    for name, draws in (("one model", cluster["scatter"]), ("two stages", stages)):
        print(f"scatter {true}: {name} {draws.mean():.3f} ± {draws.std():.3f}")
    print(f"one model of {options.stars} spectra: {spent:.0f} s for 800 transitions")
    draw(cluster, truth, alone, true, stages, ranks, options.picture)


if __name__ == "__main__":
    main()

"""Pictures of two NumPyro models of one's own: a star in two exposures, and a spectrum with photometry.

    python benchmarks/own_models.py --picture docs/_static/own-models.png

Mock spectra of one star: 40 Å of HERMES at S/N 30, temperature, gravity, [Fe/H] and velocity free.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
import numpyro
import numpyro.distributions as dist
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from numpyro.infer import MCMC, NUTS, init_to_value

import bayne
from bayne.information.mock import mock_star

TRUTH = {"teff": 5500.0, "logg": 4.4, "fe_h": -0.1}
VELOCITIES = (-12.0, 25.0)

#: Vacuum Å.
WINDOW = (4820.0, 4860.0)

PRIORS = {"teff": dist.Uniform(4500, 7000), "logg": dist.Uniform(3.0, 5.0), "fe_h": dist.Uniform(-1.0, 0.5)}

#: What photometry and parallax say of temperature (K) and log g: both go up together.
MEAN, COVARIANCE = np.array([5560.0, 4.42]), np.array([[70.0**2, 2.4], [2.4, 0.05**2]])

Draws = Mapping[str, np.ndarray]


def likelihood_of(emulator: bayne.Emulator, rv: float, seed: int) -> bayne.Likelihood:
    """Of one exposure."""
    labels = np.array([(TRUTH | {"vmic": 1.1}).get(name, 0.0) for name in emulator.label_names])
    options = {"arms": ["blue"], "rv": rv, "vsini": 4.0, "snr": 30.0, "seed": seed}
    spectrum = mock_star(emulator, emulator.flux(labels), "hermes", **options)
    fixed = {n: float(v) for n, v in zip(emulator.label_names, labels, strict=True) if n not in TRUTH}
    fixed |= {"vsini": 4.0, "lsf_scale": 1.0}
    return bayne.likelihood(spectrum, emulator, fixed=fixed, windows=[WINDOW], jitter=False, robust=False)


def exposures(likelihoods: list[bayne.Likelihood]) -> None:
    """One star, a velocity per exposure."""
    labels = {name: numpyro.sample(name, prior) for name, prior in PRIORS.items()}
    for i, like in enumerate(likelihoods):
        rv = numpyro.sample(f"rv_{i}", dist.Normal(like.best["rv"], 20.0))
        numpyro.sample(f"flux_{i}", like.distribution(labels | {"rv": rv}), obs=like.data)


def with_photometry(likelihoods: list[bayne.Likelihood]) -> None:
    """A spectrum, and a prior on temperature and gravity from elsewhere."""
    (like,) = likelihoods
    atmosphere = numpyro.sample("atmosphere", dist.MultivariateNormal(MEAN, COVARIANCE))
    fe_h = numpyro.sample("fe_h", PRIORS["fe_h"])
    rv = numpyro.sample("rv_0", dist.Normal(like.best["rv"], 20.0))
    labels = {"teff": atmosphere[0], "logg": atmosphere[1], "fe_h": fe_h, "rv": rv}
    numpyro.sample("flux", like.distribution(labels), obs=like.data)


def sampled(model: Callable[..., None], likelihoods: list[bayne.Likelihood]) -> Draws:
    """Draws of a model's parameters."""
    best = likelihoods[0].best
    start: dict[str, Any] = {name: best[name] for name in PRIORS} | {"atmosphere": MEAN}
    start |= {f"rv_{i}": like.best["rv"] for i, like in enumerate(likelihoods)}
    kernel = NUTS(model, init_strategy=init_to_value(values=start), dense_mass=True, max_tree_depth=(5, 8))
    chain = MCMC(kernel, num_warmup=400, num_samples=1000, progress_bar=False, jit_model_args=True)
    chain.run(jax.random.key(0), likelihoods)
    return {name: np.asarray(values) for name, values in chain.get_samples().items()}


def ellipse(axes: Axes, mean: np.ndarray, covariance: np.ndarray, color: str, label: str) -> None:
    """Where 68% of a Gaussian of two parameters lie."""
    values, vectors = np.linalg.eigh(covariance / np.outer([100.0, 0.1], [100.0, 0.1]))
    scale, (x, y) = 2 * np.sqrt(2.30 * values), vectors[:, 1]
    # drawn in units of 100 K and 0.1 dex, where both axes have one scale
    patch = Ellipse(mean / [100.0, 0.1], scale[1], scale[0], angle=np.degrees(np.arctan2(y, x)), fill=False, lw=2)
    patch.set(color=color, label=label)
    axes.add_patch(patch)


def main() -> None:
    """Sample, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, required=True)
    options = parser.parse_args()
    numpyro.enable_x64()
    emulator = bayne.load_emulator("galah")
    likelihoods = [likelihood_of(emulator, rv, i) for i, rv in enumerate(VELOCITIES)]
    alone = [sampled(exposures, [like]) for like in likelihoods]
    both, photometry = sampled(exposures, likelihoods), sampled(with_photometry, likelihoods[:1])
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax", "numpyro"))
    print(f"{date.today()}, {versions}, {os.cpu_count()} cores")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    runs = {"first exposure": alone[0], "second exposure": alone[1], "both in one model": both}
    for (name, draws), color in zip(runs.items(), ("0.65", "0.35", "C0"), strict=True):
        left.hist(draws["teff"], 40, density=True, histtype="step", lw=2, color=color, label=name)
        print(f"{name}: {draws['teff'].mean():.0f} ± {draws['teff'].std():.0f} K")
    left.axvline(TRUTH["teff"], color="k", lw=1, label="truth")
    left.set(xlabel="effective temperature (K)", yticks=[])
    left.legend(frameon=False, fontsize="small")
    first = np.stack([alone[0]["teff"], alone[0]["logg"]])
    ellipse(right, first.mean(1), np.cov(first), "0.65", "spectrum alone")
    ellipse(right, MEAN, COVARIANCE, "C1", "photometry alone")
    joined = photometry["atmosphere"].T
    ellipse(right, joined.mean(1), np.cov(joined), "C0", "both")
    right.plot(TRUTH["teff"] / 100, TRUTH["logg"] / 0.1, "k+", markersize=10, label="truth")
    right.autoscale_view()
    right.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f}")
    right.yaxis.set_major_formatter(lambda y, _: f"{0.1 * y:.2f}")
    right.set(xlabel="effective temperature (K)", ylabel="log g")
    right.legend(frameon=False, fontsize="small")
    for name, draws in (("spectrum alone", first), ("with photometry", joined)):
        print(f"{name}: Teff ± {draws[0].std():.0f} K, log g ± {draws[1].std():.3f}")
    figure.savefig(options.picture, dpi=150)


if __name__ == "__main__":
    main()

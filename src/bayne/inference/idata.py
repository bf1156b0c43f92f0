"""A fit as ArviZ data."""

from __future__ import annotations

from typing import Any

import arviz as az
import numpy as np

from ..information.robust import blocks_of
from ..labels import over_hydrogen
from ..likelihoods import Problem, padded
from ..spectrum import FloatArray
from .draws import Draws
from .maximum import FitState
from .predictive import predict

#: Draws from the prior, and replicated spectra.
PRIOR_DRAWS, REPLICATED = 1000, 100


def inference_data(
    found: FitState, problem: Problem, values: FloatArray, draws: Draws, level: list[FloatArray], complete: bool
) -> az.InferenceData:
    """ArviZ data of a fit.

    Groups are ``posterior``, with [X/H]; ``sample_stats``; ``observed_data`` and ``constant_data`` of the pixels that
    are used; and, where they are wanted, ``log_likelihood`` of blocks of wavelength given the others,
    ``posterior_predictive`` and ``prior``.

    Parameters
    ----------
    found, problem
        The maximum, and what is sampled there, with the priors of the true labels.
    values, draws
        (chains, draws, n) true labels, and the draws of fitted ones, of which the spectra are.
    level
        (a,) continuum (n,) of every arm, in the units of the flux.
    complete
        Whether to compute the groups that take seconds.
    """
    spectrum, names, fixed = found.ready.spectrum, problem.model.names, found.settings.fixed
    used, arms = problem.plan.used, spectrum.arms
    pixels = [np.flatnonzero(used[a, : arm.flux.size]) for a, arm in enumerate(arms)]
    coords: dict[str, Any] = {"label": list(names)}
    dims: dict[str, list[str]] = {name: ["label"] for name in ("lower", "upper", "prior_std")}
    for arm, own in zip(arms, pixels, strict=True):
        where = f"wavelength_{arm.name}"
        coords[where] = arm.wavelength[own]
        dims |= {f"{kind}_{arm.name}": [where] for kind in ("flux", "error", "continuum")}
    observed = {f"flux_{arm.name}": arm.flux[own] for arm, own in zip(arms, pixels, strict=True)}
    constant = {
        "lower": np.asarray(problem.prior.lower), "upper": np.asarray(problem.prior.upper),
        "prior_std": problem.prior_std,
    }  # fmt: skip
    for arm, own, continuum in zip(arms, pixels, level, strict=True):
        constant[f"error_{arm.name}"] = 1 / np.sqrt(np.asarray(arm.ivar)[own])
        constant[f"continuum_{arm.name}"] = continuum[own]
    groups: dict[str, Any] = {
        "posterior": with_sums(dict(zip(names, np.moveaxis(values, -1, 0), strict=True)), fixed),
        "sample_stats": draws.stats or None,
        "observed_data": observed,
        "constant_data": constant,
    }
    attrs = {"inference_library": "bayne", "spectrum": spectrum.id, "method": found.settings.method}
    if complete:
        chains, each, n = draws.values.shape
        flat = draws.values.reshape(-1, n)
        chosen = np.linspace(0, len(flat) - 1, min(REPLICATED, len(flat))).astype(int)
        wavelength = padded(spectrum, [arm.wavelength for arm in arms], 0.0)
        block = blocks_of(wavelength, used)
        rng = np.random.default_rng(found.settings.seed)
        told = predict(problem, found.theta, flat, chosen, block, rng)
        groups["log_likelihood"] = {"flux": told.log_likelihood.reshape(chains, each, -1)}
        scale = problem.pilot
        groups["posterior_predictive"] = {
            f"flux_{arm.name}": (told.flux[:, a, own] * scale[a, own]).astype(np.float32)[None]
            for a, (arm, own) in enumerate(zip(arms, pixels, strict=True))
        }
        x, _ = problem.prior.sample(rng, PRIOR_DRAWS)
        groups["prior"] = with_sums({name: x[None, :, i] for i, name in enumerate(names)}, fixed)
        first = [int(np.flatnonzero(block.ravel() == b)[0]) for b in range(int(block.max()) + 1)]
        coords["block"] = [f"{arms[i // block.shape[1]].name} {wavelength.ravel()[i]:.1f}" for i in first]
        dims["flux"] = ["block"]
    return az.from_dict(**groups, coords=coords, dims=dims, attrs=attrs)


def with_sums(values: dict[str, FloatArray], fixed: dict[str, float]) -> dict[str, FloatArray]:
    """Draws of labels by name, and of the [X/H] that follow from them and from those that are fixed."""
    every: dict[str, Any] = fixed | values
    sums = over_hydrogen(tuple(every)).items()
    return values | {name: every[one] + every[other] for name, (one, other) in sums if {one, other} & set(values)}

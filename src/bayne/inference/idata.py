"""A fit as ArviZ data."""

from __future__ import annotations

from typing import Any

import arviz as az
import numpy as np

from ..information.robust import blocks_of
from ..labels import over_hydrogen
from ..likelihoods import Problem, padded
from ..precision import double
from ..spectrum import FloatArray
from .draws import Draws
from .maximum import FitState
from .predictive import predict

#: Draws from the prior, and replicated spectra.
PRIOR_DRAWS, REPLICATED = 1000, 100


def inference_data(
    found: FitState, problem: Problem, values: FloatArray, draws: Draws, level: list[FloatArray]
) -> az.InferenceData:
    """What a fit has at its end.

    ``posterior``, with [X/H]; ``sample_stats``; ``observed_data`` and ``constant_data`` of the pixels that are used.

    Parameters
    ----------
    found, problem
        The maximum, and what is sampled there, with the priors of the true labels.
    values, draws
        (chains, draws, n) true labels, and the draws of fitted ones.
    level
        (a,) continuum (n,) of every arm, in the units of the flux.
    """
    arms, names, pixels = found.ready.spectrum.arms, problem.model.names, _pixels(found, problem)
    coords, dims = _on_pixels(found, pixels, "flux", "error", "continuum")
    coords |= {"label": list(names)}
    dims |= {name: ["label"] for name in ("lower", "upper", "prior_std")}
    observed = {f"flux_{arm.name}": arm.flux[own] for arm, own in zip(arms, pixels, strict=True)}
    constant = {
        "lower": np.asarray(problem.prior.lower), "upper": np.asarray(problem.prior.upper),
        "prior_std": problem.prior_std,
    }  # fmt: skip
    for arm, own, continuum in zip(arms, pixels, level, strict=True):
        constant[f"error_{arm.name}"] = 1 / np.sqrt(np.asarray(arm.ivar)[own])
        constant[f"continuum_{arm.name}"] = continuum[own]
    return az.from_dict(
        posterior=with_sums(dict(zip(names, np.moveaxis(values, -1, 0), strict=True)), found.settings.fixed),
        sample_stats=draws.stats or None,
        observed_data=observed,
        constant_data=constant,
        coords=coords,
        dims=dims,
        attrs=_attrs(found),
    )


@double
def predictive_data(found: FitState, problem: Problem, draws: Draws) -> az.InferenceData:
    """What takes seconds: ``log_likelihood`` of blocks of wavelength given the others, ``posterior_predictive`` and
    ``prior``; arguments as of `inference_data`."""
    arms, pixels = found.ready.spectrum.arms, _pixels(found, problem)
    chains, each, n = draws.values.shape
    flat = draws.values.reshape(-1, n)
    chosen = np.linspace(0, len(flat) - 1, min(REPLICATED, len(flat))).astype(int)
    wavelength = padded(found.ready.spectrum, [arm.wavelength for arm in arms], 0.0)
    block = blocks_of(wavelength, problem.plan.used)
    rng = np.random.default_rng(found.settings.seed)
    told = predict(problem, found.theta, flat, chosen, block, rng)
    replicated = {
        f"flux_{arm.name}": (told.flux[:, a, own] * problem.pilot[a, own]).astype(np.float32)[None]
        for a, (arm, own) in enumerate(zip(arms, pixels, strict=True))
    }
    x, _ = problem.prior.sample(rng, PRIOR_DRAWS)
    names = problem.model.names
    coords, dims = _on_pixels(found, pixels, "flux")
    first = [int(np.flatnonzero(block.ravel() == b)[0]) for b in range(int(block.max()) + 1)]
    coords["block"] = [f"{arms[i // block.shape[1]].name} {wavelength.ravel()[i]:.1f}" for i in first]
    return az.from_dict(
        log_likelihood={"flux": told.log_likelihood.reshape(chains, each, -1)},
        posterior_predictive=replicated,
        prior=with_sums({name: x[None, :, i] for i, name in enumerate(names)}, found.settings.fixed),
        coords=coords,
        dims=dims | {"flux": ["block"]},
        attrs=_attrs(found),
    )


def _pixels(found: FitState, problem: Problem) -> list[np.ndarray]:
    """Which pixels of every arm are used."""
    return [
        np.flatnonzero(used[: arm.flux.size])
        for used, arm in zip(problem.plan.used, found.ready.spectrum.arms, strict=True)
    ]


def _on_pixels(found: FitState, pixels: list[np.ndarray], *kinds: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Wavelengths of the pixels as coordinates, and the dimensions of what there is of each kind on them."""
    arms = found.ready.spectrum.arms
    coords = {f"wavelength_{arm.name}": arm.wavelength[own] for arm, own in zip(arms, pixels, strict=True)}
    return coords, {f"{kind}_{arm.name}": [f"wavelength_{arm.name}"] for kind in kinds for arm in arms}


def _attrs(found: FitState) -> dict[str, str]:
    return {
        "inference_library": "bayne",
        "spectrum": found.ready.spectrum.id,
        "method": found.settings.method,
    }


def with_sums(values: dict[str, FloatArray], fixed: dict[str, float]) -> dict[str, FloatArray]:
    """Draws of labels by name, and of the [X/H] that follow from them and from those that are fixed."""
    every: dict[str, Any] = fixed | values
    sums = over_hydrogen(tuple(every)).items()
    return values | {name: every[one] + every[other] for name, (one, other) in sums if {one, other} & set(values)}

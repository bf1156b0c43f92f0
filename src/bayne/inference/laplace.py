"""The Laplace approximation, truncated to the domain."""

from __future__ import annotations

import jax
import numpy as np

from ..likelihoods import PixelModel, Prior
from .draws import Approximation, Draws, Sampler
from .truncated import TruncatedGaussian


def laplace(key: jax.Array, model: PixelModel, prior: Prior, start: Approximation, sampler: Sampler) -> Draws:
    """Draws from a Gaussian at the maximum, cut to the domain; see `Method`."""
    lower, upper, a, b = (np.asarray(v) for v in (prior.lower, prior.upper, *prior.halfspaces))
    precision = start.precision + np.diag(1e-6 / (upper - lower) ** 2)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    cut = TruncatedGaussian(precision, start.centre, lower, upper, (a, b))
    return Draws(cut.draws(sampler.total, rng)[None], {})

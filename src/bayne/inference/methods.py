"""The methods that `fit_star` knows, and what they share."""

from __future__ import annotations

import zlib

import jax
import jax.numpy as jnp
import numpy as np

from ..batching import batchable
from ..flags import Flag
from ..likelihoods import Prior, Problem, StarModel
from ..spectrum import FloatArray
from .chains import hmc, nuts
from .diagnose import Verdict
from .draws import Approximation, Draws, Method, Sampler
from .fast import fast, is_reliable
from .laplace import laplace
from .smc import smc
from .widths import precision

#: Samplers by name; one that is added here is a method of `fit_star` and of the commands, and is tested as they are.
SAMPLERS: dict[str, Method] = {"fast": fast, "nuts": nuts, "hmc": hmc, "smc": smc, "laplace": laplace}

#: What goes on about the maximum, where the likelihood may be tabulated.
LOCAL = ("fast", "nuts", "hmc")


def approximation(problem: Problem, theta: FloatArray) -> Approximation:
    """Gaussian approximation of a posterior at its maximum `theta` (n,)."""
    fisher, bounded = precision(problem, theta)
    curvature = np.asarray(problem.prior.curvature(jnp.asarray(theta)))
    return Approximation(theta, fisher + curvature, np.asarray(np.linalg.inv(bounded), dtype=np.float64))


def sample(
    problem: Problem, start: Approximation, method: str, sampler: Sampler, seed: int, id: str, verdict: Verdict
) -> Draws:
    """Draws from the posterior of a star; those of ``"fast"`` come from ``"hmc"`` where they cannot be trusted."""
    if method == "map":
        return Draws(start.centre[None, None], {})
    # one root seed, folded with a hash of the name that does not change between runs or machines
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(id.encode()) & 0x7FFFFFFF)
    model = problem.model
    if method in LOCAL:
        model = _tabulated(model, problem.prior, jnp.asarray(start.centre))
    draws = SAMPLERS[method](key, model, problem.prior, start, sampler)
    verdict.numbers |= draws.numbers
    power = draws.numbers.get("tempering", 1.0)
    if power < 1:
        verdict.raise_flag(Flag.NOT_CONVERGED, f"SMC ended at likelihood exponent {power:.2g}, short of 1.")
    if method == "fast" and not is_reliable(draws):
        # a result that must not be used already is not worth minutes of HMC
        hopeless = bool(verdict.flags.bad)
        khat, ess = draws.numbers["khat"], draws.numbers["ess_weights"]
        verdict.raise_flag(
            Flag.NOT_CONVERGED if hopeless else Flag.SAMPLED_INSTEAD,
            f"Importance sampling: k-hat {khat:.2f}, effective draws {ess:.0f}.",
        )
        if not hopeless:
            draws = hmc(key, model, problem.prior, start, sampler)
    return draws


@batchable()
def _tabulated(model: StarModel, prior: Prior, theta: jax.Array) -> StarModel:
    return model.tabulated(theta, prior.upper)

"""The emulator error's Gram matrix as a function of the jitters, tabulated once per star for the sampler."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ..forward import Arrays

#: Chebyshev nodes per arm. The error falls as ρ^-NODES, ρ = π/h + sqrt((π/h)² + 1) with h half the range of t below:
#: 1e-11 where the largest jitter is 400 times the error of the best pixel, 1e-7 where it is 10,000 times; relative to
#: that pixel's weight, so that a pixel which claims a thousandth of the errors of the others costs three more digits.
NODES = 48

#: The range in ln(variance) is wider than what is asked for by this much, for the slope is lost at the very ends.
SPARE = 0.1


def tabulate(arrays: Arrays, largest: jax.Array | None) -> Arrays:
    """Arrays with the table that `gram_at` reads; as they are where there is no emulator error.

    Parameters
    ----------
    arrays
        As for `factorise`.
    largest
        (a,) largest variance that jitter adds to the pixels of an arm, in normalised flux²; None without jitter.

    Notes
    -----
    V_aᵀ W_a V_a is Σ_i v_i v_iᵀ / (n_i + s): what each gradient would sum over all pixels depends on one number per
    arm, the jitter's variance s. With n₀ the smallest n_i and t = ln(n₀ + s), the function (n₀ + s) V_aᵀ W_a V_a is
    analytic for |Im t| < π, so that its Chebyshev series in t converges fast (Trefethen 2013, Approximation Theory and
    Approximation Practice, theorem 8.2).
    """
    if "error_basis" not in arrays:
        return arrays
    used, basis = arrays["used"], arrays["error_basis"]
    noise = arrays["noise"] + arrays["error_variance"]
    floor = jnp.min(jnp.where(used, noise, jnp.inf), axis=1)
    floor = jnp.where(jnp.isfinite(floor), floor, 1.0)
    low, high = jnp.log(floor) - SPARE, jnp.log(floor if largest is None else floor + largest) + SPARE
    angle = np.pi * (np.arange(NODES) + 0.5) / NODES
    to_series = np.cos(np.outer(np.arange(NODES), angle)) * np.where(np.arange(NODES) == 0, 1, 2)[:, None] / NODES

    def at(node: jax.Array) -> jax.Array:
        variance = jnp.exp(low + 0.5 * (1 + node) * (high - low))
        weight = jnp.where(used, variance[:, None] / (noise + (variance - floor)[:, None]), 0.0)
        return jnp.einsum("ank,an,anl->akl", basis, weight, basis)

    values = jax.lax.map(at, jnp.asarray(np.cos(angle)))
    table = {
        "gram_series": jnp.einsum("jm,makl->ajkl", to_series, values),
        "gram_floor": floor,
        "gram_range": jnp.stack([low, high], axis=-1),
    }
    return dict(arrays) | table


def gram_at(arrays: Arrays, extra: jax.Array) -> jax.Array:
    """(k, k) sum over arms of VᵀWV at the variances `extra` (a,) that jitter adds."""
    variance = arrays["gram_floor"] + extra
    low, high = arrays["gram_range"][:, 0], arrays["gram_range"][:, 1]
    angle = jnp.arccos(2 * (jnp.log(variance) - low) / (high - low) - 1)
    terms = jnp.cos(jnp.arange(NODES) * angle[:, None]) / variance[:, None]
    return jnp.einsum("aj,ajkl->kl", terms, arrays["gram_series"])

"""The marginal likelihood about a maximum, with all that does not change there tabulated once per star."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ..forward import Arrays
from .marginal import LOG_2PI, coefficients, eliminate, log_volume, pixel_variance, scaled_basis

#: Chebyshev nodes per arm. The error falls as ρ^-NODES, ρ = π/h + sqrt((π/h)² + 1) with h half the range of t below:
#: 1e-11 where the largest jitter is 400 times the error of the best pixel, 1e-7 where it is 10,000 times; relative to
#: that pixel's weight, so that a pixel which claims a thousandth of the errors of the others costs three more digits.
NODES = 48

#: The range in ln(variance) is wider than what is asked for by this much, for the slope is lost at the very ends.
SPARE = 0.1


def tabulate(arrays: Arrays, model: jax.Array, extra: jax.Array | None, largest: jax.Array | None) -> Arrays:
    """Arrays with what `log_likelihoods` reads.

    Parameters
    ----------
    arrays
        As for `factorise`.
    model
        (a, n) normalised flux at the maximum.
    extra
        (a,) variance that jitter adds to the pixels of an arm there, in normalised flux²; None without jitter.
    largest
        (a,) the largest that will be asked for.

    Notes
    -----
    With the continuum 1 + T a₀ that is best for the model μ₀, and μ near it,

        d - μ (1 + T a) = [d - μ₀ - (1 + T a₀) (μ - μ₀)] - μ₀ ⊙ T a - (μ - μ₀) ⊙ T (a - a₀)

    whose last term is of second order: what is left of the continuum's uncertainty times a change of the model. Without
    it the columns of the covariance, B = [μ₀ ⊙ T, V], are the same for all parameters: the value at μ₀ is that of
    `log_likelihood`, and so is the gradient but for that of ln det Σ.

    B_aᵀ W_a B_a is Σ_i b_i b_iᵀ / (n_i + s): it depends on one number per arm, the jitter's variance s. With n₀ the
    smallest n_i and t = ln(n₀ + s), the function (n₀ + s) B_aᵀ W_a B_a is analytic for |Im t| < π, so that its
    Chebyshev series in t converges fast (Trefethen 2013, Approximation Theory and Approximation Practice, theorem 8.2).
    """
    used, noise = arrays["used"], pixel_variance(arrays)
    columns = model[..., None] * scaled_basis(arrays)
    if "error_basis" in arrays:
        columns = jnp.concatenate([columns, arrays["error_basis"]], axis=-1)
    floor = jnp.min(jnp.where(used, noise, jnp.inf), axis=1)
    floor = jnp.where(jnp.isfinite(floor), floor, 1.0)
    low, high = jnp.log(floor) - SPARE, jnp.log(floor if largest is None else floor + largest) + SPARE
    angle = np.pi * (np.arange(NODES) + 0.5) / NODES
    to_series = np.cos(np.outer(np.arange(NODES), angle)) * np.where(np.arange(NODES) == 0, 1, 2)[:, None] / NODES

    def at(node: jax.Array) -> jax.Array:
        variance = jnp.exp(low + 0.5 * (1 + node) * (high - low))
        weight = jnp.where(used, variance[:, None] / (noise + (variance - floor)[:, None]), 0.0)
        return jnp.einsum("ank,an,anl->akl", columns, weight, columns)

    values = jax.lax.map(at, jnp.asarray(np.cos(angle)))
    best, _ = coefficients(arrays, model, extra)
    return dict(arrays) | {
        "columns": jnp.swapaxes(columns, 1, 2),
        "gram_series": jnp.einsum("jm,makl->ajkl", to_series, values),
        "gram_floor": floor,
        "gram_range": jnp.stack([low, high], axis=-1),
        "middle": model,
        "best": best,
    }


def _gram_at(arrays: Arrays, extra: jax.Array) -> jax.Array:
    """(k, a, m, m) BᵀWB of every arm at the variances `extra` (k, a) that jitter adds."""
    variance = arrays["gram_floor"] + extra
    low, high = arrays["gram_range"][:, 0], arrays["gram_range"][:, 1]
    angle = jnp.arccos(2 * (jnp.log(variance) - low) / (high - low) - 1)
    terms = jnp.cos(jnp.arange(NODES) * angle[..., None]) / variance[..., None]
    return jnp.einsum("kaj,ajlm->kalm", terms, arrays["gram_series"])


def log_likelihoods(arrays: Arrays, models: jax.Array, extra: jax.Array | None) -> jax.Array:
    """(k,) log marginal likelihoods of models (a, n, k) near the one that `tabulate` was given.

    Parameters
    ----------
    arrays
        From `tabulate`.
    models
        Normalised fluxes.
    extra
        (k, a) variances that jitter adds; None for none.
    """
    used, c = arrays["used"], arrays["basis"].shape[-1]
    moved = jnp.where(used[..., None], models - arrays["middle"][..., None], 0.0)
    residual = jnp.where(used, arrays["data"] - arrays["middle"], 0.0)[..., None] - arrays["best"][..., None] * moved
    if extra is None:
        extra = jnp.zeros((models.shape[-1], len(used)))
    variance = pixel_variance(arrays)[..., None] + extra.T[:, None]
    seen = jnp.where(used[..., None], residual / variance, 0.0)
    square = jnp.sum(residual * seen, axis=(0, 1))
    log_det = jnp.sum(jnp.where(used[..., None], jnp.log(variance), 0.0), axis=(0, 1))

    def marginalised(inner: jax.Array, gram: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What that takes off the square and adds to the log determinant; from (a, m) BᵀWr and (a, m, m) BᵀWB."""
        products = [gram[:, :c, :c], inner[:, :c, None]]
        if "error_basis" in arrays:
            products += [gram[:, :c, c:], jnp.sum(gram[:, c:, c:], axis=0), jnp.sum(inner[:, c:], axis=0)[:, None]]
        found = eliminate(*products)
        taken = jnp.sum(jnp.stack([jnp.sum(found[name] ** 2) for name in ("p", "q") if name in found]))
        return taken, log_volume(found["block"], found.get("whole"))

    inner = jnp.moveaxis(arrays["columns"] @ seen, -1, 0)
    taken, volume = jax.vmap(marginalised)(inner, _gram_at(arrays, extra))
    return -0.5 * (square - taken + log_det + volume + jnp.sum(used) * LOG_2PI)

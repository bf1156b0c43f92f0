"""The marginal likelihood about a maximum, with all that does not change there tabulated once per star."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from .marginal import LOG_2PI, Pixels, coefficients, eliminate, log_volume

#: Chebyshev nodes per arm. The error falls as ρ^-NODES, ρ = π/h + sqrt((π/h)² + 1) with h half the range of t below:
#: 1e-11 where the largest jitter is 400 times the error of the best pixel, 1e-7 where it is 10,000 times; relative to
#: that pixel's weight, so that a pixel which claims a thousandth of the errors of the others costs three more digits.
NODES = 48

#: The range in ln(variance) is wider than what is asked for by this much, for the slope is lost at the very ends.
SPARE = 0.1


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Table:
    """What `log_likelihoods` reads; see `tabulate`.

    Parameters
    ----------
    middle, best
        (a, n) model at the maximum, and the continuum over the pilot that is best for it.
    columns
        (a, c, n) what the covariance is made of, besides a variance per pixel.
    series, floor, range
        (a, j, c, c) Chebyshev series of BᵀWB in the logarithm of the best pixel's variance, (a,) that variance without
        jitter, (a, 2) range of the logarithm.
    """

    middle: jax.Array
    best: jax.Array
    columns: jax.Array
    series: jax.Array
    floor: jax.Array
    range: jax.Array


def tabulate(pixels: Pixels, model: jax.Array, extra: jax.Array | None, largest: jax.Array | None) -> Table:
    """Tabulate the likelihood about a model.

    Parameters
    ----------
    pixels
        Data and noise.
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
    used, noise = pixels.used, pixels.total_variance
    columns = model[..., None] * pixels.scaled_basis
    if pixels.error is not None:
        columns = jnp.concatenate([columns, pixels.error.basis], axis=-1)
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
    best, _ = coefficients(pixels, model, extra)
    series = jnp.einsum("jm,makl->ajkl", to_series, values)
    return Table(model, best, jnp.swapaxes(columns, 1, 2), series, floor, jnp.stack([low, high], axis=-1))


def _gram_at(table: Table, extra: jax.Array) -> jax.Array:
    """(k, a, m, m) BᵀWB of every arm at the variances `extra` (k, a) that jitter adds."""
    variance = table.floor + extra
    low, high = table.range[:, 0], table.range[:, 1]
    angle = jnp.arccos(2 * (jnp.log(variance) - low) / (high - low) - 1)
    terms = jnp.cos(jnp.arange(NODES) * angle[..., None]) / variance[..., None]
    return jnp.einsum("kaj,ajlm->kalm", terms, table.series)


def log_likelihoods(pixels: Pixels, table: Table, models: jax.Array, extra: jax.Array | None) -> jax.Array:
    """(k,) log marginal likelihoods of models (a, n, k) near the one that `tabulate` was given.

    Parameters
    ----------
    pixels, table
        Data and noise, and what `tabulate` made of them.
    models
        Normalised fluxes.
    extra
        (k, a) variances that jitter adds; None for none.
    """
    used, c = pixels.used, pixels.basis.shape[-1]
    moved = jnp.where(used[..., None], models - table.middle[..., None], 0.0)
    residual = jnp.where(used, pixels.data - table.middle, 0.0)[..., None] - table.best[..., None] * moved
    if extra is None:
        extra = jnp.zeros((models.shape[-1], len(used)))
    variance = pixels.total_variance[..., None] + extra.T[:, None]
    seen = jnp.where(used[..., None], residual / variance, 0.0)
    square = jnp.sum(residual * seen, axis=(0, 1))
    log_det = jnp.sum(jnp.where(used[..., None], jnp.log(variance), 0.0), axis=(0, 1))

    def marginalised(inner: jax.Array, gram: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What that takes off the square and adds to the log determinant; from (a, m) BᵀWr and (a, m, m) BᵀWB."""
        products = [gram[:, :c, :c], inner[:, :c, None]]
        if pixels.error is not None:
            products += [gram[:, :c, c:], jnp.sum(gram[:, c:, c:], axis=0), jnp.sum(inner[:, c:], axis=0)[:, None]]
        found = eliminate(*products)
        taken = jnp.sum(jnp.stack([jnp.sum(found[name] ** 2) for name in ("p", "q") if name in found]))
        return taken, log_volume(found["block"], found.get("whole"))

    inner = jnp.moveaxis(table.columns @ seen, -1, 0)
    taken, volume = jax.vmap(marginalised)(inner, _gram_at(table, extra))
    return -0.5 * (square - taken + log_det + volume + jnp.sum(used) * LOG_2PI)

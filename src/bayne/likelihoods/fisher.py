"""Fisher information of pixels whose noise covariance depends on the jitters, and the likelihood's gradient."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .marginal import Factors, Pixels, arm_by_arm, factorise, value_of


def information(
    pixels: Pixels, model: jax.Array, derivatives: jax.Array, extra: jax.Array | None, slope: jax.Array | None
) -> jax.Array:
    """Fisher information (n, n) of the parameters of the mean, and of the jitters where there are any.

    F_ij = ∂_i μᵀ Σ⁻¹ ∂_j μ for parameters of the mean, with the noise covariance Σ (continuum and emulator
    error included) frozen; ½ tr(Σ⁻¹ ∂_i Σ Σ⁻¹ ∂_j Σ) for the jitters. Tegmark, Taylor & Heavens (1997, ApJ 480, 22),
    equation 15.

    Parameters
    ----------
    pixels, model, derivatives
        Noise, normalised flux μ (a, n) and its derivatives (a, n, m).
    extra, slope
        (a,) variance that jitter adds to the pixels of an arm, and its derivative by the arm's parameter; None for no
        jitter.
    """
    factors = factorise(pixels, model, extra, derivatives)
    top = factors.quadratic()
    if slope is None:
        return top
    return jax.scipy.linalg.block_diag(top, _of_jitter(factors, _Inverse.of(pixels, factors), slope))


def expansion(
    pixels: Pixels, model: jax.Array, derivatives: jax.Array, extra: jax.Array | None, slope: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log likelihood (), its gradient (n,) and `information` (n, n), all of one factorisation.

    With r = data - μ and z = Σ⁻¹ r, the gradient is ∂μᵀ z + ½ zᵀ ∂Σ z - ½ tr(Σ⁻¹ ∂Σ), where Σ depends on μ because the
    continuum multiplies it. Differentiating the factorisation itself would cost several times more.
    """
    residual = jnp.where(pixels.used, pixels.data - model, 0.0)
    factors = factorise(pixels, model, extra, jnp.concatenate([residual[..., None], derivatives], axis=-1))
    quadratic, inverse = factors.quadratic(), _Inverse.of(pixels, factors)
    continuum, z = factors.first_solved(residual)
    by_model = z * jnp.einsum("anc,ac->an", pixels.scaled_basis, continuum) - inverse.by_model
    gradient = quadratic[0, 1:] + jnp.einsum("an,anm->m", by_model, derivatives)
    value, top = value_of(pixels, factors, quadratic[0, 0]), quadratic[1:, 1:]
    if slope is None:
        return value, gradient, top
    by_jitter = 0.5 * slope * jnp.sum(z**2 - inverse.diagonal, axis=-1)
    matrix = jax.scipy.linalg.block_diag(top, _of_jitter(factors, inverse, slope))
    return value, jnp.concatenate([gradient, by_jitter]), matrix


class _Inverse(NamedTuple):
    """Σ⁻¹ = W - W H Hᵀ W: columns H (a, n, h), of which the continuum's come first; (a, n) diagonal of Σ⁻¹.

    ``by_model`` (a, n) is ½ tr(Σ⁻¹ ∂Σ/∂μ): how half the log determinant changes with the model of each pixel.
    """

    columns: jax.Array
    diagonal: jax.Array
    by_model: jax.Array

    @classmethod
    def of(cls, pixels: Pixels, factors: Factors) -> _Inverse:
        eye = jnp.eye(factors.block.shape[-1])
        inverted = arm_by_arm(lambda f: jax.scipy.linalg.solve_triangular(f, eye, lower=True), factors.block)
        own = jnp.einsum("anc,adc->and", factors.columns, inverted)
        each = jnp.einsum("anc,adc->and", pixels.scaled_basis, inverted)  # `own` by the model
        columns, by_model = own, jnp.sum(each * own, -1)
        if factors.error is not None and factors.half is not None and factors.whole is not None:
            upper = jnp.linalg.inv(factors.whole).T
            common = (factors.error - jnp.einsum("anc,ack->ank", own, factors.half)) @ upper
            by_model = by_model - jnp.sum((jnp.einsum("anc,ack->ank", each, factors.half) @ upper) * common, -1)
            columns = jnp.concatenate([own, common], axis=-1)
        w = factors.weight
        return cls(columns, w - w**2 * jnp.sum(columns**2, -1), w * by_model)


def _of_jitter(factors: Factors, inverse: _Inverse, slope: jax.Array) -> jax.Array:
    """(a, a) ½ tr(Σ⁻¹ D_a Σ⁻¹ D_b), D_a = ∂Σ/∂(excess_a): `slope` (a,) on the pixels of arm a, zero elsewhere.

    With u = w d on arm a, the trace is Σ u² - 2 Σ u² w |H_i|² + tr(G_a G_b), G_a = Hᵀ W D_a W H.
    """
    w, h = factors.weight, inverse.columns
    u = w * slope[:, None]
    gram = jnp.einsum("anc,and->acd", h * (u * w)[..., None], h)
    c = factors.columns.shape[-1]
    # w - w² |H|² is the diagonal of the inverse
    diagonal = jnp.sum(u * slope[:, None] * (2 * inverse.diagonal - w), -1) + jnp.einsum("acd,acd->a", gram, gram)
    shared = jnp.einsum("akl,bkl->ab", gram[:, c:, c:], gram[:, c:, c:])
    shared = shared - jnp.diag(jnp.diagonal(shared))
    return 0.5 * (jnp.diag(diagonal) + shared)

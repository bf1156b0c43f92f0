"""Fisher information of the pixels' Gaussian, whose covariance depends on the jitters."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from .marginal import Factors, Pixels, arm_by_arm, factorise


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
    return top if slope is None else jax.scipy.linalg.block_diag(top, _of_jitter(factors, slope))


def _of_jitter(factors: Factors, slope: jax.Array) -> jax.Array:
    """(a, a) ½ tr(Σ⁻¹ D_a Σ⁻¹ D_b), D_a = ∂Σ/∂(excess_a): `slope` (a,) on the pixels of arm a, zero elsewhere.

    With Σ⁻¹ = W - W H Hᵀ W and u = w d on arm a, the trace is Σ u² - 2 Σ u² w |H_i|² + tr(G_a G_b),
    G_a = Hᵀ W D_a W H.
    """
    w = factors.weight
    u = w * slope[:, None]
    own = arm_by_arm(
        lambda f, b: jax.scipy.linalg.solve_triangular(f, b.T, lower=True).T, factors.block, factors.columns
    )
    common = jnp.zeros((*own.shape[:2], 0))
    if factors.error is not None and factors.half is not None and factors.whole is not None:
        rest = factors.error - jnp.einsum("anc,ack->ank", own, factors.half)
        common = jnp.einsum("ank,lk->anl", rest, jnp.linalg.inv(factors.whole))
    h = jnp.concatenate([own, common], axis=-1)
    gram = jnp.einsum("anc,an,and->acd", h, u * w, h)
    c = own.shape[-1]
    diagonal = jnp.sum(u**2, -1) - 2 * jnp.einsum("an,anc->a", u**2 * w, h**2) + jnp.einsum("acd,acd->a", gram, gram)
    shared = jnp.einsum("akl,bkl->ab", gram[:, c:, c:], gram[:, c:, c:])
    shared = shared - jnp.diag(jnp.diagonal(shared))
    return 0.5 * (jnp.diag(diagonal) + shared)

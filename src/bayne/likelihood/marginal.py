"""Gaussian likelihood with the continuum and the emulator's error integrated out exactly."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ..forward import Arrays

LOG_2PI = 1.8378770664093453


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Factors:
    """Factorised covariance Σ = N + Σ_a B_a B_aᵀ + V Vᵀ of all pixels, N diagonal.

    ``weight`` (a, n) is 1/N, 0 for unused pixels; ``columns`` (a, n, c) is B; ``block`` (a, c, c) the Cholesky
    factor of 1 + Bᵀ W B per arm. With emulator error: ``error`` (a, n, k) is V, ``cross`` (a, c, k) is Bᵀ W V and
    ``whole`` (k, k) the Cholesky factor of 1 + Vᵀ W V - Σ_a crossᵀ block⁻¹ cross.
    """

    weight: jax.Array
    columns: jax.Array
    block: jax.Array
    error: jax.Array | None
    cross: jax.Array | None
    whole: jax.Array | None


def _solve(factor: jax.Array, rhs: jax.Array) -> jax.Array:
    return jax.scipy.linalg.solve_triangular(factor, rhs, lower=True)


def factorise(arrays: Arrays, model: jax.Array, extra: jax.Array | None) -> Factors:
    """Factorise the covariance of the normalised data for one model.

    Parameters
    ----------
    arrays
        ``noise`` (a, n) photon variance over pilot² (1 where unused), ``used`` (a, n), ``basis`` (a, n, c) Chebyshev
        polynomials times their prior standard deviation, and, with emulator error, ``error_basis`` (a, n, k) and
        ``error_variance`` (a, n).
    model
        (a, n) normalised flux.
    extra
        (a,) variance added to every pixel of an arm, in normalised flux²; None for none.
    """
    variance = arrays["noise"]
    if extra is not None:
        variance = variance + extra[:, None]
    if "error_variance" in arrays:
        variance = variance + arrays["error_variance"]
    weight = jnp.where(arrays["used"], 1.0 / variance, 0.0)
    columns = model[..., None] * arrays["basis"]
    weighted = weight[..., None] * columns
    c = columns.shape[-1]
    block = jnp.linalg.cholesky(jnp.eye(c) + jnp.einsum("anc,and->acd", weighted, columns))
    if "error_basis" not in arrays:
        return Factors(weight, columns, block, None, None, None)
    error = arrays["error_basis"]
    cross = jnp.einsum("anc,ank->ack", weighted, error)
    half = jax.vmap(_solve)(block, cross)
    gram = jnp.einsum("ank,an,anl->kl", error, weight, error) - jnp.einsum("ack,acl->kl", half, half)
    whole = jnp.linalg.cholesky(jnp.eye(error.shape[-1]) + gram)
    return Factors(weight, columns, block, error, cross, whole)


def project(factors: Factors, x: jax.Array) -> tuple[jax.Array, jax.Array | None]:
    """Coordinates of pixel vectors (a, n, m) whose squares are what marginalising takes off xᵀ W x.

    xᵀ Σ⁻¹ y = xᵀ W y - p(x)ᵀ p(y) - q(x)ᵀ q(y), with p (a, c, m) and q (k, m).
    """
    weighted = factors.weight[..., None] * x
    p = jax.vmap(_solve)(factors.block, jnp.einsum("anc,anm->acm", factors.columns, weighted))
    if factors.error is None or factors.cross is None or factors.whole is None:
        return p, None
    half = jax.vmap(_solve)(factors.block, factors.cross)
    inner = jnp.einsum("ank,anm->km", factors.error, weighted) - jnp.einsum("ack,acm->km", half, p)
    return p, _solve(factors.whole, inner)


def log_likelihood(arrays: Arrays, model: jax.Array, extra: jax.Array | None) -> jax.Array:
    """Log marginal likelihood of the normalised data ``arrays["data"]`` (a, n), normalisation included."""
    factors = factorise(arrays, model, extra)
    residual = jnp.where(arrays["used"], arrays["data"] - model, 0.0)[..., None]
    p, q = project(factors, residual)
    chi2 = jnp.sum(factors.weight * residual[..., 0] ** 2) - jnp.sum(p**2)
    used = arrays["used"]
    log_det = -jnp.sum(jnp.where(used, jnp.log(jnp.where(used, factors.weight, 1.0)), 0.0))
    log_det += 2 * jnp.sum(jnp.log(jnp.diagonal(factors.block, axis1=-2, axis2=-1)))
    if q is not None and factors.whole is not None:
        chi2 -= jnp.sum(q**2)
        log_det += 2 * jnp.sum(jnp.log(jnp.diagonal(factors.whole)))
    return -0.5 * (chi2 + log_det + jnp.sum(used) * LOG_2PI)


def coefficients(arrays: Arrays, model: jax.Array, extra: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Posterior mean of the continuum's correction and of the emulator's correlated error, on the pixels.

    Returns
    -------
    tuple
        (a, n) continuum over pilot, that is 1 + Σ T a; (a, n) correction of the normalised flux by the
        emulator's error, zero where the card states none.
    """
    factors = factorise(arrays, model, extra)
    residual = jnp.where(arrays["used"], arrays["data"] - model, 0.0)[..., None]
    p, q = project(factors, residual)
    correction = jnp.zeros_like(model)
    if q is not None and factors.whole is not None and factors.cross is not None and factors.error is not None:
        b = jax.scipy.linalg.solve_triangular(factors.whole, q, lower=True, trans=1)
        correction = jnp.einsum("ank,km->an", factors.error, b)
        p = p - jnp.einsum("ack,km->acm", jax.vmap(_solve)(factors.block, factors.cross), b)
    a = jax.vmap(lambda f, r: jax.scipy.linalg.solve_triangular(f, r, lower=True, trans=1))(factors.block, p)
    return 1.0 + jnp.einsum("anc,acm->an", arrays["basis"], a), correction

"""Fisher matrices by forward-mode differentiation of the same model and noise that are sampled."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ..forward import Arrays
from ..likelihood import Static, factorise, jacobian, jitter_variance, log_likelihood
from ..likelihood.marginal import Factors, arm_by_arm
from ..spectrum import FloatArray
from .correlation import white


def fisher_matrix(static: Static, arrays: Arrays, theta: jax.Array) -> jax.Array:
    """Fisher information (n_free, n_free) of all free parameters, without priors on them.

    F_ij = ∂_i μᵀ Σ⁻¹ ∂_j μ for parameters of the mean, with the noise covariance Σ (continuum and emulator
    error included) frozen at `theta`; ½ tr(Σ⁻¹ ∂_i Σ Σ⁻¹ ∂_j Σ) for the jitters. Tegmark, Taylor & Heavens
    (1997, ApJ 480, 22), equation 15.
    """
    arrays, model, derivatives = white(arrays, *jacobian(static, arrays, theta))
    return _information(arrays, model, derivatives, jitter_variance(static, arrays, theta))


def expand(static: Static, arrays: Arrays, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log likelihood (), its gradient (n_free,) and `fisher_matrix` (n_free, n_free), all of one Jacobian."""
    model, derivatives = jacobian(static, arrays, theta)
    extra = jitter_variance(static, arrays, theta)
    value, (by_model, by_extra) = jax.value_and_grad(log_likelihood, argnums=(1, 2))(arrays, model, extra)
    gradient = jnp.einsum("an,anm->m", by_model, derivatives)
    if extra is not None:
        gradient = jnp.concatenate([gradient, by_extra * (extra + arrays["photon"])])
    return value, gradient, _information(arrays, model, derivatives, extra)


def _information(arrays: Arrays, model: jax.Array, derivatives: jax.Array, extra: jax.Array | None) -> jax.Array:
    factors = factorise(arrays, model, extra, derivatives)
    top = factors.quadratic()
    if extra is None:
        return top
    return jax.scipy.linalg.block_diag(top, _jitter_information(factors, extra + arrays["photon"]))


def _jitter_information(factors: Factors, slope: jax.Array) -> jax.Array:
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


def bounds(fisher: FloatArray, width: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cramér-Rao bounds without label priors, and the covariance behind them.

    Parameters
    ----------
    fisher
        (n, n).
    width
        (n,) width of the domain of each parameter.

    Returns
    -------
    tuple
        (n,) bounds, inf where a bound exceeds width/sqrt(12), the spread of a uniform prior: the data do
        not constrain that parameter; and (n, n) the inverse of the Fisher matrix, regularised a thousand
        widths out so that it exists.
    """
    scaled = fisher * np.outer(width, width)
    covariance = np.linalg.inv(scaled + 1e-6 * np.eye(width.size)) * np.outer(width, width)
    bound = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return np.where(bound > width / np.sqrt(12), np.inf, bound), covariance

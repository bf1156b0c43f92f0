"""Gaussian likelihood with the continuum and the emulator's error integrated out exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp

LOG_2PI = 1.8378770664093453


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EmulatorError:
    """Error of the emulator on the pixels: basis (a, n, k) of what is correlated, variance (a, n) of the rest."""

    basis: jax.Array
    variance: jax.Array

    def thinned(self, step: int) -> EmulatorError:
        """That of one pixel in `step`."""
        return EmulatorError(self.basis[:, ::step], self.variance[:, ::step])


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pixels:
    """Data and noise of all arms, in units of the pilot continuum.

    Parameters
    ----------
    data, variance
        (a, n) flux, and variance by the noise of the photons; 1 where unused.
    used
        (a, n) which pixels count.
    basis, spread
        (a, n, c) Chebyshev polynomials and modes of the continuum, (a, c) their prior standard deviations.
    error
        The emulator's error; None for none.
    """

    data: jax.Array
    variance: jax.Array
    used: jax.Array
    basis: jax.Array
    spread: jax.Array
    error: EmulatorError | None = None

    @property
    def total_variance(self) -> jax.Array:
        """(a, n) variance of every pixel: the photons', and the uncorrelated part of the emulator's."""
        return self.variance if self.error is None else self.variance + self.error.variance

    @property
    def scaled_basis(self) -> jax.Array:
        """(a, n, c) polynomials and modes of the continuum times their prior standard deviations."""
        return self.basis * self.spread[:, None]

    def thinned(self, step: int) -> Pixels:
        """One pixel in `step`."""
        data, variance, used, basis = (v[:, ::step] for v in (self.data, self.variance, self.used, self.basis))
        return Pixels(data, variance, used, basis, self.spread, self.error and self.error.thinned(step))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Factors:
    """Factorised covariance Σ = N + Σ_a B_a B_aᵀ + V Vᵀ of all pixels, N diagonal, and what it makes of vectors x.

    ``weight`` (a, n) is 1/N, 0 for unused pixels; ``columns`` (a, n, c) is B; ``block`` (a, c, c) the Cholesky
    factor of 1 + Bᵀ W B per arm. With emulator error: ``error`` (a, n, k) is V, ``half`` (a, c, k) is
    block⁻¹ Bᵀ W V and ``whole`` (k, k) the Cholesky factor of 1 + Vᵀ W V - Σ_a halfᵀ half. Of the m vectors,
    ``square`` (m, m) is xᵀ W x, and ``p`` (a, c, m) and ``q`` (k, m) are the coordinates whose squares
    marginalising takes off it.
    """

    weight: jax.Array
    columns: jax.Array
    block: jax.Array
    square: jax.Array
    p: jax.Array
    error: jax.Array | None = None
    half: jax.Array | None = None
    whole: jax.Array | None = None
    q: jax.Array | None = None

    def quadratic(self) -> jax.Array:
        """(m, m) xᵀ Σ⁻¹ x."""
        value = self.square - jnp.einsum("aci,acj->ij", self.p, self.p)
        return value if self.q is None else value - self.q.T @ self.q

    def taken(self) -> tuple[jax.Array, jax.Array]:
        """What marginalising takes of the vectors x: (a, c, m) coefficients of the columns B, and (a, n, m) of V."""
        p, error = self.p, jnp.zeros((*self.weight.shape, self.p.shape[-1]))
        if self.error is not None and self.half is not None and self.whole is not None and self.q is not None:
            b = _solve(self.whole, self.q, transpose=1)
            error = jnp.einsum("ank,km->anm", self.error, b)
            p = p - jnp.einsum("ack,km->acm", self.half, b)
        return arm_by_arm(partial(_solve, transpose=1), self.block, p), error

    def first_solved(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Of the first vector x (a, n) that was factorised: Bᵀ Σ⁻¹ x (a, c), and Σ⁻¹ x (a, n)."""
        first = replace(self, p=self.p[..., :1], q=None if self.q is None else self.q[..., :1])
        return first.taken()[0][..., 0], first.solved(x[..., None])[..., 0]

    def solved(self, x: jax.Array) -> jax.Array:
        """(a, n, m) Σ⁻¹ x of the vectors x that were factorised."""
        a, error = self.taken()
        return self.weight[..., None] * (x - jnp.einsum("anc,acm->anm", self.columns, a) - error)


def _solve(factor: jax.Array, rhs: jax.Array, transpose: int = 0) -> jax.Array:
    return jax.scipy.linalg.solve_triangular(factor, rhs, lower=True, trans=transpose)


def arm_by_arm(function: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """A function of the matrices of each arm, one arm after the other.

    LAPACK on a batch of matrices waits inside a thread of XLA's pool for others of the pool (jaxlib 0.10): two batches
    at a time on two cores wait forever.
    """
    return jax.lax.map(lambda own: function(*own), arrays)


def eliminate(
    bb: jax.Array, bx: jax.Array, bv: jax.Array | None = None, vv: jax.Array | None = None, vx: jax.Array | None = None
) -> dict[str, jax.Array]:
    """``block``, ``p`` and, with emulator error, ``half``, ``whole`` and ``q`` of `Factors`.

    From products over the pixels, weighted by W: of the columns B with themselves (a, c, c) and with the vectors x
    (a, c, m), of B with V (a, c, k), of V with itself (k, k) and with x (k, m).
    """
    block = arm_by_arm(lambda gram: jnp.linalg.cholesky(jnp.eye(bb.shape[-1]) + gram), bb)
    if bv is None or vv is None or vx is None:
        return {"block": block, "p": arm_by_arm(_solve, block, bx)}
    both = arm_by_arm(_solve, block, jnp.concatenate([bx, bv], axis=-1))
    p, half = jnp.split(both, [bx.shape[-1]], axis=-1)
    whole = jnp.linalg.cholesky(jnp.eye(vv.shape[-1]) + vv - jnp.einsum("ack,acl->kl", half, half))
    q = _solve(whole, vx - jnp.einsum("ack,acm->km", half, p))
    return {"block": block, "p": p, "half": half, "whole": whole, "q": q}


def log_volume(block: jax.Array, whole: jax.Array | None) -> jax.Array:
    """Log determinant of 1 + [B, V]ᵀ W [B, V]."""
    value = 2 * jnp.sum(jnp.log(jnp.diagonal(block, axis1=-2, axis2=-1)))
    return value if whole is None else value + 2 * jnp.sum(jnp.log(jnp.diagonal(whole)))


def factorise(pixels: Pixels, model: jax.Array, extra: jax.Array | None, x: jax.Array) -> Factors:
    """Factorise the covariance of the normalised data for one model.

    Parameters
    ----------
    pixels
        Their noise; the data play no role.
    model
        (a, n) normalised flux.
    extra
        (a,) variance added to every pixel of an arm, in normalised flux²; None for none.
    x
        (a, n, m) vectors of pixels, finite where unused.
    """
    variance = pixels.total_variance
    if extra is not None:
        variance = variance + extra[:, None]
    weight = jnp.where(pixels.used, 1.0 / variance, 0.0)
    columns = model[..., None] * pixels.scaled_basis
    c = columns.shape[-1]
    both = jnp.concatenate([columns, x], axis=-1)
    weighted = weight[..., None] * both
    own = jnp.einsum("anc,and->acd", weighted, both)
    square, bb, bx = jnp.sum(own[:, c:, c:], axis=0), own[:, :c, :c], own[:, :c, c:]
    if pixels.error is None:
        return Factors(weight, columns, square=square, **eliminate(bb, bx))
    error = pixels.error.basis
    # one product for the continuum's columns and for x: passes over the error's k spectra are what a gradient costs
    cross = jnp.einsum("anc,ank->ack", weighted, error)
    vv, vx = jnp.einsum("ank,an,anl->kl", error, weight, error), jnp.einsum("amk->km", cross[:, c:])
    return Factors(weight, columns, square=square, error=error, **eliminate(bb, bx, cross[:, :c], vv, vx))


def _of_residual(pixels: Pixels, model: jax.Array, extra: jax.Array | None) -> Factors:
    residual = jnp.where(pixels.used, pixels.data - model, 0.0)
    return factorise(pixels, model, extra, residual[..., None])


def log_likelihood(pixels: Pixels, model: jax.Array, extra: jax.Array | None) -> jax.Array:
    """Log marginal likelihood of the data (a, n), normalisation included."""
    factors = _of_residual(pixels, model, extra)
    return value_of(pixels, factors, factors.quadratic()[0, 0])


def value_of(pixels: Pixels, factors: Factors, chi_square: jax.Array) -> jax.Array:
    """Log likelihood of residuals whose rᵀ Σ⁻¹ r is known."""
    used = pixels.used
    log_det = -jnp.sum(jnp.where(used, jnp.log(jnp.where(used, factors.weight, 1.0)), 0.0))
    log_det += log_volume(factors.block, factors.whole)
    return -0.5 * (chi_square + log_det + jnp.sum(used) * LOG_2PI)


def coefficients(pixels: Pixels, model: jax.Array, extra: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Posterior mean of the continuum's correction and of the emulator's correlated error, on the pixels.

    Returns
    -------
    tuple
        (a, n) continuum over pilot, that is 1 + Σ T a; (a, n) correction of the normalised flux by the
        emulator's error, zero where the card states none.
    """
    a, correction = _of_residual(pixels, model, extra).taken()
    return 1.0 + jnp.einsum("anc,acm->an", pixels.scaled_basis, a), correction[..., 0]

"""A posterior in the small: what the data can tell of a star, as polynomials in its parameters."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import HMC

from ..forward import Arrays
from ..likelihood import Prior, Static, factorise, jacobian, jitter_variance
from ..spectrum import FloatArray
from .optimise import log_volume, to_box

#: Ridge of the regressions, in draws: parameters that hardly matter leave their coefficients at zero.
RIDGE = 0.03

#: Draws count in a regression as importance weights say, tempered until their effective number is this share of them.
SHARE = 0.5

#: Transitions that take a population to the surrogate's density, their length in radians of a unit Gaussian's orbit
#: (a quarter turn forgets where it began) and leapfrog steps of this size.
MOVES, TURN, STEP = 12, np.pi / 2, 0.25


class Frame(NamedTuple):
    """Coordinates of one star: parameters are ``to_box(centre + white @ z)``; spectra become c = axesᵀ (μ - model).

    ``centre`` (n,) unconstrained coordinates, ``white`` (n, n); ``model`` (a, n_pixels) and ``axes``
    (a, n_pixels, m) the model at the centre and m directions there.
    """

    centre: jax.Array
    white: jax.Array
    model: jax.Array
    axes: jax.Array

    def parameters(self, prior: Prior, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Parameters (n,) at whitened coordinates z (n,), and the log density of z where theirs is 1."""
        u = self.centre + self.white @ z
        return to_box(prior, u), log_volume(prior, u)


@partial(jax.jit, static_argnums=0)
def frame_at(static: Static, arrays: Arrays, prior: Prior, centre: jax.Array, white: jax.Array) -> Frame:
    """Frame whose axes whiten the tangent plane of the model at a centre: axesᵀ Σ axes = 1, Σ the covariance there.

    With J the Jacobian and L Lᵀ = Jᵀ Σ⁻¹ J the Fisher matrix, the axes are Σ⁻¹ J L⁻ᵀ: c is how far a spectrum is from
    the central one along that plane, in standard deviations of the noise. What nonlinearity does within it can be much,
    out of it is little (Bates & Watts 1980, J. R. Stat. Soc. B 42, 1: parameter effects and intrinsic curvature).
    """
    x = to_box(prior, centre)
    model, derivatives = jacobian(static, arrays, x)
    factors = factorise(arrays, model, jitter_variance(static, arrays, x), derivatives)
    fisher = factors.quadratic()
    size = jnp.sqrt(jnp.diagonal(fisher)) + 1e-30
    # derivatives that vanish, or that others make up for, keep an axis of little length
    lower = jnp.linalg.cholesky(fisher / jnp.outer(size, size) + 1e-8 * jnp.eye(size.size)) * size[:, None]
    axes = jax.scipy.linalg.solve_triangular(lower, factors.solved(derivatives).reshape(-1, size.size).T, lower=True)
    return Frame(centre, white, model, axes.T.reshape(derivatives.shape))


class Surrogate(NamedTuple):
    """Log likelihood -|c|²/2 + pull · c + rest, c and the rest quadratic in the parameters.

    ``middle`` and ``scale`` (n,) make the parameters' polynomials harmless; with f of those, ``along`` (f, m) gives c
    and ``rest`` (f,) the rest; ``pull`` (m,) is where the data are.
    """

    middle: jax.Array
    scale: jax.Array
    along: jax.Array
    pull: jax.Array
    rest: jax.Array

    def log_like(self, x: jax.Array) -> jax.Array:
        """Log likelihood () of parameters (n,), up to a constant."""
        terms = _terms((x - self.middle) / self.scale)
        c = terms @ self.along
        return terms @ self.rest + self.pull @ c - 0.5 * c @ c


def _terms(z: jax.Array) -> jax.Array:
    """(..., f) 1, z and all products of two of z (..., n)."""
    first, second = np.triu_indices(z.shape[-1])
    return jnp.concatenate([jnp.ones_like(z[..., :1]), z, z[..., first] * z[..., second]], axis=-1)


def tempered(log_weight: FloatArray) -> FloatArray:
    """Weights of mean 1, flattened by a power until `SHARE` of them are effective."""
    log_weight = log_weight - log_weight.max()
    low, high = 0.0, 1.0
    for _ in range(30):
        power = 0.5 * (low + high)
        weight = np.exp(power * log_weight)
        enough = weight.sum() ** 2 >= SHARE * log_weight.size * np.sum(weight**2)
        low, high = (power, high) if enough else (low, power)
    weight = np.exp(low * log_weight)
    return np.asarray(weight / weight.mean())


def learn(x: FloatArray, c: FloatArray, like: FloatArray, weight: FloatArray) -> Surrogate:
    """Surrogate of log likelihoods (k,) with coordinates c (k, m) at parameters x (k, n), by weighted regression.

    That the log likelihood is a sum of squares of what is nearly linear makes this much better than a regression on
    the log likelihood itself: k numbers in place of k m, and of fourth order in place of second.
    """
    middle = np.average(x, axis=0, weights=weight)
    scale = np.sqrt(np.average((x - middle) ** 2, axis=0, weights=weight)) + 1e-12
    terms = np.asarray(_terms(jnp.asarray((x - middle) / scale)))
    along = _regress(terms, c, weight)
    level = float(np.average(like, weights=weight))
    both = _regress(np.concatenate([terms, c], axis=1), like - level + 0.5 * np.sum(c**2, axis=1), weight)
    rest, pull = np.split(both, [terms.shape[1]])
    return Surrogate(*(jnp.asarray(v) for v in (middle, scale, along, pull, rest)))


def _regress(terms: FloatArray, values: FloatArray, weight: FloatArray) -> FloatArray:
    """Ridge regression; the first term, a constant, goes free."""
    ridge = np.full(terms.shape[1], RIDGE)
    ridge[0] = 0.0
    weighted = terms * weight[:, None]
    return np.asarray(np.linalg.solve(weighted.T @ terms + np.diag(ridge), weighted.T @ values))


@jax.jit
def walk(surrogate: Surrogate, frame: Frame, prior: Prior, z: jax.Array, key: jax.Array) -> jax.Array:
    """Take a population z (k, n) to the surrogate's posterior by Hamiltonian Monte Carlo, all in lock step."""

    def potential(z: jax.Array) -> jax.Array:
        x, volume = frame.parameters(prior, z)
        return -surrogate.log_like(x) - prior.log_density(x) - volume

    kernel = HMC(
        potential_fn=potential, step_size=STEP, trajectory_length=TURN, adapt_step_size=False, adapt_mass_matrix=False
    )

    def lane(key: jax.Array, z: jax.Array) -> jax.Array:
        state = kernel.init(key, 0, z, (), {})
        return jax.lax.fori_loop(0, MOVES, lambda _, s: kernel.sample(s, (), {}), state).z

    return jax.vmap(lane)(jax.random.split(key, len(z)), z)

"""Posteriors whose moments are known exactly, as models of pixels that every sampler takes."""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import quad

from bayne.inference.draws import Approximation
from bayne.likelihoods import PixelModel, Pixels, Prior


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Residuals(PixelModel):
    """Pixels of unit noise without a continuum, whose data are zero: the likelihood is -|residuals|²/2."""

    residuals: Callable[[jax.Array], jax.Array] = field(metadata={"static": True})

    def predictions(self, x):
        return jax.vmap(self.residuals)(x).T[None]


def model_of(residuals, n):
    """Model of n parameters from their residuals (m,)."""
    m = jax.eval_shape(residuals, jax.ShapeDtypeStruct((n,), jnp.float64)).shape[0]
    shape = (1, m)
    pixels = Pixels(jnp.zeros(shape), jnp.ones(shape), jnp.ones(shape, bool), jnp.zeros((*shape, 0)), jnp.zeros((1, 0)))
    names = tuple(f"x{i}" for i in range(n))
    return Residuals(names=names, jitter=False, pixels=pixels, photon=jnp.ones(1), residuals=residuals)


def uniform(lower, upper):
    """Uniform prior in a box."""
    low, high, zero = jnp.asarray(lower, float), jnp.asarray(upper, float), jnp.zeros(len(lower))
    none = (jnp.zeros((0, len(lower))), jnp.zeros(0))
    return Prior(low, high, zero, zero, {}, none, -jnp.sum(jnp.log(high - low)))


def about(centre, covariance):
    """Gaussian approximation that samplers start from."""
    covariance = np.asarray(covariance, dtype=float)
    return Approximation(np.asarray(centre, dtype=float), np.linalg.inv(covariance), covariance)


def moments(density, low, high):
    """Mean and standard deviation of a density in one dimension."""
    total = quad(density, low, high)[0]
    mean = quad(lambda x: x * density(x), low, high)[0] / total
    return mean, np.sqrt(quad(lambda x: (x - mean) ** 2 * density(x), low, high)[0] / total)

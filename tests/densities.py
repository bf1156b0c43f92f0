"""Posteriors whose moments are known exactly, as models of pixels that every sampler takes."""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import quad

from bayne.inference.draws import DEFAULT, Approximation
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


@dataclass(frozen=True)
class Case:
    """Residuals, box, where the maximum is and the Gaussian there; (n, 2) exact means and standard deviations."""

    residuals: object
    lower: np.ndarray
    upper: np.ndarray
    centre: np.ndarray
    covariance: np.ndarray
    exact: np.ndarray

    def draws(self, sampler, settings=DEFAULT, seed=1):
        with jax.enable_x64(True):
            model, prior = model_of(self.residuals, len(self.lower)), uniform(self.lower, self.upper)
            start = about(self.centre, self.covariance)
            return sampler(jax.random.key(seed), model, prior, start, settings)

    def errors(self, draws):
        """Largest error of means in standard deviations, and of standard deviations as a fraction."""
        x = draws.values.reshape(-1, draws.values.shape[-1])
        mean, std = self.exact.T
        return np.max(np.abs(x.mean(0) - mean) / std), np.max(np.abs(x.std(0) / std - 1))

    def log_evidence(self):
        """Of the likelihood, a normal density of the residuals, over the box: on a grid, or of a Gaussian inside it."""
        volume = np.sum(np.log(self.upper - self.lower))
        if len(self.lower) > 2:
            return 0.5 * np.linalg.slogdet(self.covariance)[1] - volume
        x, y = (np.linspace(low, high, 2001) for low, high in zip(self.lower, self.upper, strict=True))
        with jax.enable_x64(True):
            grid = jnp.stack(jnp.meshgrid(x, y, indexing="ij"), -1)
            chi2 = jnp.sum(jax.vmap(jax.vmap(self.residuals))(grid) ** 2, axis=-1)
            count = self.residuals(grid[0, 0]).size
            return float(jnp.log(jnp.mean(jnp.exp(-0.5 * chi2))) - 0.5 * count * jnp.log(2 * jnp.pi))


def many_labels():
    """As many parameters as a star has, correlated as its labels are: a Gaussian."""
    rng, n = np.random.default_rng(0), 29
    axes, _ = np.linalg.qr(rng.normal(size=(n, n)))
    covariance = (axes * np.geomspace(0.02, 2.0, n)) @ axes.T
    white = np.linalg.inv(np.linalg.cholesky(covariance))
    exact = np.stack([np.zeros(n), np.sqrt(np.diag(covariance))], axis=1)
    box = 12 * exact[:, 1]
    return Case(lambda x: jnp.asarray(white) @ x, -box, box, np.zeros(n), covariance, exact)


def banana():
    """The second parameter follows the square of the first."""

    def residuals(x):
        return jnp.stack([x[0], (x[1] - 0.5 * x[0] ** 2) / 0.5])

    # E x² = 1, Var x² = 2 of a unit Gaussian
    exact = np.array([[0.0, 1.0], [0.5, np.sqrt(0.5 + 0.25)]])
    return Case(residuals, np.array([-7.0, -5.0]), np.array([7.0, 30.0]), np.zeros(2), np.diag([1, 0.25]), exact)


def bounded():
    """A maximum beyond one end of the box, and a parameter that changes nothing."""

    def residuals(x):
        return jnp.stack([x[0] - 0.5, 0 * x[1]])

    mean, std = moments(lambda x: np.exp(-0.5 * (x - 0.5) ** 2), -4.0, 0.0)
    exact = np.array([[mean, std], [0.5, 1 / np.sqrt(12)]])
    box = (np.array([-4.0, 0.0]), np.array([0.0, 1.0]))
    return Case(residuals, *box, np.array([-0.05, 0.5]), np.diag([0.5, 1 / 12]), exact)


def two_modes():
    """Two peaks at -1 and 1 with nothing between, the right one the higher."""

    def residuals(x):
        return jnp.stack([(x[0] ** 2 - 1) / 0.08, 0.3 * (x[0] - 3), x[1]])

    def density(x):
        return np.exp(-0.5 * ((x**2 - 1) / 0.08) ** 2 - 0.5 * (0.3 * (x - 3)) ** 2)

    parts = [[quad(lambda x, k=k: x**k * density(x), *ends)[0] for k in range(3)] for ends in ((-2, 0), (0, 2))]
    mass, first, second = np.sum(parts, axis=0)
    mean = first / mass
    exact = np.array([[mean, np.sqrt(second / mass - mean**2)], [0.0, 1.0]])
    box = np.array([3.0, 6.0])
    return Case(residuals, -box, box, np.array([1.0, 0.0]), np.diag([0.04**2, 1.0]), exact)

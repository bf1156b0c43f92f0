"""A model of pixels as a function of parameters: what every sampler samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

import jax
import jax.numpy as jnp

from .correlation import Correlation
from .fisher import expansion, information
from .marginal import Pixels, log_likelihood
from .table import Table, log_likelihoods, tabulate


@dataclass(frozen=True, kw_only=True)
class PixelModel(ABC):
    """Pixels whose mean depends on parameters θ (n,), with Gaussian noise; abstract, and a pytree.

    A subclass says what the `predictions` are, and registers itself with `jax.tree_util.register_dataclass`.

    Parameters
    ----------
    names
        Parameters in order; those of the mean, then one ``excess_<arm>`` for every arm when `jitter` is True.
    jitter
        Whether the noise may be larger than stated.
    pixels
        Data and noise.
    photon
        (a,) median photon variance of every arm.
    table
        With it, likelihoods of parameters near a maximum cost less: see `tabulated`.
    correlation
        Of the noise; only the Fisher matrix knows it.
    """

    names: tuple[str, ...] = field(metadata={"static": True})
    jitter: bool = field(metadata={"static": True})
    pixels: Pixels
    photon: jax.Array
    table: Table | None = None
    correlation: Correlation | None = None

    @abstractmethod
    def predictions(self, x: jax.Array) -> jax.Array:
        """(a, n, k) normalised flux for parameters (k, n), 1 on unused pixels."""

    def predict(self, theta: jax.Array) -> jax.Array:
        """(a, n) normalised flux at parameters (n,), 1 on unused pixels."""
        return self.predictions(theta[None])[..., 0]

    def jacobian(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`predict`, and its derivatives (a, n, m) by the m parameters of the mean, 0 on unused pixels."""
        m = self.n_mean
        model, push = jax.linearize(lambda mean: self.predict(theta.at[:m].set(mean)), theta[:m])
        return model, jax.vmap(push, out_axes=-1)(jnp.eye(m))

    @property
    def n_mean(self) -> int:
        """How many leading parameters change the model's mean: all but the excesses."""
        return sum(not name.startswith("excess_") for name in self.names)

    def jitter_variance(self, theta: jax.Array) -> jax.Array | None:
        """(a,) variance that jitter adds to every arm, in normalised flux²; None when there is no jitter.

        The parameter is the excess x = ln(1 + jitter²/s²), s the arm's median photon error. Uniform in x is
        log-uniform in a jitter above s and fades below it, and the posterior of x is smooth down to none at all.
        """
        return self.photon * jnp.expm1(theta[self.n_mean :]) if self.jitter else None

    def log_like(self, theta: jax.Array) -> jax.Array:
        """Log marginal likelihood () of the normalised data; with a table, as that says."""
        if self.table is not None:
            return self.log_likes(theta[None], _computed_once(self.predictions(theta[None])))[0]
        return log_likelihood(self.pixels, _computed_once(self.predict(theta)), self.jitter_variance(theta))

    def log_likes(self, x: jax.Array, models: jax.Array) -> jax.Array:
        """(k,) `log_like` of parameters (k, n) whose `predictions` (a, n, k) are known."""
        extra = jax.vmap(self.jitter_variance)(x)
        if self.table is not None:
            return log_likelihoods(self.pixels, self.table, models, extra)
        return jax.vmap(partial(log_likelihood, self.pixels), (2, 0))(models, extra)

    def expand(self, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Log likelihood (), its gradient (n,) and the Fisher matrix (n, n), all of one Jacobian."""
        return self.expanded(theta, *self.jacobian(theta))

    def expanded(
        self, theta: jax.Array, model: jax.Array, derivatives: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """`expand` with what `jacobian` gave."""
        extra = self.jitter_variance(theta)
        slope = None if extra is None else extra + self.photon
        return expansion(self.pixels, model, derivatives, extra, slope)

    def fisher(self, theta: jax.Array) -> jax.Array:
        """Fisher information (n, n) of all parameters, without priors on them; see `information`."""
        pixels, model, derivatives = self.whitened(theta)
        extra = self.jitter_variance(theta)
        return information(pixels, model, derivatives, extra, None if extra is None else extra + self.photon)

    def whitened(self, theta: jax.Array) -> tuple[Pixels, jax.Array, jax.Array]:
        """Pixels, model and derivatives at θ; where noise is correlated, of an equal problem whose noise is not."""
        found = self.jacobian(theta)
        return (self.pixels, *found) if self.correlation is None else self.correlation.whiten(self.pixels, *found)

    def tabulated(self, theta: jax.Array, largest: jax.Array) -> Self:
        """The model with which likelihoods near the maximum θ cost less, jitters up to those of `largest` (n,)."""
        extra, most = (self.jitter_variance(x) for x in (theta, largest))
        return replace(self, table=tabulate(self.pixels, self.predict(theta), extra, most))


def _computed_once(model: jax.Array) -> jax.Array:
    # without the barrier XLA fuses the last steps of the spectrum into each of its uses, and does them every time
    return jax.lax.optimization_barrier(model)  # type: ignore[no-untyped-call]

"""The marginal Gaussian of a star's pixels as a NumPyro distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro.distributions import constraints

from .marginal import EmulatorError, Pixels, log_likelihood


class MarginalNormal(dist.Distribution):
    """Normalised flux of the pixels that are used, with continuum and emulator error integrated out.

    A multivariate normal with covariance N + Σ_a B_a B_aᵀ + V Vᵀ: N is diagonal, B_a are the continuum's columns of arm
    a times the model, V is the correlated error of the emulator. Its density costs O(p), not O(p³).

    Parameters
    ----------
    pixels
        Noise of the pixels; their data play no role.
    model
        (..., a, n) normalised flux.
    extra
        (..., a) variance that is added to the pixels of every arm.
    index
        (p,) which of the a * n pixels are used, flattened.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector
    pytree_data_fields = ("pixels", "model", "extra", "index")

    def __init__(
        self, pixels: Pixels, model: jax.Array, extra: jax.Array, index: jax.Array, *, validate_args: bool | None = None
    ) -> None:
        self.pixels, self.model, self.extra, self.index = pixels, model, extra, index
        super().__init__(model.shape[:-2], index.shape[-1:], validate_args=validate_args)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch: also of a distribution that `jax.vmap` returns."""
        return tuple(self.model.shape[:-2])

    @property
    def mean(self) -> jax.Array:
        """(..., p) model."""
        return self._flat(self.model)

    @property
    def variance(self) -> jax.Array:
        """(..., p) diagonal of the covariance."""
        return self._flat(self._each(_variance, "(a,n)"))

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Log density of normalised flux (..., p)."""
        if jnp.shape(value)[-1:] != self.event_shape:
            raise ValueError(f"flux of shape {jnp.shape(value)}; the last axis should be {self.event_shape[0]} pixels")
        flat = jnp.zeros((*value.shape[:-1], self._size)).at[..., self._index].set(value)
        return self._each(_log_density, "()", flat.reshape(*value.shape[:-1], *self.model.shape[-2:]))

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Draws (*sample_shape, ..., p)."""
        shape = (*sample_shape, *self.batch_shape)
        arms, error = self.model.shape[-2], self.pixels.error
        keys = jax.random.split(key, 3)
        noise = jax.random.normal(keys[0], (*shape, *self.model.shape[-2:]))
        continuum = jax.random.normal(keys[1], (*shape, arms, self.pixels.basis.shape[-1]))
        if error is None:
            return self._flat(self._each(_draw, "(a,n)", noise, continuum, cores=("(a,n)", "(a,c)")))
        common = jax.random.normal(keys[2], (*shape, error.basis.shape[-1]))
        return self._flat(self._each(_draw, "(a,n)", noise, continuum, common, cores=("(a,n)", "(a,c)", "(k)")))

    @property
    def _size(self) -> int:
        return int(self.model.shape[-2] * self.model.shape[-1])

    @property
    def _index(self) -> jax.Array:
        # one and the same for the whole batch, of which vmap makes copies
        return self.index.reshape(-1, self.index.shape[-1])[0]

    def _flat(self, values: jax.Array) -> jax.Array:
        """(..., p) of values (..., a, n)."""
        return values.reshape(*values.shape[:-2], self._size)[..., self._index]

    def _each(
        self, function: Callable[..., jax.Array], out: str, *values: jax.Array, cores: tuple[str, ...] = ("(a,n)",)
    ) -> jax.Array:
        """``function(pixels, model, extra, *values)`` for every member of the batch."""
        error = None if self.pixels.error is None else EmulatorError("(a,n,k)", "(a,n)")  # type: ignore[arg-type]
        names: Any = ("(a,n)", "(a,n)", "(a,n)", "(a,n,c)", "(a,c)", error)
        ours = (self.pixels, self.model, self.extra)
        leaves, tree = jax.tree.flatten((*ours, *values))
        inputs = jax.tree.leaves((Pixels(*names), "(a,n)", "(a)", *cores[: len(values)]))
        signature = f"{','.join(inputs)}->{out}"
        mapped: jax.Array = jnp.vectorize(lambda *of: function(*jax.tree.unflatten(tree, of)), signature=signature)(
            *leaves
        )
        return mapped


def _log_density(pixels: Pixels, model: jax.Array, extra: jax.Array, data: jax.Array) -> jax.Array:
    return log_likelihood(replace(pixels, data=data), model, extra)


def _variance(pixels: Pixels, model: jax.Array, extra: jax.Array) -> jax.Array:
    variance = pixels.total_variance + extra[:, None] + jnp.sum((model[..., None] * pixels.scaled_basis) ** 2, axis=-1)
    return variance if pixels.error is None else variance + jnp.sum(pixels.error.basis**2, axis=-1)


def _draw(
    pixels: Pixels,
    model: jax.Array,
    extra: jax.Array,
    noise: jax.Array,
    continuum: jax.Array,
    error: jax.Array | None = None,
) -> jax.Array:
    flux = model * (1 + jnp.einsum("anc,ac->an", pixels.scaled_basis, continuum))
    flux += jnp.sqrt(pixels.total_variance + extra[:, None]) * noise
    return flux if error is None or pixels.error is None else flux + pixels.error.basis @ error

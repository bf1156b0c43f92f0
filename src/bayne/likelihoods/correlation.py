"""Noise that neighbouring pixels share, as resampling leaves it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import BayneError
from .marginal import EmulatorError, Pixels


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Correlation:
    """Noise of which x_i/σ_i is on average ρ^k x/σ of the last used pixel before it, k pixels away (a Markov chain).

    Parameters
    ----------
    before, ratio
        (a, n) place of that pixel in its arm, and ρ^k; 0 where there is none.
    """

    before: jax.Array
    ratio: jax.Array

    @classmethod
    def of(cls, used: np.ndarray, correlation: float) -> Correlation:
        """Of noise with the correlation ρ^k between pixels of an arm that are k apart.

        Raises
        ------
        BayneError
            ρ is not between -1 and 1.
        """
        if not -1 < correlation < 1:
            raise BayneError(f"correlation {correlation}: give that of neighbouring pixels, between -1 and 1")
        place = np.arange(used.shape[1])
        last = np.maximum.accumulate(np.where(used, place, -1), axis=1)
        before = np.pad(last[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
        ratio = np.where(before >= 0, correlation ** (place - before), 0.0)
        return cls(jnp.asarray(np.maximum(before, 0)), jnp.asarray(ratio))

    def whiten(self, pixels: Pixels, model: jax.Array, derivatives: jax.Array) -> tuple[Pixels, jax.Array, jax.Array]:
        """Pixels, model (a, n) and derivatives (a, n, m) of an equal problem whose pixels have independent unit noise.

        The noise of a pixel, less what that before it tells, has the variance 1 - ρ^2k.
        """
        sigma, one = jnp.sqrt(pixels.total_variance)[..., None], jnp.ones_like(model)
        ratio = self.ratio[..., None]

        def whitened(x: jax.Array) -> jax.Array:
            scaled = x / sigma
            own = scaled - ratio * jnp.take_along_axis(scaled, self.before[..., None], axis=1)
            return jnp.where(pixels.used[..., None], own / jnp.sqrt(1 - ratio**2), 0.0)

        error = None if pixels.error is None else EmulatorError(whitened(pixels.error.basis), 0 * one)
        basis = whitened(model[..., None] * pixels.scaled_basis)
        changed = replace(pixels, variance=one, basis=basis, spread=jnp.ones_like(pixels.spread), error=error)
        return changed, one, whitened(derivatives)

"""Importance weights: flattened, smoothed, resampled."""

from __future__ import annotations

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np

from ..spectrum import FloatArray

#: Log density of a draw where it is not finite: such a draw weighs nothing, and teaches nothing.
NOTHING = -1e10

#: Largest shape of the tail for which a thousand or more weights are trusted: min(0.7, 1 - 1/log10 S), Vehtari et al.
#: 2024 (JMLR 25, 72), section 3.2.4.
KHAT_MAX = 1 - 1 / 3


def tempered(log_weight: FloatArray, share: float) -> FloatArray:
    """Weights of mean 1, flattened by a power until this share of the draws that weigh anything is effective."""
    alive = log_weight > NOTHING / 2
    if not alive.any():
        return np.ones_like(log_weight)
    log_weight = np.where(alive, log_weight - log_weight.max(), 0.0)
    low, high = 0.0, 2.0
    for _ in range(30):
        power = min(0.5 * (low + high), 1.0)
        weight = np.exp(power * log_weight) * alive
        enough = weight.sum() ** 2 >= share * alive.sum() * np.sum(weight**2)
        low, high = (power, high) if enough else (low, power)
    weight = np.exp(low * log_weight) * alive
    return np.asarray(weight / weight.mean())


def smoothed(log_weight: FloatArray) -> tuple[FloatArray, float, float]:
    """Log weights with a smoothed tail, its shape k-hat, and the effective number."""
    with np.errstate(over="ignore"):  # ArviZ's fit of the tail divides by what may be infinite, rightly
        smooth, khat = (np.asarray(v) for v in az.psislw(log_weight))
    weight = np.exp(smooth - smooth.max())
    return smooth, float(khat), float(np.sum(weight) ** 2 / np.sum(weight**2))


def resampled(log_weight: FloatArray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Systematic resampling: every draw comes as often as its weight says, rounded up or down; in random order."""
    from blackjax.smc.resampling import systematic  # not at the top, where it would start JAX: see `hmc_kernel`

    weight = np.exp(log_weight - log_weight.max())
    key = jax.random.key(rng.integers(1 << 31))
    return rng.permutation(np.asarray(systematic(key, jnp.asarray(weight / weight.sum()), count)))

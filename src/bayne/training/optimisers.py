"""Optimisers and the learning rate's course."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers, muon

from ..emulators.trainable import Trainable
from .config import Training


def optimiser(settings: Training, network: Trainable) -> optax.GradientTransformation:
    """Transformation of gradients into steps for a learning rate of 1.

    AdamW (Loshchilov & Hutter 2019) for all arrays, or Muon (Jordan et al. 2024), scaled to the size of AdamW's
    steps (Liu et al. 2025, arXiv:2502.16982), for the matrices before the head (the last two axes; others number
    matrices). The head is as large as the spectrum: orthogonalising it would cost more than the gradient.
    """
    if settings.optimiser == "adamw":
        chosen = optax.adam(1.0, b2=0.99)
    else:

        def dimensions(weights: Mapping[str, Any]) -> dict[str, MuonDimensionNumbers | None]:
            left = (*network.head, *network.adamw_only)
            # what optax has masked by then has no dimensions
            inner = {k: _is_matrix(k, v) and not k.startswith(left) for k, v in weights.items()}
            return {name: MuonDimensionNumbers(-2, -1) if there else None for name, there in inner.items()}

        chosen = muon(1.0, consistent_rms=0.2, adam_b2=0.99, muon_weight_dimension_numbers=dimensions)

    def matrices(weights: Mapping[str, Any]) -> dict[str, bool]:
        return {name: _is_matrix(name, value) for name, value in weights.items()}

    # after the steps, which point downhill: hence the sign
    decay = optax.add_decayed_weights(-settings.weight_decay, mask=matrices)
    return optax.chain(optax.clip_by_global_norm(settings.clip), chosen, decay)


def _is_matrix(name: str, value: Any) -> bool:
    """Whether an array numbers matrices; biases do not, though a network may hold one for each of its parts."""
    return getattr(value, "ndim", 0) > 1 and "bias" not in name and not name.startswith("b_")


def learning_rate(settings: Training, step: jax.Array, steps: jax.Array) -> jax.Array:
    """Linear warm-up, then a cosine that ends at zero (Loshchilov & Hutter 2017)."""
    warm = settings.warm_up * steps
    rise = (step + 1) / jnp.maximum(warm, 1.0)
    fall = 0.5 * (1 + jnp.cos(jnp.pi * (step - warm) / (steps - warm)))
    return settings.learning_rate * jnp.where(step < warm, jnp.minimum(rise, 1.0), fall)

"""A spectrum and its derivatives: an emulator of what lies next to one star."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ..precision import matmul
from .card import Card
from .networks import Network, Params, check_arrays, register


@register
@dataclass(frozen=True)
class Linear(Network):
    """Flux ``base + (labels - origin) @ slope``.

    Arrays: ``base`` (p,), ``slope`` (l, p) per unit of each label, ``origin`` (l,).
    """

    name = "linear"
    per_pixel = ("base", "slope")

    def __call__(self, params: Params, labels: jax.Array) -> jax.Array:
        """See `Network`."""
        return params["base"] + matmul((labels - params["origin"]).astype(jnp.float32), params["slope"])

    @classmethod
    def decode(cls, arrays: Mapping[str, np.ndarray], card: Card) -> tuple[Linear, dict[str, np.ndarray]]:
        """See `Network`."""
        count, pixels = len(card.labels), arrays["base"].size if "base" in arrays else 0
        check_arrays(arrays, {"base": (pixels,), "slope": (count, pixels), "origin": (count,)}, card.name)
        types = {"base": np.float32, "slope": np.float32, "origin": np.float64}
        return cls(), {name: np.asarray(arrays[name], dtype) for name, dtype in types.items()}

    @classmethod
    def example(cls, card: Card, pixels: int, seed: int) -> dict[str, np.ndarray]:
        """See `Network`."""
        lower, upper = np.array(card.lower), np.array(card.upper)
        slope = np.random.default_rng(seed).uniform(-0.2, 0.2, (lower.size, pixels)) / (upper - lower)[:, None]
        return {"base": np.full(pixels, 0.8), "slope": slope, "origin": 0.5 * (lower + upper)}

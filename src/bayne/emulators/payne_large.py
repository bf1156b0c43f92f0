"""The Payne scaled up: dense layers of any width and depth, smooth in between."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from ..precision import matmul
from .networks import Params, register
from .trainable import Trainable, check_whole


def dense(key: jax.Array, *shape: int) -> jax.Array:
    """Normal weights (..., inputs, outputs) with the standard deviation (1/inputs)^1/2."""
    return shape[-2] ** -0.5 * jax.random.normal(key, shape, jnp.float32)


@register
@dataclass(frozen=True)
class PayneLarge(Trainable):
    """Labels -> `depth` dense layers of `width` units with SiLU -> a linear layer shared by all pixels.

    A posterior is sampled by following gradients, so the activation is smooth. Arrays: ``w_i``, ``b_i`` of the
    hidden layers, ``w_out`` (width, p), ``b_out`` (p,).

    Parameters
    ----------
    abundances, output
        See `Trainable`.
    width, depth
        Units per hidden layer, and number of hidden layers.
    """

    name = "payne-large"
    small = MappingProxyType({"width": 8, "depth": 3})
    head = ("w_out", "b_out")
    per_pixel = (*head, "mean")
    defaults = MappingProxyType({"learning_rate": 5e-3, "batch": 32})
    width: int = 300
    depth: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self.name, width=self.width, depth=self.depth)

    def layout(self, segment: np.ndarray) -> np.ndarray:
        """One block of all pixels."""
        return np.arange(segment.size)[None]

    def initial(self, key: jax.Array, labels: tuple[str, ...], blocks: int, width: int) -> dict[str, jax.Array]:
        """See `dense`; biases are zero."""
        *hidden, last = jax.random.split(key, self.depth + 1)
        sizes = pairwise((len(labels), *[self.width] * self.depth))
        arrays = {f"w_{i}": dense(k, *size) for i, (k, size) in enumerate(zip(hidden, sizes, strict=True))}
        arrays |= {f"b_{i}": jnp.zeros(self.width) for i in range(self.depth)}
        return arrays | {"w_out": dense(last, self.width, width), "b_out": jnp.zeros(width)}

    def body(self, params: Params, x: jax.Array, blocks: jax.Array) -> jax.Array:
        """See `Trainable`."""
        for i in range(self.depth):
            x = jax.nn.silu(matmul(x, params[f"w_{i}"]) + params[f"b_{i}"])
        return (matmul(x, params["w_out"]) + params["b_out"])[None]

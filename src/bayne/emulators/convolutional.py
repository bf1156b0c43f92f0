"""A convolutional emulator: a coarse spectrum from dense layers, refined by transposed convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ReadError
from ..precision import matmul
from .networks import Params, register
from .payne_large import dense
from .trainable import Trainable, check_whole

#: Every stage triples the number of pixels.
STRIDE = 3


@register
@dataclass(frozen=True)
class ConvolutionalPayne(Trainable):
    """Labels -> two dense layers -> a coarse spectrum of many channels per window -> residual stages -> pixels.

    A stage is a transposed convolution of kernel 9 and stride 3, written as a product of three neighbours with a
    matrix that makes three pixels of them, then SiLU, plus a skip: every pixel repeated three times, through a
    matrix. The relative is the residual network in The_Payne (Ting et al. 2019), with kernel 11. Arrays: ``w_0``,
    ``b_0``, ``w_1``, ``b_1``; ``seed`` (b, width, n c), ``seed_bias`` (b, n c) of a coarse spectrum of n pixels
    and c channels; per stage ``conv_i`` (3 c, 3 c'), ``conv_bias_i`` (c',), ``skip_i`` (c, c'); ``w_out`` (c', 1).

    Parameters
    ----------
    abundances, output
        See `Trainable`.
    width
        Units of the two dense layers.
    channels
        Channels before the first stage, then after each one.
    """

    name = "convolutional"
    small = MappingProxyType({"width": 8, "channels": [6, 4]})
    head = ("conv_", "skip_", "w_out")
    adamw_only = ("seed",)
    width: int = 300
    channels: tuple[int, ...] = (64, 32, 32, 16, 16, 8)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self.name, width=self.width)
        if len(self.channels) < 2 or not all(isinstance(c, int) and c > 0 for c in self.channels):
            raise ReadError(f"{self.name}: channels = {self.channels!r}; give two or more positive whole numbers")

    def layout(self, segment: np.ndarray) -> np.ndarray:
        """One block per window, filled up with -1 behind its last pixel."""
        windows = [np.flatnonzero(segment == k) for k in np.unique(segment)]
        unit = STRIDE ** (len(self.channels) - 1)
        length = -(-max(w.size for w in windows) // unit) * unit
        return np.stack([np.pad(w, (0, length - w.size), constant_values=-1) for w in windows])

    def initial(self, key: jax.Array, labels: tuple[str, ...], blocks: int, width: int) -> dict[str, jax.Array]:
        """See `dense`; biases are zero."""
        keys = iter(jax.random.split(key, 4 + 2 * len(self.channels)))
        seed = width // STRIDE ** (len(self.channels) - 1) * self.channels[0]
        arrays = {
            "w_0": dense(next(keys), len(labels), self.width),
            "b_0": jnp.zeros(self.width),
            "w_1": dense(next(keys), self.width, self.width),
            "b_1": jnp.zeros(self.width),
            "seed": dense(next(keys), blocks, self.width, seed),
            "seed_bias": jnp.zeros((blocks, seed)),
            "w_out": dense(next(keys), self.channels[-1], 1),
        }
        for i, (before, after) in enumerate(zip(self.channels, self.channels[1:], strict=False)):
            arrays[f"conv_{i}"] = dense(next(keys), 3 * before, STRIDE * after)
            arrays[f"conv_bias_{i}"] = jnp.zeros(after)
            arrays[f"skip_{i}"] = dense(next(keys), before, after)
        return arrays

    def body(self, params: Params, x: jax.Array, blocks: jax.Array) -> jax.Array:
        """See `Trainable`."""
        for i in range(2):
            x = jax.nn.silu(matmul(x, params[f"w_{i}"]) + params[f"b_{i}"])
        h = matmul(x, params["seed"][blocks]) + params["seed_bias"][blocks]
        h = h.reshape(len(blocks), -1, self.channels[0])
        for i, channels in enumerate(self.channels[1:]):
            padded = jnp.pad(h, ((0, 0), (1, 1), (0, 0)))
            near = jnp.concatenate([padded[:, :-2], h, padded[:, 2:]], axis=-1)
            finer = matmul(near, params[f"conv_{i}"]).reshape(len(h), -1, channels) + params[f"conv_bias_{i}"]
            h = jax.nn.silu(finer) + jnp.repeat(matmul(h, params[f"skip_{i}"]), STRIDE, axis=1)
        return matmul(h, params["w_out"])[..., 0]

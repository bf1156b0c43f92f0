"""Functions of many parameter vectors, some at a time."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..batching import batchable
from ..likelihoods import PixelModel
from ..spectrum import FloatArray

#: Spectra that are computed side by side.
CHUNK = 20


@batchable()
def predictions(model: PixelModel, x: jax.Array) -> jax.Array:
    """(a, n, k) spectra of parameters (k, n).

    Compiled for itself: a likelihood in the same function takes several times longer (XLA of jaxlib 0.10).
    """
    return model.predictions(x)


def in_chunks(
    function: Callable[[jax.Array], tuple[jax.Array, ...]], x: FloatArray | jax.Array
) -> tuple[FloatArray, ...]:
    """What a compiled function of (CHUNK, n) arrays gives for x (k, n): arrays with k rows.

    A loop inside the function would compute each chunk on one core only (XLA of jaxlib 0.10).
    """
    rows = np.asarray(x)
    padded = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % CHUNK, axis=0)])
    found = [function(jnp.asarray(part)) for part in padded.reshape(-1, CHUNK, rows.shape[1])]
    return tuple(np.concatenate([np.asarray(v) for v in parts])[: len(rows)] for parts in zip(*found, strict=True))

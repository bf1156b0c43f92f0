"""Functions of many parameter vectors, some at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

#: Spectra that are computed side by side.
CHUNK = 20


def in_chunks(function: Callable[[jax.Array], Any], x: jax.Array) -> Any:
    """What a function of (CHUNK, n) arrays gives for x (k, n): arrays with k rows."""
    count = -(-len(x) // CHUNK)
    padded = jnp.concatenate([x, jnp.broadcast_to(x[-1], (count * CHUNK - len(x), x.shape[1]))])
    found = jax.lax.map(function, padded.reshape(count, CHUNK, -1))
    return jax.tree.map(lambda v: v.reshape(-1, *v.shape[2:])[: len(x)], found)

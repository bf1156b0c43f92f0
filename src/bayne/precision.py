"""Double precision where it matters, whatever the user's JAX is set to.

Likelihoods are sums over 10^4 to 10^5 pixels and wavelength phases need 1e-8: both are computed in
float64. Networks stay in float32, at the highest matrix precision, so that no GPU falls back to TF32.
The switches are contexts around our own calls; the user's configuration is never changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp

P = ParamSpec("P")
T = TypeVar("T")


def double(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: run a function with 64-bit JAX switched on for its duration."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return wrapped


def matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    """Matrix product that never uses TF32."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)

"""The Payne: two hidden layers shared by all pixels (Ting et al. 2019, ApJ 879, 69)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ReadError
from ..precision import matmul
from .card import Card
from .networks import Network, Params, check_arrays, register


def check_scaling(arrays: Mapping[str, np.ndarray], card: Card) -> None:
    """Raise unless the card's domain lies in the range x_min to x_max that the network was trained on.

    Labels in another order or another unit than the network's are found here.

    Raises
    ------
    ReadError
        Names the label and both ranges.
    """
    for label, low, high, start, stop in zip(
        card.labels, card.lower, card.upper, arrays["x_min"], arrays["x_max"], strict=True
    ):
        slack = 1e-3 * (stop - start)
        if not (stop > start and start - slack <= low and high <= stop + slack):
            raise ReadError(
                f"{card.name}: the card lets {label} run from {low:g} to {high:g}, the network was trained on "
                f"{start:g} to {stop:g}; are the card's labels in the network's order and units?"
            )


def scale_labels(params: Params, labels: jax.Array) -> jax.Array:
    """(labels - x_min) / (x_max - x_min) - 0.5, in the precision of the labels, then float32."""
    scaled = (labels - params["x_min"]) / (params["x_max"] - params["x_min"]) - 0.5
    return scaled.astype(jnp.float32)


@register
@dataclass(frozen=True)
class Payne(Network):
    """Labels in [-0.5, 0.5] -> dense -> leaky ReLU -> dense -> leaky ReLU -> dense -> flux.

    File layout of The_Payne (Ting et al. 2019): ``w_array_0`` (h1, l), ``w_array_1`` (h2, h1), ``w_array_2``
    (p, h2), biases ``b_array_0..2``, ``x_min`` and ``x_max`` (l,). Leaky ReLU has slope 0.01.
    """

    name = "payne"

    def __call__(self, params: Params, labels: jax.Array) -> jax.Array:
        x = scale_labels(params, labels)
        x = jax.nn.leaky_relu(matmul(params["w_array_0"], x) + params["b_array_0"], 0.01)
        x = jax.nn.leaky_relu(matmul(params["w_array_1"], x) + params["b_array_1"], 0.01)
        return matmul(params["w_array_2"], x) + params["b_array_2"]

    @classmethod
    def decode(cls, arrays: Mapping[str, np.ndarray], card: Card) -> tuple[Payne, dict[str, np.ndarray]]:
        layers = [arrays.get(f"w_array_{i}") for i in range(3)]
        if any(w is None or w.ndim != 2 for w in layers):
            raise ReadError(f"{card.name}: a 'payne' file has two-dimensional w_array_0, w_array_1 and w_array_2")
        h1, h2, p = (w.shape[0] for w in layers if w is not None)
        n = len(card.labels)
        shapes: dict[str, tuple[int, ...]] = {
            "w_array_0": (h1, n),
            "w_array_1": (h2, h1),
            "w_array_2": (p, h2),
            "b_array_0": (h1,),
            "b_array_1": (h2,),
            "b_array_2": (p,),
            "x_min": (n,),
            "x_max": (n,),
        }
        check_arrays(arrays, shapes, card.name)
        check_scaling(arrays, card)
        return cls(), {k: np.asarray(arrays[k], dtype=np.float32) for k in shapes}

    @classmethod
    def example(cls, card: Card, pixels: int, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        n, h = len(card.labels), 8
        arrays = {
            "w_array_0": rng.normal(0, 1, (h, n)),
            "w_array_1": rng.normal(0, 0.5, (h, h)),
            "w_array_2": rng.normal(0, 0.05, (pixels, h)),
            "b_array_0": rng.normal(0, 0.5, h),
            "b_array_1": rng.normal(0, 0.5, h),
            "b_array_2": np.full(pixels, 0.8),
            "x_min": np.array(card.lower),
            "x_max": np.array(card.upper),
        }
        return arrays


@register
@dataclass(frozen=True)
class PixelPayne(Network):
    """One small network per pixel: labels in [-0.5, 0.5] -> dense -> sigmoid -> flux.

    File layout of binspec (El-Badry et al. 2018, MNRAS 473, 5043; 476, 528): ``w_array_0`` (p, h, l),
    ``b_array_0`` (p, h), ``w_array_1`` (p, h), ``b_array_1`` (p,), ``x_min`` and ``x_max`` (l,).
    """

    name = "pixel-payne"

    def __call__(self, params: Params, labels: jax.Array) -> jax.Array:
        x = scale_labels(params, labels)
        hidden = jax.nn.sigmoid(matmul(params["w_array_0"], x) + params["b_array_0"])
        return jnp.sum(params["w_array_1"] * hidden, axis=-1) + params["b_array_1"]

    @classmethod
    def decode(cls, arrays: Mapping[str, np.ndarray], card: Card) -> tuple[PixelPayne, dict[str, np.ndarray]]:
        first = arrays.get("w_array_0")
        if first is None or first.ndim != 3:
            raise ReadError(f"{card.name}: a 'pixel-payne' file has w_array_0 of shape (pixels, hidden, labels)")
        p, h, _ = first.shape
        n = len(card.labels)
        shapes: dict[str, tuple[int, ...]] = {
            "w_array_0": (p, h, n),
            "b_array_0": (p, h),
            "w_array_1": (p, h),
            "b_array_1": (p,),
            "x_min": (n,),
            "x_max": (n,),
        }
        check_arrays(arrays, shapes, card.name)
        check_scaling(arrays, card)
        return cls(), {k: np.asarray(arrays[k], dtype=np.float32) for k in shapes}

    @classmethod
    def example(cls, card: Card, pixels: int, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        n, h = len(card.labels), 3
        return {
            "w_array_0": rng.normal(0, 2, (pixels, h, n)),
            "b_array_0": rng.normal(0, 1, (pixels, h)),
            "w_array_1": rng.normal(0, 0.05, (pixels, h)),
            "b_array_1": np.full(pixels, 0.8),
            "x_min": np.array(card.lower),
            "x_max": np.array(card.upper),
        }

"""The Payne: two hidden layers shared by all pixels (Ting et al. 2019, ApJ 879, 69)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ReadError
from ..precision import matmul
from .card import Card
from .networks import Network, Params, check_arrays, register
from .trainable import Trainable, check_whole


def check_scaling(
    arrays: Mapping[str, np.ndarray], names: Sequence[str], lower: Sequence[float], upper: Sequence[float], source: str
) -> None:
    """Raise unless the card's domain lies in the range x_min to x_max that the network was trained on.

    Labels in another order or another unit than the network's are found here.

    Raises
    ------
    ReadError
        Names the label and both ranges.
    """
    for label, low, high, start, stop in zip(names, lower, upper, arrays["x_min"], arrays["x_max"], strict=True):
        slack = 1e-3 * (stop - start)
        if not (stop > start and start - slack <= low and high <= stop + slack):
            raise ReadError(
                f"{source}: the card lets {label} run from {low:g} to {high:g}, the network was trained on "
                f"{start:g} to {stop:g}; are the card's labels in the network's order and units?"
            )


def scale_labels(params: Params, labels: jax.Array) -> jax.Array:
    """(labels - x_min) / (x_max - x_min) - 0.5, in the precision of the labels, then float32."""
    scaled = (labels - params["x_min"]) / (params["x_max"] - params["x_min"]) - 0.5
    return scaled.astype(jnp.float32)


@register
@dataclass(frozen=True)
class Payne(Trainable):
    """Labels in [-0.5, 0.5] -> dense -> leaky ReLU -> dense -> leaky ReLU -> dense -> flux.

    File layout of The_Payne (Ting et al. 2019): ``w_array_0`` (h1, l), ``w_array_1`` (h2, h1), ``w_array_2``
    (p, h2), biases ``b_array_0..2``, ``x_min`` and ``x_max`` (l,). Leaky ReLU has slope 0.01. A file without
    ``mean`` has a mean of zero.

    Parameters
    ----------
    abundances, output
        See `Trainable`; by default as published.
    hidden
        Widths h1 and h2; a file's arrays tell them.
    """

    name = "payne"
    small = MappingProxyType({"hidden": [8, 8]})
    head = ("w_array_2", "b_array_2")
    defaults = MappingProxyType({"loss": "l1", "learning_rate": 5e-3})
    abundances: str = "fe"
    output: str = "flux"
    hidden: tuple[int, ...] = (300, 300)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.hidden, tuple) or len(self.hidden) != 2:
            raise ReadError(f"{self.name}: hidden = {self.hidden!r}; give two widths, such as [300, 300]")
        check_whole(self.name, h1=self.hidden[0], h2=self.hidden[1])

    def layout(self, segment: np.ndarray) -> np.ndarray:
        """One block of all pixels."""
        return np.arange(segment.size)[None]

    def initial(self, key: jax.Array, labels: tuple[str, ...], blocks: int, width: int) -> dict[str, jax.Array]:
        """Uniform within ±1/sqrt(fan-in), as PyTorch, in which The_Payne is written, does by default."""
        arrays = {}
        sizes = (len(labels), *self.hidden, width)
        for i, (inputs, outputs) in enumerate(pairwise(sizes)):
            weight, bias = jax.random.split(jax.random.fold_in(key, i))
            bound = inputs**-0.5
            arrays[f"w_array_{i}"] = jax.random.uniform(weight, (outputs, inputs), jnp.float32, -bound, bound)
            arrays[f"b_array_{i}"] = jax.random.uniform(bias, (outputs,), jnp.float32, -bound, bound)
        return arrays

    def body(self, params: Params, x: jax.Array, blocks: jax.Array) -> jax.Array:
        """See `Trainable`."""
        x = jax.nn.leaky_relu(matmul(params["w_array_0"], x) + params["b_array_0"], 0.01)
        x = jax.nn.leaky_relu(matmul(params["w_array_1"], x) + params["b_array_1"], 0.01)
        return (matmul(params["w_array_2"], x) + params["b_array_2"])[None]

    @classmethod
    def decode(cls, arrays: Mapping[str, np.ndarray], card: Card) -> tuple[Payne, dict[str, np.ndarray]]:
        """See `Network`."""
        layers = [arrays.get(f"w_array_{i}") for i in range(3)]
        if any(w is None or w.ndim != 2 for w in layers):
            raise ReadError(f"{card.name}: a 'payne' file has two-dimensional w_array_0, w_array_1 and w_array_2")
        h1, h2, p = (w.shape[0] for w in layers if w is not None)
        filled = {"mean": np.zeros(p), "wavelength": np.arange(1.0, p + 1)} | dict(arrays)
        network, params = super().decode(filled, replace(card, architecture=card.architecture | {"hidden": (h1, h2)}))
        if network.abundances == "fe" and "mean" not in arrays:  # published: its card was written by hand
            check_scaling(arrays, card.labels, card.lower, card.upper, card.name)
        return network, params

    @classmethod
    def example(cls, card: Card, pixels: int, seed: int) -> dict[str, np.ndarray]:
        """See `Network`; only what a published file has."""
        arrays = super().example(card, pixels, seed)
        return {k: v for k, v in arrays.items() if k not in ("mean", "wavelength")}


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
        check_scaling(arrays, card.labels, card.lower, card.upper, card.name)
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

"""KernelPayne: Gaussian-process regression of absorbance on abundances per hydrogen, low rank over pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ReadError
from ..precision import matmul
from .card import Card
from .coordinates import hydrogen_matrix
from .networks import Network, Params, check_arrays, register


def kernel(x: jax.Array, centres: jax.Array, scale: jax.Array, linear: jax.Array, power: jax.Array) -> jax.Array:
    """Rational quadratic plus linear kernel (..., n) between points (..., l) and centres (n, l).

    (1 + d²/(2α))^-α + Σ (b x)(b c), d in units of a length per label (Rasmussen & Williams 2006, eqs. 4.19, 4.1).
    """
    difference = (x[..., None, :] - centres) * scale
    distance = jnp.sum(difference**2, axis=-1)
    return (1 + distance / (2 * power)) ** -power + matmul(x * linear, (centres * linear).T)


@register
@dataclass(frozen=True)
class KernelPayne(Network):
    """Labels -> kernel with the training labels -> coefficients -> y over pixels -> flux = 1 / (1 + exp(y)).

    ``y = logit(1 - flux)`` is close to linear in abundance for weak lines (curve of growth). Arrays: ``x_min``,
    ``x_max`` (l,) of the labels with [X/H]; ``centres`` (n, l) scaled to [-1, 1]; ``scale``, ``linear`` (l,) and
    ``power`` () of the kernel; ``weights`` (n, r); ``basis`` (r, p); ``mean`` (p,).
    """

    name = "kernel-payne"
    derived = frozenset({"hydrogen"})
    per_pixel = ("basis", "mean")

    def __call__(self, params: Params, labels: jax.Array) -> jax.Array:
        # the weights are large and of both signs: in float32 their sum is noise of 0.001 in flux, which stops a
        # sampler; the few numbers up to the coefficients are float64, the many per pixel float32
        x = params["hydrogen"] @ labels
        x = 2 * (x - params["x_min"]) / (params["x_max"] - params["x_min"]) - 1
        k = kernel(x, params["centres"], params["scale"], params["linear"], params["power"])
        coefficients = matmul(k, params["weights"]).astype(jnp.float32)
        return jax.nn.sigmoid(-matmul(coefficients, params["basis"]) - params["mean"])

    @classmethod
    def decode(cls, arrays: Mapping[str, np.ndarray], card: Card) -> tuple[KernelPayne, dict[str, np.ndarray]]:
        weights, mean = arrays.get("weights"), arrays.get("mean")
        if weights is None or weights.ndim != 2 or mean is None or mean.ndim != 1:
            raise ReadError(f"{card.name}: a 'kernel-payne' file has weights of two dimensions and a mean of one")
        (n, rank), pixels, count = weights.shape, mean.size, len(card.labels)
        shapes: dict[str, tuple[int, ...]] = {
            "centres": (n, count),
            "weights": (n, rank),
            "basis": (rank, pixels),
            "mean": (pixels,),
            "power": (),
        }
        shapes |= dict.fromkeys(("x_min", "x_max", "scale", "linear"), (count,))
        check_arrays(arrays, shapes, card.name)
        params = {k: np.asarray(arrays[k], dtype=np.float32 if k in cls.per_pixel else np.float64) for k in shapes}
        return cls(), params | {"hydrogen": hydrogen_matrix(card.labels)}

    @classmethod
    def example(cls, card: Card, pixels: int, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        n, count, rank = 12, len(card.labels), 3
        lower, upper = np.array(card.lower), np.array(card.upper)
        return {
            "x_min": hydrogen_matrix(card.labels) @ lower,
            "x_max": hydrogen_matrix(card.labels) @ upper,
            "centres": rng.uniform(-1, 1, (n, count)),
            "scale": np.full(count, 0.5),
            "linear": np.full(count, 0.1),
            "power": np.array(1.0),
            "weights": rng.normal(0, 1, (n, rank)),
            "basis": rng.normal(0, 0.3, (rank, pixels)),
            "mean": np.full(pixels, -2.0),
        }

"""TransformerPayne as released: intensities over the stellar disc, integrated to a normalised flux."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ReadError, did_you_mean
from .card import Card
from .networks import Network, Params, check_arrays, register
from .payne import check_scaling
from .transformer import HEAD, Trunk, check_sizes, run, start

#: Nodes and weights of the integral over mu = cos(theta): Gauss-Legendre, 10 points as released; mu from 0 to 1.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(10)
MU = (NODES + 1) / 2


def label_matrix(labels: tuple[str, ...], parameters: tuple[str, ...], source: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, l) matrix from Bayne's labels to a published network's parameters, and (n,) which of these start at solar.

    A parameter that is a label, or ``logteff``, is that. An element has A(X) = solar + [X/H], with
    [X/H] = [Fe/H] + [X/Fe]; helium does not follow iron. What no label moves stays solar.

    Raises
    ------
    ReadError
        A label that the network has no parameter for.
    """
    matrix = np.zeros((len(parameters), len(labels)))
    solar = np.ones(len(parameters))
    for row, name in enumerate(parameters):
        element = name.lower()
        direct = "teff" if element == "logteff" else element
        if direct in labels:
            matrix[row, labels.index(direct)], solar[row] = 1.0, 0.0
        elif len(element) <= 2:
            iron = "fe_h" if element != "he" else ""
            over = [f"{element}_h"] if f"{element}_h" in labels else [iron, f"{element}_fe"]
            matrix[row, [i for i, label in enumerate(labels) if label in over]] = 1.0
    for label, column in zip(labels, matrix.T, strict=True):
        if not column.any():
            known = [name.lower().replace("logteff", "teff") for name in parameters]
            known = [name if name in ("teff", "logg", "vmic") else f"{name}_fe" for name in known]
            raise ReadError(f"{source}: the network has no input for the label {label!r}. {did_you_mean(label, known)}")
    return matrix, solar


@register
@dataclass(frozen=True)
class TransformerPayneIntensities(Network):
    """Labels and mu -> tokens; a wavelength's code -> blocks of cross-attention -> intensity and continuum.

    The network gives y0 = I / C and y1 = log10 C at each mu; the normalised flux is
    Σ w μ I / Σ w μ C over 10 Gauss-Legendre points. Made by `load_emulator` from a published file.

    Arrays: ``solar`` (n,), ``x_min`` and ``x_max`` (n + 1,) of the parameters and mu, ``queries`` (p, D), and those
    of the trunk (see `TransformerPayne`), with biases.

    Parameters
    ----------
    width, layers, tokens
        See `Transformer`.
    parameters
        Names of the network's inputs but mu, in order: ``logteff``, ``logg``, ``vmic``, elements (absolute
        abundances), or labels.
    """

    name = "transformer-payne-intensities"
    costly = True
    derived = frozenset({"matrix", "offset"})
    small: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"width": HEAD, "layers": 2, "tokens": 3, "parameters": ["logteff", "logg", "vmic", "He", "Mg", "Fe"]}
    )
    width: int
    layers: int
    tokens: int
    parameters: tuple[str, ...]

    def __post_init__(self) -> None:
        check_sizes(self.name, width=self.width, layers=self.layers, tokens=self.tokens)
        if not (isinstance(self.parameters, tuple) and all(isinstance(name, str) for name in self.parameters)):
            raise ReadError(f"{self.name}: parameters must be a list of names")

    @property
    def trunk(self) -> Trunk:
        """The Flax module with these settings."""
        return Trunk(self.width, self.layers, self.tokens, outputs=2, biases=True)

    def disc(self, params: Params, labels: jax.Array, mu: jax.Array) -> jax.Array:
        """(p, 2) I / C and log10 C (erg/s/cm³/sr) at one mu for one label vector (l,)."""
        x = params["matrix"] @ labels + params["offset"]
        if "logteff" in self.parameters:
            i = self.parameters.index("logteff")
            x = x.at[i].set(jnp.log10(x[i]))
        x = (jnp.append(x, mu) - params["x_min"]) / (params["x_max"] - params["x_min"])
        return run(self.trunk, params, x.astype(jnp.float32), params["queries"])

    def __call__(self, params: Params, labels: jax.Array) -> jax.Array:
        """See `Network`."""
        # one after the other: side by side they would take ten times the memory
        y = jax.lax.map(partial(self.disc, params, labels), jnp.asarray(MU, jnp.result_type(float)))
        # relative to the innermost point, as 10^y1 is of the order of 1e14
        weight = jnp.asarray(MU * WEIGHTS, jnp.float32)[:, None] * 10 ** (y[..., 1] - y[-1, :, 1])
        return jnp.sum(weight * y[..., 0], axis=0) / jnp.sum(weight, axis=0)

    @classmethod
    def decode(
        cls, arrays: Mapping[str, np.ndarray], card: Card
    ) -> tuple[TransformerPayneIntensities, dict[str, np.ndarray]]:
        """See `Network`."""
        network = cls._of(card.architecture, card.name)
        n = len(network.parameters)
        queries = arrays.get("queries", np.zeros(()))
        shapes: dict[str, tuple[int, ...]] = {"solar": (n,), "x_min": (n + 1,), "x_max": (n + 1,)}
        shapes["queries"] = (queries.shape[0] if queries.ndim == 2 else 1, network.width)
        made = jax.eval_shape(lambda key: start(network.trunk, key, (n + 1,)), jax.random.key(0))
        shapes |= {name: value.shape for name, value in made.items()}
        check_arrays(arrays, shapes, f"{card.name} ({cls.name})")
        matrix, at_solar = label_matrix(card.labels, network.parameters, card.name)
        wide = ("solar", "x_min", "x_max")
        params = {k: np.asarray(arrays[k], dtype=np.float64 if k in wide else np.float32) for k in shapes}
        params |= {"matrix": matrix, "offset": params["solar"] * at_solar}
        network._check_domain(params, card)
        return network, params

    @classmethod
    def _of(cls, settings: Mapping[str, Any], source: str) -> TransformerPayneIntensities:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        try:
            return cls(**values)
        except TypeError as error:
            raise ReadError(f"{source}: architecture of a {cls.name!r} network: {error}") from None

    def _check_domain(self, params: Mapping[str, np.ndarray], card: Card) -> None:
        ends = np.stack([params["matrix"] @ np.array(end) + params["offset"] for end in (card.lower, card.upper)])
        if "logteff" in self.parameters:
            i = self.parameters.index("logteff")
            ends[:, i] = np.log10(ends[:, i])
        lower, upper = np.column_stack([ends, [MU[0], MU[-1]]])
        check_scaling(params, (*self.parameters, "mu"), lower, upper, card.name)

    @classmethod
    def example(cls, card: Card, pixels: int, seed: int) -> dict[str, np.ndarray]:
        """See `Network`."""
        network = cls._of(cls.small, cls.name)
        matrix, at_solar = label_matrix(card.labels, network.parameters, card.name)
        solar = np.array([3.76, 4.44, 1.0, 10.91, 7.55, 7.46])
        ends = [matrix @ np.array(end) + solar * at_solar for end in (card.lower, card.upper)]
        for end in ends:
            end[0] = np.log10(end[0])
        rng = np.random.default_rng(seed)
        made = start(network.trunk, jax.random.key(seed), (len(solar) + 1,))
        return {
            "solar": solar,
            "x_min": np.append(ends[0] - 0.1, 0.0),
            "x_max": np.append(ends[1] + 0.1, 1.0),
            "queries": rng.normal(size=(pixels, network.width)),
            **{k: np.asarray(v) for k, v in made.items()},
        }

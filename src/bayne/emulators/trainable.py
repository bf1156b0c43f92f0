"""What networks that gradient descent trains have in common: coordinates, blocks of pixels, checked arrays."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ReadError, did_you_mean
from ..spectrum import FloatArray
from .card import Card
from .coordinates import hydrogen_matrix, segments, unit_box
from .networks import Network, Params, check_arrays

#: What the abundances are relative to at the network's input, and what its output is.
ABUNDANCES, OUTPUTS = ("h", "fe"), ("absorbance", "flux")


def check_whole(source: str, **sizes: Any) -> None:
    """Raise unless every size is a positive whole number.

    Raises
    ------
    ReadError
        Names the size.
    """
    for what, value in sizes.items():
        if not (isinstance(value, int) and value > 0):
            raise ReadError(f"{source}: {what} = {value!r}; give a positive whole number")


@dataclass(frozen=True)
class Trainable(Network):
    """A network that predicts blocks of pixels, so that training can draw some of them at random.

    A wavelength-wise network has one pixel per block, a patch network P, a whole-spectrum network one block of
    all pixels. Labels come scaled to [-0.5, 0.5]; what `body` returns is added to ``mean``.

    Arrays in the file: ``x_min``, ``x_max`` (l,) of the inputs, ``mean`` (p,), ``wavelength`` (p,) vacuum Å, and
    those of `initial`. Subclasses are frozen dataclasses whose fields are the card's ``architecture``.

    Parameters
    ----------
    abundances
        ``"h"``: the network sees [X/H]; ``"fe"``: [X/Fe].
    output
        ``"absorbance"``: y with flux = 1 / (1 + exp(y)); ``"flux"``: normalised flux.
    """

    abundances: str = "h"
    output: str = "absorbance"

    derived = frozenset({"matrix", "pixels", "order"})

    #: Beginnings of the names of the arrays behind the last hidden layer: all that is trained with a frozen trunk.
    head: ClassVar[tuple[str, ...]]

    #: The same of arrays that Muon leaves to AdamW: tables looked up by row, matrices too large to orthogonalise.
    adamw_only: ClassVar[tuple[str, ...]] = ()

    #: Settings of training that suit the network, where they differ from those of `bayne.training.Training`.
    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __post_init__(self) -> None:
        for what, value, known in (
            ("abundances", self.abundances, ABUNDANCES),
            ("output", self.output, OUTPUTS),
        ):
            if value not in known:
                raise ReadError(f"{self.name}: {what} = {value!r}. {did_you_mean(str(value), known)}")

    @abc.abstractmethod
    def layout(self, segment: np.ndarray) -> np.ndarray:
        """(b, w) pixel that each output of each block predicts, -1 for outputs that predict none.

        `segment` (p,) numbers the windows; a block does not cross from one to another.
        """

    @abc.abstractmethod
    def initial(self, key: jax.Array, labels: tuple[str, ...], blocks: int, width: int) -> dict[str, jax.Array]:
        """Random arrays of the network proper; pure JAX, so that shapes can be had without arrays."""

    @abc.abstractmethod
    def body(self, params: Params, x: jax.Array, blocks: jax.Array) -> jax.Array:
        """(m, w) outputs, before ``mean``, of the blocks (m,) for one scaled label vector (l,)."""

    @classmethod
    def is_head(cls, array: str) -> bool:
        """Whether an array belongs to the head, not to the trunk."""
        return array.startswith(cls.head)

    def prepare(self, labels: tuple[str, ...], wavelength: FloatArray) -> dict[str, np.ndarray]:
        """Further derived parameters, such as codes of wavelengths; name them in `derived`."""
        return {}

    def at(self, params: Params, labels: jax.Array, blocks: jax.Array) -> jax.Array:
        """(m, w) normalised flux of the blocks (m,) for one label vector (l,)."""
        x = unit_box(labels, params["matrix"], params["x_min"], params["x_max"])
        raw = self.body(params, x, blocks) + params["mean"][params["pixels"][blocks]]
        return raw if self.output == "flux" else jax.nn.sigmoid(-raw)

    def each(self, params: Params, labels: jax.Array, blocks: jax.Array) -> jax.Array:
        """(k, m, w) normalised flux of the same blocks (m,) for label vectors (k, l); there may be a cheaper way."""
        return jax.vmap(partial(self.at, params), (0, None))(labels, blocks)

    def spectra(self, params: Params, labels: jax.Array) -> jax.Array:
        """See `Network`."""
        found = self.each(params, labels, jnp.arange(len(params["pixels"])))
        return found.reshape(len(labels), -1)[:, params["order"]]

    def __call__(self, params: Params, labels: jax.Array) -> jax.Array:
        """See `Network`."""
        return self.at(params, labels, jnp.arange(len(params["pixels"]))).reshape(-1)[params["order"]]

    def add_derived(
        self, arrays: Mapping[str, np.ndarray], labels: tuple[str, ...], wavelength: FloatArray
    ) -> dict[str, np.ndarray]:
        """Parameters: the stored arrays, float32 but for the label scaling, and the derived ones."""
        pixels = self.layout(segments(wavelength))
        matrix = hydrogen_matrix(labels) if self.abundances == "h" else np.eye(len(labels))
        wide = ("x_min", "x_max")
        params = {k: np.asarray(v, dtype=np.float64 if k in wide else np.float32) for k, v in arrays.items()}
        order = np.argsort(np.where(pixels.ravel() < 0, pixels.size, pixels.ravel()), kind="stable")[: wavelength.size]
        # outputs that predict no pixel borrow the mean of the first one; `order` drops them
        params |= {"matrix": matrix, "pixels": np.maximum(pixels, 0), "order": order}
        return params | self.prepare(labels, wavelength)

    @classmethod
    def of(cls, settings: Mapping[str, Any], source: str) -> Self:
        """Network from settings by name.

        Raises
        ------
        ReadError
            A setting is unknown or wrong; `source` is named.
        """
        known = {field.name for field in fields(cls)}
        for key in settings:
            if key not in known:
                raise ReadError(f"{source}: a {cls.name!r} network has no setting {key!r}. {did_you_mean(key, known)}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ReadError(f"{source}: {error}") from None

    @classmethod
    def decode(cls, arrays: Mapping[str, np.ndarray], card: Card) -> tuple[Self, dict[str, np.ndarray]]:
        """See `Network`."""
        network = cls.of(card.architecture, card.name)
        wavelength = arrays.get("wavelength")
        if wavelength is None or wavelength.ndim != 1:
            raise ReadError(f"{card.name}: a {cls.name!r} file has an array 'wavelength' of one dimension")
        check_arrays(arrays, {"wavelength": wavelength.shape}, f"{card.name} ({cls.name})")
        count = len(card.labels)
        shapes: dict[str, tuple[int, ...]] = {"x_min": (count,), "x_max": (count,), "mean": (wavelength.size,)}
        blocks, width = network.layout(segments(wavelength)).shape
        made = jax.eval_shape(lambda key: network.initial(key, card.labels, blocks, width), jax.random.key(0))
        shapes |= {name: value.shape for name, value in made.items()}
        check_arrays(arrays, shapes, f"{card.name} ({cls.name})")
        return network, network.add_derived({k: arrays[k] for k in shapes}, card.labels, wavelength)

    @classmethod
    def example(cls, card: Card, pixels: int, seed: int) -> dict[str, np.ndarray]:
        """See `Network`."""
        network = cls.of(cls.small, cls.name)
        wavelength = 5000 * np.exp(np.arange(pixels) * 1e-5)
        matrix = hydrogen_matrix(card.labels) if network.abundances == "h" else np.eye(len(card.labels))
        blocks, width = network.layout(segments(wavelength)).shape
        made = network.initial(jax.random.key(seed), card.labels, blocks, width)
        return {
            "x_min": matrix @ np.array(card.lower),
            "x_max": matrix @ np.array(card.upper),
            "mean": np.full(pixels, -2.0 if network.output == "absorbance" else 0.8),
            "wavelength": wavelength,
            **{k: np.asarray(v) for k, v in made.items()},
        }

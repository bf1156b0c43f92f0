"""Registry of network architectures: what is needed to add one is in `Network`."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import numpy as np

from ..errors import ReadError
from ..registry import Registry
from .card import Card

#: Weights by name: NumPy arrays in an `Emulator`, traced JAX arrays inside compiled functions.
Params = Mapping[str, Any]


class Network(abc.ABC):
    """An architecture: a pure function from labels to normalised flux.

    A network holds no arrays: everything trained is in `params`, an argument of compiled functions.
    Instances are frozen dataclasses, so that they hash and compare by their settings. To add one, write a
    subclass in a file of its own, decorate it with `register`, and import it in ``emulators/__init__.py``;
    the conformance test then covers it.
    """

    name: ClassVar[str]

    #: Parameters that `decode` makes anew from the rest: not written to files.
    derived: ClassVar[frozenset[str]] = frozenset()

    #: Arrays whose last axis is pixels, where cutting them leaves a network of fewer pixels; none: it cannot be cut.
    per_pixel: ClassVar[tuple[str, ...]] = ()

    #: Whether a spectrum takes so long that fits with ``method="fast"`` distil the network first.
    costly: ClassVar[bool] = False

    #: The card's ``architecture`` for the arrays of `example`.
    small: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    @abc.abstractmethod
    def __call__(self, params: Params, labels: jax.Array) -> jax.Array:
        """Normalised flux (p,) on the network's own wavelengths for one label vector (l,), in float32."""

    def spectra(self, params: Params, labels: jax.Array) -> jax.Array:
        """Flux (k, p) at labels (k, l); a network may know a cheaper way than this one."""
        return jax.vmap(partial(self, params))(labels)

    def jacobian(self, params: Params, labels: jax.Array, directions: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Flux (p,) at labels (l,), and its derivatives (m, p) along directions (m, l) of them; as for `spectra`."""
        flux, push = jax.linearize(partial(self, params), labels)
        # a few at a time: the networks' memory is some spectra per direction
        return flux, jax.lax.map(push, directions, batch_size=16)

    @classmethod
    @abc.abstractmethod
    def decode(cls, arrays: Mapping[str, np.ndarray], card: Card) -> tuple[Network, dict[str, np.ndarray]]:
        """Network and parameters (NumPy, float32 unless more is needed) from the arrays of a file.

        Raises
        ------
        ReadError
            An array is missing, or its shape disagrees with the card or the other arrays.
        """

    @classmethod
    @abc.abstractmethod
    def example(cls, card: Card, pixels: int, seed: int) -> dict[str, np.ndarray]:
        """Arrays of a small random network that `decode` accepts: for conformance tests and first steps."""


NETWORKS = Registry[type[Network]]("network {!r}")

#: Registered network class of a name.
network = NETWORKS.named


def register(cls: type[Network]) -> type[Network]:
    """Class decorator that makes a network known under its `name`; see `Registry.add`."""
    return NETWORKS.add(cls.name, cls)


def check_arrays(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raise unless every named array is there, is numeric and finite and has the shape wanted.

    Raises
    ------
    ReadError
        Names the array, what it is and what it should be.
    """
    for key, shape in shapes.items():
        if key not in arrays:
            raise ReadError(f"{source}: array {key!r} is missing; found {', '.join(sorted(arrays))}")
        value = arrays[key]
        if value.dtype.kind not in "fiu":
            raise ReadError(f"{source}: array {key!r} holds {value.dtype}, not numbers")
        if value.shape != shape:
            raise ReadError(f"{source}: array {key!r} has shape {value.shape}, expected {shape}")
        if not np.all(np.isfinite(value)):
            raise ReadError(f"{source}: array {key!r} holds values that are not finite")

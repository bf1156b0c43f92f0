"""TransformerPayne: every wavelength attends to tokens made from the labels (Różański et al. 2025, ApJ 980, 66)."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from ..errors import ReadError, did_you_mean
from ..spectrum import FloatArray
from .coordinates import single_abundances, unit_box
from .networks import Params, register
from .trainable import Trainable, check_whole

#: Width of an attention head; a network of width D has D / 32 heads.
HEAD = 32

#: The feed-forward layers are this much wider than the network.
EXPANSION = 4

TOKEN_KINDS = ("mixed", "element")

HIGHEST = jax.lax.Precision.HIGHEST
einsum = partial(jnp.einsum, precision=HIGHEST)
initializer = partial(nn.initializers.variance_scaling, mode="fan_in", distribution="truncated_normal")


def rms_norm(x: jax.Array) -> jax.Array:
    """x over its root mean square along the last axis (Zhang & Sennrich 2019), without a scale."""
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)


def sinusoids(x: FloatArray, width: int, periods: tuple[float, float]) -> np.ndarray:
    """(p, width) float32 code sin(2π x / period) of positions such as log10 λ; periods evenly spaced in their log.

    In float64 on the host: the phases reach 1e7 and more, where float32 has no digits left.
    """
    return np.sin(2 * np.pi * x[:, None] / np.geomspace(*periods, width)).astype(np.float32)


class MLP(nn.Module):
    """Two dense layers with gelu (tanh form) between them; `scale` multiplies the initial weights of the second."""

    hidden: int
    outputs: int
    biases: bool
    scale: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., i) to (..., outputs)."""
        layer = partial(nn.Dense, use_bias=self.biases, precision=HIGHEST)
        x = nn.gelu(layer(self.hidden, name="first")(x))
        return layer(self.outputs, name="second", kernel_init=initializer(self.scale**2))(x)


class Attention(nn.Module):
    """Multi-head attention of pixels to tokens, logits q·k / d_head (Yang et al. 2022, arXiv:2203.03466)."""

    width: int
    biases: bool

    @nn.compact
    def __call__(self, x: jax.Array, tokens: jax.Array) -> jax.Array:
        """(m, D) pixels and (t, D) tokens to (m, D)."""
        wide, heads = self.width, self.width // HEAD
        q, k, v, o = (self.param(name, initializer(1.0), (wide, wide)) for name in "qkvo")
        keys = einsum("td,dhe->hte", tokens, k.reshape(wide, heads, HEAD))
        values = einsum("td,dhe->hte", tokens, v.reshape(wide, heads, HEAD))
        if self.biases:
            zeros = nn.initializers.zeros
            bias = {name: self.param(f"{name}_bias", zeros, (wide,)).reshape(heads, 1, HEAD) for name in "qkvo"}
            keys, values = keys + bias["k"], values + bias["v"]
        # the weights of queries and outputs meet the few tokens before the many pixels: 2 h t D multiplications
        # per pixel in place of 2 (D + t) D, less for t < 32
        to_logits = einsum("dhe,hte->dht", q.reshape(wide, heads, HEAD), keys)
        logits = einsum("md,dht->mht", x, to_logits)
        if self.biases:
            logits += jnp.sum(bias["q"] * keys, axis=-1)
        weights = jax.nn.softmax(logits / HEAD, axis=-1)
        self.sow("intermediates", "weights", weights)
        y = einsum("mht,htd->md", weights, einsum("hte,hed->htd", values, o.reshape(heads, HEAD, wide)))
        return y + bias["o"].reshape(wide) if self.biases else y


class Trunk(nn.Module):
    """Labels to tokens; blocks of cross-attention to them and of feed-forward; head."""

    width: int
    layers: int
    tokens: int
    outputs: int
    biases: bool = False
    residual: float = 1.0
    head_scale: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array, queries: jax.Array) -> jax.Array:
        """(m, outputs) for queries (m, D).

        `x` is (l,), all of which go into `tokens` tokens, or (t, k): a row for each token, with weights of its own.
        """
        if x.ndim == 2:
            each = nn.vmap(MLP, variable_axes={"params": 0}, split_rngs={"params": True})
            tokens = each(self.width, self.width, self.biases, name="tokens")(x)
        else:
            tokens = MLP(self.width, self.tokens * self.width, self.biases, name="tokens")(x)
        tokens = rms_norm(tokens.reshape(-1, self.width))
        for i in range(self.layers):
            attend = Attention(self.width, self.biases, name=f"attention_{i}")
            queries += self.residual * attend(rms_norm(queries), tokens)
            feed = MLP(EXPANSION * self.width, self.width, self.biases, name=f"feed_forward_{i}")
            queries += self.residual * feed(rms_norm(queries))
        return MLP(self.width, self.outputs, self.biases, self.head_scale, name="head")(rms_norm(queries))


def nested(params: Params) -> dict[str, Any]:
    """Flax variables from arrays under flat names such as ``attention_0/q``; others among them do no harm."""
    return {"params": unflatten_dict(params, sep="/")}  # type: ignore[no-untyped-call]


def run(trunk: Trunk, params: Params, x: jax.Array, queries: jax.Array) -> jax.Array:
    """Outputs (m, outputs) of a trunk whose arrays are among `params`."""
    y: Any = trunk.apply(nested(params), x, queries)
    return y


def start(trunk: Trunk, key: jax.Array, inputs: tuple[int, ...]) -> dict[str, jax.Array]:
    """Random arrays of a trunk under flat names, for labels of shape `inputs`."""
    made = trunk.init(key, jnp.zeros(inputs, jnp.float32), jnp.zeros((1, trunk.width), jnp.float32))
    return flatten_dict(made["params"], sep="/")  # type: ignore[no-untyped-call]


def check_sizes(source: str, width: int, **counts: int) -> None:
    """Raise unless sizes are positive whole numbers and the width one of whole heads.

    Raises
    ------
    ReadError
        Names the size.
    """
    check_whole(source, width=width, **counts)
    if width % HEAD:
        raise ReadError(f"{source}: width = {width}; give a multiple of {HEAD}, the width of a head")


def token_inputs(labels: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """(t, k) labels that go into each token, and the tokens' names: the atmosphere, then the elements.

    An element's token sees all labels of the atmosphere and its own abundance; that of the atmosphere sees its
    last label twice.
    """
    elements = single_abundances(labels)
    atmosphere = [i for i in range(len(labels)) if i not in elements]
    rows = [[*atmosphere, i] for i in [*atmosphere[-1:], *elements]]
    names = ["atmosphere"] if atmosphere else []
    return np.array(rows), (*names, *(labels[i].rpartition("_")[0].capitalize() for i in elements))


@dataclass(frozen=True)
class Transformer(Trainable):
    """What the wavelength-wise and the patch network share: the trunk.

    x += s MHA(norm(x), tokens), x += s FF(norm(x)) in each layer, with root-mean-square norms; norm -> dense ->
    gelu -> dense at the end. Initial weights are truncated normal of variance 1 / fan-in, but smaller in the last
    layer, so that training starts near the mean spectrum.

    Parameters
    ----------
    abundances, output
        See `Trainable`.
    width
        D, a multiple of 32.
    layers
        Number L of blocks.
    tokens
        Number of mixed tokens.
    token_kind
        ``"mixed"``: dense -> gelu -> dense of all labels, cut into tokens, as released. ``"element"``: the same
        for each token with weights of its own, one token per element from its abundance and the atmosphere's
        labels (teff, logg, fe_h, vmic, ...), and one of the atmosphere alone.
    biases
        Whether dense layers and attention have biases; as released they have none.
    reference_depth
        s = (L / reference_depth)^-1/2 where given; else 1.
    """

    width: int = 128
    layers: int = 4
    tokens: int = 16
    token_kind: str = "mixed"
    biases: bool = False
    reference_depth: float | None = None

    small: ClassVar[Mapping[str, Any]] = MappingProxyType({"width": HEAD, "layers": 2, "tokens": 3})
    derived = Trainable.derived | {"inputs"}
    head: ClassVar[tuple[str, ...]] = ("head/",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.token_kind not in TOKEN_KINDS:
            raise ReadError(
                f"{self.name}: token_kind = {self.token_kind!r}. {did_you_mean(str(self.token_kind), TOKEN_KINDS)}"
            )
        check_sizes(self.name, width=self.width, layers=self.layers, tokens=self.tokens)
        if self.reference_depth is not None and not self.reference_depth > 0:
            raise ReadError(f"{self.name}: reference_depth = {self.reference_depth}; give a positive number or none")

    @abc.abstractmethod
    def queries(self, params: Params, blocks: jax.Array) -> jax.Array:
        """(m, D) with which the blocks (m,) enter the trunk."""

    def trunk(self, outputs: int) -> Trunk:
        """The Flax module with these settings."""
        return Trunk(
            width=self.width,
            layers=self.layers,
            tokens=self.tokens,
            outputs=outputs,
            biases=self.biases,
            residual=1.0 if self.reference_depth is None else (self.layers / self.reference_depth) ** -0.5,
            head_scale=0.1,
        )

    def initial(self, key: jax.Array, labels: tuple[str, ...], blocks: int, width: int) -> dict[str, jax.Array]:
        """See `Trainable`."""
        inputs = token_inputs(labels)[0].shape if self.token_kind == "element" else (len(labels),)
        return start(self.trunk(width), key, inputs)

    def prepare(self, labels: tuple[str, ...], wavelength: FloatArray) -> dict[str, np.ndarray]:
        """See `Trainable`."""
        mixed = np.arange(len(labels))
        return {"inputs": token_inputs(labels)[0] if self.token_kind == "element" else mixed}

    def body(self, params: Params, x: jax.Array, blocks: jax.Array) -> jax.Array:
        """See `Trainable`."""
        return run(self._trunk(params), params, self._seen(params, x), self.queries(params, blocks))

    def attention(self, params: Params, labels: jax.Array, blocks: jax.Array) -> jax.Array:
        """(layers, heads, m, tokens) weights with which blocks (m,) attend to the tokens of one label vector (l,)."""
        x = unit_box(labels, params["matrix"], params["x_min"], params["x_max"])
        queries = self.queries(params, blocks)
        _, state = self._trunk(params).apply(nested(params), self._seen(params, x), queries, mutable=["intermediates"])
        kept = [state["intermediates"][f"attention_{i}"]["weights"][0] for i in range(self.layers)]
        return jnp.stack(kept).swapaxes(1, 2)

    def token_names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the tokens: ``"atmosphere"`` and elements such as ``"Mg"``, or ``"token 1"`` and so on."""
        if self.token_kind == "element":
            return token_inputs(labels)[1]
        return tuple(f"token {i + 1}" for i in range(self.tokens))

    def _trunk(self, params: Params) -> Trunk:
        return self.trunk(params["head/second/kernel"].shape[1])

    def _seen(self, params: Params, x: jax.Array) -> jax.Array:
        # [0, 1] as released: without biases the tokens vanish at the origin, which the norm makes a singular point
        return x[params["inputs"]] + 0.5


@register
@dataclass(frozen=True)
class TransformerPayne(Transformer):
    """Labels -> tokens; a wavelength's sinusoidal code -> blocks of cross-attention -> head -> its flux.

    Wavelengths do not see each other. Further arrays in the file: those of the trunk, under names such as
    ``tokens/first/kernel``, ``attention_0/q`` (D, D), ``feed_forward_0/second/kernel`` (4D, D), ``head/...``.

    Parameters
    ----------
    periods
        Shortest and longest period of the code, in dex of wavelength.

    Notes
    -----
    The other parameters are those of `Transformer`.
    """

    name = "transformer"
    costly = True
    derived = Transformer.derived | {"code"}
    periods: tuple[float, float] = (1e-6, 10.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (len(self.periods) == 2 and 0 < self.periods[0] < self.periods[1]):
            raise ReadError(f"{self.name}: periods = {self.periods}; give the shortest and the longest, in dex")

    def layout(self, segment: np.ndarray) -> np.ndarray:
        """One block per pixel."""
        return np.arange(segment.size)[:, None]

    def prepare(self, labels: tuple[str, ...], wavelength: FloatArray) -> dict[str, np.ndarray]:
        """See `Trainable`."""
        return super().prepare(labels, wavelength) | {"code": sinusoids(np.log10(wavelength), self.width, self.periods)}

    def queries(self, params: Params, blocks: jax.Array) -> jax.Array:
        """Codes of the wavelengths."""
        return params["code"][blocks]

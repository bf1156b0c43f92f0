"""A transformer whose queries decode patches of neighbouring pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ReadError
from .networks import Params, register
from .payne_large import dense
from .trainable import check_whole
from .transformer import HIGHEST, Transformer


@register
@dataclass(frozen=True)
class PatchTransformerPayne(Transformer):
    """Labels -> tokens; a patch's learned query -> blocks of cross-attention -> head -> the flux of its pixels.

    The trunk of `TransformerPayne` at 1 / `patch` of its cost per pixel. Further arrays in the file: ``queries``
    (b, D), and those of the trunk.

    Parameters
    ----------
    patch
        Number P of pixels that one query decodes.
    rank
        Number K of outputs of the head that a linear map of the patch's own, ``decoder`` (b, K, P), turns into its P
        pixels; 0: one map for all patches, the head's last layer.

    Notes
    -----
    The other parameters are those of `Transformer`.
    """

    name = "patch-transformer"
    small: ClassVar[Mapping[str, Any]] = MappingProxyType({**Transformer.small, "patch": 8})
    adamw_only = ("queries",)
    head = (*Transformer.head, "decoder")
    patch: int = 32
    rank: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self.name, patch=self.patch)
        if not (isinstance(self.rank, int) and self.rank >= 0):
            raise ReadError(f"{self.name}: rank = {self.rank!r}; give a whole number, 0 for one map for all patches")

    def layout(self, segment: np.ndarray) -> np.ndarray:
        """Each window cut into patches, the last one filled up with -1."""
        rows = []
        for k in np.unique(segment):
            own = np.flatnonzero(segment == k)
            rows.append(np.pad(own, (0, -own.size % self.patch), constant_values=-1).reshape(-1, self.patch))
        return np.concatenate(rows)

    def initial(self, key: jax.Array, labels: tuple[str, ...], blocks: int, width: int) -> dict[str, jax.Array]:
        """See `Trainable`."""
        trunk, queries, decoder = jax.random.split(key, 3)
        made = super().initial(trunk, labels, blocks, self.rank or width)
        made["queries"] = jax.random.normal(queries, (blocks, self.width), jnp.float32)
        return made | ({"decoder": dense(decoder, blocks, self.rank, width)} if self.rank else {})

    def body(self, params: Params, x: jax.Array, blocks: jax.Array) -> jax.Array:
        """See `Trainable`."""
        y = super().body(params, x, blocks)
        return jnp.einsum("mk,mkp->mp", y, params["decoder"][blocks], precision=HIGHEST) if self.rank else y

    def queries(self, params: Params, blocks: jax.Array) -> jax.Array:
        """Learned vectors of the patches."""
        return params["queries"][blocks]

"""SpeciesPayne: every element absorbs for itself, and what they absorb is added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ReadError, did_you_mean
from ..labels import over_hydrogen
from ..precision import matmul
from ..spectrum import FloatArray
from .coordinates import single_abundances, unit_box
from .networks import Params, register
from .payne_large import dense
from .trainable import Trainable, check_whole

#: What absorbs where no line is listed: it has no abundance of its own. Only corrections add it.
UNKNOWN = "unknown"

#: Molecules whose lines one element's species cannot have, and their elements.
MOLECULES = {"tio": ("ti", "o"), "c2": ("c",), "cn": ("c", "n"), "co": ("c", "o"), UNKNOWN: ()}

#: Elements that bind each other: what CO leaves of them is one more number that rules their lines.
CO = ("c", "o")

#: ln of the solar ratio of oxygen to carbon (Asplund et al. 2009, ARA&A 47, 481), from which the network's departs.
LN_O_C = float(np.log(10) * (8.69 - 8.43))

#: Largest |ln| of the dissociation constant of CO over the number of solar carbon.
LARGEST = 12.0

#: Largest |ln| of a species' share: beyond, its lines are absent or the sum is theirs alone.
LIMIT = 30.0


def species(labels: tuple[str, ...], molecules: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Species by name, and the labels (positions) of the abundances that each depends on.

    ``"atmosphere"``, which depends on none, stands for hydrogen and whatever has no abundance of its own.
    """
    own = {name[:-2]: labels.index(over) for name, (over, _) in over_hydrogen(labels).items()}
    own |= {name[:-2]: i for i, name in enumerate(labels) if name.endswith("_h")}
    made = {name: MOLECULES[name] for name in molecules if all(part in own for part in MOLECULES[name])}
    return {
        "atmosphere": (),
        **{name: (i,) for name, i in own.items()},
        **{name: tuple(own[part] for part in parts) for name, parts in made.items()},
    }


@register
@dataclass(frozen=True)
class SpeciesPayne(Trainable):
    """ln of depth over flux = ln Σ over species exp(a + s ln N + Σ c_k b_k), each with spectra a, s and b_k.

    The odds (1 - flux) / flux of a weak line grow in proportion to the number N of its absorbers, and those of
    blended lines add up; what departs from that is learned: the coefficients c_k come from dense layers of their
    own for each species, which see the atmosphere (all labels but single abundances, and [Fe/H]), the species' own
    abundances and a few numbers made of all labels (electrons, molecules that compete for an atom). An element
    thus changes its own lines, and others only through those few numbers. Carbon and oxygen bind each other, in cool
    stars all of the one that there is less of: N counts, and the layers see, what CO leaves (`left_by_co`).

    Arrays: ``level`` a and ``slope`` s (n, p), ``basis`` b (n, k, p); ``w_0``, ``w_1``, ``w_2``, ``skip`` and biases
    ``b_0``, ``b_1``, ``b_2`` with one row per species; ``mix_0``, ``mix_bias``, ``mix_1``; ``co``, ln of O / C of the
    Sun and of the constant of CO, and how the latter goes with the atmosphere.

    Parameters
    ----------
    abundances, output
        See `Trainable`; always ``"h"`` and ``"absorbance"``.
    rank
        Spectra b_k per species.
    width
        Units of the dense layers.
    shared
        Numbers made of all labels.
    molecules
        Those of `MOLECULES` that have lines in the windows, in addition to the elements.
    """

    name = "species"
    small = MappingProxyType({"rank": 2, "width": 8, "shared": 2})
    head = ("level", "slope", "basis")
    adamw_only = head
    per_pixel = (*head, "mean")
    defaults = MappingProxyType(
        {"batch": 8, "learning_rate": 1e-2, "weight_decay": 1e-2, "loss": "huber", "patience": 0, "minutes": 40.0}
    )
    derived = Trainable.derived | {"own", "counted", "pair", "atmosphere"}
    rank: int = 8
    width: int = 32
    shared: int = 4
    molecules: tuple[str, ...] = ("tio", "c2", "cn")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self.name, rank=self.rank, width=self.width, shared=self.shared)
        for molecule in self.molecules:
            if molecule not in MOLECULES:
                raise ReadError(f"{self.name}: molecules has {molecule!r}. {did_you_mean(molecule, MOLECULES)}")
        if self.output != "absorbance":
            raise ReadError(f"{self.name}: output = {self.output!r}; absorption by species adds up only in absorbance")
        if self.abundances != "h":
            raise ReadError(f"{self.name}: abundances = {self.abundances!r}; atoms are counted by [X/H] only, give 'h'")

    @property
    def seen(self) -> int:
        """Numbers that a species sees of its own at most: two abundances, and the shares of C and O that CO leaves."""
        return 4 if "co" in self.molecules else 3

    def layout(self, segment: np.ndarray) -> np.ndarray:
        """One block of all pixels."""
        return np.arange(segment.size)[None]

    def initial(self, key: jax.Array, labels: tuple[str, ...], blocks: int, width: int) -> dict[str, jax.Array]:
        """See `dense`: all species absorb about the same share at every pixel, in proportion to their number."""
        keys = iter(jax.random.split(key, 8))
        n, inputs = len(species(labels, self.molecules)), len(atmosphere(labels)) + self.seen + self.shared
        return {
            "level": 0.1 * jax.random.normal(next(keys), (n, width)) - jnp.log(n),
            "slope": jnp.ones((n, width)),
            "basis": 0.1 * dense(next(keys), n, self.rank, width),
            "w_0": 1.5 * dense(next(keys), n, inputs, self.width),
            "b_0": jnp.zeros((n, 1, self.width)),
            "w_1": 1.3 * dense(next(keys), n, self.width, self.width),
            "b_1": jnp.zeros((n, 1, self.width)),
            "w_2": dense(next(keys), n, self.width, self.rank),
            "b_2": jnp.zeros((n, 1, self.rank)),
            "skip": dense(next(keys), n, inputs, self.rank),
            "mix_0": 2 * dense(next(keys), len(labels), 32),
            "mix_bias": jnp.zeros(32),
            "mix_1": 0.3 * dense(next(keys), 32, self.shared),
            "co": jnp.zeros(2 + len(atmosphere(labels))).at[0].set(LN_O_C),
        }

    def prepare(self, labels: tuple[str, ...], wavelength: FloatArray) -> dict[str, np.ndarray]:
        """See `Trainable`."""
        every = species(labels, self.molecules)
        pair = [part for name in CO for part in every.get(name, ())]
        pair = pair if len(pair) == len(CO) else []
        own = np.zeros((len(every), self.seen, len(labels) + len(pair)), np.float32)
        counted = np.zeros((len(every), len(labels) + len(pair)), np.float32)
        for row, count, parts in zip(own, counted, every.values(), strict=True):
            shares = [len(labels) + i for i, part in enumerate(pair) if part in parts]
            for slot, part in enumerate((*parts, *shares)):
                row[slot, part] = 1.0
            count[[*parts, *shares]] = 1 / max(len(parts), 1)
        return {"own": own, "counted": counted, "pair": np.array(pair, int), "atmosphere": atmosphere(labels)}

    def coefficients(self, params: Params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """c (n, k) and ln N (n,) of every species for one scaled label vector (l,)."""
        dex = (x * (params["x_max"] - params["x_min"])).astype(jnp.float32)
        x = 2 * x
        shares = _shares(params, x, dex)
        mix = matmul(jnp.tanh(matmul(x, params["mix_0"]) + params["mix_bias"]), params["mix_1"])
        n, own = len(params["own"]), jnp.concatenate([x, shares])
        everywhere = jnp.concatenate([x[params["atmosphere"]], mix])
        seen = jnp.concatenate([jnp.broadcast_to(everywhere, (n, everywhere.size)), matmul(params["own"], own)], -1)
        h = seen[:, None]
        for i in range(2):
            h = jax.nn.silu(matmul(h, params[f"w_{i}"]) + params[f"b_{i}"])
        c = matmul(h, params["w_2"]) + params["b_2"] + matmul(seen[:, None], params["skip"])
        number = jnp.log(10.0) * matmul(params["counted"], jnp.concatenate([dex, shares]))
        return c[:, 0], number

    def depths(self, params: Params, c: jax.Array, number: jax.Array) -> jax.Array:
        """(n, p) ln of every species' part of depth over flux."""
        share = matmul(c[:, None], params["basis"])[:, 0] + number[:, None] * params["slope"] + params["level"]
        return jnp.clip(share, -LIMIT, LIMIT)

    def odds(self, params: Params, labels: jax.Array) -> jax.Array:
        """(n, p) depth over flux by every species, whose sum is that of the spectrum, for one label vector (l,)."""
        return jnp.exp(self.depths(params, *self._coefficients_at(params, labels)) + params["mean"])

    def body(self, params: Params, x: jax.Array, blocks: jax.Array) -> jax.Array:
        """See `Trainable`."""
        return jnp.log(jnp.sum(jnp.exp(self.depths(params, *self.coefficients(params, x))), axis=0))[None]

    def each(self, params: Params, labels: jax.Array, blocks: jax.Array) -> jax.Array:
        """See `Trainable`: one species after another, for all (k, n, p) depths at once are more than caches hold."""
        c, number = jax.vmap(partial(self._coefficients_at, params))(labels)

        @jax.checkpoint  # a gradient has depths anew sooner than from memory
        def add(odds: jax.Array, own: Sequence[jax.Array]) -> tuple[jax.Array, None]:
            c, number, basis, slope, level = own
            share = matmul(c, basis) + number[:, None] * slope + level
            return odds + jnp.exp(jnp.clip(share, -LIMIT, LIMIT)), None

        by_species = (jnp.moveaxis(c, 1, 0), number.T, params["basis"], params["slope"], params["level"])
        none = jnp.zeros((len(labels), params["mean"].size), jnp.float32)
        odds, _ = jax.lax.scan(add, none, by_species)
        return jax.nn.sigmoid(-jnp.log(odds) - params["mean"])[:, None]

    def jacobian(self, params: Params, labels: jax.Array, directions: jax.Array) -> tuple[jax.Array, jax.Array]:
        """See `Network`: one product for all directions, where tangents would go through all species for each.

        With depth over flux o = Σ_s o_s, flux f = 1 / (1 + o) changes by -f² Σ_s o_s d(ln o_s).
        """
        (c, number), push = jax.linearize(partial(self._coefficients_at, params), labels)
        by_c, by_number = jax.vmap(push)(directions)
        depths = self.depths(params, c, number)
        odds = jnp.exp(depths + params["mean"])
        flux = 1 / (1 + odds.sum(axis=0))
        moves = jnp.where(jnp.abs(depths) < LIMIT, -(flux**2) * odds, 0.0)
        by_c = by_c.reshape(len(directions), c.size)  # no directions at all where a fit has every label fixed
        derivatives = matmul(by_c, (moves[:, None] * params["basis"]).reshape(c.size, flux.size))
        return flux, derivatives + matmul(by_number, moves * params["slope"])

    def _coefficients_at(self, params: Params, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.coefficients(params, unit_box(labels, params["matrix"], params["x_min"], params["x_max"]))


def _shares(params: Params, x: jax.Array, dex: jax.Array) -> jax.Array:
    """(2,) log10 of the shares of carbon and oxygen that CO leaves; (0,) where one of them is no label."""
    if not params["pair"].size:
        return jnp.zeros(0, jnp.float32)
    middle = 0.5 * (params["x_max"] + params["x_min"]).astype(jnp.float32)
    c, o = jnp.log(10.0) * (dex + middle)[params["pair"]]
    constant = params["co"][1] + matmul(params["co"][2:], x[params["atmosphere"]])
    shares = left_by_co(c, o + params["co"][0], jnp.clip(constant, -LARGEST, LARGEST))
    return jnp.stack(shares) / jnp.log(10.0)


def left_by_co(ln_c: jax.Array, ln_o: jax.Array, ln_constant: jax.Array) -> tuple[jax.Array, jax.Array]:
    """ln of the shares of carbon and of oxygen that are free, where n_C n_O = constant * n_CO (law of mass action)."""
    c, o, constant = jnp.exp(ln_c), jnp.exp(ln_o), jnp.exp(ln_constant)
    root = jnp.sqrt((c - o) ** 2 + constant**2 + 2 * constant * (c + o))
    bound = 2 * c * o / (c + o + constant + root)
    more = jnp.maximum(c, o)
    free = more - bound
    of_more, of_less = jnp.log(free / more), -jnp.log1p(free / constant)
    return jnp.where(c > o, of_more, of_less), jnp.where(c > o, of_less, of_more)


def atmosphere(labels: tuple[str, ...]) -> np.ndarray:
    """Positions of the labels that are no single abundance, and of [Fe/H]."""
    elements = single_abundances(labels)
    return np.array([i for i in range(len(labels)) if i not in elements])

"""Partition functions and formation energies of all atoms, ions and molecules of the equation of state."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from .constants import BOLTZMANN_EV
from .species import Species, parse_species


class Table(NamedTuple):
    """The table ``partition.csv``, which names its sources; s species, k terms (padded with zero weights).

    Parameters
    ----------
    energy
        (s,) eV that it takes to form the species from free neutral atoms in their ground states: the sum of ionisation
        energies, minus the electron affinity, minus the dissociation energy D0.
    power, weight, level
        (s,), (s, k), (s, k): the partition function is T^power Σ weight exp(-level / kT), level in eV.
    """

    species: tuple[Species, ...]
    energy: NDArray[np.float64]
    power: NDArray[np.float64]
    weight: NDArray[np.float64]
    level: NDArray[np.float64]


@cache
def table() -> Table:
    """The table as shipped."""
    text = files("bayne").joinpath("synthesis", "partition.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(row for row in text.splitlines() if not row.startswith("#")))
    terms = [np.array(row["levels"].split(), dtype=float).reshape(-1, 2) for row in rows]
    padded = np.zeros((len(rows), max(len(term) for term in terms), 2))
    for row, term in zip(padded, terms, strict=True):
        row[: len(term)] = term
    return Table(
        tuple(parse_species(row["species"]) for row in rows),
        np.array([float(row["energy"]) for row in rows]),
        np.array([float(row["power"]) for row in rows]),
        padded[:, :, 0],
        padded[:, :, 1],
    )


def partition_functions(temperature: jax.Array) -> jax.Array:
    """(s, d) partition functions of all species of `table` at temperatures (d,) in K.

    Fitted from 1000 to 10,000 K; above, the Boltzmann factors go on and miss only levels that matter there alone.
    Those of molecules count each rotational state once (homonuclear molecules have their symmetry number) and no
    nuclear spins, as in Barklem & Collet (2016, A&A 588, A96).
    """
    known = table()
    kt = BOLTZMANN_EV * temperature
    terms = known.weight[:, :, None] * jnp.exp(-known.level[:, :, None] / kt)
    return temperature ** known.power[:, None] * jnp.sum(terms, axis=1)

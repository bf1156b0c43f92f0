"""The gas of a stellar atmosphere in chemical equilibrium: electrons, atoms, ions and molecules (JAX)."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import BayneError
from ..precision import double
from .constants import BOLTZMANN, BOLTZMANN_EV, DALTON, ELECTRON, PLANCK
from .partition import partition_functions, table
from .species import MASSES, Species

#: All that the equation of state knows: the elements H to U, neutral, once and twice ionised; H-; molecules.
SPECIES: tuple[Species, ...] = table().species

_ROWS = {species: i for i, species in enumerate(SPECIES)}
_CHARGE = np.array([float(species.charge) for species in SPECIES])
_MASS = np.array([species.mass for species in SPECIES])
#: Atomic numbers of the elements that are in molecules, and of the others.
_BOUND = tuple(sorted({z for species in SPECIES if species.is_molecule for z in species.atoms}))
_FREE = tuple(z for z in range(1, len(MASSES)) if z not in _BOUND)
_ELEMENTS = (*_BOUND, *_FREE)
_NEUTRAL = np.array([_ROWS[Species((z,))] for z in _ELEMENTS])
#: (s, e) atoms of each element, in the order of `_ELEMENTS`, in each species.
_COUNT = np.array([[Counter(species.atoms)[z] for z in _ELEMENTS] for species in SPECIES], dtype=float)

#: Rows of the species of bound elements, and the exponents of the unknowns in their densities: electrons, hydrogen
#: nuclei (none), neutral atoms of the bound elements.
_OF_BOUND = np.flatnonzero(_COUNT[:, : len(_BOUND)].any(axis=1))
_EXPONENTS = np.column_stack([-_CHARGE[_OF_BOUND], np.zeros(len(_OF_BOUND)), _COUNT[_OF_BOUND, : len(_BOUND)]])
#: Rows of the three stages of ionisation of the free elements.
_STAGES = np.array([[_ROWS[Species((z,), charge)] for charge in range(3)] for z in _FREE])
#: Where the species of `SPECIES` are among those of bound elements followed by the stages of the free ones.
_ORDER = np.argsort(np.concatenate([_OF_BOUND, _STAGES.ravel()]))

#: Newton's steps, and the longest change of a ln n in one. With these the residuals come down to rounding errors
#: everywhere in 2500-20,000 K, 1e-2 to 1e8 dyn cm^-2, whatever C/O, metals or helium; 16 steps suffice there.
_STEPS = 18
_LONGEST = 7.0


class Gas(NamedTuple):
    """A gas in equilibrium at d depths, with s species in the order of `SPECIES`.

    Parameters
    ----------
    temperature
        (d,) K.
    pressure
        (d,) dyn cm^-2, gas pressure with electrons.
    electrons
        (d,) cm^-3.
    density
        (d,) g cm^-3.
    numbers
        (s, d) cm^-3.
    partition
        (s, d) partition functions.
    """

    temperature: jax.Array
    pressure: jax.Array
    electrons: jax.Array
    density: jax.Array
    numbers: jax.Array
    partition: jax.Array


def row(species: Species) -> int:
    """Index of a species in `SPECIES`.

    Raises
    ------
    BayneError
        The equation of state does not know it.
    """
    if species not in _ROWS:
        molecules = ", ".join(known.name for known in SPECIES if known.is_molecule)
        raise BayneError(
            f"the equation of state does not know {species.name}. It knows the elements H to U, neutral, once and "
            f"twice ionised, H- and {molecules}."
        )
    return _ROWS[species]


def formation_constants(temperature: jax.Array, partition: jax.Array) -> jax.Array:
    """(s, d) ln [n_s n_e^q / Π n_i] of species s with charge q, made of neutral atoms i; densities in cm^-3.

    Parameters
    ----------
    temperature
        (d,) K.
    partition
        (s, d) partition functions of `SPECIES`.

    Notes
    -----
    Law of mass action of ideal gases: n_s n_e^q / Π n_i = Q_s Q_e^q / Π Q_i exp(-E_s / kT), E_s the energy of
    formation and Q = (2π m k T / h²)^{3/2} U, with U = 2 for electrons. For an ion it is Saha's equation, for a
    molecule that of Guldberg and Waage (Hubeny & Mihalas 2014, Theory of Stellar Atmospheres, chapter 4; Tsuji 1973,
    A&A 23, 411). Masses of ions are those of the atoms. No lowering of the ionisation energy by the plasma.
    """
    translation = 1.5 * jnp.log(2 * jnp.pi * BOLTZMANN * temperature / PLANCK**2)
    own = jnp.log(partition) + 1.5 * np.log(_MASS * DALTON)[:, None] + translation
    electron = np.log(2.0) + 1.5 * np.log(ELECTRON) + translation
    energy = table().energy[:, None] / (BOLTZMANN_EV * temperature)
    return own - _COUNT @ own[_NEUTRAL] + _CHARGE[:, None] * electron - energy


def _log(x: jax.Array) -> jax.Array:
    """ln x, and for zero that of an amount too small to count."""
    return jnp.log(jnp.maximum(x, 1e-60))


def _densities(unknowns: jax.Array, constants: jax.Array, abundance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(b,) of the species of bound elements and (f, 3) of the free elements at one depth, cm^-3.

    Parameters
    ----------
    unknowns
        ln of the densities of electrons, of all hydrogen nuclei, and of neutral atoms of the bound elements.
    constants
        (s,) from `formation_constants`.
    abundance
        (e,) in the order of `_ELEMENTS`.
    """
    bound = jnp.exp(constants[_OF_BOUND] + _EXPONENTS @ unknowns)
    stages = jnp.exp(constants[_STAGES] - np.arange(3.0) * unknowns[0])
    neutral = jnp.exp(unknowns[1]) * abundance[len(_BOUND) :] / jnp.sum(stages, axis=1)
    return bound, neutral[:, None] * stages


def _residuals(
    unknowns: jax.Array, constants: jax.Array, total: jax.Array, abundance: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Charge, pressure and conservation of bound elements, each as ln of a ratio that should be 1, and their Jacobian.

    In logarithms sums of powers are nearly linear, so that Newton's method converges from afar. `total` is the ln of
    the density of all particles, P / kT; the others are as for `_densities`.
    """
    n, free = _densities(unknowns, constants, abundance)
    electrons, stage, unit = jnp.exp(unknowns[0]), np.arange(3.0), np.eye(len(unknowns))
    charge, count = _CHARGE[_OF_BOUND], _COUNT[_OF_BOUND, : len(_BOUND)].T

    minus = electrons + np.maximum(-charge, 0.0) @ n
    minus_slope = electrons * unit[0] + (np.maximum(-charge, 0.0) * n) @ _EXPONENTS
    element, ionised = jnp.sum(free, axis=1), free @ stage
    spread = free @ stage**2 - ionised**2 / jnp.maximum(element, 1e-300)
    plus = np.maximum(charge, 0.0) @ n + jnp.sum(ionised)
    plus_slope = (np.maximum(charge, 0.0) * n) @ _EXPONENTS + unit[1] * jnp.sum(ionised) - unit[0] * jnp.sum(spread)
    particles = electrons + jnp.sum(n) + jnp.sum(element)
    particles_slope = electrons * unit[0] + n @ _EXPONENTS + unit[1] * jnp.sum(element)
    nuclei = count @ n

    values = [(jnp.log(minus) - jnp.log(plus))[None], (jnp.log(particles) - total)[None]]
    slopes = [(minus_slope / minus - plus_slope / plus)[None], (particles_slope / particles)[None]]
    values.append(jnp.log(nuclei) - _log(abundance[: len(_BOUND)]) - unknowns[1])
    slopes.append((count * n) @ _EXPONENTS / nuclei[:, None] - unit[1])
    return jnp.concatenate(values), jnp.concatenate(slopes)


def _solve(constants: jax.Array, total: jax.Array, abundance: jax.Array) -> jax.Array:
    """Unknowns of `_densities` at one depth, with their first derivatives."""
    fixed = jax.lax.stop_gradient((constants, total, abundance))
    # Start: all nuclei in neutral atoms, electrons from hydrogen alone or a few from metals.
    nuclei = fixed[1] - jnp.log(jnp.sum(fixed[2]))
    electrons = jnp.logaddexp(0.5 * (fixed[0][_ROWS[Species((1,), 1)]] + nuclei), nuclei - 12.0)
    start = jnp.concatenate(
        [jnp.minimum(electrons, nuclei)[None], nuclei[None], nuclei + _log(fixed[2][: len(_BOUND)])]
    )

    def newton(unknowns: jax.Array, _: None) -> tuple[jax.Array, None]:
        value, slope = _residuals(unknowns, *fixed)
        step = jnp.linalg.solve(slope, value)
        # The direction is kept: clipped one by one, the unknowns of a molecule lose step with each other.
        return unknowns - step * _LONGEST / jnp.maximum(jnp.max(jnp.abs(step)), _LONGEST), None

    found, _ = jax.lax.scan(newton, start, None, length=_STEPS)
    slope = _residuals(found, *fixed)[1]
    # One more step, with the inputs alive: its derivative is that of the implicit function.
    return found - jnp.linalg.solve(slope, _residuals(found, constants, total, abundance)[0])


@jax.jit
def _equilibrium(temperature: jax.Array, pressure: jax.Array, abundance: jax.Array) -> Gas:
    partition = partition_functions(temperature)
    constants = formation_constants(temperature, partition)
    total = jnp.log(pressure / (BOLTZMANN * temperature))
    unknowns = jax.vmap(_solve, in_axes=(1, 0, None))(constants, total, abundance)
    bound, free = jax.vmap(_densities, in_axes=(0, 1, None))(unknowns, constants, abundance)
    numbers = jnp.concatenate([bound, free.reshape(len(free), -1)], axis=1)[:, _ORDER].T
    return Gas(
        temperature, pressure, jnp.exp(unknowns[:, 0]), jnp.asarray(_MASS * DALTON) @ numbers, numbers, partition
    )


@double
def equilibrium(temperature: jax.Array, pressure: jax.Array, abundance: jax.Array) -> Gas:
    """Local thermodynamic and chemical equilibrium of a gas of given temperature, pressure and composition.

    Parameters
    ----------
    temperature
        (d,) K. The data are made for 1000 to 10,000 K and fair to 20,000 K.
    pressure
        (d,) dyn cm^-2, gas pressure with electrons.
    abundance
        (93,) atoms per hydrogen atom by atomic number; index 0 is not used, a missing element is 0.

    Returns
    -------
    Gas
        float64. First derivatives with respect to all arguments are exact, forward and reverse; second ones are not.

    Raises
    ------
    BayneError
        Arguments of another shape.

    Notes
    -----
    Newton's method in logarithms of the densities of electrons, of hydrogen nuclei and of the neutral atoms of the
    elements that are in molecules; the others are at each step in Saha equilibrium with the electrons.
    """
    temperature, pressure, abundance = (jnp.asarray(x, dtype=float) for x in (temperature, pressure, abundance))
    if temperature.ndim != 1 or pressure.shape != temperature.shape or abundance.shape != (len(MASSES),):
        raise BayneError(
            "equilibrium needs temperature and pressure of one shape (depths,) and abundance of shape "
            f"({len(MASSES)},), not {temperature.shape}, {pressure.shape} and {abundance.shape}"
        )
    return _equilibrium(temperature, pressure, abundance[np.array(_ELEMENTS)])

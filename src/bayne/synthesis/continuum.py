"""Continuous opacity of the atmospheres of FGK stars, 3500 to 25,000 Å (JAX).

In: H- bound-free and free-free, H I bound-free and free-free, H2+, He- free-free; Mg I, Al I, Si I and Fe I bound-free;
hydrogenic bound-free of high levels and free-free of all other elements; scattering by electrons, H I, He I and H2.

Not in, and where it would be felt: photo-dissociation of CH and OH (below 4400 Å, cool stars); levels of C I, Na I and
Ca I with edges in the blue (below 4100 Å, about 1%); collision-induced absorption by H2 and free-free by H2- (beyond
1.5 μm, below 3500 K); levels of H I that pressure dissolves, that is the smooth end of series (3647 to 3700, 8206 to
8400, 14,590 to 15,000 Å in dwarfs); quasi-molecular H2 (below 3500 Å); low levels of He I and ions of charge two (above
12,000 K).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ..precision import double
from .constants import BOLTZMANN, HC_K
from .gas import Gas, row
from .hydrogen_continuum import (
    HYDROGEN_LENGTH,
    LEVELS,
    THOMSON,
    h2_plus,
    h_minus_bound_free,
    h_minus_free_free,
    he_minus_free_free,
    hydrogen_bound_free,
    rayleigh,
)
from .metal_continuum import edges, ions
from .species import parse_species


def _number(gas: Gas, name: str) -> jax.Array:
    """(d,) cm^-3."""
    return gas.numbers[row(parse_species(name))]


def _in_ground_state(gas: Gas, name: str, weight: float) -> jax.Array:
    """(d,) cm^-3 of an atom in its lowest level, of the given statistical weight."""
    index = row(parse_species(name))
    return weight * gas.numbers[index] / gas.partition[index]


def _product(*pairs: tuple[jax.Array, jax.Array]) -> jax.Array:
    """(w, d) sum of the products of pairs (w, k) and (k, d)."""
    profiles, amounts = zip(*pairs, strict=True)
    return jnp.concatenate(profiles, axis=1) @ jnp.concatenate(amounts)


def _hydrogen(wavelength: jax.Array, gas: Gas) -> tuple[jax.Array, jax.Array]:
    """Factors of photo-ionisation of H I, and of H-."""
    level = np.arange(1, LEVELS + 1)[:, None]
    energy = HC_K / HYDROGEN_LENGTH * (1 - 1.0 / level**2)
    atoms = _in_ground_state(gas, "H I", 2.0) * level**2 * jnp.exp(-energy / gas.temperature)
    profiles = jnp.concatenate([hydrogen_bound_free(wavelength), h_minus_bound_free(wavelength)[:, None]], axis=1)
    return profiles, jnp.concatenate([atoms, _number(gas, "H-")[None]])


def _negative_ions(wavelength: jax.Array, gas: Gas) -> jax.Array:
    """(w, d) free-free absorption of H- and He-, stimulated emission included."""
    pressure = BOLTZMANN * gas.temperature * gas.electrons
    hydrogen, hydrogen_powers = h_minus_free_free(wavelength, gas.temperature)
    helium, helium_powers = he_minus_free_free(wavelength, gas.temperature)
    return _product(
        (hydrogen, hydrogen_powers * pressure * _in_ground_state(gas, "H I", 2.0)),
        (helium, helium_powers * pressure * _in_ground_state(gas, "He I", 1.0)),
    )


@double
@jax.jit
def continuum(gas: Gas, wavelength: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Continuous absorption and scattering coefficients.

    Parameters
    ----------
    gas
        In equilibrium, d depths.
    wavelength
        (w,) vacuum Å. Outside 3500 to 25,000 Å, sources are missing, but all that is there is finite and positive.

    Returns
    -------
    absorption, scattering
        (w, d) cm^-1; absorption is corrected for stimulated emission. Scattering is taken as isotropic.
    """
    # Beyond 60 the stimulated emission is lost in rounding; without the limit, its inverse would overflow.
    photon = jnp.exp(jnp.minimum(HC_K / (wavelength[:, None] * gas.temperature), 60.0))
    direct, high = ions(wavelength, gas)
    positive = _product(_hydrogen(wavelength, gas), edges(wavelength, gas), direct)
    molecule = h2_plus(wavelength, gas.temperature) * (_in_ground_state(gas, "H I", 2.0) * _number(gas, "H II"))
    absorption = (positive + photon * _product(high) + molecule) * (1 - 1 / photon) + _negative_ions(wavelength, gas)
    targets = jnp.stack([_in_ground_state(gas, "H I", 2.0), _in_ground_state(gas, "He I", 1.0), _number(gas, "H2")])
    scattering = rayleigh(wavelength) @ targets + THOMSON * gas.electrons
    return absorption, scattering

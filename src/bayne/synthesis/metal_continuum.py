"""Continuous absorption by metals: photo-ionisation of Mg, Al, Si, Fe and of high levels, free-free (JAX).

Most of it is below 4000 Å; in the visible, in a star like the Sun, it is 1 to 2% of the absorption.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from .constants import HC_EV, HC_K
from .gas import SPECIES, Gas, row
from .hydrogen_continuum import HYDROGEN_LENGTH, KRAMERS, LEVELS, free_free_gaunt, hats
from .species import Species, parse_species

#: Low levels: species, statistical weight, energy (cm^-1), edge (cm^-1), cross section at the edge (cm²) and exponent p
#: of σ = σ0 (ν0/ν)^p, as in Kurucz's programs ATLAS7 to ATLAS12 (begun in Kurucz 1970, SAO Special Report 309; fits to
#: the calculations of the day): Mg I 3d ³D, 4p ³P, 3d ¹D, 4s ¹S, 4s ³S, 3p ¹P, whose σ is the sum of two rows, 16
#: (ν0/ν)^2.1 - 7.8 (ν0/ν)^9.5 Mb; Al I 5p, 4d, 5s, 4p, 3d, 4s; Si I 4s ¹P, 4s ³P.
_EDGES = (
    ("Mg I", 15, 47957.034, 13713.986, 25e-18, 2.7),
    ("Mg I", 9, 47847.797, 13823.223, 33.8e-18, 2.8),
    ("Mg I", 5, 46403.065, 15267.955, 45e-18, 2.7),
    ("Mg I", 1, 43503.333, 18167.687, 0.43e-18, 2.6),
    ("Mg I", 3, 41197.043, 20473.617, 2.1e-18, 2.6),
    ("Mg I", 3, 35051.264, 26619.756, 16e-18, 2.1),
    ("Mg I", 3, 35051.264, 26619.756, -7.8e-18, 9.5),
    ("Al I", 6, 40275.903, 8002.467, 50e-18, 3.0),
    ("Al I", 10, 38932.139, 9346.231, 50e-18, 3.0),
    ("Al I", 2, 37689.413, 10588.957, 56.7e-18, 1.9),
    ("Al I", 6, 32960.363, 15318.007, 14.5e-18, 1.0),
    ("Al I", 10, 32436.241, 15842.129, 47e-18, 1.83),
    ("Al I", 2, 25347.756, 22930.614, 10e-18, 2.0),
    ("Si I", 3, 40991.884, 24947.216, 4.09e-18, 2.0),
    ("Si I", 9, 39859.920, 26079.180, 1.25e-18, 2.0),
)

#: Fe I: log10 of Σ g σ exp(-E/kT) in cm², over all levels, at wavelengths (columns) and temperatures (rows). Bautista
#: (1997, A&AS 122, 167), resonances cut at 100 Mb, as summed for the opacities of MARCS (Gustafsson et al. 2008, A&A
#: 486, 951) and distributed with Turbospectrum 19.2 (Plez 2012, ascl:1205.004).
_IRON_WAVELENGTH = np.array([2870, 3607, 3666, 3743, 4160, 4162, 4370, 5300, 6360, 9370, 18001, 57500], dtype=float)
_IRON_TEMPERATURE = np.array([2400, 3100, 3800, 4500, 5200, 5900, 6600, 7300, 8000, 11000, 14000], dtype=float)
_IRON_LOG = np.array(
    [
        [-22.304, -23.892, -24.697, -24.121, -24.779, -26.208, -25.976, -26.254, -26.760, -28.079, -28.249, -28.346],
        [-20.488, -21.679, -22.450, -21.866, -22.470, -23.496, -23.444, -23.518, -23.879, -24.840, -24.842, -24.784],
        [-19.321, -20.285, -21.017, -20.451, -21.011, -21.771, -21.805, -21.790, -22.028, -22.741, -22.650, -22.499],
        [-18.509, -19.304, -19.994, -19.450, -19.975, -20.547, -20.638, -20.573, -20.749, -21.302, -21.151, -20.941],
        [-17.900, -18.580, -19.220, -18.716, -19.206, -19.649, -19.773, -19.680, -19.801, -20.238, -20.050, -19.794],
        [-17.428, -18.025, -18.614, -18.147, -18.600, -18.957, -19.092, -18.987, -19.077, -19.420, -19.211, -18.917],
        [-17.048, -17.585, -18.124, -17.690, -18.104, -18.399, -18.543, -18.432, -18.503, -18.776, -18.545, -18.228],
        [-16.723, -17.217, -17.711, -17.316, -17.702, -17.945, -18.097, -17.987, -18.034, -18.258, -18.005, -17.673],
        [-16.454, -16.904, -17.363, -16.999, -17.368, -17.567, -17.724, -17.615, -17.643, -17.832, -17.566, -17.216],
        [-15.637, -15.997, -16.331, -16.074, -16.362, -16.481, -16.645, -16.534, -16.537, -16.595, -16.307, -15.907],
        [-15.127, -15.459, -15.710, -15.517, -15.774, -15.849, -16.015, -15.910, -15.893, -15.898, -15.591, -15.169],
    ]
)

#: Levels bound by less than this, in eV, are taken as hydrogenic: those of hydrogen above `LEVELS`; of C I, 3p and up;
#: of Mg I, 4p ¹P and up; of Al I, 4f and up; of Si I, 4p and up; of Fe I none, for `iron` has them all.
_HYDROGENIC = {
    "H I": HC_EV / (HYDROGEN_LENGTH * (LEVELS + 0.5) ** 2),
    "C I": 2.73,
    "Mg I": 1.528,
    "Al I": 0.863,
    "Si I": 2.313,
    "Fe I": 0.0,
}
#: Those of all other elements: a guess, between the lowest excited levels of Na I and K I and above those of Ca I.
_REST = 2.0


def iron(wavelength: jax.Array, temperature: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Factors (w, 12) and (12, d) of the cross section of Fe I in cm², times its partition function.

    Interpolated linearly in wavelength, and in ln σ against 1/T. Outside 2870 to 57,500 Å and 2400 to 14,000 K, the
    values at the end.
    """
    inverse = hats(-1 / temperature, -1 / _IRON_TEMPERATURE)
    return hats(wavelength, _IRON_WAVELENGTH), 10 ** (inverse @ _IRON_LOG).T


def edges(wavelength: jax.Array, gas: Gas) -> tuple[jax.Array, jax.Array]:
    """Factors (w, k) in cm² and (k, d) in cm^-3 of photo-ionisation from the low levels of `_EDGES` and from Fe I."""
    weight, energy, edge, section, power = np.array([entry[1:] for entry in _EDGES]).T
    rows = np.array([row(parse_species(entry[0])) for entry in _EDGES])
    ratio = 1e-8 * wavelength[:, None] * edge
    profiles = jnp.where(ratio <= 1, section * ratio**power, 0.0)
    factors = weight[:, None] * jnp.exp(-1e-8 * HC_K * energy[:, None] / gas.temperature)
    atoms = gas.numbers[rows] / gas.partition[rows] * factors
    fe = row(parse_species("Fe I"))
    iron_profiles, iron_sums = iron(wavelength, gas.temperature)
    return (
        jnp.concatenate([profiles, iron_profiles], axis=1),
        jnp.concatenate([atoms, iron_sums * gas.numbers[fe] / gas.partition[fe]]),
    )


def _ions() -> dict[float, list[int]]:
    """Rows of all singly charged atomic ions, by the binding energy below which levels of the atom are hydrogenic."""
    groups: dict[float, list[int]] = {}
    for index, species in enumerate(SPECIES):
        if species.charge == 1 and not species.is_molecule:
            groups.setdefault(_HYDROGENIC.get(Species(species.atoms).name, _REST), []).append(index)
    return groups


def ions(wavelength: jax.Array, gas: Gas) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    """Free-free absorption near singly charged atomic ions, and photo-ionisation of the high levels of the atoms.

    Returns
    -------
    Two pairs of factors (w, k) and (k, d) with products in cm^-1, stimulated emission not included: the first product
    and exp(hν/kT) times the second are to be added.

    Notes
    -----
    Near all ions, free-free absorption is that near a proton: `KRAMERS` and `free_free_gaunt`. Hydrogenic levels up to
    the binding energy χ, in equilibrium with the ions N, summed by an integral with a Gaunt factor of 1, give

        α = KRAMERS n_e N λ³ / sqrt(T) [exp(min(hν, χ)/kT) - 1]

    (Unsöld 1955, Physik der Sternatmosphären). For iron with χ = hν it is 0.4 to 1 times `iron` from 4170 to 18,000 Å
    and 4500 to 6600 K.
    """
    groups = _ions()
    common = KRAMERS * gas.electrons / jnp.sqrt(gas.temperature)
    each = jnp.stack([common * jnp.sum(gas.numbers[np.array(rows)], axis=0) for rows in groups.values()])
    total = jnp.sum(each, axis=0, keepdims=True)
    binding = np.array(list(groups))
    volume = (1e-8 * wavelength[:, None]) ** 3
    above = wavelength[:, None] * binding < HC_EV
    gaunt, powers = free_free_gaunt(wavelength, gas.temperature)
    bound = jnp.exp(binding[:, None] * HC_K / HC_EV / gas.temperature)
    profiles = volume * jnp.concatenate([gaunt, above, -jnp.ones_like(volume)], axis=1)
    return (profiles, jnp.concatenate([powers * total, each * bound, total])), (volume * ~above, each)

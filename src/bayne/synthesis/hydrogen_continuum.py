"""Cross sections of hydrogen, helium and their ions in the continuum (JAX), before they meet a gas.

Wherever it can be done, a cross section is a product of matrices, (w, k) of the wavelength times (k, d) of the
temperature, so that `continuum` sums all sources in two products.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from .constants import BOLTZMANN, BOLTZMANN_EV, CHARGE, ELECTRON, HC_K, LIGHT, PLANCK

#: 1 / Rydberg constant, in Å: of infinite mass and of hydrogen (CODATA 2018; reduced mass m_p / (m_p + m_e)).
RYDBERG_LENGTH = 911.2670505
HYDROGEN_LENGTH = 911.7633421

#: Thomson cross section in cm²: CODATA 2018.
THOMSON = 6.6524587321e-25

#: Levels of hydrogen that are summed one by one; all above are an integral.
LEVELS = 15

#: Free-free absorption, cm^5 K^(1/2) per cm³ of wavelength: 4 e⁶ / (3 m h c⁴) sqrt(2π / (3 m k)) (Rybicki & Lightman
#: 1979, Radiative Processes in Astrophysics, eq. 5.18a, with ν = c/λ).
KRAMERS = 4 * CHARGE**6 / (3 * ELECTRON * PLANCK * LIGHT**4) * np.sqrt(2 * np.pi / (3 * ELECTRON * BOLTZMANN))

#: John (1988, A&A 193, 189): photo-detachment of H-.
_DETACHMENT = (152.519, 49.534, -118.858, 92.536, -34.194, 4.982)
_DETACHMENT_EDGE = 1.6419  # μm

#: John (1988): free-free absorption of H- at and above 0.3645 μm, and below; rows n = 1 to 6, columns A to F.
_LONG = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [2483.3460, 285.8270, -2054.2910, 2827.7760, -1341.5370, 208.9520],
        [-3449.8890, -1158.3820, 8746.5230, -11485.6320, 5303.6090, -812.9390],
        [2200.0400, 2427.7190, -13651.1050, 16755.5240, -7510.4940, 1132.7380],
        [-696.2710, -1841.4000, 8624.9700, -10051.5300, 4400.0670, -655.0200],
        [88.2830, 444.5170, -1863.8640, 2095.2880, -901.7880, 132.9850],
    ]
)
_SHORT = np.array(
    [
        [518.1021, -734.8666, 1021.1775, -479.0721, 93.1373, -6.4285],
        [473.2636, 1443.4137, -1977.3395, 922.3575, -178.9275, 12.3600],
        [-482.2089, -737.1616, 1096.8827, -521.1341, 101.7963, -7.0571],
        [115.5291, 169.6374, -245.6490, 114.2430, -21.9972, 1.5097],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)

#: John (1994, MNRAS 269, 871): free-free absorption of He-, 1e-26 cm^4/dyn; every second wavelength or so.
_HELIUM_MICRONS = np.array([0.5063, 0.6509, 0.9113, 1.5188, 3.0376, 15.1878])
_HELIUM_THETA = np.array([0.5, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.8, 3.6])
_HELIUM = np.array(
    [
        [0.033, 0.036, 0.043, 0.049, 0.055, 0.061, 0.066, 0.072, 0.078, 0.100, 0.121],
        [0.053, 0.059, 0.069, 0.077, 0.086, 0.094, 0.102, 0.109, 0.117, 0.148, 0.178],
        [0.102, 0.113, 0.131, 0.147, 0.160, 0.173, 0.186, 0.198, 0.210, 0.258, 0.305],
        [0.282, 0.311, 0.360, 0.400, 0.435, 0.466, 0.495, 0.522, 0.547, 0.643, 0.737],
        [1.121, 1.239, 1.435, 1.597, 1.737, 1.860, 1.971, 2.073, 2.167, 2.490, 2.765],
        [27.979, 30.907, 35.822, 39.921, 43.488, 46.678, 49.583, 52.262, 54.757, 63.395, 70.580],
    ]
)


def hats(x: jax.Array, nodes: np.ndarray) -> jax.Array:
    """(n, k) weights of linear interpolation at x (n,) between nodes (k,), increasing; constant beyond both ends."""
    return jax.vmap(lambda unit: jnp.interp(x, nodes, unit), out_axes=1)(jnp.eye(len(nodes)))


def h_minus_bound_free(wavelength: jax.Array) -> jax.Array:
    """(w,) cross section of H- for photo-detachment in cm² per ion; stimulated emission not included.

    Notes
    -----
    John (1988), a fit to Wishart (1979, MNRAS 187, 59P) for 0.125 to 1.6419 μm, better than 0.5% above 0.3 μm.
    McLaughlin et al. (2017, J. Phys. B 50, 114001) are lower by 1 to 2%. Below 0.125 μm, where H- has resonances, the
    coefficients there.
    """
    micron = jnp.maximum(1e-4 * wavelength, 0.125)
    excess = 1 / micron - 1 / _DETACHMENT_EDGE
    root = jnp.sqrt(jnp.where(excess > 0, excess, 1.0))
    series = sum(c * root**n for n, c in enumerate(_DETACHMENT))
    return jnp.where(excess > 0, 1e-18 * micron**3 * root**3 * series, 0.0)


def theta(temperature: jax.Array) -> jax.Array:
    """5040 K / T inside the range of the tables of free-free absorption by neutral atoms, 0.5 to 3.6."""
    return jnp.clip(5040.0 / temperature, 0.5, 3.6)


def h_minus_free_free(wavelength: jax.Array, temperature: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Factors (w, 6) and (6, d) of the free-free absorption of H-; stimulated emission included.

    Their product is in cm^4/dyn: times the electron pressure and the density of hydrogen atoms in the ground state.

    Notes
    -----
    John (1988), a fit to Bell & Berrington (1987, J. Phys. B 20, 801) within 1.5%, for 0.1823 to 15 μm and 1400 to
    10,080 K. Outside, the values at the end, but towards long wavelengths the fit goes on like λ².
    """
    micron = jnp.maximum(1e-4 * wavelength, 0.1823)
    powers = jnp.stack([micron**2, *(micron**-k for k in range(5))], axis=1)
    profiles = jnp.where(micron[:, None] < 0.3645, powers @ _SHORT.T, powers @ _LONG.T)
    return 1e-29 * profiles, theta(temperature) ** (np.arange(2, 8) / 2)[:, None]


def he_minus_free_free(wavelength: jax.Array, temperature: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Factors (w, 6) and (6, d) of the free-free absorption of He-, as `h_minus_free_free` for atoms of helium.

    Notes
    -----
    John (1994), 0.5063 to 15.19 μm and 1400 to 10,080 K, interpolated as K/λ²; this ratio is constant beyond both ends.
    """
    micron = 1e-4 * wavelength
    table = 1e-26 * _HELIUM / _HELIUM_MICRONS[:, None] ** 2
    profiles = micron[:, None] ** 2 * hats(jnp.log(micron), np.log(_HELIUM_MICRONS))
    return profiles, table @ hats(theta(temperature), _HELIUM_THETA).T


def hydrogen_bound_free(wavelength: jax.Array) -> jax.Array:
    """(w, `LEVELS`) cross sections in cm² of a hydrogen atom in level n = 1, 2, ...; zero beyond the edge n² 911.76 Å.

    Notes
    -----
    Kramers' cross section (Rybicki & Lightman 1979, eq. 10.54) times the Gaunt factor of Menzel & Pekeris (1935, MNRAS
    96, 77) in the asymptotic form of Seaton (1959, MNRAS 119, 81): with x = ν/ν_n,

        g = 1 + 0.1728 (x - 2) / (n x)^{2/3} - 0.0496 (x² - 2x/3 + 2/3) / (n x)^{4/3} + (0.0343 - 0.0155 x) / n²

    where the last term is fitted here to Menzel & Pekeris's exact formula: right to 0.05% above 3000 Å, to 4% down to
    50 Å, where the Gaunt factor stops changing.

    Edges are sharp: neither lines that merge below them nor levels that pressure dissolves are in.
    """
    level = np.arange(1, LEVELS + 1)
    x = level**2 * HYDROGEN_LENGTH / jnp.maximum(wavelength, 50.0)[:, None]
    gaunt = (
        1
        + 0.1728 * (x - 2) / (level * x) ** (2 / 3)
        - 0.0496 * (x**2 - 2 * x / 3 + 2 / 3) / (level * x) ** (4 / 3)
        + (0.0343 - 0.0155 * x) / level**2
    )
    ratio = wavelength[:, None] / (level**2 * HYDROGEN_LENGTH)
    # 64 π α a0² / (3 sqrt(3)) = 7.9071e-18 cm², with CODATA 2018.
    return jnp.where(ratio <= 1, 7.9071e-18 * level * gaunt * ratio**3, 0.0)


def free_free_gaunt(wavelength: jax.Array, temperature: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Factors (w, 3) and (3, d) of the thermal mean of the free-free Gaunt factor of unit charges.

    Notes
    -----
    Menzel & Pekeris (1935), averaged over Maxwell's distribution: with x = hν/Ry and u = hν/kT,

        g = 1 + 0.1728 x^{1/3} (1 + 2/u) - 0.0496 x^{2/3} (1 + 2/(3u) + 4/(3u²)) - 0.105 kT/Ry

    where the last term is fitted here to the table of van Hoof et al. (2014, MNRAS 444, 420): right to 0.3% for
    3000 to 16,000 K and 3500 to 25,000 Å. Wavelength and temperature stop at 50,000 Å and 50,000 K.
    """
    length = jnp.minimum(wavelength, 5e4)
    third = (RYDBERG_LENGTH / length) ** (1 / 3)
    inverse = length / HC_K
    profiles = [
        1 + 0.1728 * third - 0.0496 * third**2,
        inverse * (0.3456 * third - 0.0496 * 2 / 3 * third**2) - 0.105 * RYDBERG_LENGTH / HC_K,
        -0.0496 * 4 / 3 * (inverse * third) ** 2,
    ]
    cool = jnp.minimum(temperature, 5e4)
    return jnp.stack(profiles, axis=1), cool ** np.arange(3)[:, None]


def h2_plus(wavelength: jax.Array, temperature: jax.Array) -> jax.Array:
    """(w, d) bound-free and free-free absorption of H2+, cm^5: times n(H I) n(H II); stimulated emission not included.

    Notes
    -----
    Bates (1952, MNRAS 112, 40) as fitted by Kurucz (1970, SAO Special Report 309), for λ > 912 Å; n(H I) in the
    ground state. Below 912 Å and above 10 μm, the coefficients at the end.
    """
    frequency = 1e8 * LIGHT / jnp.clip(wavelength, 912.0, 1e5)
    log, scaled = jnp.log(frequency), 1e-15 * frequency
    factor = jnp.polyval(jnp.array([-3.1672e-3, 3.9207e-1, -1.82496e1, 3.7797e2, -3.0233e3]), log)
    energy = jnp.polyval(jnp.array([-0.01351, 0.1224, -0.4230, 1.028, -2.409, -7.342e-3]), scaled)
    return jnp.exp(factor[:, None] - energy[:, None] / (BOLTZMANN_EV * temperature))


def rayleigh(wavelength: jax.Array) -> jax.Array:
    """(w, 3) Rayleigh scattering by H I, He I and H2, cm² per particle.

    Notes
    -----
    H: Lee (2005, MNRAS 358, 1472) and He: as in Colgan et al. (2016, ApJ 817, 116), eqs. 6 and 7, in the photon energy
    over 2 Ry. H2: Dalgarno & Williams (1962, ApJ 136, 690), eq. 3. Redward of Lyman α; below 1400 Å, the value there.
    """
    length = jnp.maximum(wavelength, 1400.0)
    s = (0.5 * RYDBERG_LENGTH / length) ** 2
    hydrogen = THOMSON * s**2 * (20.24 + 239.2 * s + 2256 * s**2)
    helium = THOMSON * s**2 * (1.913 + 4.52 * s + 7.90 * s**2)
    molecule = 8.14e-13 / length**4 + 1.28e-6 / length**6 + 1.61 / length**8
    return jnp.stack([hydrogen, helium, molecule], axis=1)

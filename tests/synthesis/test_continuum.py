"""Continuous opacity: published cross sections, other programs on the same gas, and behaviour outside the range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.precision import double
from bayne.synthesis import hydrogen_continuum as hydrogen
from bayne.synthesis.constants import LIGHT
from bayne.synthesis.continuum import continuum
from bayne.synthesis.gas import equilibrium, row
from bayne.synthesis.metal_continuum import iron
from bayne.synthesis.species import SOLAR, parse_species


@double
def product(function, *arguments):
    """Product of the two factors that a function gives."""
    profiles, amounts = function(*(jnp.array(each) for each in arguments))
    return np.asarray(profiles @ amounts)


@double
def opacity(gas, wavelength):
    """Absorption and scattering, cm²/g."""
    found = continuum(gas, jnp.array(wavelength))
    return [np.asarray(each / gas.density) for each in found]


def some(gas, index):
    """The gas at some of its depths."""
    return jax.tree.map(lambda leaf: leaf[..., np.array(index)], gas)


def test_h_minus_photo_detachment_is_wisharts():
    # Wishart (1979, MNRAS 187, 59P), the table as printed in ATLAS (Mathisen 1984): nm, 1e-18 cm².
    nm = np.array([350, 400, 500, 600, 700, 750, 800, 850, 900, 950, 1000, 1050, 1100])
    expected = [19.65, 23.02, 29.23, 34.32, 37.91, 39.07, 39.77, 40.01, 39.77, 39.06, 37.89, 36.25, 34.19]
    found = double(hydrogen.h_minus_bound_free)(jnp.array(10.0 * nm))
    np.testing.assert_allclose(1e18 * found, expected, rtol=5e-3)


def test_h_minus_photo_detachment_ends_at_its_threshold():
    found = np.asarray(double(hydrogen.h_minus_bound_free)(jnp.array([16300.0, 16420.0, 17000.0, 25000.0])))
    assert found[0] > 0
    assert np.all(found[1:] == 0)


def test_h_minus_free_free_is_bell_and_berringtons():
    # Bell & Berrington (1987, J. Phys. B 20, 801): 1e-26 cm^4/dyn at theta (columns) and wavelength (rows).
    theta = np.array([0.5, 0.8, 1.0, 1.2, 1.6, 2.0, 3.6])
    wavelength = np.array([2604.0, 3645, 4557, 6510, 9113, 15189, 22784])
    expected = [
        [0.0277, 0.0476, 0.0615, 0.0760, 0.105, 0.136, 0.262],
        [0.0520, 0.0859, 0.108, 0.131, 0.178, 0.225, 0.418],
        [0.0791, 0.129, 0.161, 0.194, 0.260, 0.327, 0.602],
        [0.154, 0.249, 0.309, 0.367, 0.482, 0.597, 1.07],
        [0.293, 0.468, 0.576, 0.677, 0.874, 1.06, 1.83],
        [0.781, 1.24, 1.52, 1.78, 2.26, 2.69, 4.31],
        [1.73, 2.74, 3.37, 3.90, 5.01, 5.95, 9.06],
    ]
    found = product(hydrogen.h_minus_free_free, wavelength, 5040 / theta)
    np.testing.assert_allclose(1e26 * found, expected, rtol=0.02)


def test_he_minus_free_free_is_johns_also_between_the_tabulated_wavelengths():
    # John (1994, MNRAS 269, 871): wavelengths that are not in the table of the module.
    found = product(hydrogen.he_minus_free_free, [7594.0, 22782, 60751], [10080.0, 5040, 2520])
    expected = [[0.072, 0.103, 0.152], [0.632, 0.899, 1.218], [4.479, 6.387, 8.728]]
    np.testing.assert_allclose(1e26 * found, expected, rtol=0.01)


def test_hydrogen_edges_have_the_known_cross_sections():
    found = np.asarray(double(hydrogen.hydrogen_bound_free)(jnp.array([911.7, 3646.9, 3647.2])))
    assert found[0, 0] == pytest.approx(6.30e-18, rel=2e-3)  # Lyman edge
    assert found[1, 1] == pytest.approx(1.386e-17, rel=2e-3)  # Balmer edge: 7.907e-18 n g, g = 0.8762
    assert found[2, 1] == 0


def menzel_pekeris(n: int, x: float) -> float:
    """Exact bound-free Gaunt factor of hydrogen at x times the frequency of the edge (Menzel & Pekeris 1935)."""
    k = n / np.sqrt(x - 1)
    z = -4j * n * k / (n - 1j * k) ** 2

    def hypergeometric(a: int, b: complex) -> complex:
        term = total = 1.0 + 0j
        for j in range(-a):
            term *= (a + j) * (b + j) / (1 + j) ** 2 * z
            total += term
        return total

    delta = hypergeometric(1 - n, -1j * k) ** 2 - hypergeometric(-n, 1 - 1j * k) ** 2
    scale = np.exp(-4 * k * np.arctan(n / k)) / (1 - np.exp(-2 * np.pi * k))
    return float(np.pi * np.sqrt(3) * k * n / np.hypot(n, k) * scale * abs(delta))


@pytest.mark.parametrize("wavelength", [3550.0, 5000.0, 8000.0, 16000.0, 24000.0])
def test_hydrogen_cross_sections_have_the_exact_gaunt_factor(wavelength):
    found = np.asarray(double(hydrogen.hydrogen_bound_free)(jnp.array([wavelength])))[0]
    for n in range(2, 11):
        x = n**2 * hydrogen.HYDROGEN_LENGTH / wavelength
        expected = 7.9071e-18 * n * menzel_pekeris(n, x) / x**3 if x > 1 else 0.0
        assert found[n - 1] == pytest.approx(expected, rel=1e-3)


def test_free_free_gaunt_factor_is_van_hoofs():
    # van Hoof et al. (2014, MNRAS 444, 420), table: log10 u, log10 γ² and g.
    table = [(0, 1.0, 1.19866), (0, 1.2, 1.17605), (0.4, 1.0, 1.15595), (0.4, 1.2, 1.13972), (-0.2, 1.2, 1.20717)]
    table += [(0.8, 1.6, 1.10252), (0, 1.6, 1.13591)]
    for log_u, log_gamma, expected in table:
        temperature = 157887.5 / 10**log_gamma
        wavelength = 1.438776877e8 / temperature / 10**log_u
        found = product(hydrogen.free_free_gaunt, [wavelength], [temperature])
        assert found[0, 0] == pytest.approx(expected, rel=3e-3)


def test_free_free_constant_is_that_of_the_textbook():
    # Rybicki & Lightman (1979), eq. 5.18b: 3.7e8 in frequency; with more digits, 3.692e8.
    assert pytest.approx(3.692e8, rel=1e-3) == hydrogen.KRAMERS * LIGHT**3


def test_h2_plus_agrees_with_stancil():
    # Stancil (1994, ApJ 430, 360): bound-free cross section over the equilibrium constant plus free-free, 1e-39 cm^5.
    found = double(hydrogen.h2_plus)(jnp.array([4000.0, 5000, 8000]), jnp.array([4200.0, 6300, 8400]))
    expected = [[7.018, 1.960, 1.035], [5.087, 1.739, 1.020], [3.127, 1.539, 1.077]]
    np.testing.assert_allclose(1e39 * np.asarray(found), expected, rtol=0.07)


def test_scattering_cross_sections():
    hydrogen_atom, helium, molecule = np.asarray(double(hydrogen.rayleigh)(jnp.array([5000.0])))[0]
    # Dalgarno (1962), as quoted by Kurucz (1970): H, 5.799e-13/λ^4 + 1.422e-6/λ^6 + 2.784/λ^8.
    assert hydrogen_atom == pytest.approx(1.0232e-27, rel=5e-3)
    # (8π/3) (2π/λ)^4 α², polarisability at 5000 Å: He 1.391 a0³ (Bhatia & Drachman 1994), H2 5.55 a0³ (about).
    classical = 8 * np.pi / 3 * (2 * np.pi / 5e-5) ** 4 * 0.529177e-8**6
    assert helium == pytest.approx(1.391**2 * classical, rel=0.02)
    assert molecule == pytest.approx(5.55**2 * classical, rel=0.04)
    assert pytest.approx(6.6524587e-25) == hydrogen.THOMSON


def test_iron_agrees_with_a_sum_over_levels():
    # Bautista's cross sections as fitted for TLUSTY (Hubeny & Lanz 2017): levels 35 to 42 of that model atom, summed.
    found = product(iron, [3500.0, 3550.0], [3800.0])
    np.testing.assert_allclose(found[:, 0], [1.13e-20, 8.6e-21], rtol=0.1)


# Turbospectrum 2019 (Plez 2012), file contopac/5777g4.44z+0.00a+0.00t01-ref107857opac-benchmark of its distribution,
# MARCS model of the Sun: K, dyn/cm² (electrons, gas), total opacity at 5000 Å in cm²/g, then absorption and scattering
# at 6700 Å over it.
MARCS = np.array(
    [
        [3868.2456, 5.5778874e-03, 70.131180, 1.0685506e-03, 0.67281, 0.15090],
        [4019.6018, 1.6161179e-02, 204.77252, 1.8901250e-03, 0.91896, 8.5198e-2],
        [5875.7915, 18.746101, 1.0057818e5, 0.32771519, 1.2416, 5.9510e-4],
        [6235.2251, 40.063366, 1.1865385e5, 0.56650120, 1.2427, 4.2882e-4],
        [6451.9517, 62.546013, 1.2676627e5, 0.78447068, 1.2460, 3.7254e-4],
        [6983.2964, 172.39699, 1.4018284e5, 1.6548896, 1.2643, 3.1758e-4],
    ]
)


# PySME 1.2.0 (Wehrhahn, Piskunov & Ryabchikova 2023, A&A 671, A171), GetContinuumOpacityComponents on <3D> models of
# the Sun and of a K giant, with the electron densities of `equilibrium`: K, dyn/cm², then absorption in cm²/g.
PYSME_WAVELENGTH = [5000.0, 6000, 8500, 10000, 13000, 24500]
PYSME = np.array(
    [
        [4548, 3237.0, 0.01432, 0.01676, 0.01923, 0.01819, 0.01128, 0.00561],
        [5165, 40345.0, 0.1138, 0.1332, 0.1531, 0.1452, 0.09381, 0.06884],
        [6422, 112750.0, 0.7201, 0.8393, 0.9539, 0.9217, 0.6811, 0.8483],
        [9168, 164190.0, 19.88, 26.22, 27.39, 32.31, 43.55, 95.35],
        [3587, 105.74, 0.0008656, 0.001017, 0.001165, 0.0011, 0.0006553, 0.0001386],
        [4058, 1786.9, 0.008977, 0.01054, 0.01211, 0.01144, 0.006924, 0.00232],
        [4977, 6112.2, 0.0231, 0.027, 0.03095, 0.02934, 0.01872, 0.01237],
    ]
)


@pytest.fixture(scope="module")
def gases():
    """The points of MARCS, then those of PySME, in equilibrium with solar abundances."""
    abundance = np.zeros(93)
    abundance[1 : len(SOLAR["asplund2009"])] = np.nan_to_num(10 ** (np.array(SOLAR["asplund2009"][1:]) - 12))
    temperature = np.concatenate([MARCS[:, 0], PYSME[:, 0]])
    pressure = np.concatenate([MARCS[:, 2], PYSME[:, 1]])
    return double(jax.jit(equilibrium))(temperature, pressure, abundance)


def test_the_sun_has_the_opacity_of_marcs(gases):
    temperature, electrons, _, total, absorption, scattering = MARCS.T
    gas = some(gases, range(len(MARCS)))
    # With the electrons of the model, whose abundances are others; H- goes with them.
    ratio = electrons / (1.380649e-16 * temperature * np.asarray(gas.electrons))
    found, scattered = opacity(gas, [5000.0, 6700.0])
    np.testing.assert_allclose(found[0] * ratio + scattered[0], total, rtol=0.015)
    np.testing.assert_allclose(found[1] * ratio, total * absorption, rtol=0.02)
    np.testing.assert_allclose(scattered[1], total * scattering, rtol=0.015)


def test_the_sun_and_a_giant_have_the_absorption_of_pysme(gases):
    absorption, _ = opacity(some(gases, range(len(MARCS), len(MARCS) + len(PYSME))), PYSME_WAVELENGTH)
    np.testing.assert_allclose(absorption, PYSME[:, 2:].T, rtol=0.025)


#: Rows of `gases`: a solar surface, a hot layer, a giant's surface.
SUN, HOT, COOL = 7, 9, 10


def test_series_of_hydrogen_show_in_hot_gas_and_not_in_cool_gas(gases):
    edges = [3640.0, 3655.0, 8200.0, 8210.0, 14580.0, 14595.0]
    absorption, _ = opacity(some(gases, [COOL, HOT]), edges)
    jump = absorption[::2] / absorption[1::2]
    np.testing.assert_allclose(jump[1:, 0], 1, atol=0.01)
    assert np.all(jump[:, 1] > 1.2)
    assert jump[0, 1] > 3


@pytest.mark.parametrize(
    ("name", "wavelength"), [("Fe I", 3600.0), ("Fe I", 5000.0), ("Mg I", 3700.0), ("Al I", 4300.0)]
)
def test_metals_absorb_in_the_blue(gases, name, wavelength):
    gas = some(gases, [SUN, COOL])
    others = np.arange(len(gas.numbers)) != row(parse_species(name))
    without = gas._replace(numbers=np.asarray(gas.numbers) * others[:, None])
    assert np.all(opacity(gas, [wavelength])[0] > 1.001 * opacity(without, [wavelength])[0])


def test_scattering_by_electrons_is_thomsons(gases):
    gas = some(gases, [HOT])
    bare = gas._replace(numbers=np.zeros(gas.numbers.shape))
    found = continuum(bare, jnp.array([3500.0, 20000.0]))[1]
    np.testing.assert_allclose(found, 6.6524587e-25 * np.asarray(gas.electrons)[None].repeat(2, axis=0), rtol=1e-6)


def test_no_value_is_negative_or_lost_anywhere(gases):
    for temperature in (1000.0, 1500.0, 3000.0, 20000.0, 100000.0):
        gas = gases._replace(temperature=np.full(gases.temperature.shape, temperature))
        for each in opacity(gas, np.geomspace(100.0, 1e6, 200)):
            assert np.all(np.isfinite(each))
            assert np.all(each > 0)


@double
def test_derivatives_are_those_of_finite_differences(gases):
    wavelength = jnp.array([3600.0, 4713.0, 8100.0, 15500.0])

    @jax.jit
    def total(change):
        """Logarithms of both coefficients after relative changes of the gas and of the wavelength."""
        gas = gases._replace(
            temperature=gases.temperature * (1 + change[0]),
            electrons=gases.electrons * (1 + change[1]),
            numbers=gases.numbers * (1 + change[2]),
            partition=gases.partition * (1 + change[3]),
        )
        return jnp.stack([jnp.log(each) for each in continuum(gas, wavelength * (1 + change[4]))])

    exact = jax.jacfwd(total)(jnp.zeros(5))
    for i, step in enumerate(1e-5 * jnp.eye(5)):
        numeric = (total(step) - total(-step)) / 2e-5
        np.testing.assert_allclose(exact[..., i], numeric, rtol=1e-5, atol=1e-7)


@double
def test_gradients_are_finite_at_every_edge_and_limit(gases):
    gas = some(gases, [0, 1, 2, 3])._replace(temperature=jnp.array([1000.0, 1400.0, 10080.0, 50000.0]))
    wavelength = jnp.array([500.0, 911.7633421, 1400, 1823, 3645, 3647.0533684, 13000, 16419, 50000, 1e6])
    slope = jax.jit(jax.grad(lambda gas, x: sum(jnp.sum(jnp.log(each)) for each in continuum(gas, x)), argnums=(0, 1)))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(slope(gas, wavelength)))


@double
def test_stars_go_in_batches(gases):
    stars = [some(gases, [0, 3]), some(gases, [8, 9])]
    wavelength = jnp.array([5000.0, 6500.0, 15500.0])
    batch = jax.vmap(continuum, in_axes=(0, None))(jax.tree.map(lambda *leaves: jnp.stack(leaves), *stars), wavelength)
    for i, gas in enumerate(stars):
        for together, alone in zip(batch, continuum(gas, wavelength), strict=True):
            np.testing.assert_allclose(together[i], alone, rtol=1e-12)


def test_results_do_not_depend_on_the_precision_of_the_caller(gases):
    gas, wavelength = some(gases, [2, 9]), np.array([5000.0, 16000.0])
    with jax.enable_x64(False):
        single = continuum(gas, wavelength)
    with jax.enable_x64(True):
        expected = continuum(gas, wavelength)
    for each, other in zip(single, expected, strict=True):
        assert each.dtype == np.float64
        np.testing.assert_allclose(each, other, rtol=1e-12)

"""Chemical equilibrium: exact laws, conservation, published gases, other programs, derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.errors import BayneError
from bayne.precision import double
from bayne.synthesis.gas import SPECIES, Gas, equilibrium, formation_constants, row
from bayne.synthesis.partition import partition_functions
from bayne.synthesis.species import SOLAR, parse_species

K = 1.380649e-16  # erg/K
K_EV = 8.617333262e-5  # eV/K
SUN = np.nan_to_num(10 ** (np.array(SOLAR["asplund2009"]) - 12))
HYDROGEN = np.where(np.arange(93) == 1, 1.0, 0.0)

#: Composition of the MARCS model of the Sun below, log ε by atomic number from 1 (Grevesse, Asplund & Sauval 2007).
MARCS = """
12.00 10.93 1.05 1.38 2.70 8.39 7.78 8.66 4.56 7.84 6.17 7.53 6.37 7.51 5.36 7.14 5.50 6.18 5.08 6.31 3.17 4.90 4.00
5.64 5.39 7.45 4.92 6.23 4.21 4.60 2.88 3.58 2.29 3.33 2.56 3.25 2.60 2.92 2.21 2.58 1.42 1.92 -99 1.84 1.12 1.66 0.94
1.77 1.60 2.00 1.00 2.19 1.51 2.24 1.07 2.17 1.13 1.70 0.58 1.45 -99 1.00 0.52 1.11 0.28 1.14 0.51 0.93 0.00 1.08 0.06
0.88 -0.17 1.11 0.23 1.25 1.38 1.64 1.01 1.13 0.90 2.00 0.65 -99 -99 -99 -99 -99 -99 0.06 -99 -0.52
"""


def gas_of(temperature: list[float], pressure: list[float], abundance: np.ndarray = SUN) -> Gas:
    """The gas in plain numpy."""
    return Gas(*(np.asarray(x) for x in equilibrium(np.asarray(temperature), np.asarray(pressure), abundance)))


def number(gas: Gas, name: str) -> np.ndarray:
    return np.asarray(gas.numbers[row(parse_species(name))])


@double
def constants(temperature: list[float]) -> np.ndarray:
    t = jnp.asarray(temperature, dtype=float)
    return np.asarray(formation_constants(t, partition_functions(t)))


def corners() -> tuple[np.ndarray, np.ndarray]:
    t, p = np.meshgrid(np.geomspace(2500, 20000, 12), np.geomspace(1e-2, 1e8, 11))
    return t.ravel(), p.ravel()


def test_saha_ratio_of_iron() -> None:
    gas = gas_of([5777.0], [1e5])
    u = {name: gas.partition[row(parse_species(name)), 0] for name in ("Fe I", "Fe II")}
    # 2 (2π m_e k T / h²)^{3/2} U_II / U_I exp(-χ/kT), χ = 7.9024681 eV (NIST), CODATA constants
    wave = (2 * np.pi * 9.1093837015e-28 * K * 5777.0 / 6.62607015e-27**2) ** 1.5
    ratio = 2 * wave * u["Fe II"] / u["Fe I"] * np.exp(-7.9024681 / (K_EV * 5777.0)) / gas.electrons[0]
    found = number(gas, "Fe II")[0] / number(gas, "Fe I")[0]
    assert found == pytest.approx(ratio, rel=1e-8)
    # Gray (2005), section 1: N1/N0 = 0.6665 u1/u0 T^{5/2} 10^{-5040 I / T} / Pe
    pe = gas.electrons[0] * K * 5777.0
    gray = 0.6665 * u["Fe II"] / u["Fe I"] * 5777.0**2.5 * 10 ** (-5040 * 7.9024681 / 5777.0) / pe
    assert found == pytest.approx(gray, rel=2e-3)


def test_negative_hydrogen() -> None:
    gas = gas_of([6000.0], [1e5])
    # Saha's equation in Gray's units (2005, section 1), H- the lower stage: U is 1 and 2, electron affinity 0.754 eV
    log_ratio = 0.1761 - np.log10(2) + np.log10(gas.electrons[0] * K * 6000.0) - 2.5 * np.log10(6000.0)
    log_ratio += 0.754 * 5040 / 6000.0
    found = number(gas, "H-")[0] / number(gas, "H I")[0]
    assert np.log10(found) == pytest.approx(log_ratio, abs=0.002)


@pytest.mark.parametrize("name", ["solar", "carbon-rich", "metal-poor", "hydrogen"])
def test_conservation_charge_and_pressure(name: str) -> None:
    z = np.arange(93)
    factor = {"solar": 1.0, "carbon-rich": np.where(z == 6, 4, 1), "metal-poor": np.where(z > 2, 1e-4, 1)}
    abundance = HYDROGEN if name == "hydrogen" else SUN * factor[name]
    t, p = corners()
    gas = gas_of(t, p, abundance)
    assert all(np.all(np.isfinite(part)) for part in gas)
    count = np.array([[species.atoms.count(i) for i in range(93)] for species in SPECIES])
    nuclei = count.T @ gas.numbers
    for i in np.flatnonzero(abundance):
        np.testing.assert_allclose(nuclei[i], abundance[i] * nuclei[1], rtol=1e-10)
    charge = np.array([species.charge for species in SPECIES])
    negative = gas.electrons + np.maximum(-charge, 0) @ gas.numbers
    np.testing.assert_allclose(np.maximum(charge, 0) @ gas.numbers, negative, rtol=1e-10)
    np.testing.assert_allclose((gas.numbers.sum(axis=0) + gas.electrons) * K * t, p, rtol=1e-10)
    mass = np.array([species.mass for species in SPECIES]) * 1.66053906660e-24
    np.testing.assert_allclose(gas.density, mass @ gas.numbers, rtol=1e-12)


def test_pure_hydrogen_is_a_quadratic() -> None:
    temperature, pressure = 10000.0, 10.0
    gas = gas_of([temperature], [pressure], HYDROGEN)
    # Ionised fraction x of P = (1 + x) N kT with x² N / (1 - x) = S: x² = a / (1 + a), a = S kT / P; U is 2 and 1.
    wave = (2 * np.pi * 9.1093837015e-28 * K * temperature / 6.62607015e-27**2) ** 1.5
    a = wave * np.exp(-13.598434599702 / (K_EV * temperature)) * K * temperature / pressure
    x = np.sqrt(a / (1 + a))
    assert gas.electrons[0] == pytest.approx(x / (1 + x) * pressure / (K * temperature), rel=1e-4)


def test_carbon_monoxide_takes_what_there_is_less_of() -> None:
    rich_in_oxygen = gas_of([2800.0], [1e4])
    assert number(rich_in_oxygen, "CO")[0] / number(rich_in_oxygen, "C I")[0] > 1e4
    more_carbon = SUN * np.where(np.arange(93) == 6, 4.0, 1.0)
    rich_in_carbon = gas_of([2800.0], [1e4], more_carbon)
    assert number(rich_in_carbon, "CO")[0] / number(rich_in_carbon, "O I")[0] > 1e4
    assert number(rich_in_carbon, "TiO")[0] < 1e-3 * number(rich_in_oxygen, "TiO")[0]


@pytest.mark.parametrize(
    ("name", "at_3000", "at_5000"),
    [  # log10 of p / Π p(atoms), times p(e) to the charge, in bar: NASA Glenn polynomials (McBride, Zehe & Gordon 2002,
        # NASA/TP-2002-211556), evaluated with Cantera 3.2.0 (nasa_gas.yaml)
        ("H2", 1.603, -1.617),
        ("CO", 11.646, 3.979),
        ("CH", 0.454, -2.008),
        ("NH", 0.488, -1.993),
        ("N2", 9.712, 2.959),
        ("NO", 4.872, 0.329),
        ("O2", 1.892, -1.691),
        ("H2O", 3.898, -2.870),
        ("H II", -20.631, -10.938),
        ("C II", -16.582, -8.470),
        ("Mg II", -10.030, -4.344),
        ("Si II", -11.376, -5.368),
        ("Ca II", -7.454, -2.819),
        ("H-", -1.549, -2.610),
    ],
)
def test_equilibrium_constants_of_thermochemistry(name: str, at_3000: float, at_5000: float) -> None:
    species = parse_species(name)
    temperature = np.array([3000.0, 5000.0])
    bars = np.log10(K * temperature / 1e6) * (1 - len(species.atoms) + species.charge)
    found = constants([3000.0, 5000.0])[row(species)] / np.log(10) + bars
    np.testing.assert_allclose(found, [at_3000, at_5000], atol=0.025)


def test_marcs_model_of_the_sun() -> None:
    # T, Pe, Pg at log τ_Rosseland -5, -3, -1, -0.3, 0, 0.3, 0.8 of the MARCS solar model of 2008-05-19 (Gustafsson et
    # al. 2008, A&A 486, 951)
    t = [4066.8, 4504.9, 5088.6, 5727.4, 6235.2, 6983.3, 8290.4]
    pe = [2.1166e-2, 2.6833e-1, 3.4525, 1.3720e1, 4.0062e1, 1.7239e2, 1.2998e3]
    pg = [2.6699e2, 3.3817e3, 4.0385e4, 9.1213e4, 1.1865e5, 1.4018e5, 1.5959e5]
    composition = np.concatenate([[0.0], 10 ** (np.array(MARCS.split(), dtype=float) - 12)])
    gas = gas_of(t, pg, composition)
    np.testing.assert_allclose(gas.electrons * K * np.array(t), pe, rtol=0.01)
    # its log10 partial pressures at -5, -1 and -0.3
    published = {
        "H I": [2.39, 4.57, 4.92],
        "H-": [-7.50, -3.54, -2.80],
        "H2": [-1.73, 1.44, 1.61],
        "H2O": [-8.79, -4.71, -4.75],
        "OH": [-4.89, -1.67, -1.47],
        "CH": [-6.15, -2.61, -2.28],
        "CO": [-1.77, -0.11, -0.62],
        "CN": [-5.98, -3.49, -3.64],
        "C2": [-7.44, -4.46, -4.41],
    }
    for name, values in published.items():
        found = np.log10(number(gas, name) * K * np.array(t))[[0, 2, 3]]
        np.testing.assert_allclose(found, values, atol=0.07, err_msg=name)


def test_pysme() -> None:
    # PySME 1.2.0 (SME library 6.13; Piskunov & Valenti 2017, A&A 597, A16), Asplund et al. (2009)
    t = [3500.0, 4500.0, 5000.0, 5777.0, 6500.0, 8000.0]
    p = [1e4, 3e4, 5e4, 1e5, 1.3e5, 1.5e5]
    gas = gas_of(t, p)
    electrons = [2.07313e11, 2.73223e12, 6.05746e12, 2.06454e13, 7.82743e13, 7.78198e14]
    np.testing.assert_allclose(gas.electrons, electrons, rtol=0.01)
    np.testing.assert_allclose(
        gas.density, [4.42711e-8, 1.01136e-7, 1.51512e-7, 2.62082e-7, 3.02614e-7, 2.82182e-7], rtol=3e-4
    )
    published = {
        "H2": [4.85187e14, 1.05873e14, 7.73261e13, 6.02059e13, 3.09882e13, 6.56147e12],
        "CO": [5.24613e12, 7.48584e12, 2.97959e12, 3.63391e11, 4.06278e10, 7.45681e8],
        "CN": [2.17021e7, 1.33642e9, 9.75000e8, 3.24834e8, 7.91030e7, 4.71228e6],
        "CH": [1.11488e7, 3.18053e9, 6.82143e9, 8.80068e9, 5.73015e9, 1.53695e9],
        "TiO": [5.87240e6, 2.91381e4, 5.24145e3, 6.71397e2, 1.37467e2, 9.24872],
        "Fe II": [1.95069e10, 7.71256e11, 1.75088e12, 3.47601e12, 4.09750e12, 3.86303e12],
        "Ti II": [1.03793e9, 3.80905e9, 5.86310e9, 1.02366e10, 1.18311e10, 1.09931e10],
    }
    for name, values in published.items():
        np.testing.assert_allclose(number(gas, name), values, rtol=0.03, err_msg=name)


@double
def test_derivatives_equal_differences() -> None:
    t, p = jnp.array([2800.0, 4500.0, 6000.0, 9500.0]), jnp.array([1e4, 1e3, 1e5, 1e6])
    rows = np.array([row(parse_species(name)) for name in ("H-", "CO", "Fe I", "TiO", "C2", "H2O", "Ba II")])

    @jax.jit
    def logs(x: jax.Array) -> jax.Array:
        """ln of densities for ln of factors of temperature, pressure, carbon and iron."""
        a = SUN * jnp.exp(x[2] * (np.arange(93) == 6) + x[3] * (np.arange(93) == 26))
        gas = equilibrium(t * jnp.exp(x[0]), p * jnp.exp(x[1]), a)
        return jnp.log(jnp.concatenate([gas.electrons, gas.density, gas.numbers[rows].ravel()]))

    step = 1e-5 * np.eye(4)
    differences = np.stack([(logs(dx) - logs(-dx)) / 2e-5 for dx in step], axis=1)
    forward = jax.jit(jax.jacfwd(logs))(jnp.zeros(4))
    np.testing.assert_allclose(forward, differences, rtol=1e-6, atol=1e-6)
    weights = np.random.default_rng(0).normal(size=len(forward))
    reverse = jax.jit(jax.grad(lambda x: weights @ logs(x)))(jnp.zeros(4))
    np.testing.assert_allclose(reverse, weights @ forward, rtol=1e-9)


@double
def test_gradients_are_finite_in_all_corners_and_without_an_element() -> None:
    t, p = corners()
    a = jnp.asarray(np.where(np.isin(np.arange(93), [6, 22, 63]), 0.0, SUN))

    def electrons(t: jax.Array, p: jax.Array, a: jax.Array) -> jax.Array:
        gas = equilibrium(t, p, a)
        return jnp.sum(jnp.log(gas.electrons)) + jnp.sum(gas.numbers / (p / (K * t)))

    for gradient in jax.grad(electrons, argnums=(0, 1, 2))(jnp.asarray(t), jnp.asarray(p), a):
        assert np.all(np.isfinite(gradient))
    gas = equilibrium(jnp.asarray(t), jnp.asarray(p), a)
    for name in ("Eu II", "CO", "TiO"):
        assert np.all(gas.numbers[row(parse_species(name))] < 1e-20)


@double
def test_a_batch_of_stars_is_the_stars_one_by_one() -> None:
    t = jnp.array([[4000.0, 6000.0], [5000.0, 8000.0]])
    p = jnp.array([[1e3, 1e5], [1e4, 1e6]])
    a = jnp.stack([jnp.asarray(SUN), jnp.asarray(SUN * np.where(np.arange(93) > 2, 0.1, 1.0))])
    batch = jax.vmap(equilibrium)(t, p, a)
    for i in range(2):
        np.testing.assert_allclose(batch.numbers[i], equilibrium(t[i], p[i], a[i]).numbers, rtol=1e-11)


def test_double_precision_whatever_jax_is_set_to() -> None:
    single = gas_of(np.array([5000.0], dtype=np.float32), np.array([1e4], dtype=np.float32))
    assert single.numbers.dtype == np.float64
    np.testing.assert_allclose(single.electrons, gas_of([5000.0], [1e4]).electrons, rtol=1e-12)


def test_unknown_species_is_named() -> None:
    with pytest.raises(BayneError, match="does not know LaO"):
        row(parse_species("LaO"))


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(BayneError, match="shape"):
        gas_of([5000.0], [1e4, 1e5])
    with pytest.raises(BayneError, match=r"\(93,\)"):
        gas_of([5000.0], [1e4], SUN[1:])

"""Hydrogen lines against exact numbers, tables of others and the theory's own limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.errors import BayneError
from bayne.precision import double
from bayne.synthesis import hydrogen
from bayne.synthesis.abundances import abundances
from bayne.synthesis.continuum import continuum
from bayne.synthesis.gas import SPECIES, Gas, equilibrium
from bayne.synthesis.hydrogen import HydrogenLine, hydrogen_lines, oscillator_strength
from bayne.synthesis.transfer import emergent_flux

line_profile = jax.jit(hydrogen.line_profile, static_argnums=0)
hydrogen_opacity = jax.jit(hydrogen.hydrogen_opacity, static_argnums=3)
H_ALPHA, H_BETA, H_GAMMA = (HydrogenLine(2, m) for m in (3, 4, 5))


def gas(temperature, electrons, atoms=0.0, partition=2.0):
    """A gas of hydrogen atoms and electrons."""
    temperature, electrons, atoms = (
        jnp.atleast_1d(jnp.asarray(x, dtype=float)) for x in (temperature, electrons, atoms)
    )
    shape = (len(SPECIES), temperature.size)
    numbers = jnp.zeros(shape).at[0].set(atoms)
    return Gas(temperature, temperature, electrons, temperature, numbers, jnp.full(shape, partition))


def test_oscillator_strengths():
    """Wiese & Fuhr (2009, J. Phys. Chem. Ref. Data 38, 565), means over the fine structure."""
    known = {(1, 2): 0.4162, (2, 3): 0.64108, (2, 4): 0.11938, (2, 5): 0.044694, (2, 6): 0.022105, (3, 4): 0.84254}
    for (n, m), strength in known.items():
        assert oscillator_strength(n, m) == pytest.approx(strength, rel=1e-3)


def test_sum_rule_of_oscillator_strengths():
    """All discrete absorptions from n = 1 sum to 0.5650 (Bethe & Salpeter 1957, table 14); the tail goes as m^-3."""
    tail = sum(oscillator_strength(1, 40) * (40 / m) ** 3 for m in range(41, 4000))
    assert sum(oscillator_strength(1, m) for m in range(2, 41)) + tail == pytest.approx(0.5650, abs=2e-4)


def test_wavelengths():
    """Vacuum Å; NIST gives 6564.61, 4862.69, 4341.69 for the blends, 18756.1 for Paschen alpha."""
    found = [line.wavelength for line in (H_ALPHA, H_BETA, H_GAMMA, HydrogenLine(3, 4))]
    np.testing.assert_allclose(found, [6564.61, 4862.68, 4341.68, 18756.1], atol=0.05)


@double
@pytest.mark.parametrize(("n", "m"), [(2, 3), (2, 4), (2, 5), (3, 4), (3, 8)])
def test_profiles_are_normalised(n, m):
    """As far as the approximate theory is: to 3% at the densities of photospheres, 10% for high levels."""
    distance = np.concatenate([[0.0], np.geomspace(1e-4, 3e4, 40_001)])
    density = np.array([1e10, 1e12, 1e13, 1e14])
    profile = line_profile(HydrogenLine(n, m), gas(np.full(4, 6000.0), density, 1e17), 1.0, jnp.asarray(distance))
    area = 2 * np.trapezoid(np.asarray(profile), distance, axis=0)
    np.testing.assert_allclose(area, 1.0, atol=0.03 if m < 8 else 0.1)


@double
def test_the_core_is_the_doppler_profile_at_low_density():
    """Thermal and turbulent: at 6000 K and 2 km/s, (2kT/m + ξ²)^1/2 = 10.13 km/s."""
    width = np.hypot(np.sqrt(2 * 1.380649e-16 * 6000 / 1.6735e-24) / 1e5, 2.0) / 299792.458 * H_ALPHA.wavelength
    distance = np.linspace(0, 1.2 * width, 30)
    profile = np.asarray(line_profile(H_ALPHA, gas(6000.0, 1e8), 2.0, jnp.asarray(distance)))[:, 0]
    np.testing.assert_allclose(profile, np.exp(-((distance / width) ** 2)) / (np.sqrt(np.pi) * width), rtol=5e-3)


#: Profiles in Å^-1 at distances in Å, nodes of the tables of Stehlé & Hutcheon (1999, A&AS 140, 93) for 10,000 K and
#: n_e = 1e14 cm^-3, with the thermal Doppler effect.
STEHLE = {
    H_ALPHA: {0.0: 1.758, 0.1701: 1.296, 0.4273: 0.2854, 1.073: 7.652e-3, 1.701: 2.163e-3, 4.273: 2.199e-4},
    H_BETA: {0.0: 1.560, 0.1701: 1.177, 0.4273: 0.3289, 1.701: 6.714e-3, 4.273: 7.051e-4, 17.01: 2.509e-5},
    H_GAMMA: {0.0: 1.230, 0.1701: 1.002, 0.4273: 0.4162, 1.701: 1.326e-2, 4.273: 1.303e-3, 17.01: 4.429e-5},
}


@double
@pytest.mark.parametrize("line", STEHLE, ids=["alpha", "beta", "gamma"])
def test_profiles_are_those_of_the_tables(line):
    distance = jnp.asarray(list(STEHLE[line]))
    profile = line_profile(line, gas(1e4, 1e14), 0.0, distance)[:, 0]
    np.testing.assert_allclose(profile, list(STEHLE[line].values()), rtol=0.05)


@double
def test_far_wings_are_those_of_holtsmark():
    """Δλ^-5/2; slow electrons double what ions do (Griem 1960): 1.5 β^-5/2 for them alone."""
    beta = np.array([1e3, 2e3])
    for line in (H_BETA, H_GAMMA, HydrogenLine(2, 8)):
        unit = 1.25e-9 * 1e16 ** (2 / 3) * line.shift
        profile = np.asarray(line_profile(line, gas(8000.0, 1e16), 0.0, jnp.asarray(beta * unit)))[:, 0]
        assert np.log2(profile[0] / profile[1]) == pytest.approx(2.5, abs=0.05)
        np.testing.assert_allclose(profile * unit / (1.5 * beta**-2.5), 2.0, rtol=0.15)


@double
def test_self_broadening_dominates_in_neutral_gas():
    """Barklem, Piskunov & O'Mara (2000): 1180 a0² (v / 10 km/s)^-0.677 for Hα; the wing is w / (π Δ²)."""
    distance = jnp.array([5.0])
    profile = line_profile(H_ALPHA, gas(5000.0, 1e8, 1e17), 0.0, distance)
    speed = np.sqrt(16 * 1.380649e-16 * 5000 / (np.pi * 1.6735e-24))  # (8kT/πμ)^1/2, μ = m/2
    cross_section = 1180 * 5.29177e-9**2
    width = 1e17 * (4 / np.pi) ** 0.3385 * 0.902745 * 1e6 * cross_section * (speed / 1e6) ** 0.323  # Γ(1.6615)
    natural = 0.5 * (4.699e8 + 9.98e7)  # decays of n = 2 and 3, s^-1 (Wiese & Fuhr 2009)
    angstrom = (width + natural) * 6564.61e-8**2 / (2 * np.pi * 2.99792458e10) * 1e8
    assert float(profile[0, 0]) == pytest.approx(angstrom / (np.pi * 25.0), rel=2e-3)


@double
def test_opacity_integrates_to_the_oscillator_strength():
    """∫ α dν = π e² / (m c) f n_2 (1 - exp(-hν/kT)), n_2 = n_H (8 / U) exp(-E_2 / kT)."""
    one = gas(6000.0, 1e13, 1e17)
    offset = np.sinh(np.linspace(-8.5, 8.5, 4001)) * 0.05
    wave = H_BETA.wavelength + offset
    opacity = np.asarray(hydrogen_opacity(one, jnp.asarray(wave), 1.0, (H_BETA,)))[:, 0]
    integral = np.trapezoid(opacity * 2.99792458e18 / wave**2, wave)
    hc_k = 1.438776877
    level = 1e17 * 4 * np.exp(-hc_k * 82259.1 / 6000) * (1 - np.exp(-hc_k * 1e8 / (4862.68 * 6000)))
    assert integral == pytest.approx(0.02654 * 0.1193 * level, rel=5e-3)


#: Normalised fluxes of PySME 1.2.0, which has tables of Stehlé & Hutcheon and of Barklem, Piskunov & O'Mara, at some
#: distances in Å, for the atmosphere of `test_balmer_lines_are_those_of_pysme`.
DISTANCES = np.array([-20.0, -10, -5, -2, 0, 2, 5, 10, 20])
PYSME = {
    H_ALPHA: [0.9923, 0.9763, 0.9415, 0.8605, 0.5446, 0.8606, 0.9416, 0.9764, 0.9924],
    H_BETA: [0.9927, 0.9764, 0.9396, 0.8485, 0.3733, 0.8487, 0.9400, 0.9767, 0.9929],
}


@double
@pytest.mark.parametrize("line", PYSME, ids=["alpha", "beta"])
def test_balmer_lines_are_those_of_pysme(line):
    log_tau = jnp.linspace(-5.0, 2.0, 71)
    temperature = 5772 * (0.75 * (10.0**log_tau + 2 / 3)) ** 0.25
    share = jnp.asarray(abundances({"fe_h": 0.0}, "asplund2009"))
    one = jax.jit(equilibrium)(temperature, 10 ** (5.1 + 0.5 * log_tau), share)
    wave = jnp.asarray(line.wavelength + DISTANCES)
    extinction = sum(continuum(one, wave))
    reference = sum(continuum(one, jnp.full(1, 5000.0)))[0]
    with_line, without = (
        emergent_flux(wave, log_tau, reference, alpha, None, temperature)
        for alpha in (extinction + hydrogen_opacity(one, wave, 1.0, (line,)), extinction)
    )
    np.testing.assert_allclose(with_line / without, PYSME[line], atol=2e-3)


def test_which_lines_reach_a_window():
    assert hydrogen_lines(6481, 6739) == (H_ALPHA,)
    assert hydrogen_lines(5649, 5873) == ()
    assert H_BETA in hydrogen_lines(4718, 4903)


def test_lines_without_profiles_are_refused_by_name():
    for n, m in ((1, 2), (2, 2), (5, 6), (2, 40)):
        with pytest.raises(BayneError, match=f"{n}-{m}.*lower levels are 2 to 4"):
            HydrogenLine(n, m)


@double
def test_derivatives_are_those_of_finite_differences():
    """By temperature, electrons, atoms and microturbulence, at the very centre, on the flank and in the wing."""
    wave = jnp.asarray(H_ALPHA.wavelength + np.array([0.0, 0.25, 3.0, 40.0]))

    def opacity(x):
        one = gas(x[0] * 6000.0, x[1] * 2e13, x[2] * 1e17)
        return jnp.log(hydrogen_opacity(one, wave, x[3], (H_ALPHA,)))[:, 0]

    at = jnp.ones(4)
    opacity = jax.jit(opacity)
    derivatives = jax.jit(jax.jacfwd(opacity))(at)
    np.testing.assert_allclose(derivatives, jax.jit(jax.jacrev(opacity))(at), rtol=1e-8)
    for i in range(4):
        step = 1e-5 * jnp.eye(4)[i]
        numeric = (opacity(at + step) - opacity(at - step)) / 2e-5
        np.testing.assert_allclose(derivatives[:, i], numeric, rtol=1e-4, atol=1e-6)


@double
def test_many_stars_at_once_are_each_what_one_is():
    wave = jnp.asarray(H_BETA.wavelength + np.array([0.0, 1.0, 10.0]))
    stars = [gas(5000.0, 1e12, 1e16), gas(7000.0, 1e14, 1e17)]
    both = jax.tree.map(lambda *x: jnp.stack(x), *stars)
    many = jax.jit(jax.vmap(lambda one: hydrogen_opacity(one, wave, 1.0, (H_BETA,))))(both)
    np.testing.assert_allclose(many[1], hydrogen_opacity(stars[1], wave, 1.0, (H_BETA,)), rtol=1e-12)

"""Emergent radiation against solutions in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expn

from bayne.precision import double
from bayne.synthesis.grey import hopf_function
from bayne.synthesis.transfer import (
    emergent_flux,
    optical_depth,
    planck,
    scattered_source,
    surface_flux,
    surface_intensity,
)

LOG_TAU = np.linspace(-5.0, 2.0, 71)
TAU = 10.0**LOG_TAU


@double
def test_linear_source_functions_are_exact():
    """F = π (a + 2b/3), I(μ) = a + bμ (Eddington, Barbier)."""
    for a, b in ((2.0, 0.0), (1.0, 3.0), (1.0, -1e-3)):
        source = a + b * jnp.asarray(TAU)
        assert float(surface_flux(jnp.asarray(TAU), source)) == pytest.approx(np.pi * (a + 2 * b / 3), rel=1e-8)
        for mu in (0.1, 0.5, 1.0):
            assert float(surface_intensity(jnp.asarray(TAU), source, mu)) == pytest.approx(a + b * mu, rel=1e-7)


@double
@pytest.mark.parametrize("depths", [36, 71])
def test_the_grey_atmosphere_carries_its_flux(depths):
    """S = (3/4π) F (τ + q(τ)), with the exact Hopf function, radiates F = σ Teff⁴."""
    tau = jnp.asarray(np.logspace(-5, 2, depths))
    source = 0.75 / np.pi * (tau + hopf_function(tau))
    assert float(surface_flux(tau, source)) == pytest.approx(1.0, rel=5e-5)


@double
def test_limb_darkening_of_the_grey_atmosphere():
    """I(μ) goes as H(μ): H(0) = 1, H(0.5) = 2.01278, H(1) = 2.90781 (Chandrasekhar 1950, Radiative Transfer)."""
    tau = jnp.asarray(TAU)
    source = 0.75 / np.pi * (tau + hopf_function(tau))
    centre, middle, limb = (float(surface_intensity(tau, source, mu)) for mu in (1.0, 0.5, 1e-8))
    assert limb / centre == pytest.approx(1 / 2.90781, rel=2e-4)
    assert middle / centre == pytest.approx(2.01278 / 2.90781, rel=5e-5)


CURVED = {
    "logarithm": lambda t: 1 + np.log1p(10 * t),
    "root": lambda t: np.sqrt(0.01 + t),
    "minimum": lambda t: 1 + 0.5 * t + 0.5 * np.exp(-20 * t),
}


@double
@pytest.mark.parametrize("name", CURVED)
def test_curved_source_functions_converge(name):
    """Against 2π ∫ S E2 dτ; the error of the depths, with many angles, and that of the angles."""
    source = CURVED[name]
    exact = 2 * np.pi * quad(lambda s: source(np.exp(s)) * expn(2, np.exp(s)) * np.exp(s), -25, 4.5, limit=400)[0]
    errors = {}
    for depths, angles in ((36, 12), (71, 12), (281, 12), (71, 4)):
        tau = np.logspace(-5, 2, depths)
        errors[depths, angles] = abs(
            float(surface_flux(jnp.asarray(tau), jnp.asarray(source(tau)), angles)) / exact - 1
        )
    assert errors[36, 12] < 5e-4
    assert errors[71, 12] < 4e-5
    assert errors[281, 12] < 1e-6
    assert errors[71, 4] < 3e-4


@double
def test_a_jump_of_the_source_function_makes_no_extremum():
    """A parabola through the jump would overshoot: here all light comes from between S = 1 and S = 2."""
    tau = jnp.asarray(TAU)
    flux = surface_flux(tau, jnp.where(tau < 1, 1.0, 2.0))
    assert np.pi < float(flux) < 2 * np.pi


@double
def test_optical_depths_of_powers_are_exact():
    log_tau = jnp.asarray(LOG_TAU)
    for power in (-0.3, 0.0, 0.7, 2.0):
        found = np.asarray(optical_depth(log_tau, jnp.asarray(TAU**power)))
        above = TAU[0] ** (1 + power) * power / (1 + power)  # the ratio is constant above the first depth
        np.testing.assert_allclose(found - above, TAU ** (1 + power) / (1 + power), rtol=1e-9)


@double
def test_isothermal_stars_radiate_as_black_bodies_whatever_their_opacity():
    wave = jnp.array([4000.0, 5000.0, 9000.0])
    ones = jnp.ones(TAU.size)
    extinction = jnp.array([0.3, 1.0, 1e4])[:, None] * ones
    flux = emergent_flux(wave, jnp.asarray(LOG_TAU), ones, extinction, None, 5000.0 * ones)
    np.testing.assert_allclose(flux, np.pi * np.asarray(planck(wave, jnp.asarray(5000.0))), rtol=1e-12)


@double
def test_the_planck_function():
    """Its integral is σT⁴/π, its maximum where λT = 2.897771955e7 Å K (CODATA 2018)."""
    wave = np.geomspace(500, 1e7, 20_001)
    flux = np.pi * np.asarray(planck(jnp.asarray(wave), jnp.asarray(5772.0)))
    assert np.trapezoid(flux, wave) == pytest.approx(5.670374419e-5 * 5772.0**4, rel=1e-6)
    peak = 2.897771955e7 / 5772.0
    assert float(jax.grad(lambda w: planck(w, jnp.asarray(5772.0)))(peak)) * peak / flux.max() == pytest.approx(
        0, abs=1e-6
    )
    assert float(planck(jnp.asarray(100.0), jnp.asarray(100.0))) >= 0.0


@double
@pytest.mark.parametrize("absorbed", [1.0, 0.5, 0.1, 0.01, 1e-4])
def test_scattering_law_of_the_root_of_epsilon(absorbed):
    """S(0) = ε^1/2 B in a half-space of constant B and ε, exactly (Mihalas 1978, section 6-1)."""
    tau = jnp.asarray(np.logspace(-6, 4, 400))
    source = scattered_source(tau, jnp.ones(400), jnp.full(400, absorbed))
    assert float(source[0]) == pytest.approx(np.sqrt(absorbed), rel=5e-4)
    assert float(source[-1]) == pytest.approx(1.0, rel=1e-6)


@double
def test_scattering_with_71_depths_and_in_the_flux():
    wave = jnp.array([5000.0])
    ones = jnp.ones((1, TAU.size))
    scattering = jnp.linspace(0.9, 0.0, TAU.size)[None]
    flux = [
        float(emergent_flux(wave, jnp.asarray(LOG_TAU), ones[0], ones, s, 5000.0 * ones[0])[0])
        for s in (None, 0.0 * scattering, scattering)
    ]
    assert flux[0] == pytest.approx(flux[1], rel=1e-12)
    assert 0.8 * flux[0] < flux[2] < 0.95 * flux[0]
    source = scattered_source(jnp.asarray(TAU), ones[0], 0.1 * ones[0])
    assert float(source[0]) == pytest.approx(np.sqrt(0.1), rel=3e-3)


@double
def test_derivatives_are_those_of_finite_differences():
    wave = jnp.array([5000.0, 5001.0])
    temperature = 5800.0 * (0.75 * (jnp.asarray(TAU) + 2 / 3)) ** 0.25
    # Strong and weak: a line that is opaque from the first depth on, and no line.
    shape = jnp.stack([jnp.ones(TAU.size), 1e6 / (1 + jnp.asarray(TAU))])

    def flux(x):
        extinction = shape * jnp.exp(x[0] * jnp.asarray(LOG_TAU))
        scattering = extinction * 0.3 * x[1]
        return emergent_flux(wave, jnp.asarray(LOG_TAU), jnp.ones(TAU.size), extinction, scattering, x[2] * temperature)

    at = jnp.array([0.1, 1.0, 1.0])
    flux = jax.jit(flux)
    forward, backward = (jax.jit(jacobian(flux))(at) for jacobian in (jax.jacfwd, jax.jacrev))
    np.testing.assert_allclose(forward, backward, rtol=1e-8)
    for i in range(3):
        step = 1e-5 * jnp.eye(3)[i]
        np.testing.assert_allclose(forward[:, i], (flux(at + step) - flux(at - step)) / 2e-5, rtol=1e-4)

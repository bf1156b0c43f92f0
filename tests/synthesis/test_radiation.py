"""Line profiles and the transfer of radiation against exact answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import wofz

from bayne.precision import double
from bayne.synthesis.transfer import emergent_flux, planck
from bayne.synthesis.voigt import voigt

LOG_TAU = np.linspace(-5.0, 2.0, 71)


@double
def test_the_voigt_function_is_that_of_scipy():
    a, u = np.meshgrid(np.geomspace(1e-5, 10, 40), np.concatenate([np.linspace(0, 12, 60), np.geomspace(12, 1e4, 20)]))
    np.testing.assert_allclose(voigt(jnp.asarray(a), jnp.asarray(u)), wofz(u + 1j * a).real, rtol=2e-4)


@double
def test_its_derivatives_are_those_of_the_function():
    at, step = jnp.array([0.1, 1.5]), 1e-6
    found = jax.grad(lambda x: voigt(x[0], x[1]))(at)
    for i in range(2):
        move = step * jnp.eye(2)[i]
        z = [complex((at + sign * move)[1], (at + sign * move)[0]) for sign in (1, -1)]
        exact = (wofz(z[0]).real - wofz(z[1]).real) / (2 * step)
        assert float(found[i]) == pytest.approx(exact, rel=1e-3)


def black_body(flux, temperature):
    """Temperature of a black body with a flux at 5000 Å."""
    low, high = 1000.0, 20_000.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (
            (middle, high) if np.pi * float(planck(jnp.asarray(5000.0), jnp.asarray(middle))) < flux else (low, middle)
        )
    return middle


@double
def test_an_isothermal_atmosphere_is_a_black_body():
    wave, ones = jnp.array([5000.0]), jnp.ones((1, LOG_TAU.size))
    flux = emergent_flux(wave, jnp.asarray(LOG_TAU), ones[0], 3.0 * ones, None, 5800.0 * ones[0])
    assert black_body(float(flux[0]), 5800) == pytest.approx(5800, rel=1e-6)


@double
def test_eddington_and_barbier():
    """F = π S(τ = 2/3) for a source function that is linear in τ (Barbier 1943)."""
    wave = jnp.array([5000.0])
    tau = 10.0**LOG_TAU
    low, high = (float(planck(wave[0], jnp.asarray(t))) for t in (5000.0, 6500.0))
    source = low + (high - low) * tau
    # the temperatures that have this Planck function at 5000 Å
    scale = 1.438776877e8 / 5000.0
    front = low * np.expm1(scale / 5000.0)
    temperature = scale / np.log1p(front / source)
    ones = jnp.ones(tau.size)
    flux = emergent_flux(wave, jnp.asarray(LOG_TAU), ones, ones[None], None, jnp.asarray(temperature))
    assert float(flux[0]) == pytest.approx(np.pi * (low + (high - low) * 2 / 3), rel=1e-4)


@double
def test_more_opacity_shows_higher_layers():
    wave, ones = jnp.array([5000.0]), jnp.ones((1, LOG_TAU.size))
    temperature = jnp.asarray(5800.0 * (0.75 * (10.0**LOG_TAU + 2 / 3)) ** 0.25)
    fluxes = [
        float(emergent_flux(wave, jnp.asarray(LOG_TAU), ones[0], factor * ones, None, temperature)[0])
        for factor in (1.0, 3.0, 30.0)
    ]
    assert fluxes[0] > fluxes[1] > fluxes[2] > np.pi * float(planck(wave[0], temperature[0]))

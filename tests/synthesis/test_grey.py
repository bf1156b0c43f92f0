"""The grey atmosphere is the exact solution of its equations, and can be differentiated."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import exp1

from bayne.errors import BayneError
from bayne.synthesis.grey import HOPF, LOG_TAU, grey_atmosphere, hopf_function, pressure_step, temperature_of

GRAVITY = 10**4.44
UNSTEADY = itertools.cycle([0.1, 0.2])


def hopf(tau: float) -> float:
    with jax.enable_x64(True):
        return float(hopf_function(jnp.asarray(tau)))


def test_hopf_function_has_the_exact_ends() -> None:
    assert hopf(0.0) == pytest.approx(1 / np.sqrt(3), abs=1e-10)  # Hopf and Bronstein
    assert hopf(60.0) == pytest.approx(HOPF, abs=1e-10)


@pytest.mark.parametrize(
    ("tau", "q"), [(0.1, 0.627919), (0.2, 0.649550), (1.0, 0.698540), (2.0, 0.707916), (3.0, 0.709806)]
)
def test_hopf_function_is_the_published_one(tau: float, q: float) -> None:
    assert hopf(tau) == pytest.approx(q, abs=2e-6)  # Mihalas (1978), table 3-2


@pytest.mark.parametrize("tau", [0.02, 0.3, 1.5])
def test_source_function_is_the_mean_intensity(tau: float) -> None:
    # Milne's equation: S = (1/2) ∫ E1(|t - tau|) S(t) dt, the definition of the grey atmosphere
    def part(t: float) -> float:
        return 0.5 * float(exp1(abs(t - tau))) * (t + hopf(t))

    pieces = [(0.0, tau), (tau, tau + 1), (tau + 1, tau + 40)]
    mean = sum(quad(part, low, high, epsabs=1e-9, limit=200)[0] for low, high in pieces)
    assert mean == pytest.approx(tau + hopf(tau), abs=1e-6)


def test_effective_temperature_is_near_optical_depth_two_thirds() -> None:
    with jax.enable_x64(True):
        temperature = np.asarray(temperature_of(jnp.asarray([-8.0, np.log10(2 / 3), 2.0]), 5777.0))
    np.testing.assert_allclose(temperature[0] / 5777, (3**0.5 / 4) ** 0.25, rtol=1e-6)
    np.testing.assert_allclose(temperature[1] / 5777, 1.0, atol=0.006)


def test_solar_relation() -> None:
    # Krishna Swamy (1966): T = Teff at tau = 0.312156, the number that stellar models use for this relation
    with jax.enable_x64(True):
        assert float(temperature_of(jnp.log10(0.3121563), 5777.0, "krishna-swamy")) == pytest.approx(5777, rel=1e-6)
        one = [float(temperature_of(jnp.asarray(0.0), 1.0, name)) for name in ("krishna-swamy", "hopf")]
        top = [float(temperature_of(jnp.asarray(-5.0), 1.0, name)) for name in ("krishna-swamy", "hopf")]
    assert one[0] / one[1] == pytest.approx(1.08, abs=0.005)
    assert top[0] / top[1] == pytest.approx(0.99, abs=0.005)


def test_constant_opacity_gives_pressure_in_proportion_to_optical_depth() -> None:
    made = grey_atmosphere(5777, 4.44, 0.0, lambda temperature, pressure: 0 * temperature + 0.5)
    np.testing.assert_allclose(made.pressure, GRAVITY * 10**made.log_tau / 0.5, rtol=1e-9)
    assert (made.teff, made.logg, made.fe_h, made.scale) == (5777.0, 4.44, 0.0, "5000")
    np.testing.assert_array_equal(made.log_tau, LOG_TAU)


@pytest.mark.parametrize("power", [0.3, 1.0])
def test_opacity_that_is_a_power_of_pressure(power: float) -> None:
    # P^n dP = (g / c) dtau for kappa = c P^n
    made = grey_atmosphere(5777, 2.0, 0.0, lambda temperature, pressure: 1e-5 * pressure**power)
    exact = ((1 + power) * 100.0 / 1e-5 * 10**made.log_tau) ** (1 / (1 + power))
    np.testing.assert_allclose(made.pressure, exact, rtol=1e-9)


def solar_opacity(temperature: jax.Array, pressure: jax.Array) -> jax.Array:
    """Rises with temperature as steeply as that of H-."""
    return 0.3 * (pressure / 1e5) ** 0.6 * (temperature / 6000) ** 9


def test_opacity_of_temperature_and_pressure_against_another_integrator() -> None:
    made = grey_atmosphere(5777, 4.44, 0.0, solar_opacity)

    def slope(s: float, log_p: np.ndarray) -> list[float]:
        q = hopf(np.exp(s))
        temperature = 5777 * (0.75 * (np.exp(s) + q)) ** 0.25
        kappa = 0.3 * (np.exp(log_p[0]) / 1e5) ** 0.6 * (temperature / 6000) ** 9
        return [GRAVITY * np.exp(s - log_p[0]) / kappa]

    surface = 0.3 * 1e5**-0.6 * (5777 * (0.75 / np.sqrt(3)) ** 0.25 / 6000) ** 9
    start = np.log(1.6 * GRAVITY * 1e-8 / surface) / 1.6
    depths = made.log_tau[::10] * np.log(10)
    exact = solve_ivp(slope, (np.log(1e-8), depths[-1] + 1e-9), [start], "LSODA", depths, rtol=1e-8, atol=1e-9).y[0]
    np.testing.assert_allclose(np.log10(made.pressure[::10]), exact / np.log(10), atol=6e-4)


def test_temperature_and_pressure_can_be_differentiated() -> None:
    def bottom(teff: jax.Array) -> jax.Array:
        temperature = temperature_of(jnp.asarray(LOG_TAU), teff)

        def step(pressure: jax.Array, _: None) -> tuple[jax.Array, None]:
            kappa = solar_opacity(temperature, pressure)
            return pressure_step(jnp.asarray(LOG_TAU), pressure, kappa, GRAVITY), None

        start = 1e5 * 10 ** (0.6 * jnp.asarray(LOG_TAU))
        return jnp.log(jax.lax.scan(step, start, None, length=25)[0][-1])

    with jax.enable_x64(True):
        slope = float(jax.jit(jax.grad(bottom))(jnp.asarray(5777.0)))
    up, down = (grey_atmosphere(5777 + dt, 4.44, 0.0, solar_opacity).pressure[-1] for dt in (1.0, -1.0))
    assert slope == pytest.approx(np.log(up / down) / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"teff": -5.0}, "no grey atmosphere has Teff -5"),
        ({"logg": np.nan}, "log g nan"),
        ({"relation": "hpf"}, "Did you mean 'hopf'"),
        ({"log_tau": [1.0, 0.0, -1.0]}, "log_tau must be at least 3 increasing"),
        ({"opacity": lambda t, p: t * np.nan}, r"the opacity is nan cm²/g at T = 4\d\d\d K"),
        ({"opacity": lambda t, p: -t}, "it must be positive"),
        ({"opacity": lambda t, p: 1.0}, r"opacity gave shape \(\) for \(71,\) layers"),
        ({"opacity": lambda t, p: 0 * t + next(UNSTEADY)}, "did not converge in 100 steps at Teff 5777 K"),
    ],
)
def test_bad_arguments_are_refused_in_words(change: dict, words: str) -> None:
    arguments = {"teff": 5777.0, "logg": 4.44, "fe_h": 0.0, "opacity": solar_opacity} | change
    with pytest.raises(BayneError, match=words):
        grey_atmosphere(**arguments)

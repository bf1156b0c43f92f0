"""The Voigt function against SciPy's Faddeeva function, on all that lines ask for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import wofz

from bayne.precision import double
from bayne.synthesis.voigt import faddeeva, voigt

A, U = np.meshgrid(np.geomspace(1e-6, 1e3, 91), np.concatenate([np.linspace(0, 12, 601), np.geomspace(12, 1e4, 100)]))


@pytest.fixture(scope="module")
def exact():
    return wofz(U + 1j * A)


@double
def test_relative_error_below_1e_4_everywhere(exact):
    real, imaginary = faddeeva(jnp.asarray(A), jnp.asarray(U))
    np.testing.assert_allclose(real, exact.real, rtol=1e-4)
    np.testing.assert_allclose(real[A > 1e-4], exact.real[A > 1e-4], rtol=2e-6)
    np.testing.assert_allclose(imaginary, exact.imag, rtol=1e-6, atol=1e-12)


@double
def test_it_is_the_gaussian_without_damping():
    u = np.linspace(0, 5.9, 100)
    np.testing.assert_allclose(voigt(jnp.zeros(100), jnp.asarray(u)), np.exp(-(u**2)), atol=1e-11)


@double
def test_it_is_even():
    assert float(voigt(jnp.asarray(0.3), jnp.asarray(-2.0))) == float(voigt(jnp.asarray(0.3), jnp.asarray(2.0)))


@double
def test_its_integral_is_the_root_of_pi():
    u = np.sinh(np.linspace(-14, 14, 20_001))
    area = np.trapezoid(np.asarray(voigt(jnp.full(u.size, 0.5), jnp.asarray(u))), u)
    assert area == pytest.approx(np.sqrt(np.pi), rel=2e-6)


@double
def test_first_derivatives(exact):
    """w' = -2zw + 2i/√π. Where it cancels to nothing, at the turning points, the error is relative to the function."""
    derivative = -2 * (U + 1j * A) * exact + 2j / np.sqrt(np.pi)
    some = (U < 50) & (A < 50)
    by_a, by_u = jax.vmap(jax.grad(voigt, argnums=(0, 1)))(jnp.asarray(A[some]), jnp.asarray(U[some]))
    np.testing.assert_allclose(by_u, derivative.real[some], rtol=1e-4, atol=1e-10)
    np.testing.assert_allclose(by_a, -derivative.imag[some], rtol=1e-4, atol=1e-6)


@double
def test_second_derivatives_are_finite_and_right():
    """∂²H/∂u² + ∂²H/∂a² = 0: H is the real part of an analytic function."""
    for a, u in ((0.01, 0.0), (0.01, 5.0), (0.5, 3.0), (1.0, 20.0)):
        hessian = np.asarray(jax.hessian(lambda x: voigt(x[0], x[1]))(jnp.array([a, u])))
        assert hessian[0, 0] + hessian[1, 1] == pytest.approx(0, abs=1e-4 * np.abs(hessian).max())


@double
def test_no_gradient_is_nan_at_the_edges():
    for a, u in ((0.0, 0.0), (0.0, 6.0), (1e-8, 1e6), (1e4, 0.0)):
        by_a, by_u = jax.grad(voigt, argnums=(0, 1))(jnp.asarray(a), jnp.asarray(u))
        assert np.isfinite(by_a)
        assert np.isfinite(by_u)

"""The Fisher matrix against finite differences and dense matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.emulators import ErrorModel
from bayne.information import cramer_rao_bounds
from bayne.likelihoods import build, with_emulator_error
from bayne.likelihoods.continuum import pilot
from toy import mock_star, toy_emulator


@pytest.fixture(scope="module", params=[False, True], ids=["no emulator error", "emulator error"])
def case(request):
    from dataclasses import replace

    emulator = toy_emulator()
    if request.param:
        rng = np.random.default_rng(2)
        n = emulator.wavelength.size
        emulator = replace(emulator, error=ErrorModel(0.003 * rng.normal(size=(3, n)), np.full(n, 0.002)))
    star = mock_star(emulator, np.array([5500.0, 4.2, -0.2, 0.1]), vsini=10.0, velocity=12.0)
    with jax.enable_x64(True):
        problem = build(
            star, emulator, velocity=12.0, bary=0.0, free=("rv", "vsini"), fixed={}, priors={}, order=2,
            pilot=[pilot(arm, arm.good, 2) for arm in star.arms], with_jitter=True,
        )  # fmt: skip
        theta = jnp.asarray([5500.0, 4.2, -0.2, 0.1, 12.0, 10.0, 0.3, 0.8])
        problem = with_emulator_error(problem, emulator, theta)
        fisher = np.asarray(problem.model.fisher(theta))
    return problem, theta, fisher


def test_the_expansion_has_the_value_and_the_gradient_of_the_likelihood(case):
    problem, theta, fisher = case
    with jax.enable_x64(True):
        value, gradient, matrix = problem.model.expand(theta)
        exact, slope = jax.value_and_grad(problem.model.log_like)(theta)
    np.testing.assert_allclose(value, exact, rtol=1e-6)
    # in units of what moves the likelihood by one: the network is float32
    unit = np.sqrt(np.diag(fisher))
    np.testing.assert_allclose(np.asarray(gradient) / unit, np.asarray(slope) / unit, atol=1e-2)
    np.testing.assert_allclose(matrix, fisher, rtol=1e-6, atol=1e-6 * np.abs(fisher).max())


def dense_covariance(problem, model, extra):
    pixels = jax.tree.map(np.asarray, problem.model.pixels)
    a, n, _ = pixels.basis.shape
    variance = pixels.variance + extra[:, None] + (0.0 if pixels.error is None else pixels.error.variance)
    sigma = np.diag(variance.ravel())
    for i in range(a):
        block = model[i][:, None] * pixels.basis[i] * pixels.spread[i]
        sigma[i * n : (i + 1) * n, i * n : (i + 1) * n] += block @ block.T
    if pixels.error is not None:
        e = pixels.error.basis.reshape(a * n, -1)
        sigma += e @ e.T
    keep = pixels.used.ravel()
    return sigma[np.ix_(keep, keep)], keep


def test_fisher_matrix_is_the_dense_one(case):
    problem, theta, fisher = case
    m = problem.model.n_mean
    photon = np.asarray(problem.model.photon)
    extra = photon * np.expm1(np.asarray(theta[m:]))
    with jax.enable_x64(True):
        model = np.asarray(problem.model.predict(theta))
        steps = [20.0, 0.02, 0.02, 0.02, 0.5, 0.5]
        gradients = []
        for i, h in enumerate(steps):
            e = jnp.zeros(theta.size).at[i].set(h)
            f = [np.asarray(problem.model.predict(theta + k * e)) for k in (-2, -1, 1, 2)]
            gradients.append((8 * (f[2] - f[1]) - (f[3] - f[0])).ravel() / (12 * h))
    sigma, keep = dense_covariance(problem, model, extra)
    inverse = np.linalg.inv(sigma)
    g = np.stack(gradients)[:, keep]
    exact = g @ inverse @ g.T
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    # the network is float32: its finite differences carry 1e-3
    np.testing.assert_allclose(fisher[:m, :m] / scale, exact / scale, atol=3e-3)
    arm = np.repeat(np.arange(2), problem.pilot.shape[1])[keep]
    for i in range(2):
        for j in range(2):
            d_i, d_j = (np.diag(photon[k] * np.exp(float(theta[m + k])) * (arm == k)) for k in (i, j))
            trace = 0.5 * np.trace(inverse @ d_i @ inverse @ d_j)
            assert fisher[m + i, m + j] == pytest.approx(trace, rel=1e-8, abs=1e-8)


def test_unconstrained_labels_are_not_given_a_number(case):
    problem, _, fisher = case
    width = np.asarray(problem.prior.upper - problem.prior.lower)
    dead = fisher.copy()
    dead[3], dead[:, 3] = 0.0, 0.0
    bound, _ = cramer_rao_bounds(dead, width)
    assert np.isinf(bound[3])
    assert np.isfinite(bound[0])
    full, _ = cramer_rao_bounds(fisher, width)
    np.testing.assert_allclose(full, np.sqrt(np.diag(np.linalg.inv(fisher))), rtol=1e-3)

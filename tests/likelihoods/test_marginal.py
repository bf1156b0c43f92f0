"""The marginal likelihood against the dense Gaussian it stands for."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.stats import multivariate_normal

from bayne.likelihoods import Pixels, factorise, log_likelihood
from bayne.likelihoods.fisher import expansion
from bayne.likelihoods.marginal import EmulatorError, coefficients


def small_problem(rank, seed=3):
    """Two arms of 30 pixels, some unused, 3 continuum terms, `rank` emulator-error vectors."""
    rng = np.random.default_rng(seed)
    a, n, c = 2, 30, 3
    used = rng.random((a, n)) > 0.2
    pixels = Pixels(
        used=used,
        variance=rng.uniform(1e-4, 4e-4, (a, n)),
        data=1 + 0.1 * rng.normal(size=(a, n)),
        basis=rng.normal(size=(a, n, c)),
        spread=rng.uniform(0.05, 0.15, size=(a, c)),
    )
    if rank:
        basis = np.where(used[..., None], 0.02 * rng.normal(size=(a, n, rank)), 0.0)
        pixels = replace(pixels, error=EmulatorError(basis, rng.uniform(0, 1e-4, (a, n))))
    return pixels, 1 + 0.1 * rng.normal(size=(a, n)), np.array([0.01, 0.02]) ** 2


def dense(pixels, model, extra):
    """Mean and covariance of the used pixels, written out; and the joint with the coefficients."""
    a, n, c = pixels.basis.shape
    variance = pixels.total_variance + extra[:, None]
    covariance = np.diag(variance.ravel())
    continuum = np.zeros((a * n, a * c))
    for i in range(a):
        continuum[i * n : (i + 1) * n, i * c : (i + 1) * c] = model[i][:, None] * pixels.basis[i] * pixels.spread[i]
    error = np.zeros((a * n, 0)) if pixels.error is None else pixels.error.basis.reshape(a * n, -1)
    keep = pixels.used.ravel()
    linear = np.concatenate([continuum, error], 1)[keep]
    return model.ravel()[keep], covariance[np.ix_(keep, keep)], linear, pixels.data.ravel()[keep]


@pytest.mark.parametrize("rank", [0, 4])
def test_log_likelihood_is_that_of_the_dense_gaussian(rank):
    pixels, model, extra = small_problem(rank)
    mean, diagonal, linear, data = dense(pixels, model, extra)
    exact = multivariate_normal(mean, diagonal + linear @ linear.T).logpdf(data)
    with jax.enable_x64(True):
        ours = log_likelihood(jax.tree.map(jnp.asarray, pixels), jnp.asarray(model), jnp.asarray(extra))
    assert float(ours) == pytest.approx(exact, rel=1e-10)
    no_determinant = -0.5 * (data - mean) @ np.linalg.solve(diagonal + linear @ linear.T, data - mean)
    assert abs(float(ours) - no_determinant) > 1


@pytest.mark.parametrize("rank", [0, 4])
def test_marginalising_is_integrating_over_the_coefficients(rank):
    """The posterior mean of the coefficients solves the ridge regression of the residuals."""
    pixels, model, extra = small_problem(rank)
    mean, diagonal, linear, data = dense(pixels, model, extra)
    weight = np.diag(1 / np.diag(diagonal))
    solution = np.linalg.solve(np.eye(linear.shape[1]) + linear.T @ weight @ linear, linear.T @ weight @ (data - mean))
    with jax.enable_x64(True):
        on_device = jax.tree.map(jnp.asarray, pixels)
        ratio, correction = (np.asarray(v) for v in coefficients(on_device, jnp.asarray(model), jnp.asarray(extra)))
    fitted = (model * (ratio - 1) + correction).ravel()[pixels.used.ravel()]
    np.testing.assert_allclose(fitted, linear @ solution, rtol=1e-9, atol=1e-12)


def test_masked_pixels_have_no_influence():
    pixels, model, extra = small_problem(2)
    with jax.enable_x64(True):
        before = log_likelihood(jax.tree.map(jnp.asarray, pixels), jnp.asarray(model), jnp.asarray(extra))
        pixels = replace(pixels, data=np.where(pixels.used, pixels.data, 1e6))
        model = np.where(pixels.used, model, model + 3)
        after = log_likelihood(jax.tree.map(jnp.asarray, pixels), jnp.asarray(model), jnp.asarray(extra))
    assert float(before) == pytest.approx(float(after), rel=1e-12)


@pytest.mark.parametrize("rank", [0, 4])
def test_solved_vectors_are_those_of_the_dense_covariance(rank):
    pixels, model, extra = small_problem(rank)
    _, diagonal, linear, _ = dense(pixels, model, extra)
    x = np.random.default_rng(1).normal(size=(*model.shape, 2))
    keep = pixels.used
    with jax.enable_x64(True):
        pixels = jax.tree.map(jnp.asarray, pixels)
        ours = np.asarray(factorise(pixels, jnp.asarray(model), jnp.asarray(extra), jnp.asarray(x)).solved(x))
    np.testing.assert_allclose(ours[keep], np.linalg.solve(diagonal + linear @ linear.T, x[keep]), rtol=1e-8)
    assert not ours[~keep].any()


@pytest.mark.parametrize("rank", [0, 4])
def test_gradient_and_fisher_matrix_are_those_of_the_dense_gaussian(rank):
    pixels, model, extra = small_problem(rank)
    derivatives = np.where(pixels.used[..., None], np.random.default_rng(4).normal(size=(*model.shape, 2)), 0.0)

    def log_density(theta):
        mean, diagonal, linear, data = dense(pixels, model + derivatives @ theta[:2], extra * (1 + theta[2:]))
        return multivariate_normal(mean, diagonal + linear @ linear.T).logpdf(data)

    steps = 1e-6 * np.eye(4)
    gradient = [(log_density(step) - log_density(-step)) / 2e-6 for step in steps]
    _, diagonal, linear, _ = dense(pixels, model, extra)
    inverse = np.linalg.inv(diagonal + linear @ linear.T)
    keep = pixels.used.ravel()
    of_mean = derivatives.reshape(-1, 2)[keep]
    arm = np.repeat(np.diag(extra), model.shape[1], axis=0)[keep]  # jitter adds to one arm or the other
    of_jitter = [[0.5 * np.trace(inverse * a @ (inverse * b)) for b in arm.T] for a in arm.T]
    with jax.enable_x64(True):
        arrays = jax.tree.map(jnp.asarray, (pixels, model, derivatives, extra))
        value, ours, fisher = expansion(*arrays, arrays[3])
        assert float(value) == pytest.approx(float(log_likelihood(arrays[0], arrays[1], arrays[3])), rel=1e-12)
    np.testing.assert_allclose(ours, gradient, rtol=1e-5)
    np.testing.assert_allclose(fisher, block_diag(of_mean.T @ inverse @ of_mean, of_jitter), rtol=1e-8)

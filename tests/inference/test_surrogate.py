"""The polynomial stand-in for a likelihood: what it must reproduce, and what it forgets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.inference.optimise import from_box
from bayne.inference.surrogate import Frame, frame_at, learn, tempered, walk
from bayne.information import fisher_matrix
from bayne.likelihood import Prior, build, jacobian
from bayne.likelihood.continuum import pilot
from toy import mock_star, toy_emulator

STAR = np.array([5500.0, 4.2, -0.2, 0.1, 12.0, 15.0, 0.0])


def curved(x):
    """c and log likelihood of parameters (k, 3): quadratic in them, and of fourth order."""
    c = np.stack([x[:, 0] + 0.3 * x[:, 1] ** 2, 2 * x[:, 1] - x[:, 0] * x[:, 2]], axis=1)
    return c, -0.5 * np.sum((c - [0.4, -1.0]) ** 2, axis=1) - 0.1 * x[:, 2] ** 2 + 7.0


def test_a_likelihood_that_is_a_square_of_quadratics_is_learned_wherever_the_draws_were():
    rng = np.random.default_rng(0)
    there, elsewhere = rng.normal(size=(500, 3)), rng.normal(size=(50, 3)) + 3.0
    with jax.enable_x64(True):
        surrogate = learn(there, *curved(there), np.ones(500))
        found = np.asarray(jax.vmap(surrogate.log_like)(jnp.asarray(elsewhere)))
    exact = curved(elsewhere)[1]
    assert np.std(exact) > 30
    assert np.std(found - exact) < 0.02 * np.std(exact)
    # a quadratic regression of the log likelihood itself, which those of a Gaussian approximation are
    terms = [np.ones(500), *there.T, *(there[:, i] * there[:, j] for i in range(3) for j in range(i, 3))]
    far = [np.ones(50), *elsewhere.T, *(elsewhere[:, i] * elsewhere[:, j] for i in range(3) for j in range(i, 3))]
    naive = np.stack(far, 1) @ np.linalg.lstsq(np.stack(terms, 1), curved(there)[1], rcond=None)[0]
    assert np.std(naive - exact) > 0.3 * np.std(exact)


def test_axes_whiten_the_tangent_plane():
    """Their products with the Jacobian square to the Fisher matrix, which its own test compares with a dense one."""
    star = mock_star(toy_emulator(), STAR[:4], vsini=15.0, velocity=12.0)
    with jax.enable_x64(True):
        problem = build(
            star, toy_emulator(), velocity=12.0, bary=0.0, free=("rv", "vsini"), fixed={}, priors={}, order=2,
            pilot=[pilot(arm, arm.good, 2) for arm in star.arms], with_jitter=True,
        )  # fmt: skip
        x = jnp.asarray(np.pad(STAR, (0, len(problem.static.names) - STAR.size)))
        frame = frame_at(problem.static, problem.arrays, problem.prior, from_box(problem.prior, x), jnp.eye(x.size))
        at = frame.parameters(problem.prior, jnp.zeros(x.size))[0]
        slope = np.einsum("anm,ank->mk", frame.axes, jacobian(problem.static, problem.arrays, at)[1])
        fisher = np.asarray(fisher_matrix(problem.static, problem.arrays, at))[:6, :6]
    size = np.sqrt(np.diag(fisher))
    np.testing.assert_allclose((slope.T @ slope) / np.outer(size, size), fisher / np.outer(size, size), atol=1e-6)


def test_a_population_far_out_comes_to_the_surrogates_posterior():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 3))
    c = x @ np.diag([1.0, 2.0, 0.5])
    with jax.enable_x64(True):
        surrogate = learn(x, c, -0.5 * np.sum((c - 1) ** 2, axis=1), np.ones(500))
        wide, zero = jnp.full(3, 200.0), jnp.zeros(3)
        prior = Prior(-wide, wide, zero, zero, {}, (jnp.zeros((0, 3)), jnp.zeros(0)))
        frame = Frame(zero, jnp.diag(jnp.array([1.0, 0.5, 2.0]) / 100), zero, zero)
        z = walk(surrogate, frame, prior, jnp.full((4000, 3), 4.0), jax.random.key(0))
        x = np.asarray(jax.vmap(lambda z: frame.parameters(prior, z)[0])(z))
    # exact: c is a unit Gaussian about 1
    assert x.mean(axis=0) / [1.0, 0.5, 2.0] == pytest.approx(1, abs=0.06)
    assert x.std(axis=0) / [1.0, 0.5, 2.0] == pytest.approx(1, abs=0.04)


def test_tempered_weights_leave_half_of_the_draws_effective():
    log_weight = np.random.default_rng(2).normal(0, 20, 1000)
    weight = tempered(log_weight)
    assert weight.sum() ** 2 / np.sum(weight**2) == pytest.approx(500, rel=0.01)
    assert np.all(np.diff(weight[np.argsort(log_weight)]) >= 0)
    assert tempered(np.zeros(10)) == pytest.approx(1)

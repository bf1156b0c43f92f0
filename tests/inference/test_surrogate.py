"""The polynomial stand-in for a likelihood, and the coordinates that make it a good one."""

import jax
import jax.numpy as jnp
import numpy as np

from bayne.inference.surrogate import learn, tangent_plane
from bayne.likelihoods import build
from bayne.likelihoods.continuum import pilot
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
    exact, near = curved(elsewhere)[1], np.isfinite(found)
    assert near.sum() > 40  # the others are too far out to be believed
    assert np.std(exact) > 30
    assert np.std((found - exact)[near]) < 0.02 * np.std(exact)
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
        x = jnp.asarray(np.pad(STAR, (0, len(problem.model.names) - STAR.size)))
        plane = tangent_plane(problem.model, x, *problem.model.jacobian(x))
        derivatives = problem.model.jacobian(x)[1]
        slope = np.asarray(plane.axes @ derivatives.reshape(-1, derivatives.shape[-1]))
        fisher = np.asarray(problem.model.fisher(x))[:6, :6]
    size = np.sqrt(np.diag(fisher))
    np.testing.assert_allclose((slope.T @ slope) / np.outer(size, size), fisher / np.outer(size, size), atol=1e-6)

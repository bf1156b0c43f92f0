"""Draws of a surrogate's posterior, also where importance sampling cannot find them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import truncnorm

from bayne.inference import surrogate_sampling as module
from bayne.inference.copula import Marginals
from bayne.inference.surrogate import learn
from bayne.inference.surrogate_sampling import Proposal, sample_surrogate
from densities import uniform

LOWER, UPPER = np.array([-1.0, -2.0, 0.0, -5.0]), np.array([3.0, 2.0, 1.0, 5.0])
RIDGE, LEAN, FOLLOWS = 6.0, 0.5, 0.9


def well(x):
    """Log density of the second parameter: peaks near -1 and 1, the right one the higher, with a ridge between."""
    return -0.5 * (RIDGE * (x**2 - 1)) ** 2 + LEAN * x


def surrogate():
    """A Gaussian that the box cuts, two peaks, one that the data do not tell, and one that follows the first."""
    x = np.random.default_rng(0).uniform(LOWER, UPPER, (2000, 4))
    c = np.stack([x[:, 0], RIDGE * (x[:, 1] ** 2 - 1), (x[:, 3] - FOLLOWS * x[:, 0]) / np.sqrt(1 - FOLLOWS**2)], axis=1)
    return learn(x, c, -0.5 * np.sum(c**2, axis=1) + LEAN * x[:, 1], np.ones(2000))


def exact():
    """(4, 2) means and standard deviations."""
    first = truncnorm(LOWER[0], UPPER[0])
    power = [quad(lambda x, k=k: x**k * np.exp(well(x)), -2, 2)[0] for k in range(3)]
    mean = power[1] / power[0]
    follows = (FOLLOWS * first.mean(), np.sqrt(FOLLOWS**2 * first.var() + 1 - FOLLOWS**2))
    second = (mean, np.sqrt(power[2] / power[0] - mean**2))
    return np.array([(first.mean(), first.std()), second, (0.5, 1 / np.sqrt(12)), follows])


@pytest.fixture
def draws():
    """Draws and their worth, in the coordinates of a copula that knows the marginals, roughly."""

    def call(count=1000, seed=1):
        with jax.enable_x64(True):
            edges = np.linspace(LOWER, UPPER, 101).T
            x = 0.5 * (edges[:, 1:] + edges[:, :-1])
            density = np.exp(0.85 * np.stack([-0.5 * x[0] ** 2, well(x[1]), 0 * x[2], -0.5 * x[3] ** 2]))
            mass = density / density.sum(axis=1, keepdims=True)
            cumulative = np.cumsum(np.pad(mass, ((0, 0), (1, 0))), axis=1)
            values = (edges, cumulative, np.log(mass / np.diff(edges)), np.eye(4))
            marginals = Marginals(*(jnp.asarray(v) for v in values))
            zero = jnp.zeros(4)
            prior = uniform(LOWER, UPPER)
            proposal = Proposal(zero, jnp.eye(4))
            x, _, worth = sample_surrogate(surrogate(), marginals, prior, proposal, count, np.random.default_rng(seed))
        return np.asarray(x), worth

    return call


def assert_exact(x):
    mean, std = exact().T
    # of a thousand draws a mean is good to 0.03 sigma, a standard deviation to 2%
    np.testing.assert_allclose((x.mean(axis=0) - mean) / std, 0, atol=0.12)
    np.testing.assert_allclose(x.std(axis=0) / std, 1, atol=0.08)
    assert np.all((x >= LOWER) & (x <= UPPER))


def test_where_weights_can_be_trusted_they_are_enough(draws, monkeypatch):
    monkeypatch.setattr(module, "_hmc_moves", None)  # not called
    x, worth = draws()
    assert worth > 1000
    assert_exact(x)


def test_where_they_cannot_draws_move_until_they_have_forgotten_their_start(draws, monkeypatch):
    monkeypatch.setattr(module, "KHAT_MAX", -10.0)
    x, worth = draws()
    assert worth == np.inf
    assert len(np.unique(x[:, 0])) > 900
    assert_exact(x)


def test_draws_that_cannot_cross_a_ridge_are_not_trusted(draws, monkeypatch):
    """Trajectories alone stay at their peak, as often there as the start was."""
    monkeypatch.setattr(module, "KHAT_MAX", -10.0)
    monkeypatch.setattr(module, "ALONE", 0)
    assert draws()[1] == 0


def test_far_from_its_lessons_a_surrogate_has_no_likelihood():
    """For its polynomials may rise without end, as these do."""
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(size=(500, 4))
        rising = learn(x, x, x[:, 0] ** 2 - 0.5 * np.sum(x**2, axis=1), np.ones(500))
        places = jnp.zeros((4, 4)).at[:, 0].set(jnp.asarray([0.0, 3.0, 6.0, 12.0]))
        at = np.asarray(jax.vmap(rising.log_like)(places))
    np.testing.assert_allclose(np.diff(at[:3]), [4.5, 13.5], rtol=0.02)
    assert at[3] == -np.inf

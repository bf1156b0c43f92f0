"""The emulator's error in the likelihood is that of the star."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.emulators import ErrorModel
from bayne.information import fisher_matrix
from bayne.likelihood import Problem, build, with_emulator_error
from bayne.likelihood.continuum import pilot
from toy import LABEL_ERRORS, erring_emulator, mock_star, toy_emulator

STAR = np.array([5500.0, 4.2, -0.2, 0.1, 12.0, 15.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def bare() -> Problem:
    star = mock_star(toy_emulator(), STAR[:4], vsini=15.0, velocity=12.0)
    with jax.enable_x64(True):
        return build(
            star, toy_emulator(), velocity=12.0, bary=0.0, free=("rv", "vsini"), fixed={}, priors={}, order=2,
            pilot=[pilot(arm, arm.good, 2) for arm in star.arms], with_jitter=True,
        )  # fmt: skip


def test_metal_rich_star_gets_the_larger_error(bare: Problem) -> None:
    with jax.enable_x64(True):
        poor, rich = (
            with_emulator_error(
                bare, erring_emulator(), np.array([5500.0, 4.2, iron, 0.1, 12.0, 15.0, 0.0, 0.0])
            ).arrays
            for iron in (-0.9, 0.4)
        )
    for name in ("error_variance", "error_basis"):
        assert np.mean(np.asarray(rich[name]) ** 2) > 1.3 * np.mean(np.asarray(poor[name]) ** 2)
        assert not np.any(np.asarray(rich[name])[~np.asarray(bare.arrays["used"])])


def test_covariance_grows_with_the_square_of_the_error(bare: Problem) -> None:
    with jax.enable_x64(True):
        one, three = (with_emulator_error(bare, erring_emulator(k), STAR).arrays for k in (1.0, 3.0))
    np.testing.assert_allclose(three["error_variance"], 9 * np.asarray(one["error_variance"]), rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(three["error_basis"], 3 * np.asarray(one["error_basis"]), rtol=1e-4, atol=1e-7)


def test_label_errors_add_to_the_covariance_of_the_labels(bare: Problem) -> None:
    """Exactly: an emulator that takes a star for one of other labels shifts the answer by the difference."""
    emulator = toy_emulator()
    model = ErrorModel(np.zeros((0, emulator.wavelength.size)), np.zeros(emulator.wavelength.size), LABEL_ERRORS)

    def covariance(problem: Problem) -> np.ndarray:
        with jax.enable_x64(True):
            fisher = np.asarray(fisher_matrix(problem.static, problem.arrays, jnp.asarray(STAR)))
        return np.linalg.inv(fisher[:6, :6])

    def excess(theta: np.ndarray) -> np.ndarray:
        with jax.enable_x64(True):
            problem = with_emulator_error(bare, replace(emulator, error=model), theta)
        return covariance(problem) - covariance(bare)

    expected = np.diag([*LABEL_ERRORS**2, 0, 0])
    scale = np.sqrt(np.outer(*2 * [np.diag(covariance(bare) + expected)]))
    np.testing.assert_allclose(excess(STAR) / scale, expected / scale, atol=1e-3)
    sharp = STAR.copy()
    sharp[5] = 0.0
    assert np.max(np.abs(excess(sharp) - expected) / scale) > 0.05, "lines without rotation are others"


def test_emulator_without_error_changes_nothing(bare: Problem) -> None:
    assert with_emulator_error(bare, toy_emulator(), STAR) is bare

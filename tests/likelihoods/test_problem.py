"""The emulator's error in the likelihood is that of the star."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.emulators import ErrorModel
from bayne.likelihoods import Problem, build, log_posterior, with_emulator_error, with_robust_widths
from bayne.likelihoods.continuum import pilot
from bayne.lsf import GaussianLSF
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


def test_one_pixel_in_three_has_the_spectrum_and_the_noise_of_the_whole(bare: Problem) -> None:
    with jax.enable_x64(True):
        whole = with_emulator_error(bare, erring_emulator(), STAR).model
        few = whole.thinned(3)
        at = jnp.asarray(STAR)
        np.testing.assert_allclose(few.predict(at), whole.predict(at)[:, ::3], rtol=1e-6)
        for name in ("data", "used", "basis", "total_variance"):
            np.testing.assert_array_equal(getattr(few.pixels, name), getattr(whole.pixels, name)[:, ::3])


def test_metal_rich_star_gets_the_larger_error(bare: Problem) -> None:
    with jax.enable_x64(True):
        poor, rich = (
            with_emulator_error(
                bare, erring_emulator(), np.array([5500.0, 4.2, iron, 0.1, 12.0, 15.0, 0.0, 0.0])
            ).model.pixels.error
            for iron in (-0.9, 0.4)
        )
    for name in ("variance", "basis"):
        most, least = (np.asarray(getattr(error, name)) for error in (rich, poor))
        assert np.mean(most**2) > 1.3 * np.mean(least**2)
        assert not np.any(most[~bare.plan.used])


def test_covariance_grows_with_the_square_of_the_error(bare: Problem) -> None:
    with jax.enable_x64(True):
        one, three = (with_emulator_error(bare, erring_emulator(k), STAR).model.pixels.error for k in (1.0, 3.0))
    assert one is not None
    assert three is not None
    np.testing.assert_allclose(three.variance, 9 * np.asarray(one.variance), rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(three.basis, 3 * np.asarray(one.basis), rtol=1e-4, atol=1e-7)


def test_label_errors_add_to_the_covariance_of_the_labels(bare: Problem) -> None:
    """Exactly: an emulator that takes a star for one of other labels shifts the answer by the difference."""
    emulator = toy_emulator()
    model = ErrorModel(np.zeros((0, emulator.wavelength.size)), np.zeros(emulator.wavelength.size), LABEL_ERRORS)

    def covariance(problem: Problem) -> np.ndarray:
        with jax.enable_x64(True):
            fisher = np.asarray(problem.model.fisher(jnp.asarray(STAR)))
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


def test_robust_widths_change_the_curvature_and_leave_the_maximum(bare: Problem) -> None:
    """The likelihood at θ is that of the model nearer to the maximum, and so are its derivatives."""
    shrink = np.diag([0.5, 0.4, 0.3, 0.8, 1.0, 0.9]) + 1e-3
    wide = with_robust_widths(bare, STAR, shrink)
    move = np.array([30.0, 0.05, 0.02, 0.01, 0.1, 0.5, 0.0, 0.0])
    nearer = np.concatenate([shrink @ move[:6], move[6:]])
    with jax.enable_x64(True):
        fisher, wider = (np.asarray(p.model.fisher(jnp.asarray(STAR)))[:6, :6] for p in (bare, wide))
        here, there = (
            float(log_posterior(p.model, p.prior, jnp.asarray(STAR + m))) for p, m in ((wide, move), (bare, nearer))
        )
        own, moved = (float(p.prior.log_density(jnp.asarray(STAR + m))) for p, m in ((wide, move), (bare, nearer)))
    np.testing.assert_allclose(wider, shrink.T @ fisher @ shrink, rtol=1e-5, atol=1e-6 * fisher.max())
    assert here - own == pytest.approx(there - moved, abs=2e-3)  # networks are float32


def test_the_share_of_a_top_hat_is_free_where_its_profile_says_so() -> None:
    star = mock_star(toy_emulator(), STAR[:4], velocity=12.0)
    for sigma, names in ((0.0, set()), (0.2, {"lsf_box"})):
        boxy = [replace(a, lsf=GaussianLSF(a.lsf.fwhm, box=0.4, box_sigma=sigma)) for a in star.arms]  # type: ignore[union-attr]
        with jax.enable_x64(True):
            problem = build(
                replace(star, arms=tuple(boxy)), toy_emulator(), velocity=12.0, bary=0.0, free=("rv",), fixed={},
                priors={}, order=2, pilot=[pilot(arm, arm.good, 2) for arm in boxy], with_jitter=True,
            )  # fmt: skip
            at = 0.5 * (problem.prior.lower + problem.prior.upper)
            _, derivatives = problem.model.jacobian(at)
        assert set(problem.model.names) & {"lsf_box", "lsf_scale"} == names
        if names:
            assert np.abs(derivatives[..., problem.model.names.index("lsf_box")]).max() > 1e-4

"""Draws from truncated Gaussians, against exact ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import OptimizeResult
from scipy.stats import norm

from bayne.inference import truncated
from bayne.inference.truncated import TruncatedGaussian

NO_WALLS = (np.zeros((0, 2)), np.zeros(0))


@pytest.fixture(params=["tilting", "gibbs"])
def sampler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gibbs sampling is what is left when no proposal is accepted."""
    if request.param == "gibbs":
        monkeypatch.setattr(truncated, "ROUNDS", 0)


def draws(covariance: np.ndarray, reach: float, halfspaces: tuple[np.ndarray, np.ndarray] = NO_WALLS) -> np.ndarray:
    """(n, 2) draws about zero in a box of ±`reach`."""
    box = np.full(2, reach)
    rng = np.random.default_rng(1)
    return TruncatedGaussian(np.linalg.inv(covariance), np.zeros(2), -box, box, halfspaces).draws(2000, rng)


@pytest.mark.usefixtures("sampler")
@pytest.mark.parametrize("rho", [0.0, 0.9, 0.999, -0.99999])
def test_strong_correlations_are_no_obstacle(rho: float) -> None:
    """2000 independent draws know a standard deviation to 1.6%, a correlation to (1 - rho²)/45."""
    covariance = np.array([[1.0, rho], [rho, 1.0]])
    found = draws(covariance, reach=50.0)
    np.testing.assert_allclose(found.std(axis=0), 1.0, rtol=0.06)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=0.09)
    assert np.corrcoef(found.T)[0, 1] == pytest.approx(rho, abs=1e-9 + 4 * (1 - rho**2) / 45)


def test_moves_along_the_axes_alone_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known-bad twin: Gibbs sampling of the coordinates has not spread after as many sweeps."""
    monkeypatch.setattr(truncated, "ROUNDS", 0)
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: (np.ones(2), np.eye(2)))
    assert np.all(draws(np.array([[1.0, 0.999], [0.999, 1.0]]), reach=50.0).std(axis=0) < 0.8)


@pytest.mark.usefixtures("sampler")
def test_parameters_that_only_the_box_holds_are_uniform() -> None:
    found = draws(np.diag([1e6, 1.0]), reach=2.0)
    np.testing.assert_allclose(np.quantile(found[:, 0], [0.25, 0.5, 0.75]), [-1, 0, 1], atol=0.15)
    assert np.abs(found).max() <= 2


@pytest.mark.usefixtures("sampler")
def test_walls_cut_as_rejection_does() -> None:
    covariance = np.array([[1.0, 0.95], [0.95, 1.0]])
    wall = (np.array([[1.0, -0.5]]), np.array([0.2]))
    found = draws(covariance, reach=1.5, halfspaces=wall)
    exact = np.random.default_rng(2).multivariate_normal(np.zeros(2), covariance, 400_000)
    exact = exact[(np.abs(exact).max(axis=1) < 1.5) & (exact @ wall[0][0] <= 0.2)]
    np.testing.assert_allclose(found.mean(axis=0), exact.mean(axis=0), atol=0.08)
    np.testing.assert_allclose(found.std(axis=0), exact.std(axis=0), rtol=0.08)
    assert np.all(found @ wall[0][0] <= 0.2 + 1e-9)


@pytest.mark.usefixtures("sampler")
def test_a_centre_behind_a_wall_by_a_hair_is_brought_back() -> None:
    """The optimiser may end there; draws are those of the half of a Gaussian."""
    many = np.array([[1.0, 0.0], [0.9, 0.1], [0.8, -0.1]])
    wall = (many, np.full(3, -1e-4))
    box = np.full(2, 50.0)
    found = TruncatedGaussian(np.eye(2), np.zeros(2), -box, box, wall).draws(2000, np.random.default_rng(1))
    exact = np.random.default_rng(2).normal(size=(400_000, 2))
    exact = exact[np.all(exact @ many.T <= 0, axis=1)]
    np.testing.assert_allclose(found.mean(axis=0), exact.mean(axis=0), atol=0.08)
    assert np.all(found @ many.T <= 1e-9)


def positive_orthant(n: int) -> tuple[float, float]:
    """Exact mean of a coordinate and of its square in the positive orthant, for Gaussians with all correlations 1/2.

    Given z, coordinates are (z + w)/√2 with independent w > -z, and the density of z is (n + 1) φ(z) Φ(z)^n.
    """

    def mean(power: int) -> float:
        def inner(z: float) -> float:
            first = z + norm.pdf(z) / norm.cdf(z)
            given = (first / np.sqrt(2), (1 + z * first) / 2)[power - 1]
            return float((n + 1) * norm.pdf(z) * norm.cdf(z) ** n * given)

        return float(quad(inner, -8, 12)[0])

    return mean(1), mean(2)


def in_orthant(n: int) -> np.ndarray:
    """Draws there."""
    covariance = 0.5 * (np.eye(n) + 1)
    none = (np.zeros((0, n)), np.zeros(0))
    rng = np.random.default_rng(3)
    cut = TruncatedGaussian(np.linalg.inv(covariance), np.zeros(n), np.zeros(n), np.full(n, 20.0), none)
    return cut.draws(4000, rng)


def test_corners_of_many_dimensions_have_their_exact_moments() -> None:
    first, second = positive_orthant(20)
    found = in_orthant(20)
    np.testing.assert_allclose(found.mean(), first, rtol=0.02)
    np.testing.assert_allclose((found**2).mean(), second, rtol=0.04)


def test_a_saddle_point_that_is_none_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known-bad twin: one coordinate after the other, without tilt, all accepted."""
    monkeypatch.setattr(truncated, "root", lambda _, start, **__: OptimizeResult(x=start, success=True))
    first, _ = positive_orthant(20)
    assert abs(in_orthant(20).mean() / first - 1) > 0.06

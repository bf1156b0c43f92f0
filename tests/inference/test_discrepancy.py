"""What an emulator's card says of its physics, in labels and errors."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.infer.util import log_density

import bayne
from bayne.inference.discrepancy import Discrepancy
from bayne.likelihoods.priors import make_prior

NAMES, LOWER, UPPER = ("teff", "logg", "rv"), np.array([4000.0, 0.0, -50.0]), np.array([7000.0, 5.0, 50.0])
SIGMA = np.array([100.0, 0.3, 0.0])
NO_HULL = (np.zeros((0, 3)), np.zeros(0))


def discrepancy(**priors):
    return Discrepancy(SIGMA, *make_prior(NAMES, LOWER, UPPER, priors, NO_HULL))


def test_errors_add_in_quadrature_and_nothing_moves():
    own, fitted = discrepancy(), np.array([5500.0, 3.0, 10.0])
    covariance = np.array([[900.0, 1.0, 2.0], [1.0, 0.01, 0.0], [2.0, 0.0, 4.0]])
    np.testing.assert_allclose(own.best(fitted), fitted)
    np.testing.assert_allclose(own.covariance(covariance), covariance + np.diag(SIGMA**2))
    rng = np.random.default_rng(0)
    draws = own.draws(rng.multivariate_normal(fitted, covariance, 20_000), rng)
    total = np.sqrt(np.diag(covariance) + SIGMA**2)
    np.testing.assert_allclose((draws.mean(axis=0) - fitted) / total, 0.0, atol=5 / np.sqrt(len(draws)))
    np.testing.assert_allclose(draws.std(axis=0), total, rtol=0.03)


GRID = np.linspace(LOWER[1], UPPER[1], 1001)
LEVELS = [0.16, 0.5, 0.84]


def of_spectrum(given, rng):
    """Draws (k, 3) of fitted labels: the spectrum says log g = 3.0 ± 0.1, the priors are those given."""
    prior, _ = make_prior(NAMES, LOWER, UPPER, given, NO_HULL)
    x = np.tile([5500.0, 0.0, 10.0], (GRID.size, 1))
    x[:, 1] = GRID
    log = np.array([float(prior.log_density(jnp.asarray(one))) for one in x]) - 0.5 * ((GRID - 3.0) / 0.1) ** 2
    weight = np.exp(log - log.max()) * (np.clip(GRID, prior.lower[1], prior.upper[1]) == GRID)
    return x[rng.choice(GRID.size, 20_000, p=weight / weight.sum())]


@pytest.mark.parametrize("prior", [(3.3, 0.1), dist.StudentT(4.0, 3.3, 0.1), dist.Uniform(3.1, 3.2)])
def test_priors_are_of_the_true_labels(prior):
    """Against Bayes' theorem on a grid; the known-bad twin adds errors to what the prior said of the fitted label."""
    density = np.exp(-0.5 * ((GRID - 3.0) / np.hypot(0.1, 0.3)) ** 2)
    truth = prior if isinstance(prior, dist.Distribution) else dist.Normal(*prior)
    inside = np.asarray(truth.support(GRID))
    density *= inside * np.exp(np.asarray(truth.log_prob(np.where(inside, GRID, 3.15))))
    exact = np.interp(LEVELS, np.cumsum(density) / density.sum(), GRID)

    own, rng = discrepancy(logg=prior), np.random.default_rng(1)
    draws = own.draws(of_spectrum(own.priors(NAMES, {"logg": prior}), rng), rng)[:, 1]
    np.testing.assert_allclose(np.quantile(draws, LEVELS), exact, atol=0.012)
    wrong = of_spectrum({"logg": prior}, rng)[:, 1] + rng.normal(0, SIGMA[1], 20_000)
    assert np.abs(np.quantile(wrong, LEVELS) - exact).max() > 0.1


def test_draws_stay_in_the_domain():
    own = discrepancy(logg=dist.Uniform(2.0, 3.0))
    fitted = np.tile([4010.0, 3.4, 0.0], (4000, 1))
    draws = own.draws(fitted, np.random.default_rng(2))
    assert draws[:, 0].min() >= 4000
    assert 2.0 <= draws[:, 1].min() <= draws[:, 1].max() <= 3.0
    assert own.best(fitted[0]).tolist() == [4010.0, 3.0, 0.0]


@pytest.fixture(scope="module")
def uncertain(emulator):
    """The star of these tests has [Fe/H] = -0.2, so that log g is uncertain by 0.1."""
    return replace(emulator, card=replace(emulator.card, discrepancy={"teff": (80.0, 0.0), "logg": (0.03, 0.5)}))


@pytest.mark.parametrize(("method", "tolerance"), [("map", 0.05), ("fast", 0.1)])
def test_labels_stay_and_errors_grow(star, emulator, uncertain, method, tolerance):
    """In quadrature, and more for fewer metals."""
    wide, plain = (
        {str(row["label"]): row for row in bayne.fit_star(star, own, method=method).table}
        for own in (uncertain, emulator)
    )
    for name, sigma in {"teff": 80.0, "logg": np.hypot(0.03, 0.5 * 0.2), "fe_h": 0.0, "mg_fe": 0.0}.items():
        assert wide[name]["std"] == pytest.approx(np.hypot(plain[name]["std"], sigma), rel=tolerance)
        # of two thousand draws
        assert abs(wide[name]["median"] - plain[name]["median"]) < 0.3 * plain[name]["std"] + 0.1 * sigma


def test_a_prior_is_of_the_true_label(star, uncertain):
    """Asteroseismology knows log g better than the emulator's physics does; the spectrum may say something else."""
    result = bayne.fit_star(star, uncertain, method="map", priors={"logg": (4.6, 0.01)})
    (row,) = (row for row in result.table if row["label"] == "logg")
    assert row["median"] == pytest.approx(4.6, abs=0.01)
    assert row["std"] == pytest.approx(0.01, rel=0.05)
    assert result.ok
    sure = bayne.fit_star(star, replace(uncertain, card=replace(uncertain.card, discrepancy={})), method="map",
                          priors={"logg": (4.6, 0.01)})  # fmt: skip
    teff = [next(row["median"] for row in one.table if row["label"] == "teff") for one in (result, sure)]
    assert abs(teff[0] - 5400) < abs(teff[1] - 5400)


def test_numpyro_has_a_site_for_what_the_spectrum_says(star, uncertain):
    """Its density is that of prior, discrepancy and likelihood."""
    with jax.enable_x64(True):
        model = bayne.model(star, uncertain, windows=[(5000.0, 5050.0)])
        like, values = model.likelihood, dict(model.best)
        assert like.discrepancy == pytest.approx({"teff": 80.0, "logg": 0.1}, rel=0.1)
        assert set(values) == {*like.names, "teff_emulator", "logg_emulator"}
        changed = values | {"teff": values["teff"] + 80.0}
        fitted = changed | {name: changed[f"{name}_emulator"] for name in ("teff", "logg")}
        density, _ = log_density(model, (), {}, changed)
        expected = like.log_prob({name: fitted[name] for name in like.names})
        for name, prior in model.priors.items():
            expected += prior.log_prob(changed[name])
        for name, sigma in like.discrepancy.items():
            expected += dist.Normal(changed[name], sigma).log_prob(changed[f"{name}_emulator"])
        np.testing.assert_allclose(density, expected, atol=0.01)  # what the domain cuts off

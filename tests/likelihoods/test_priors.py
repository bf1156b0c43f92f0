"""Priors: cut to the domain, and refused in words when they cannot be meant."""

import json

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from bayne.errors import BayneError
from bayne.likelihoods.priors import described, make_prior

NO_WALLS = (np.zeros((0, 2)), np.zeros(0))
LOW, HIGH = np.array([4000.0, 1.0]), np.array([7000.0, 5.0])


def build(**given):
    return make_prior(("teff", "logg"), LOW, HIGH, given, NO_WALLS)


def test_default_is_flat_in_the_domain():
    prior, spread = build()
    assert float(prior.log_density(np.array([4100.0, 4.0]))) == float(prior.log_density(np.array([6900.0, 1.5])))
    np.testing.assert_allclose(spread, (HIGH - LOW) / np.sqrt(12))


def test_pairs_and_numpyro_normals_are_the_same_gaussian():
    pair, _ = build(teff=(5000.0, 100.0))
    normal, _ = build(teff=dist.Normal(5000.0, 100.0))
    x, y = np.array([5100.0, 2.0]), np.array([5000.0, 2.0])
    for prior in (pair, normal):
        assert float(prior.log_density(x) - prior.log_density(y)) == pytest.approx(-0.5, rel=1e-5)


def test_any_numpyro_distribution_keeps_its_density_and_support():
    prior, _ = build(logg=dist.TruncatedNormal(4.4, 0.1, low=4.0, high=4.5), teff=dist.StudentT(5.0, 5000.0, 50.0))
    assert (float(prior.lower[1]), float(prior.upper[1])) == (4.0, 4.5)
    student = dist.StudentT(5.0, 5000.0, 50.0)
    truth = student.log_prob(5200.0) - student.log_prob(5000.0)
    ours = prior.log_density(np.array([5200.0, 4.4])) - prior.log_density(np.array([5000.0, 4.4]))
    assert float(ours) == pytest.approx(float(truth), rel=1e-5)


def test_walls_push_back_into_the_hull():
    a, b = np.array([[1 / 3000.0, 0.0]]), np.array([5500.0 / 3000.0])
    prior, _ = make_prior(("teff", "logg"), LOW, HIGH, {}, (a, b))
    inside, outside = np.array([5400.0, 2.0]), np.array([5600.0, 2.0])
    assert float(prior.log_density(inside)) == pytest.approx(-np.log(np.prod(np.subtract(HIGH, LOW))))
    assert float(prior.log_density(outside)) < -50


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"teff": (9000.0, 10.0)}, "outside the domain 4000 to 7000"),
        ({"teff": (5000.0, 0.0)}, "sd must be positive"),
        ({"teff": "cool"}, r"\(mean, sd\)"),
        ({"logg": dist.Uniform(6.0, 7.0)}, "does not overlap the domain"),
        ({"logg": dist.Normal(np.zeros(2), 1.0)}, "scalar"),
    ],
)
def test_impossible_priors_are_refused_in_words(given, words):
    with pytest.raises(BayneError, match=words):
        build(**given)


def test_priors_are_told_apart_by_all_their_parameters():
    """What two runs with other priors write into their manifests differs, and JSON can have it."""
    exp, affine = dist.transforms.ExpTransform(), dist.transforms.AffineTransform
    priors = [
        (5000.0, 100.0), (5000.0, 101.0), dist.Normal(5000.0, 100.0), dist.Uniform(1.0, 2.0), dist.HalfNormal(2.0),
        *(dist.TruncatedNormal(5000.0, sd, low=low, high=6000.0) for sd in (100.0, 200.0) for low in (4000.0, 4500.0)),
        *(dist.TruncatedCauchy(0.0, scale, low=0.0) for scale in (1.0, 2.0)),
        *(dist.TransformedDistribution(dist.Normal(0.0, sd), [affine(5.0, scale), exp]) for sd in (1.0, 2.0)
          for scale in (2.0, 3.0)),
    ]  # fmt: skip
    texts = [json.dumps(described(prior)) for prior in priors]
    assert len(set(texts)) == len(priors)
    assert json.dumps(described(dist.TruncatedNormal(5000.0, 100.0, low=4000.0, high=6000.0))) in texts
    assert "object at" not in "".join(texts)
    found = described(dist.TruncatedNormal(5000.0, 100.0, low=4000.0, high=6000.0))
    assert found["base_dist"] == {"distribution": "Normal", "loc": 5000.0, "scale": 100.0}


def test_draws_have_the_distributions_that_were_given():
    """Cut to the box; and with a wall, as often as they lie inside of it."""
    student = dist.StudentT(3.0, 5200.0, 300.0)
    prior, _ = build(teff=student, logg=(4.8, 0.3))
    draws, inside = prior.sample(np.random.default_rng(0), 4000)
    assert inside == 1
    t, normal = stats.t(3.0, 5200.0, 300.0), stats.truncnorm((1 - 4.8) / 0.3, (5 - 4.8) / 0.3, 4.8, 0.3)
    ends = t.cdf(LOW[0]), t.cdf(HIGH[0])
    assert stats.kstest(draws[:, 0], lambda x: (t.cdf(x) - ends[0]) / (ends[1] - ends[0])).pvalue > 0.01
    assert stats.kstest(draws[:, 1], normal.cdf).pvalue > 0.01
    wall = (np.array([[1 / 3000.0, 0.0]]), np.array([5000.0 / 3000.0]))
    prior, _ = make_prior(("teff", "logg"), LOW, HIGH, {}, wall)
    draws, inside = prior.sample(np.random.default_rng(0), 4000)
    assert inside == pytest.approx(1 / 3, abs=0.03)
    assert stats.kstest(draws[:, 0], stats.uniform(4000, 1000).cdf).pvalue > 0.01


def test_one_parameter_has_the_density_of_the_whole():
    """A product of distributions, each normalised: what NumPyro samples is what fits do."""
    prior, _ = build(teff=dist.Cauchy(5200.0, 300.0), logg=(4.8, 0.3))
    x = np.array([5300.0, 4.5])
    with jax.enable_x64(True):
        parts = [float(prior.one(i).log_prob(value)) for i, value in enumerate(x)]
    assert sum(parts) == pytest.approx(float(prior.log_density(x)), rel=1e-5)
    assert np.trapezoid(np.exp(prior.one(0).log_prob(np.linspace(4000, 7000, 5001))), dx=0.6) == pytest.approx(
        1, abs=1e-3
    )

"""The models that the docs build, on small stars: their code is taken from the page."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, init_to_value
from numpyro.infer.util import log_density
from scipy.stats import multivariate_normal, norm

import bayne
from toy import LOWER, UPPER

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "build-your-own-model.md"

#: Short, so that a hundred thousand gradients take seconds.
BARE = {"windows": [(5000.0, 5030.0)], "continuum": 2, "jitter": False, "robust": False}
PRIORS = {
    name: dist.Uniform(*ends) for name, *ends in zip(("teff", "logg", "fe_h", "mg_fe"), LOWER, UPPER, strict=True)
}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def page():
    """Definitions of models, by name, that see what a test puts beside them."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    scope = {"numpyro": numpyro, "dist": dist, "jax": jax, "my_priors": PRIORS}
    for code in blocks:
        for function in re.findall(r"^def .*?(?=^\S|\Z)", code, re.MULTILINE | re.DOTALL):
            exec(function, scope)
    return scope


@pytest.fixture(scope="module")
def exposures(mock, emulator):
    """Two of one star, at different velocities and S/N."""
    made = (mock(velocity=v, snr=snr, seed=i) for i, (v, snr) in enumerate(((10.0, 60.0), (-15.0, 80.0))))
    options = BARE | {"fixed": {"vsini": 14.0}}
    with jax.enable_x64(True):
        return [bayne.likelihood(spectrum, emulator, **options) for spectrum in made]


def chain(model, start, *args):
    kernel = NUTS(model, init_strategy=init_to_value(values=start), dense_mass=True, max_tree_depth=6)
    mcmc = MCMC(kernel, num_warmup=200, num_samples=200, jit_model_args=True, progress_bar=False)
    mcmc.run(jax.random.key(0), *args)
    return {name: np.asarray(values) for name, values in mcmc.get_samples().items()}


def test_two_exposures_share_the_star(page, exposures, truth):
    """Each has its velocity; together they know the labels as well as both one by one would, combined."""
    page["first"], page["second"] = exposures
    start = {name: exposures[1].best[name] for name in PRIORS}
    start |= {"rv_first": exposures[0].best["rv"], "rv_second": exposures[1].best["rv"]}
    draws = chain(page["two_exposures"], start)
    known = {"rv_first": 10.0, "rv_second": -15.0} | {name: truth[name] for name in PRIORS}
    for name, value in known.items():
        assert abs(draws[name].mean() - value) < 4 * draws[name].std(), name
    fisher = [np.asarray(like.model.fisher(like.theta)) for like in exposures]
    names, k = exposures[0].names, len(PRIORS)
    assert names[:k] == tuple(PRIORS)
    information = np.zeros((k + 2, k + 2))
    for i, own in enumerate(fisher):
        place = [*range(k), k + i]
        information[np.ix_(place, place)] += own[: k + 1, : k + 1]
    expected = np.sqrt(np.diag(np.linalg.inv(information)))[:k]
    found = np.array([draws[name].std() for name in PRIORS])
    np.testing.assert_allclose(found, expected, rtol=0.25)
    alone = np.sqrt(np.diag(np.linalg.inv(fisher[1])))[:k]
    assert np.all(found < alone)


def test_a_prior_from_elsewhere_is_a_factor(page, exposures):
    """The density is the likelihood's times the prior's."""
    like = page["like"] = exposures[0]
    mean, covariance = np.array([5420.0, 4.35]), np.array([[2500.0, -1.0], [-1.0, 0.004]])
    page |= {"photometric_mean": mean, "photometric_covariance": covariance}
    page["my_priors"] = {"fe_h": PRIORS["fe_h"], "mg_fe": PRIORS["mg_fe"], "rv": dist.Normal(10.0, 5.0)}
    best = {name: float(value) for name, value in like.best.items()}
    at = {"atmosphere": jnp.asarray([best["teff"], best["logg"]]), "fe_h": -0.2, "mg_fe": 0.1, "rv": 10.0}
    found, _ = log_density(page["with_photometry"], (), {}, at)
    page["my_priors"] = PRIORS
    by_hand = float(like.log_prob(best | {"fe_h": -0.2, "mg_fe": 0.1, "rv": 10.0}))
    by_hand += multivariate_normal.logpdf([best["teff"], best["logg"]], mean, covariance)
    by_hand += norm.logpdf(10.0, 10.0, 5.0) - np.log(1.5) - np.log(1.0)
    assert float(found) == pytest.approx(by_hand, rel=1e-9)


def test_a_cluster_has_a_scatter(page, mock, emulator):
    """Of stars that have none it is small, of others as large as it is; a model that shares the wrong label fails."""
    magnesium = {"none": [0.15] * 3, "much": [-0.2, 0.1, 0.4]}
    options = BARE | {"fixed": {"logg": 4.3, "vsini": 14.0}}
    found = {}
    for name, values in magnesium.items():
        stars = [mock(velocity=float(i), seed=i, labels={"mg_fe": mg}) for i, mg in enumerate(values)]
        likelihoods = [bayne.likelihood(star, emulator, **options) for star in stars]
        best = {
            label: jnp.stack([like.best[label] for like in likelihoods]) for label in ("teff", "fe_h", "rv", "mg_fe")
        }
        spread = jnp.std(best["mg_fe"]) + 0.02
        deviation = (best.pop("mg_fe") - 0.15) / spread
        start = best | {"mean": jnp.asarray(0.15), "scatter": spread, "deviation": deviation}
        found[name] = chain(page["cluster"], start, likelihoods)["scatter"]
    assert np.quantile(found["none"], 0.95) < 0.1
    assert np.quantile(found["much"], 0.05) > 0.1


def test_a_model_traces_without_a_star(page):
    """The page's first model declares the sites it says."""

    class Like:
        data = jnp.zeros(3)

        def distribution(self, labels):
            return dist.Normal(jnp.zeros(3), 1.0).to_event(1)

    page["like"] = Like()
    trace = handlers.trace(handlers.seed(page["star"], jax.random.key(0))).get_trace()
    assert set(trace) == {*PRIORS, "flux"}

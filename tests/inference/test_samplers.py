"""One contract for every sampler, on posteriors whose moments are known exactly."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne import BayneError, Flag
from bayne.inference import Sampler, optimise, smc
from bayne.inference.fast import is_reliable
from bayne.inference.methods import SAMPLERS
from bayne.inference.prepare import METHODS
from densities import banana, bounded, many_labels, model_of, two_modes

#: Samplers whose draws are right wherever they get to; a Gaussian at the maximum is right for Gaussians only.
EXACT = [name for name in SAMPLERS if name != "laplace"]


CASES = {"many labels": many_labels, "banana": banana, "bounded": bounded}


@pytest.mark.parametrize("method", SAMPLERS)
def test_draws_are_what_was_asked_for(method):
    case, sampler, few = banana(), SAMPLERS[method], Sampler(draws=40, chains=2, warmup=30)
    draws = case.draws(sampler, few)
    chains = (2, 40, 2) if "diverging" in draws.stats else (1, 80, 2)
    assert draws.values.shape == chains
    assert np.all((draws.values >= case.lower) & (draws.values <= case.upper))
    assert all(value.shape == chains[:2] for value in draws.stats.values())
    np.testing.assert_array_equal(draws.values, case.draws(sampler, few).values)
    assert np.any(draws.values != case.draws(sampler, few, seed=2).values)
    if "lp" in draws.stats:
        with jax.enable_x64(True):
            x = jnp.asarray(draws.values.reshape(-1, 2))
            like = np.asarray(jax.vmap(model_of(case.residuals, 2).log_like)(x))
        np.testing.assert_allclose(draws.stats["log_likelihood_total"].ravel(), like, rtol=1e-9)
        volume = np.sum(np.log(case.upper - case.lower))
        np.testing.assert_allclose(draws.stats["lp"].ravel(), like - volume, rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", EXACT)
def test_moments_are_exact(method, name):
    case = CASES[name]()
    draws = case.draws(SAMPLERS[method])
    if method == "fast":
        assert is_reliable(draws)
    off, wide = case.errors(draws)
    # 2000 draws, a few hundred of them effective in the worst of 29 directions
    assert off < 0.2
    assert wide < 0.2


def test_a_gaussian_at_the_maximum_is_right_for_a_gaussian():
    case = many_labels()
    off, wide = case.errors(case.draws(SAMPLERS["laplace"]))
    assert off < 0.1
    assert wide < 0.1


@pytest.mark.parametrize("method", EXACT)
def test_a_sampler_of_errors_that_are_a_quarter_too_small_fails(method):
    case = bounded()
    draws = case.draws(SAMPLERS[method])
    middle = draws.values.mean(axis=(0, 1))
    assert case.errors(replace(draws, values=middle + 0.75 * (draws.values - middle)))[1] > 0.2
    assert case.errors(replace(draws, values=draws.values + 0.25 * draws.values.std(axis=(0, 1))))[0] > 0.2


@pytest.fixture
def without_jacobian(monkeypatch):
    """Samplers that take the density of labels for that of the unconstrained coordinates."""
    for module in (optimise, smc):
        monkeypatch.setattr(module, "log_volume", lambda prior, u: 0.0)
    jax.clear_caches()  # compiled functions hold the real ones
    yield
    jax.clear_caches()


@pytest.mark.parametrize("method", ["hmc", "smc"])
def test_a_sampler_of_the_wrong_density_fails(method, without_jacobian):
    off, wide = (case := bounded()).errors(case.draws(SAMPLERS[method]))
    assert max(off, wide) > 0.3


def test_smc_that_runs_out_of_temperatures_says_so(star, fit, monkeypatch):
    monkeypatch.setattr(smc, "MAX_TEMPERATURES", 2)
    result = fit(star, "smc", sampler=Sampler(draws=20, chains=2))
    assert Flag.NOT_CONVERGED in result.flags
    assert any("SMC ended at likelihood exponent" in message for message in result.messages)
    assert not result.ok


def test_smc_finds_both_modes_and_hmc_only_one():
    case = two_modes()
    # particles change sides at high temperatures only: with 2000 of them the share of a mode is good to 0.08
    off, wide = case.errors(case.draws(SAMPLERS["smc"], Sampler(draws=2000)))
    assert off < 0.1
    assert wide < 0.1
    # the left mode has a third of the mass
    assert np.mean(case.draws(SAMPLERS["hmc"]).values[..., 0] < 0) < 0.05


@pytest.mark.parametrize("case", [bounded, two_modes, banana, many_labels])
def test_the_evidence_is_the_integral(case):
    case = case()
    found = case.draws(SAMPLERS["smc"]).numbers["log_evidence"]
    # the scatter of 2000 particles, whose ways from the prior are longer in 29 dimensions
    assert found == pytest.approx(case.log_evidence(), abs=0.25 if len(case.lower) == 2 else 1.0)


def test_samplers_are_methods():
    assert set(METHODS) == {*SAMPLERS, "map"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"draws": 0}, "draws = 0; give a whole number of at least 1"),
        ({"chains": -1}, "chains = -1"),
        ({"warmup": 1.5}, "warmup = 1.5"),
        ({"max_tree_depth": True}, "max_tree_depth = True"),
        ({"target_accept": 1.0}, r"target_accept = 1\.0; give a number between 0 and 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(BayneError, match=words):
        Sampler(**settings)

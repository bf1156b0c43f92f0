"""Importance sampling against exact integrals, and what `method="fast"` does where it cannot be trusted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import bayne
from bayne import Flag
from bayne.inference import Sampler, fast
from densities import about, model_of, moments, uniform

LOWER, UPPER = np.array([-5.0, -5.0, -2.0, 0.0]), np.array([5.0, 0.3, 1.0, 1.0])
DEPTH, NOISE, BEND = 0.06, 0.03, 0.1
PEAK = float(np.log10(DEPTH))
COVARIANCE = np.array([[1.0, 0.9], [0.9, 1.0]])


def residuals(x):
    """Two correlated parameters, the first bent by the second, which is cut at 0.3; a line of two sigma; the last of
    the four parameters changes nothing."""
    bent = jnp.stack([x[0] - BEND * x[1] ** 2, x[1]])
    line = (10 ** x[2] - DEPTH) / NOISE
    return jnp.append(jnp.linalg.solve(jnp.linalg.cholesky(COVARIANCE), bent), line)


@pytest.fixture(scope="module")
def exact():
    """(4, 2) means and standard deviations by quadrature."""
    cut = lambda x: np.exp(-0.5 * x**2)  # noqa: E731
    second = moments(cut, -5, 0.3)
    power = [quad(lambda x, k=k: x**k * cut(x), -5, 0.3)[0] / quad(cut, -5, 0.3)[0] for k in (1, 2, 3, 4)]
    # given the second, the first has the mean 0.9 x1 + BEND x1² and the variance 1 - 0.81
    mean = 0.9 * power[0] + BEND * power[1]
    square = 0.81 * power[1] + 1.8 * BEND * power[2] + BEND**2 * power[3] + 0.19
    weak = moments(lambda x: np.exp(-0.5 * ((10**x - DEPTH) / NOISE) ** 2), -2, 1)
    return np.array([(mean, np.sqrt(square - mean**2)), second, weak, (0.5, 1 / np.sqrt(12))])


@pytest.fixture
def sample():
    """`fast` on the density above, from about the maximum or from elsewhere."""

    def call(theta=(0.0, 0.0, PEAK, 0.5)):
        with jax.enable_x64(True):
            covariance = np.diag([1, 1, (NOISE / DEPTH / np.log(10)) ** 2, 1 / 12])
            covariance[:2, :2] = COVARIANCE
            model, prior = model_of(residuals, 4), uniform(LOWER, UPPER)
            return fast.fast(jax.random.key(3), model, prior, about(theta, covariance), Sampler())

    return call


def errors(answer, exact):
    """Largest error of means in standard deviations, and of standard deviations as a fraction."""
    draws = answer.values.reshape(-1, 4)
    mean, std = exact.T
    return np.max(np.abs(draws.mean(0) - mean) / std), np.max(np.abs(draws.std(0) / std - 1))


def test_means_and_errors_are_those_of_exact_integrals(sample, exact):
    answer = sample()
    assert fast.is_reliable(answer)
    assert answer.numbers["ess_weights"] > 700
    off, wide = errors(answer, exact)
    # the standard error of a mean of 1000 draws is 0.03 sigma, that of a standard deviation 2%
    assert off < 0.1
    assert wide < 0.07
    assert np.all((answer.values >= LOWER) & (answer.values <= UPPER))


def test_draws_of_the_copula_without_weights_are_caught(sample, exact, monkeypatch):
    def first(surrogate, marginals, prior, proposal, count, rng):
        return jax.vmap(marginals.parameters)(proposal.draws(count, rng))[0], proposal, count

    monkeypatch.setattr(fast, "sample_surrogate", first)
    monkeypatch.setattr(fast, "smoothed", lambda log_weight: (np.zeros_like(log_weight), 0.0, 1e3))
    assert errors(sample(), exact)[1] > 0.07


def test_from_a_wrong_place_the_right_one_is_found(sample, exact):
    off, wide = errors(sample(theta=(4.9, -4.9, 0.9, 0.5)), exact)
    assert off < 0.1
    assert wide < 0.07


def test_a_draw_far_out_spoils_nothing(sample, exact, monkeypatch):
    """Beyond 8.2 sigma the normal distribution function is 1, and a box may end there: one number in 25 million."""
    usual = fast.Proposal.draws
    monkeypatch.setattr(fast.Proposal, "draws", lambda self, *of: usual(self, *of).at[0].set(9.0))
    answer = sample()
    assert fast.is_reliable(answer)
    off, wide = errors(answer, exact)
    assert off < 0.1
    assert wide < 0.07


def test_a_surrogate_of_another_star_is_not_reliable(sample, monkeypatch):
    right = fast.learn

    def wrong(*lessons):
        surrogate = right(*lessons)
        return surrogate._replace(linear=surrogate.linear + 2.0)

    monkeypatch.setattr(fast, "learn", wrong)
    monkeypatch.setattr(fast, "ROUNDS", 2)
    assert not fast.is_reliable(sample())


def test_a_population_that_was_not_reached_is_not_reliable(sample, monkeypatch):
    """However good the surrogate is: its posterior must have been sampled."""
    real = fast.sample_surrogate
    monkeypatch.setattr(fast, "sample_surrogate", lambda *given: (*real(*given)[:2], 0.0))
    assert not fast.is_reliable(sample())


def test_rounds_that_are_too_few_each_count_together(sample, exact, monkeypatch):
    monkeypatch.setattr(fast, "COUNT", 300)
    answer = sample()
    assert fast.is_reliable(answer)
    assert answer.numbers["ess_weights"] > fast.ESS_MIN > 300
    off, wide = errors(answer, exact)
    assert off < 0.15
    assert wide < 0.12
    monkeypatch.setattr(fast, "ROUNDS", 2)
    assert not fast.is_reliable(sample())


def test_one_draw_far_out_does_not_make_a_copula(sample, exact, monkeypatch):
    """However often it is drawn, it has no covariance: that was where fits of stars in corners ended."""
    real, calls = fast.sample_surrogate, []

    def degenerate(*given):
        x, proposal, worth = real(*given)
        calls.append(len(calls))
        away = given[1].parameters(3.0 * jnp.ones(4))[0]
        return (x, proposal, worth) if len(calls) > 1 else (0 * x + away, proposal, 1.0)

    monkeypatch.setattr(fast, "sample_surrogate", degenerate)
    monkeypatch.setattr(fast, "ESS_MIN", 2000.0)
    smoothed = fast.smoothed  # the weights of the surrogate's first draws are taken for good ones
    monkeypatch.setattr(fast, "smoothed", lambda w: (smoothed(w)[0], 0.0, 500.0) if calls == [0] else smoothed(w))
    answer = sample()
    assert fast.is_reliable(answer)
    assert errors(answer, exact)[0] < 0.1


def test_draws_whose_density_is_not_finite_count_for_nothing(sample, exact, monkeypatch):
    right = fast._evaluate

    def sometimes(*args):
        return tuple(v.at[::7].set(jnp.nan) for v in right(*args))

    monkeypatch.setattr(fast, "_evaluate", sometimes)
    answer = sample()
    assert np.all(np.isfinite(answer.stats["lp"]))
    assert errors(answer, exact)[0] < 0.1


def test_where_no_density_is_finite_nothing_is_reliable(sample, monkeypatch):
    right = fast._evaluate
    nothing = lambda *args: tuple(v * jnp.nan for v in right(*args))  # noqa: E731
    monkeypatch.setattr(fast, "_evaluate", nothing)
    assert not fast.is_reliable(sample())


@pytest.mark.parametrize("method", ["fast", "hmc"])
def test_a_star_gets_the_posterior_of_nuts(method, star, fit, sampled):
    quick = fit(star, method)
    assert not quick.flags.bad & ~Flag.NOT_CONVERGED  # R-hat of the excess, which ends at 0, is 1.01 in both samplers
    assert quick.has_chains == (method == "hmc")
    assert Flag.SAMPLED_INSTEAD not in quick.flags
    for one, other in zip(quick.table, sampled.table, strict=True):
        if np.isfinite(one["ess_bulk"]):
            assert abs(one["mean"] - other["mean"]) < 0.15 * other["std"], one["label"]
            assert one["std"] / other["std"] == pytest.approx(1, abs=0.12), one["label"]


def test_where_weights_cannot_be_trusted_hmc_takes_over_and_a_flag_says_so(star, fit, monkeypatch):
    monkeypatch.setattr(fast, "KHAT_MAX", -10.0)
    result = fit(star, "fast", free=("rv",), fixed={"mg_fe": 0.15, "logg": 4.3})
    assert Flag.SAMPLED_INSTEAD in result.flags
    assert any("k-hat" in message for message in result.messages)
    assert "diverging" in result.idata.sample_stats
    assert np.all(result.table["rhat"][:1] < 1.02)


def test_a_star_that_is_bad_already_is_not_sampled_instead(mock, fit, monkeypatch):
    monkeypatch.setattr(fast, "KHAT_MAX", -10.0)
    monkeypatch.setattr(fast, "ROUNDS", 3)
    result = fit(mock(snr=1.0), "fast", free=("rv",), fixed={"mg_fe": 0.15, "logg": 4.3})
    assert Flag.RV_UNCERTAIN in result.flags
    assert Flag.NOT_CONVERGED in result.flags
    assert Flag.SAMPLED_INSTEAD not in result.flags
    assert any("k-hat" in message for message in result.messages)
    assert not result.ok


def test_the_result_is_saved_with_its_weights_told(star, fit, tmp_path):
    result = fit(star, "fast")
    again = bayne.load_result(result.save(tmp_path / "star.nc"))
    assert again.method == "fast"
    assert again.diagnostics["khat"] == result.diagnostics["khat"]
    np.testing.assert_array_equal(again.table["ess_bulk"], result.table["ess_bulk"])

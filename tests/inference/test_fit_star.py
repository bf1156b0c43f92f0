"""`fit_star` from spectrum to posterior, on mocks whose truth is known."""

from dataclasses import replace

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import bayne
from bayne import BayneError, Flag
from bayne.inference import Sampler, methods
from bayne.likelihoods import build
from bayne.wavelength import C_KMS
from toy import erring_emulator

LABELS = ("teff", "logg", "fe_h", "mg_fe")
MEASURED = (*LABELS, "rv", "vsini")


def row(result, name):
    return result.table[list(result.table["label"]).index(name)]


def assert_recovers(result, truth, sigmas=4.0):
    """Every label that the truth names lies within its errors, and the errors are errors."""
    for name, value in truth.items():
        found = row(result, name)
        assert 0 < found["std"] < 0.5 * found["prior_std"], f"{name}: std {found['std']}"
        pull = (found["mean"] - value) / found["std"]
        assert abs(pull) < sigmas, f"{name}: {found['mean']:.4g} for {value:.4g}, {pull:.1f} sigma"


def with_ivar(spectrum, change):
    """The spectrum with inverse variances changed by a function; None for no errors."""
    arms = (replace(arm, ivar=None if change is None else change(arm.ivar)) for arm in spectrum.arms)
    return replace(spectrum, arms=tuple(arms))


@pytest.mark.parametrize("name", ["maximum", "gaussian", "sampled"])
def test_recovers_a_rotating_star_under_a_sloping_continuum(name, request, truth):
    result = request.getfixturevalue(name)
    assert result.ok, result.messages
    assert_recovers(result, truth)
    assert Flag.DOUBLE_LINED not in result.flags
    assert Flag.JITTER_LARGE not in result.flags
    assert (Flag.MAP_ONLY in result.flags) == (result.method == "map")


def test_a_star_without_rotation_has_a_limit_on_it(mock, fit):
    """Where lines say nothing of the slope at v sin i = 0, the Gaussian must not take all velocities for possible."""
    still = mock(vsini=0.0)
    gaussian, exact = (np.quantile(fit(still, method).draws("vsini"), 0.84) for method in ("laplace", "fast"))
    assert exact / 2 < gaussian < 2 * exact


def test_best_fit_matches_the_data_within_the_noise(maximum, star):
    for arm, model, given in zip(maximum.arms, maximum.best_fit, star.arms, strict=True):
        assert arm.used.sum() > 300
        assert not np.any(arm.used & given.mask)
        assert np.all(np.isfinite(model) == arm.used)
        pull = ((given.flux - model) / arm.sigma)[arm.used]
        assert np.mean(pull**2) == pytest.approx(1, abs=0.25)


def test_chains_converge_and_keep_their_densities(sampled):
    table = sampled.table[[r["label"] in MEASURED for r in sampled.table]]
    assert len(table) == len(MEASURED)
    assert np.max(table["rhat"]) < 1.02
    assert np.min(table["ess_bulk"]) > 300
    assert np.min(table["ess_tail"]) > 300
    stats, posterior = sampled.idata.sample_stats, sampled.idata.posterior
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    for name in ("lp", "log_likelihood_total"):
        assert stats[name].shape == shape
        assert np.all(np.isfinite(stats[name].values))
    # uniform priors: the two densities differ by a constant
    assert np.ptp(stats["lp"].values - stats["log_likelihood_total"].values) < 1e-6
    # n parameters cost n/2 on average
    n = len(sampled.names)
    assert np.mean(stats["lp"].values.max() - stats["lp"].values) == pytest.approx(n / 2, rel=0.5)


def test_sampled_errors_agree_with_laplace_and_respect_the_bound(sampled, gaussian):
    for name in (*LABELS, "rv"):
        draws, approximate = row(sampled, name), row(gaussian, name)
        assert draws["std"] == pytest.approx(approximate["std"], rel=0.15), name
        assert draws["std"] >= 0.9 * draws["crb"], name
        assert abs(draws["mean"] - approximate["mean"]) < 0.5 * draws["std"], name


@pytest.mark.parametrize("name", ["maximum", "gaussian", "sampled"])
def test_table_derives_magnesium_over_hydrogen_with_its_correlation(name, request):
    result = request.getfixturevalue(name)
    table = result.table
    units = dict(zip(table["label"], table["unit"], strict=True))
    assert units["teff"] == "K"
    assert units["logg"] == units["fe_h"] == units["mg_fe"] == units["mg_h"] == "dex"
    assert units["rv"] == units["vsini"] == "km/s"
    iron, ratio, derived = (row(result, n) for n in ("fe_h", "mg_fe", "mg_h"))
    assert derived["mean"] == pytest.approx(iron["mean"] + ratio["mean"], abs=1e-6)
    i, j = result.names.index("fe_h"), result.names.index("mg_fe")
    cov = result.covariance
    assert derived["std"] ** 2 == pytest.approx(cov[i, i] + cov[j, j] + 2 * cov[i, j], rel=1e-6)
    independent = np.hypot(iron["std"], ratio["std"])
    assert abs(derived["std"] / independent - 1) > 1e-3, "the correlation of [Mg/Fe] and [Fe/H] was lost"
    assert np.isfinite(derived["crb"])


def test_rv_is_barycentric_when_the_correction_is_known(star, fit, maximum, truth):
    seen = replace(star, frame="observed")
    known, unknown = fit(replace(seen, bary_kms=25.0)), fit(seen)
    assert Flag.RV_AS_OBSERVED not in known.flags | maximum.flags
    assert Flag.RV_AS_OBSERVED in unknown.flags
    assert unknown.ok
    exact = C_KMS * np.tanh(np.arctanh(truth["rv"] / C_KMS) + np.arctanh(25.0 / C_KMS))
    assert row(known, "rv")["mean"] == pytest.approx(exact, abs=4 * row(known, "rv")["std"])
    assert row(unknown, "rv")["mean"] == pytest.approx(row(maximum, "rv")["mean"], abs=1e-6)
    moved = row(known, "rv")["mean"] - row(unknown, "rv")["mean"]
    assert moved == pytest.approx(25.0, abs=1e-3)


@pytest.mark.parametrize("velocity", [-420.0, 310.0])
def test_finds_a_large_velocity(velocity, mock, fit, truth):
    result = fit(mock(velocity=velocity, seed=3))
    assert result.ok, result.messages
    assert_recovers(result, truth | {"rv": velocity})


def test_gaussian_prior_pulls_its_label(star, fit, maximum):
    free = row(maximum, "teff")
    pulled = row(fit(star, priors={"teff": (free["mean"] + 5 * free["std"], free["std"])}), "teff")
    # equal weights: half-way, with the error down by the square root of two
    assert (pulled["mean"] - free["mean"]) / free["std"] == pytest.approx(2.5, abs=0.5)
    assert pulled["std"] == pytest.approx(free["std"] / np.sqrt(2), rel=0.1)
    assert pulled["prior_std"] == pytest.approx(free["std"])


def test_numpyro_distributions_are_priors(star, fit, maximum):
    free = row(maximum, "mg_fe")
    low = free["mean"] + 2 * free["std"]
    heavy = dist.StudentT(5.0, row(maximum, "teff")["mean"], 30.0)
    result = fit(star, "laplace", priors={"mg_fe": dist.Uniform(low, 0.5), "teff": heavy})
    assert result.draws("mg_fe").min() >= low
    assert row(result, "teff")["std"] < row(maximum, "teff")["std"]


@pytest.mark.parametrize(
    "prior", [(12.0, 1.0), dist.Normal(12.0, 1.0), dist.Uniform(5.0, 20.0)], ids=["pair", "normal", "uniform"]
)
def test_prior_on_the_velocity_may_be_a_pair_or_a_distribution(prior, star, fit, truth):
    found = row(fit(star, priors={"rv": prior}), "rv")
    assert abs(found["median"] - truth["rv"]) < 4 * found["std"]


@pytest.mark.parametrize("prior", [(60.0, 1.0), dist.Uniform(50.0, 90.0)], ids=["pair", "uniform"])
def test_prior_far_from_the_velocity_is_no_error_but_a_bad_fit(prior, star, fit):
    result = fit(star, priors={"rv": prior})
    assert 45 < row(result, "rv")["median"] < 95
    assert not result.ok


def test_start_is_no_prior(star, fit, maximum):
    far = fit(star, start={"teff": 6300.0, "mg_fe": -0.2, "rv": 40.0})
    assert far.ok, far.messages
    for name in MEASURED:
        difference = row(far, name)["median"] - row(maximum, name)["median"]
        assert abs(difference) < 0.1 * row(maximum, name)["std"], name


def test_search_begins_at_the_start(star, fit, truth, monkeypatch):
    for steps in ("FIRST_STEPS", "LAST_STEPS"):
        monkeypatch.setattr("bayne.inference.maximum." + steps, 0)
    given = {name: truth[name] for name in LABELS}
    told, untold = fit(star, start=given), fit(star)
    for name, value in given.items():
        assert row(told, name)["median"] == pytest.approx(value, rel=1e-6)
        assert row(untold, name)["median"] != pytest.approx(value, rel=1e-6)


def test_velocity_is_looked_for_about_its_start(mock, fit, truth):
    fast = mock(velocity=310.0, seed=3)
    assert_recovers(fit(fast, start={"rv": 280.0}), truth | {"rv": 310.0})
    elsewhere = fit(fast, start={"rv": 0.0})
    assert abs(row(elsewhere, "rv")["median"]) < 100
    assert not elsewhere.ok


def test_velocity_that_is_given_is_not_uncertain(mock, fit, truth):
    faint = mock(snr=1.0)
    assert Flag.RV_UNCERTAIN in fit(faint).flags
    assert Flag.RV_UNCERTAIN not in fit(faint, fixed={"rv": truth["rv"]}).flags


def test_metallicity_and_abundance_may_both_be_fixed(star, fit, truth):
    result = fit(star, fixed={name: truth[name] for name in ("fe_h", "mg_fe")})
    found = row(result, "mg_h")
    assert (found["median"], found["std"]) == (pytest.approx(truth["fe_h"] + truth["mg_fe"]), 0)


def test_broadening_that_the_network_contains_is_not_applied_again(star, emulator):
    """A label of the network that bears its name switches the operator off; what is only absorbed cannot be given."""
    own = replace(emulator, card=replace(emulator.card, labels=("teff", "logg", "fe_h", "vmac")))
    problem = build(
        star, own, velocity=0.0, bary=0.0, free=("rv",), fixed={"vmac": 0.1}, priors={}, order=None,
        pilot=[np.ones(arm.flux.size) for arm in star.arms], with_jitter=False,
    )  # fmt: skip
    assert not problem.model.forward.macro
    assert problem.model.fixed["vmac"] == 0
    absorbing = replace(emulator, card=replace(emulator.card, absorbs=("vsini",)))
    with pytest.raises(BayneError, match="vsini: the network's labels contain it"):
        bayne.fit_star(star, absorbing, fixed={"vsini": 10.0})


def test_priors_without_a_variance_have_a_spread(star, fit):
    """A Cauchy prior: what its domain leaves of it."""
    assert np.isfinite(row(fit(star, priors={"mg_fe": dist.Cauchy(0.0, 0.2)}), "mg_fe")["prior_std"])


def test_priors_of_what_is_no_parameter_are_refused(star, fit):
    with pytest.raises(BayneError, match="prior of lsf_scale: it is no parameter of this fit"):
        fit(star, priors={"lsf_scale": (1.0, 0.1)})


@pytest.mark.parametrize("jitter", [True, False])
def test_table_of_the_sampler_is_that_of_the_star(jitter, star, monkeypatch):
    """The likelihood of the draws, from the table, is nearly the one summed over all pixels."""
    given = []

    def spy(key, model, *rest):
        given.append(model)
        return nuts(key, model, *rest)

    nuts = methods.SAMPLERS["nuts"]
    monkeypatch.setitem(methods.SAMPLERS, "nuts", spy)
    short = Sampler(warmup=10, draws=20)
    result = bayne.fit_star(star, erring_emulator(), method="nuts", sampler=short, jitter=jitter, robust=not jitter)
    draws = np.stack([result.draws(name).ravel() for name in result.names], axis=-1)
    told = np.asarray(result.idata.sample_stats["log_likelihood_total"]).ravel()
    with jax.enable_x64(True):
        (model,) = given
        assert model.pixels.error is not None
        whole = replace(model, table=None)
        exact = np.asarray(jax.lax.map(whole.log_like, draws))
    assert np.std(exact) > 1
    assert np.max(np.abs(told - exact)) < 0.1


def test_fixed_labels_are_held_and_stay_in_the_table(star, fit, maximum, truth):
    values = {name: truth[name] for name in ("logg", "vsini")}
    result = fit(star, fixed=values)
    assert not set(values) & set(result.names)
    for name, value in values.items():
        held = row(result, name)
        assert held["mean"] == held["median"] == value
        assert held["std"] == 0
    assert_recovers(result, {n: v for n, v in truth.items() if n not in values})
    assert row(result, "teff")["std"] < row(maximum, "teff")["std"]
    assert result.covariance.shape == (len(result.names),) * 2


def test_a_normalised_flux_can_be_taken_as_it_is(star, fit, truth):
    arms = []
    for arm in star.arms:
        x = np.linspace(-1, 1, arm.flux.size)
        level = 1000 * (1 + 0.2 * x - 0.1 * x**2)
        arms.append(replace(arm, flux=arm.flux / level, ivar=arm.ivar * level**2))
    result = fit(replace(star, arms=tuple(arms)), continuum=False, jitter=False)
    assert result.names == MEASURED
    assert all(np.all(arm.continuum == 1) for arm in result.arms)
    assert result.ok, result.messages
    assert_recovers(result, truth)


def test_windows_and_mask_exclude_pixels(star, fit, maximum, truth):
    bad = [np.arange(arm.wavelength.size) % 5 == 0 for arm in star.arms]
    windows = ((5000.0, 5024.0), (5108.0, 5140.0))
    result = fit(star, windows=windows, mask=bad)
    for arm, whole, masked in zip(result.arms, maximum.arms, bad, strict=True):
        inside = np.zeros(arm.wavelength.size, bool)
        for low, high in windows:
            inside |= (arm.wavelength >= low) & (arm.wavelength <= high)
        np.testing.assert_array_equal(arm.used, whole.used & inside & ~masked)
    assert_recovers(result, truth)
    assert row(result, "teff")["std"] > row(maximum, "teff")["std"]


def test_a_velocity_may_be_measured_alone(star, fit, truth, maximum):
    """With every label of the network fixed."""
    names = ("teff", "logg", "fe_h", "mg_fe")
    result = fit(star, fixed={name: truth[name] for name in names})
    assert_recovers(result, {"rv": truth["rv"]})
    assert row(result, "rv")["std"] <= row(maximum, "rv")["std"]
    assert all(row(result, name)["std"] == 0 for name in names)


def test_a_spectrum_that_is_not_normalised_is_not_taken_to_be(star, fit, truth):
    """Whatever its file says: the median of these counts is far from 1."""
    result = fit(replace(star, normalized=True))
    assert "is said to be normalised, but its median is" in " ".join(result.messages)
    assert_recovers(result, truth)


def test_an_arm_may_be_left_out_altogether(star, fit, truth):
    result = fit(star, windows=((5000.0, 5040.0),))
    assert not result.arms[1].used.any()
    assert result.ok, result.messages
    assert_recovers(result, {n: truth[n] for n in ("teff", "fe_h", "rv")})


def test_errors_come_from_snr_or_from_the_spectrum(star, fit, maximum, truth):
    bare = with_ivar(star, None)
    stated, estimated = fit(bare, snr=100.0), fit(bare)
    assert Flag.ERRORS_ESTIMATED not in stated.flags
    assert Flag.ERRORS_ESTIMATED in estimated.flags
    assert row(stated, "teff")["std"] == pytest.approx(row(maximum, "teff")["std"], rel=0.1)
    # crowded lines look like noise: estimated errors are on the safe side
    assert 0.9 < row(estimated, "teff")["std"] / row(maximum, "teff")["std"] < 1.6
    for result in (stated, estimated):
        assert result.ok, result.messages
        assert_recovers(result, truth)
    per_arm = fit(bare, snr=(100.0, 20.0))
    assert row(per_arm, "teff")["std"] > 1.2 * row(stated, "teff")["std"]


def test_jitter_mends_errors_that_are_too_small_and_says_so(star, fit, truth):
    proud = with_ivar(star, lambda ivar: 9 * ivar)
    honest, blind = fit(proud), fit(proud, jitter=False)
    for name in (*LABELS, "rv"):
        assert row(honest, name)["std"] / row(blind, name)["std"] == pytest.approx(3, rel=0.25), name
    assert Flag.JITTER_LARGE in honest.flags
    assert any("times the quoted error" in message for message in honest.messages)
    assert_recovers(honest, truth)


def test_inputs_are_left_alone(mock, fit):
    star = mock(seed=4)
    before = [[np.array(v) for v in (a.wavelength, a.flux, a.ivar, a.mask, a.lsf.fwhm)] for a in star.arms]
    bad = [np.zeros(a.flux.size, bool) for a in star.arms]
    priors, fixed = {"teff": (5400.0, 300.0)}, {"logg": 4.3}
    fit(star, mask=bad, windows=((5000.0, 5140.0),), priors=priors, fixed=fixed, free=("rv",))
    for arm, kept in zip(star.arms, before, strict=True):
        for now, then in zip((arm.wavelength, arm.flux, arm.ivar, arm.mask, arm.lsf.fwhm), kept, strict=True):
            np.testing.assert_array_equal(now, then)
    assert not any(b.any() for b in bad)
    assert (priors, fixed) == ({"teff": (5400.0, 300.0)}, {"logg": 4.3})


def test_randomness_is_that_of_seed_and_identity(star, fit, gaussian):
    again = fit(star, "laplace")
    for name in gaussian.names:
        np.testing.assert_array_equal(again.draws(name), gaussian.draws(name))
    for other in (fit(star, "laplace", id="another"), fit(star, "laplace", seed=1)):
        assert np.all(other.draws("teff") != gaussian.draws("teff"))
        np.testing.assert_array_equal(other.map, gaussian.map)
    assert fit(star, id="another").id == "another"


def test_64_bit_jax_of_the_user_changes_nothing(star, fit, gaussian):
    with jax.enable_x64(True):
        result = fit(star, "laplace")
    np.testing.assert_allclose(result.map, gaussian.map, rtol=1e-6)
    np.testing.assert_allclose(result.crb, gaussian.crb, rtol=1e-6)
    for name in result.names:
        np.testing.assert_allclose(result.draws(name), gaussian.draws(name), rtol=1e-6)
    assert result.flags == gaussian.flags

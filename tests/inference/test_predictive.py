"""What ArviZ gets from a fit, and whether it can work with it."""

import pickle

import arviz as az
import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import bayne
from bayne.inference.predictive import LowRankCovariance, predict
from bayne.inference.spectrum_model import likelihood
from toy import erring_emulator

mpl.use("Agg")


@pytest.fixture(scope="module")
def result(star):
    return bayne.fit_star(star, erring_emulator(), fixed={"mg_fe": 0.15})


@pytest.fixture(scope="module")
def small(star):
    """The likelihood of 30 Å, small enough for dense matrices."""
    return likelihood(star, erring_emulator(), windows=[(5000.0, 5015.0), (5020.0, 5035.0)])


@pytest.fixture(scope="module")
def dense(small):
    """Mean and covariance of all pixels that are used, at the maximum."""
    with jax.enable_x64(True):
        pixels, theta = small.model.pixels, small.theta
        model = np.asarray(small.model.predict(theta))
        columns = np.asarray(model[..., None] * pixels.scaled_basis)
        a, n, c = columns.shape
        factor = np.zeros((a, n, a * c))
        for arm in range(a):
            factor[arm, :, arm * c : (arm + 1) * c] = columns[arm]
        factor = np.concatenate([factor.reshape(a * n, -1), np.asarray(pixels.error.basis).reshape(a * n, -1)], axis=1)
        diagonal = np.asarray(pixels.total_variance + small.model.jitter_variance(theta)[:, None]).ravel()
    return model.ravel(), np.diag(diagonal) + factor @ factor.T


def blocks(like, size=40):
    used = np.asarray(like.model.pixels.used)
    block = np.full(used.shape, -1)
    first = 0
    for row, own in zip(block, used, strict=True):
        row[own] = first + np.arange(own.sum()) // size
        first = row.max() + 1
    return block


def test_density_of_a_block_is_the_conditional_one(small, dense):
    """Of the dense normal distribution, and not the marginal one, which a wandering continuum makes much wider."""
    mean, covariance = dense
    block = blocks(small)
    data = np.asarray(small.model.pixels.data)
    with jax.enable_x64(True):
        linear = LowRankCovariance.of(small.model, np.asarray(small.theta), mean.reshape(data.shape))
    used = np.asarray(small.model.pixels.used)
    residual = np.where(used, data - mean.reshape(data.shape), 0.0)[None]
    found = linear.log_densities(residual, linear.mean(residual), linear.pieces(block))[0]
    assert found.size == block.max() + 1
    for b, value in enumerate(found):
        own, rest = np.flatnonzero(block.ravel() == b), np.flatnonzero((block.ravel() >= 0) & (block.ravel() != b))
        gain = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[np.ix_(rest, own)]).T
        middle = mean[own] + gain @ (data.ravel() - mean)[rest]
        spread = covariance[np.ix_(own, own)] - gain @ covariance[np.ix_(rest, own)]
        assert value == pytest.approx(multivariate_normal.logpdf(data.ravel()[own], middle, spread), rel=1e-6)
        alone = multivariate_normal.logpdf(data.ravel()[own], mean[own], covariance[np.ix_(own, own)])
        assert abs(value - alone) > 0.1


def test_replicated_data_have_the_continuum_of_the_star(small, dense):
    """Their mean given the data, and twice the scatter of data about a known mean."""
    mean, covariance = dense
    used = np.asarray(small.model.pixels.used)
    data, use = np.asarray(small.model.pixels.data), np.flatnonzero(used)
    x = np.repeat(np.asarray(small.theta)[None], 400, axis=0)
    with jax.enable_x64(True):
        linear = LowRankCovariance.of(small.model, np.asarray(small.theta), mean.reshape(data.shape))
        model, residual = mean.reshape(data.shape), np.where(used, data - mean.reshape(data.shape), 0.0)
        rng = np.random.default_rng(0)
        coefficients = linear.mean(residual[None])[0]
        flux = np.stack([linear.replicate(model, coefficients, rng) for _ in range(len(x))])
    noise = np.diag(1 / np.where(linear.weight > 0, linear.weight, np.inf).ravel())[np.ix_(use, use)]
    shared = covariance[np.ix_(use, use)] - noise
    gain = np.linalg.solve(covariance[np.ix_(use, use)], shared).T
    middle = mean[use] + gain @ (data.ravel() - mean)[use]
    spread = shared - gain @ shared + noise
    found = flux.reshape(len(x), -1)[:, use]
    np.testing.assert_allclose((found.mean(0) - middle) / np.sqrt(np.diag(spread) / len(x)), 0, atol=5)
    assert np.mean(found.var(0) / np.diag(spread)) == pytest.approx(1, abs=0.02)


def test_groups_have_dims_and_coords(result):
    idata = result.idata
    assert set(idata.groups()) == {
        "posterior", "log_likelihood", "posterior_predictive", "prior", "sample_stats", "observed_data",
        "constant_data",
    }  # fmt: skip
    assert {"teff", "mg_h", "rv"} <= set(idata.posterior)
    assert "mg_fe" not in idata.posterior
    np.testing.assert_allclose(idata.posterior["mg_h"], idata.posterior["fe_h"] + 0.15)
    assert idata.posterior.sizes["chain"] == 1  # importance sampling has no chains
    arm = result.arms[0]
    name = f"wavelength_{arm.name}"
    np.testing.assert_array_equal(idata.observed_data[name], arm.wavelength[arm.used])
    np.testing.assert_array_equal(idata.observed_data[f"flux_{arm.name}"], arm.flux[arm.used])
    np.testing.assert_allclose(idata.constant_data[f"error_{arm.name}"], arm.sigma[arm.used])
    assert list(idata.constant_data["label"].values) == list(result.names)
    assert idata.posterior_predictive[f"flux_{arm.name}"].dims == ("chain", "draw", name)
    assert idata.prior["teff"].min() >= 4500
    assert idata.attrs["spectrum"] == result.id


def test_replicated_spectra_look_like_the_star(result):
    for arm in result.arms:
        replicated = result.idata.posterior_predictive[f"flux_{arm.name}"].values[0]
        off = (replicated - arm.flux[arm.used]) / arm.total_sigma[arm.used]
        assert np.std(off) == pytest.approx(np.sqrt(2), rel=0.1)


def test_loo_prefers_the_model_that_has_the_star(result, star):
    """Pareto shapes are good, and a model without rotation predicts blocks that it has not seen worse."""
    good = az.loo(result.idata, pointwise=True)
    assert np.mean(good.pareto_k.values < 0.7) > 0.9
    assert 1 < good.p_loo < 30
    still = bayne.fit_star(star, erring_emulator(), fixed={"mg_fe": 0.15, "vsini": 0.0})
    table = az.compare({"rotating": result.idata, "still": still.idata})
    assert table.index[0] == "rotating"
    assert table.loc["still", "elpd_diff"] > 3 * table.loc["still", "dse"] > 0


def test_summary_and_plots_work(result, tmp_path):
    summary = az.summary(result.idata, var_names=["teff", "mg_h"], kind="stats")
    assert summary.loc["teff", "mean"] == pytest.approx(result.table["mean"][0], rel=1e-3)
    for i, plot in enumerate(
        (
            lambda: az.plot_pair(result.idata, var_names=["teff", "logg", "fe_h"], marginals=True),
            lambda: az.plot_ppc(result.idata, var_names=[f"flux_{result.arms[0].name}"], num_pp_samples=20),
        )
    ):
        axes = np.ravel(plot())
        path = tmp_path / f"{i}.png"
        axes[0].figure.savefig(path)
        assert path.stat().st_size > 10_000


def test_all_of_it_is_saved(result, tmp_path):
    again = bayne.load_result(result.save(tmp_path / "star.nc")).idata
    assert set(again.groups()) == set(result.idata.groups())
    assert az.loo(again).elpd_loo == pytest.approx(az.loo(result.idata).elpd_loo)


def test_a_pickled_result_has_all_of_it(star):
    """What is computed when it is first asked for does not ask for what a process does not have."""
    first = bayne.fit_star(star, erring_emulator(), method="laplace", fixed={"mg_fe": 0.15})
    again = pickle.loads(pickle.dumps(first))  # noqa: S301, written here
    assert again.predicted is None
    assert set(again.idata.groups()) == set(first.idata.groups())
    np.testing.assert_array_equal(again.idata.log_likelihood["flux"], first.idata.log_likelihood["flux"])


def test_draws_are_compared_side_by_side(small):
    """In chunks or not, the same; pixels that are not used have no block."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        x = np.asarray(small.theta) + 1e-3 * rng.normal(size=(230, len(small.names))) * np.asarray(jnp.abs(small.theta))
        x = np.clip(x, small.prior.lower, small.prior.upper)
        problem = type("Problem", (), {"model": small.model})
        told = predict(problem, np.asarray(small.theta), x, np.array([0, 229]), blocks(small), rng)
        last = predict(problem, np.asarray(small.theta), x[-3:], np.array([0]), blocks(small), rng)
    assert told.flux.shape[0] == 2
    np.testing.assert_allclose(told.log_likelihood[-3:], last.log_likelihood, rtol=1e-4, atol=1e-3)

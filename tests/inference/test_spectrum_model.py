"""The likelihood and the NumPyro model of one spectrum, in models of one's own."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, init_to_value, log_likelihood
from numpyro.infer.autoguide import AutoMultivariateNormal
from numpyro.infer.reparam import LocScaleReparam
from numpyro.infer.util import log_density

import bayne
from bayne import BayneError
from bayne.likelihoods import log_posterior
from toy import erring_emulator

COUNT = 100

#: Enough lines for all labels, few enough pixels for NumPyro's own samplers.
SHORT = {"windows": [(5000.0, 5050.0)]}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def like(star):
    """With all that the noise can have: jitter, a wandering continuum, emulator error, robust widths."""
    return bayne.likelihood(star, erring_emulator(), **SHORT)


@pytest.fixture(scope="module")
def model(star):
    """With a Gaussian prior, one that is neither Gaussian nor uniform, and a fixed label."""
    priors = {"teff": (5400.0, 200.0), "logg": dist.StudentT(4.0, 4.3, 0.2)}
    return bayne.model(star, erring_emulator(), priors=priors, fixed={"mg_fe": 0.15}, **SHORT)


@pytest.fixture(scope="module")
def chain(model):
    """A short chain of NumPyro's own NUTS, from the maximum."""
    with jax.enable_x64(True):
        start = init_to_value(values=model.best)
        mcmc = MCMC(
            NUTS(model, init_strategy=start, dense_mass=True, max_tree_depth=6),
            num_warmup=300,
            num_samples=300,
            progress_bar=False,
        )
        mcmc.run(jax.random.key(1))
    return mcmc


def scattered(like, count=COUNT):
    """(count,) parameters about the best ones, inside the domain."""
    rng = np.random.default_rng(5)
    width = np.asarray(like.prior.upper - like.prior.lower)
    steps = rng.uniform(-0.02, 0.02, (count, len(like.names))) * width
    x = np.clip(np.asarray(like.theta) + steps, like.prior.lower, like.prior.upper)
    return dict(zip(like.names, x.T, strict=True))


def lowrank(one, use):
    """NumPyro's distribution of the same flux, its factors written out pixel by pixel."""
    pixels, (a, n) = one.pixels, one.model.shape
    columns = np.asarray(one.model[..., None] * pixels.scaled_basis)
    c = columns.shape[-1]
    factor = np.zeros((a, n, a * c))
    for arm in range(a):
        factor[arm, :, arm * c : (arm + 1) * c] = columns[arm]
    factor = np.concatenate([factor.reshape(a * n, -1), np.asarray(pixels.error.basis).reshape(a * n, -1)], axis=1)
    diagonal = np.asarray(pixels.total_variance + one.extra[:, None]).ravel()
    return dist.LowRankMultivariateNormal(np.asarray(one.model).ravel()[use], factor[use], diagonal[use])


def pull(one, draws):
    """How far χ² = (x - μ)ᵀ Σ⁻¹ (x - μ), averaged over draws (k, p), is from its mean p, in standard deviations."""
    k, p = draws.shape
    chi2 = -2 * (one.log_prob(draws) - one.log_prob(one.mean))
    return float((jnp.mean(chi2) - p) / np.sqrt(2 * p / k))


def test_density_is_that_of_numpyros_low_rank_normal(like):
    for i in range(3):
        one = like.distribution({name: value[i] for name, value in scattered(like).items()})
        exact = lowrank(one, np.asarray(like.index))
        np.testing.assert_allclose(one.log_prob(like.data), exact.log_prob(like.data), rtol=1e-9)
        np.testing.assert_allclose(one.mean, exact.mean)
        np.testing.assert_allclose(one.variance, exact.variance)


def test_draws_have_the_covariance_of_the_density(like):
    """A density without the emulator's error must fail."""
    one = like.distribution(like.best)
    draws = one.sample(jax.random.key(0), (400,))
    assert draws.shape == (400, like.data.size)
    assert abs(pull(one, draws)) < 4
    plain = replace(like.model, pixels=replace(like.model.pixels, error=None))
    assert abs(pull(replace(like, model=plain).distribution(like.best), draws)) > 10


def test_shapes_under_broadcasting_vmap_and_expand(like):
    p = like.data.size
    few = {name: value[:3] for name, value in scattered(like).items()}
    one = like.distribution(few)
    assert (one.batch_shape, one.event_shape) == ((3,), (p,))
    assert one.sample(jax.random.key(0), (2,)).shape == (2, 3, p)
    assert one.log_prob(like.data).shape == (3,)
    mapped = jax.vmap(like.distribution)(few)
    assert mapped.batch_shape == (3,)
    np.testing.assert_allclose(mapped.log_prob(like.data), one.log_prob(like.data))
    np.testing.assert_allclose(jax.vmap(lambda d: d.log_prob(like.data))(mapped), one.log_prob(like.data))
    wide = like.distribution(like.best).expand((4, 2))
    assert wide.batch_shape == (4, 2)
    assert wide.sample(jax.random.key(0)).shape == (4, 2, p)
    assert wide.log_prob(like.data).shape == (4, 2)
    mixed = like.distribution(
        like.best | {"teff": jnp.asarray([[5300.0], [5400.0]]), "logg": jnp.asarray([4.2, 4.3, 4.4])}
    )
    assert mixed.batch_shape == (2, 3)


def test_a_pytree_goes_through_jit(like):
    value = jax.jit(lambda own, params: own.log_prob(params))(like, like.best)
    np.testing.assert_allclose(value, like.log_prob(like.best), rtol=1e-6)  # the network computes in float32


def test_the_data_are_what_the_distribution_expects(like):
    assert abs(pull(like.distribution(like.best), like.data[None])) < 4
    assert like.wavelength.shape == like.predict(like.best).shape == like.data.shape


def test_what_the_noise_can_have_is_left_out_by_name(star, like):
    bare = bayne.likelihood(
        star, erring_emulator(), jitter=False, robust=False, emulator_error=False, continuum=2, **SHORT
    )
    assert not any(name.startswith("excess") for name in bare.names)
    np.testing.assert_array_equal(bare.model.robust.shrink, np.eye(bare.model.n_mean))
    assert bare.model.pixels.error is None
    assert bare.model.pixels.basis.shape[-1] < like.model.pixels.basis.shape[-1]
    assert float(bare.distribution(bare.best).variance.sum()) < float(like.distribution(like.best).variance.sum())


def test_wrong_parameters_are_named(like):
    with pytest.raises(BayneError, match=r"unknown label 'tef'.*teff"):
        like.log_prob(like.best | {"tef": 5000.0})
    with pytest.raises(BayneError, match="logg, rv missing"):
        like.predict({name: value for name, value in like.best.items() if name not in ("logg", "rv")})
    with pytest.raises(BayneError, match=r"do not broadcast: teff \(2,\), logg \(3,\)"):
        like.log_prob(like.best | {"teff": jnp.ones(2), "logg": jnp.ones(3)})
    with pytest.raises(ValueError, match=f"{like.data.size} pixels"):
        like.distribution(like.best).log_prob(like.data[1:])
    with jax.enable_x64(False), pytest.raises(BayneError, match=r"numpyro\.enable_x64"):
        like.log_prob(like.best)


def test_jitter_that_is_not_given_stays(like):
    labels = {name: value for name, value in like.best.items() if not name.startswith("excess")}
    assert labels != like.best
    np.testing.assert_allclose(like.log_prob(labels), like.log_prob(like.best))


def test_a_spectrum_that_cannot_be_fitted_is_refused(star):
    far = replace(star, arms=tuple(replace(arm, wavelength=arm.wavelength + 9000.0) for arm in star.arms))
    with pytest.raises(BayneError, match="cannot be fitted"):
        bayne.likelihood(far, erring_emulator())
    with pytest.raises(BayneError, match="no option 'resolutoin'"):
        bayne.likelihood(star, erring_emulator(), resolutoin=20_000)


def test_density_of_the_model_is_the_one_that_is_sampled(model):
    like = model.likelihood
    every = scattered(like)
    for i in range(COUNT):
        params = {name: value[i] for name, value in every.items()}
        theirs, _ = log_density(model, (), {}, params)
        ours = log_posterior(like.model, like.prior, jnp.stack(list(params.values())))
        np.testing.assert_allclose(theirs, ours, rtol=1e-9)


def test_sites_are_labels_and_their_sums(model):
    trace = handlers.trace(handlers.seed(model, jax.random.key(0))).get_trace()
    sampled = [name for name, site in trace.items() if site["type"] == "sample" and not site["is_observed"]]
    assert tuple(sampled) == model.likelihood.names
    assert "mg_fe" not in sampled
    assert trace["mg_h"]["type"] == "deterministic"
    np.testing.assert_allclose(trace["mg_h"]["value"], trace["fe_h"]["value"] + 0.15)
    np.testing.assert_array_equal(trace["flux"]["value"], model.likelihood.data)


def test_mcmc_finds_what_fit_star_finds(model, chain, star):
    result = bayne.fit_star(
        star, erring_emulator(), priors={"teff": (5400.0, 200.0), "logg": dist.StudentT(4.0, 4.3, 0.2)},
        fixed={"mg_fe": 0.15}, **SHORT,
    )  # fmt: skip
    for name in ("teff", "logg", "fe_h", "rv"):
        draws, row = chain.get_samples()[name], result.table[list(result.table["label"]).index(name)]
        assert abs(draws.mean() - row["mean"]) < 0.3 * row["std"], name
        assert float(draws.std()) == pytest.approx(row["std"], rel=0.25), name


def test_predictive_and_pointwise_likelihood(model, chain):
    few = {name: value[:5] for name, value in chain.get_samples().items()}
    flux = Predictive(model, few)(jax.random.key(2), observed=False)["flux"]
    assert flux.shape == (5, model.likelihood.data.size)
    params = {name: few[name] for name in model.likelihood.names}
    for i in range(5):
        one = model.likelihood.distribution({name: value[i] for name, value in params.items()})
        assert abs(pull(one, flux[i][None])) < 4
    prior = Predictive(model, num_samples=3)(jax.random.key(2), observed=False)
    assert prior["teff"].shape == (3,)
    like = log_likelihood(model, few)["flux"]
    np.testing.assert_allclose(like, model.likelihood.log_prob(params), rtol=1e-6)


def test_variational_inference_moves_uphill(model):
    guide = AutoMultivariateNormal(model, init_loc_fn=init_to_value(values=model.best), init_scale=0.01)
    svi = SVI(model, guide, numpyro.optim.Adam(0.01), Trace_ELBO())
    losses = svi.run(jax.random.key(3), 200, progress_bar=False).losses
    assert float(losses[-50:].mean()) < float(losses[:20].mean()) - 1


def test_handlers_condition_reparam_and_scope(model):
    held = handlers.condition(model, {"teff": 5400.0})
    trace = handlers.trace(handlers.seed(held, jax.random.key(0))).get_trace()
    assert trace["teff"]["is_observed"]

    def two_stars():
        middle = numpyro.sample("middle", dist.Normal(0.0, 1.0))
        numpyro.sample("offset", dist.Normal(middle, 0.1))
        for name in ("a", "b"):
            handlers.scope(model, prefix=name)()

    moved = handlers.reparam(two_stars, {"offset": LocScaleReparam(0.0)})
    trace = handlers.trace(handlers.seed(moved, jax.random.key(0))).get_trace()
    assert {"offset_decentered", "a/teff", "b/teff", "a/flux", "b/flux", "b/mg_h"} <= set(trace)
    with pytest.raises(AssertionError, match="unique names but got `teff` duplicated"):
        handlers.trace(handlers.seed(lambda: (model(), model()), jax.random.key(0))).get_trace()


def test_it_is_drawn_as_a_graph(model):
    graph = numpyro.render_model(model)
    assert "teff" in graph.source
    assert "flux" in graph.source


def test_labels_that_collide_with_sites_are_refused(star):
    emulator = erring_emulator()
    names = ("teff", "logg", "fe_h", "flux")
    with pytest.raises(BayneError, match="flux: another site"):
        bayne.model(star, replace(emulator, card=replace(emulator.card, labels=names)))

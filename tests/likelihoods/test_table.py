"""The tabulated likelihood against the one it stands for."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.likelihoods import log_likelihood
from bayne.likelihoods.table import log_likelihoods, tabulate
from likelihoods.test_marginal import small_problem


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def problem(rank, spread=0.0):
    """`small_problem` on the device, with photon noise that differs by up to 10^(2 spread) between pixels."""
    pixels, model, extra = small_problem(rank)
    variance = pixels.variance * 10.0 ** np.random.default_rng(0).uniform(-spread, spread, model.shape)
    return jax.tree.map(jnp.asarray, (replace(pixels, variance=variance), model, extra))


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("jitter", [0.0, 1e-4, 0.02, 0.5])
def test_at_the_middle_it_is_the_likelihood_at_every_jitter(rank, jitter):
    """The continuum may be linearised about any jitter; at this model it does not matter about which."""
    pixels, model, extra = problem(rank, spread=1.0)
    table = tabulate(pixels, model, extra, jnp.full(2, 0.25))
    asked = jnp.full(2, jitter**2)
    value, slope = jax.value_and_grad(lambda s: log_likelihoods(pixels, table, model[..., None], s[None])[0])(asked)
    exact, exact_slope = jax.value_and_grad(log_likelihood, 2)(pixels, model, asked)
    assert float(value) == pytest.approx(float(exact), rel=1e-9)
    np.testing.assert_allclose(slope, exact_slope, rtol=1e-8)


@pytest.mark.parametrize("rank", [0, 4])
def test_near_the_middle_it_is_off_by_little(rank):
    """Of a change of the model that shows at 3 sigma; known-bad twin: the continuum not where it is best."""
    pixels, model, extra = problem(rank)
    rng = np.random.default_rng(2)
    steps = np.sqrt(pixels.variance + extra[:, None])[..., None] * rng.normal(size=(*model.shape, 20))
    models = model[..., None] + 3 * steps / np.sqrt(model.size)
    table = tabulate(pixels, model, extra, extra)
    asked = jnp.broadcast_to(extra, (20, 2))
    exact = np.array([log_likelihood(pixels, m, extra) for m in jnp.moveaxis(models, -1, 0)])
    found = np.asarray(log_likelihoods(pixels, table, models, asked))
    wrong = np.asarray(log_likelihoods(pixels, replace(table, best=jnp.ones_like(model)), models, asked))
    assert np.std(found - exact) < 0.02 * np.std(exact)
    assert np.std(wrong - exact) > 3 * np.std(found - exact)


def test_a_table_of_other_noise_gives_another_likelihood():
    """Known-bad twin: the likelihood does read the table."""
    pixels, model, extra = problem(4)
    other = tabulate(replace(pixels, variance=2 * pixels.variance), model, extra, extra)
    wrong = log_likelihoods(pixels, other, model[..., None], extra[None])[0]
    assert np.isfinite(wrong)
    assert abs(wrong - log_likelihood(pixels, model, extra)) > 0.1


def test_pixels_that_are_not_used_have_no_influence():
    pixels, model, extra = problem(4)
    table = tabulate(pixels, model, extra, extra)
    wild = jnp.where(pixels.used, model, 1e6)
    ours, others = (log_likelihoods(pixels, table, m[..., None], extra[None])[0] for m in (model, wild))
    assert ours == others

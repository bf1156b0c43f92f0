"""Cramér-Rao bounds: against dense matrices and samplers, how they scale and add, and what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import bayne
from bayne import BayneError
from bayne.information import prepare_exposure
from toy import erring_emulator, mock_star, toy_emulator, toy_instrument

STAR = {"teff": 5500.0, "logg": 4.2, "fe_h": -0.2, "mg_fe": 0.1}
TOY = toy_instrument()
BLUE = TOY.arms[0]


@pytest.fixture(scope="module")
def emulator():
    return toy_emulator()


def bound(emulator, snr=100.0, values=STAR, **options):
    return bayne.cramer_rao(emulator, TOY, values, snr, **options)


@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_bounds_are_those_of_a_dense_matrix(emulator, correlation):
    """Finite differences of the model, the covariance of all pixels written out, and inverses.

    Lines are left out in the middle of an arm, so that neighbours are more than a pixel apart.
    """
    emulator = erring_emulator(0.1)
    options = {"correlation": correlation, "windows": [(4990.0, 5010.0), (5011.0, 5200.0)]}
    with jax.enable_x64(True):
        problem, theta = prepare_exposure(emulator, TOY, 100.0, **options).at(STAR)
        pixels = jax.tree.map(np.asarray, problem.model.pixels)
        model = np.asarray(problem.model.predict(theta))
        gradients = []
        for i, h in enumerate([60.0, 0.06, 0.06, 0.06, 1.0, 1.0]):
            e = jnp.zeros(theta.size).at[i].set(h)
            f = [np.asarray(problem.model.predict(theta + k * e)) for k in (-3, -2, -1, 1, 2, 3)]
            gradients.append((45 * (f[3] - f[2]) - 9 * (f[4] - f[1]) + (f[5] - f[0])).ravel() / (60 * h))
    keep, (arms, n) = pixels.used.ravel(), pixels.used.shape
    noise = np.sqrt(pixels.variance + pixels.error.variance).ravel()
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    sigma = np.outer(noise, noise) * np.kron(np.eye(arms), correlation**apart)
    for a in range(2):
        column = np.zeros((2, *pixels.basis.shape[1:]))
        column[a] = model[a][:, None] * pixels.basis[a] * pixels.spread[a]
        sigma += column.reshape(keep.size, -1) @ column.reshape(keep.size, -1).T
    errors = pixels.error.basis.reshape(keep.size, -1)
    sigma = (sigma + errors @ errors.T)[np.ix_(keep, keep)]
    g = np.stack(gradients)[:, keep]
    exact = np.sqrt(np.diag(np.linalg.inv(g @ np.linalg.solve(sigma, g.T))))
    np.testing.assert_allclose(bound(emulator, **options).std[:6], exact, rtol=1e-4)
    assert np.max(np.abs(bound(emulator, emulator_error=False, **options).std[:6] / exact - 1)) > 0.1
    other = bound(emulator, **options | {"correlation": 0.2}).std[:6]
    assert np.max(np.abs(other / exact - 1)) > 0.03


def test_bounds_go_with_the_inverse_of_signal_to_noise(emulator):
    once, twice = (bound(emulator, snr, priors=None, emulator_error=False).std[:6] for snr in (100.0, 200.0))
    np.testing.assert_allclose(once / twice, 2, rtol=1e-6)


def test_information_adds_over_arms(emulator):
    """Labels only: each arm has a velocity, a rotation and a jitter of its own."""
    parts = [bound(emulator, arms=[name], free=()) for name in ("blue", "red")]
    both = bound(emulator, free=())
    np.testing.assert_allclose((parts[0] + parts[1]).std, both.std[:4], rtol=1e-5)
    with pytest.raises(BayneError, match="same priors"):
        parts[0] + bound(emulator, free=(), priors={"teff": (5500.0, 50.0)})
    with pytest.raises(BayneError, match="same values"):
        parts[0] + bayne.cramer_rao(emulator, TOY, STAR | {"teff": 5000.0}, 100.0, free=())


def test_nuts_is_as_wide_as_the_bound(emulator):
    """At S/N 500 the posterior is a Gaussian and its widths are bounds; known-bad twin: those of S/N 400.

    Draws of four seeds: those of one tell a standard deviation to 3%, for NUTS draws means better than variances.
    """
    values = np.array(list(STAR.values()))
    star = mock_star(emulator, values, snr=500.0, vsini=5.0)
    results = [
        bayne.fit_star(star, emulator, method="nuts", jitter=False, robust=False, continuum=2, seed=seed)
        for seed in range(4)
    ]
    assert all(np.nanmin(result.table["ess_bulk"]) > 2000 for result in results)
    found = np.array([np.std([result.draws(name) for result in results]) for name in STAR])
    at = dict(zip(results[0].names, results[0].map, strict=True))
    for snr, right in ((500.0, True), (400.0, False)):
        ours = bayne.cramer_rao(emulator, TOY, {name: at[name] for name in (*STAR, "vsini")}, snr).std[:4]
        assert np.all(np.abs(found / ours - 1) < 0.05) == right


def test_priors_and_nuisances_cost_what_they_should(emulator):
    free = bound(emulator)
    assert np.all(np.sqrt(np.diag(free.bayesian)) < free.std)
    tight = bound(emulator, priors={"teff": (5500.0, 5.0)})
    assert np.sqrt(tight.bayesian[0, 0]) < 5.0 < tight.std[0]
    known = bound(emulator, continuum=False)
    np.testing.assert_allclose(1 + free.losses["continuum"], free.std / known.std, rtol=1e-3)
    still = bound(emulator, free=("vsini",))
    np.testing.assert_allclose(1 + free.losses["rv"][:4], free.std[:4] / still.std[:4], rtol=1e-3)
    worse = bound(erring_emulator(0.1))
    assert np.all(worse.losses["emulator error"][:4] > 0)


def test_what_is_known_has_its_value(emulator):
    """A rotation that is known broadens all the same; known-bad twin: the same star without it."""
    known, free = (bound(emulator, free=f, values=STAR | {"vsini": 40.0}) for f in (("rv",), ("rv", "vsini")))
    assert "vsini" not in known.names
    np.testing.assert_allclose(1 + free.losses["vsini"][:4], free.std[:4] / known.std[:4], rtol=1e-6)
    assert np.all(known.std[:4] > 1.3 * bound(emulator, free=("rv",)).std[:4])
    with jax.enable_x64(True):
        shares = prepare_exposure(emulator, TOY, 100.0, free=()).information(STAR)[1]
    assert shares[0].shape[0] == 4 + 2
    np.testing.assert_allclose(np.concatenate(shares, axis=1)[:4].sum(axis=1), 1, rtol=1e-6)


def test_windows_that_fits_leave_out_hold_no_information(emulator):
    blind = replace(emulator, card=replace(emulator.card, excluded=((5099.0, 5137.0),)))
    np.testing.assert_allclose(bound(blind).std[:4], bound(emulator, arms=["blue"]).std[:4], rtol=1e-6)


def test_named_stars_have_the_labels_of_any_emulator(emulator):
    assert bayne.cramer_rao(emulator, TOY, "sun", 100.0).values[0] == 5772.0


def test_the_table_has_both_kinds_of_abundance_and_says_what_is_not_constrained(emulator):
    table = bound(emulator).table
    rows = {row["label"]: row for row in table}
    c = bound(emulator).covariance
    assert rows["mg_h"]["bound"] == pytest.approx(np.sqrt(c[2, 2] + c[3, 3] + 2 * c[2, 3]))
    assert rows["mg_h"]["value"] == pytest.approx(-0.1)
    assert rows["teff"]["unit"] == "K"
    blind = replace(emulator, params=dict(emulator.params) | {"w_array_0": _without(emulator, 3)})
    found = bound(blind)
    assert np.isinf(found.std[3])
    assert np.isinf({row["label"]: row for row in found.table}["mg_h"]["bound"])
    assert [set(combination) for combination in found.unconstrained()] == [{"mg_fe"}]
    assert found.condition > 1e8
    assert np.isfinite(found.std[0])


def _without(emulator, label):
    return jnp.asarray(emulator.params["w_array_0"]).at[..., label].set(0.0)


def test_shares_of_the_information_are_where_the_lines_are(emulator):
    with jax.enable_x64(True):
        waves, shares = prepare_exposure(emulator, TOY, 100.0).information(STAR)
    whole = np.concatenate(shares, axis=1)
    np.testing.assert_allclose(whole[:4].sum(axis=1), 1, rtol=1e-6)
    flux = emulator.flux(np.array(list(STAR.values())), np.concatenate(waves))
    strong = np.nan_to_num(flux, nan=1.0) < 0.9
    assert np.all(whole[:4, strong].sum(axis=1) > 0.6)
    assert strong.mean() < 0.5


def test_many_stars_are_each_what_one_is(emulator):
    teff = np.array([5000.0, 5500.0, 6000.0])
    many = bayne.cramer_rao(emulator, TOY, STAR | {"teff": teff}, 100.0)
    assert [b.values[0] for b in many] == list(teff)
    np.testing.assert_array_equal(many[1].std, bound(emulator).std)


def test_gradients_are_those_of_the_spectrum(emulator):
    exposure = prepare_exposure(emulator, TOY, 100.0, free=("rv",))
    waves, slopes = exposure.gradients(STAR)
    assert [(w.size, s.shape) for w, s in zip(waves, slopes, strict=True)] == [(w.size, (5, w.size)) for w in waves]
    problem, theta = exposure.at(STAR)
    with jax.enable_x64(True):
        warm, cool = (problem.model.predict(theta.at[0].add(d)) for d in (10.0, -10.0))
    change = np.asarray(warm - cool)[0, : waves[0].size] / 20
    np.testing.assert_allclose(slopes[0][0], change, atol=0.01 * np.abs(change).max())


def test_bounds_are_written_in_every_format(emulator, tmp_path):
    found = bound(emulator)
    for suffix in ("ecsv", "csv", "fits"):
        path = found.write(tmp_path / f"star.{suffix}")
        written = Table.read(path, **({"hdu": "BOUNDS"} if suffix == "fits" else {}))
        np.testing.assert_allclose(written["bound"], found.table["bound"])
        with pytest.raises(FileExistsError):
            found.write(path)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "star.fits", "COVARIANCE"), found.covariance)
    with pytest.raises(BayneError, match=r"\.ecsv, \.csv, \.fits"):
        found.write(tmp_path / "star.txt")


def test_signal_to_noise_by_arm_by_wavelength_and_per_angstrom(emulator):
    one_arm = bound(emulator, arms=["red"], free=())
    np.testing.assert_allclose(bound(emulator, {"red": 100.0}, free=()).std[:4], one_arm.std[:4], rtol=1e-6)
    table = (np.array([5100.0, 5140.0]), np.array([100.0, 100.0]))
    np.testing.assert_allclose(bound(emulator, table, free=()).std[:4], one_arm.std[:4], rtol=1e-6)
    per = bound(emulator, 100.0 / np.sqrt(0.06), per="angstrom", free=())
    np.testing.assert_allclose(per.std[:4], bound(emulator, free=()).std[:4], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"snr": 0.0}, "positive"),
        ({"snr": -3.0}, "positive"),
        ({"snr": {"green": 50.0}}, "no arm 'green'"),
        ({"snr": (np.array([5000.0, 4000.0]), np.array([1.0, 1.0]))}, "increase"),
        ({"per": "nm"}, "pixel, angstrom"),
        ({"windows": [(6000.0, 6100.0)]}, "window 6000-6100"),
        ({"labels": STAR | {"mgfe": 0.0}}, "mg_fe"),
        ({"labels": STAR | {"teff": 9000.0}}, "domain, 4500 to 6500"),
        ({"labels": {"teff": 5500.0}}, "give logg, fe_h too"),
        ({"labels": "betelgeuse"}, "choose from sun"),
        ({"labels": STAR | {"teff": np.ones(3), "logg": np.ones(2)}}, "2, 3 stars"),
        ({"resolution": 60_000.0}, "60,?000"),
        ({"resolution": -1.0}, "positive"),
        ({"arms": ["green"]}, "no arm 'green'"),
        ({"instrument": "hermess"}, "hermes"),
        ({"instrument": replace(TOY, arms=(replace(BLUE, wavelength=(6000.0, 6030.0)),))}, "5000-5035"),
        ({"free": ["logg"]}, "free"),
        ({"labels": STAR | {"vmac": 4.0}}, "vmac is not in free="),
        ({"labels": STAR | {"vsini": np.nan}}, "0 to 120 km/s"),
        ({"labels": STAR | {"rv": 1000.0}}, "-50 to 50 km/s"),
        ({"labels": STAR | {"fe_h": "low"}}, "fe_h: give a number"),
        ({"priors": {"vsini": (5.0, 1.0)}, "free": ("rv",)}, "vsini is not free"),
        ({"snr": (50.0, 60.0, 70.0)}, "positive number"),
        ({"snr": [50.0, 60.0]}, "positive number"),
        ({"continuum": True}, "order from 0 to 30"),
        ({"correlation": 1.0}, "between -1 and 1"),
    ],
)
def test_wrong_questions_are_refused_in_words(emulator, change, words):
    arguments = {"instrument": TOY, "labels": STAR, "snr": 100.0} | change
    with pytest.raises(BayneError, match=words):
        bayne.cramer_rao(emulator, **arguments)

"""`fit_batch`: a star's result does not depend on its neighbours, and a star that fails has a row that says so."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne import BayneError, Flag
from bayne.inference import batch as module
from bayne.inference.fit import fit_concurrently


@pytest.fixture(scope="module")
def stars(mock):
    return [replace(mock(seed=i, snr=60.0), id=f"star-{i}", instrument="hermes") for i in range(4)]


def broken(star, **changes):
    return replace(star, arms=tuple(replace(arm, **{k: f(arm) for k, f in changes.items()}) for arm in star.arms))


@pytest.fixture(scope="module")
def bad(stars):
    """A star of NaN, one masked throughout, one of another instrument, one beyond the emulator's wavelengths."""
    star = stars[0]
    return [
        replace(broken(star, flux=lambda a: np.full(a.flux.size, np.nan)), id="nan"),
        replace(broken(star, mask=lambda a: np.ones(a.flux.size, bool)), id="masked"),
        replace(star, id="other", instrument="apogee"),
        replace(broken(star, wavelength=lambda a: a.wavelength * 2), id="elsewhere"),
    ]


@pytest.fixture(scope="module")
def mixed(stars, bad, emulator):
    both = [stars[0], bad[0], stars[1], *bad[1:], *stars[2:]]
    return bayne.fit_batch(both, emulator).table


def rows(table, names):
    return table[[list(table["id"]).index(name) for name in names]]


def test_rows_come_in_the_order_of_the_spectra(mixed):
    assert list(mixed["id"]) == ["star-0", "nan", "star-1", "masked", "other", "elsewhere", "star-2", "star-3"]


def test_bad_spectra_have_flagged_rows_with_a_sentence_each(mixed):
    expected = {"nan": Flag.NO_PIXELS, "masked": Flag.NO_PIXELS, "other": Flag.FAILED, "elsewhere": Flag.NO_OVERLAP}
    for row, flag in zip(rows(mixed, expected), expected.values(), strict=True):
        assert not row["ok"]
        assert flag in Flag(row["flags"])
        assert np.isnan(row["teff"])
        assert np.isnan(row["mg_h_std"])
        assert len(row["message"]) > 20
    assert "'apogee'" in rows(mixed, ["other"])["message"][0]


def test_good_stars_are_what_they_are_without_the_bad_ones(mixed, stars, emulator):
    alone = bayne.fit_batch(stars, emulator).table
    there = rows(mixed, alone["id"])
    assert all(there["ok"])
    for name in alone.colnames:
        if name != "seconds":
            np.testing.assert_array_equal(alone[name], there[name], err_msg=name)


def assert_same(result, table):
    row = rows(table, [result.id])[0]
    for label, median, std in zip(result.table["label"], result.table["median"], result.table["std"], strict=True):
        if label in table.colnames:
            assert (median, std) == (row[label], row[f"{label}_std"])


def test_a_star_alone_is_the_star_in_the_batch_to_the_last_bit(mixed, stars, emulator):
    assert_same(bayne.fit_star(stars[2], emulator, method="fast"), mixed)


def test_so_it_is_in_lock_step_as_on_an_accelerator(mixed, stars, bad, emulator, monkeypatch):
    """Three stars of five at a time, of which one has no pixels; another order of sums moves draws of equal worth."""
    monkeypatch.setattr("bayne.inference.fit.stars_at_a_time", lambda method: 3)
    table = bayne.fit_batch([stars[0], bad[0], *stars[1:]], emulator).table
    assert list(table["ok"]) == [True, False, True, True, True]
    alone = bayne.fit_batch(stars[2:3], emulator).table  # computed in the same shape: to the last bit
    for name in set(table.colnames) - {"seconds"}:
        np.testing.assert_array_equal(alone[name], rows(table, [stars[2].id])[name], err_msg=name)
    names = [star.id for star in stars]
    found, one_by_one = rows(table, names), rows(mixed, names)
    for label in ("teff", "logg", "fe_h", "mg_fe", "rv"):
        sigma = one_by_one[f"{label}_std"]
        np.testing.assert_allclose(found[label] / sigma, one_by_one[label] / sigma, atol=0.2, err_msg=label)
        np.testing.assert_allclose(found[f"{label}_std"], sigma, rtol=0.1, err_msg=label)


def test_the_table_has_units(mixed):
    assert str(mixed["teff"].unit) == "K"
    assert str(mixed["rv_std"].unit) == "km / s"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fixed": {"tef": 5000.0}}, "teff"),
        ({"method": "magic"}, "method 'magic'"),
        ({"id": "me"}, "id belongs to one star"),
    ],
)
def test_arguments_that_are_wrong_for_every_star_raise(stars, emulator, options, match):
    with pytest.raises(BayneError, match=match):
        bayne.fit_batch(stars, emulator, **options)


def test_a_misspelt_option_is_named(stars, emulator):
    with pytest.raises(BayneError, match=r"no option 'resolutoin'. Did you mean 'resolution'"):
        bayne.fit_batch(stars, emulator, resolutoin=20_000.0)


@pytest.fixture
def failing(monkeypatch):
    """A fit that fails at some stars as no one foresaw."""
    real = module.fit_checked

    def fit(spectrum, emulator, settings, name):
        if name == "star-1":
            np.linalg.inv(np.zeros((2, 2)))
        if name == "star-2":
            raise MemoryError("10 GB")
        return real(spectrum, emulator, settings, name)

    monkeypatch.setattr(module, "fit_checked", fit)


def test_what_no_one_foresaw_is_a_row_and_a_traceback_in_the_log(stars, emulator, failing, caplog):
    table = bayne.fit_batch(stars, emulator, method="map").table
    assert list(table["ok"]) == [True, False, False, True]
    assert all(Flag.FAILED in Flag(bits) for bits in table["flags"][1:3])
    assert "LinAlgError: Singular matrix" in table["message"][1]
    assert "MemoryError: 10 GB" in table["message"][2]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [np.linalg.LinAlgError, MemoryError]


def test_debug_raises_it_and_says_at_which_star(stars, emulator, failing):
    with pytest.raises(np.linalg.LinAlgError) as caught:
        bayne.fit_batch(stars, emulator, method="map", debug=True)
    assert any("star-1" in note for note in caught.value.__notes__)


def test_spectra_of_specutils_have_the_identity_of_their_meta(stars, emulator):
    specutils, units = pytest.importorskip("specutils"), pytest.importorskip("astropy.units")
    nddata = pytest.importorskip("astropy.nddata")

    def spectrum(star, **meta):
        arm = star.arms[0]
        return specutils.Spectrum(
            flux=arm.flux * units.ct, spectral_axis=arm.wavelength * units.AA,
            uncertainty=nddata.InverseVariance(arm.ivar / units.ct**2), mask=arm.mask,
            meta={"medium": "vacuum", **meta},
        )  # fmt: skip

    given = [spectrum(stars[0], id="HD 1"), spectrum(stars[1]), [spectrum(stars[2], id="HD 3")]]
    found = bayne.fit_batch(given, emulator, method="map", resolution=20_000.0).table
    assert list(found["id"]) == ["HD 1", "spectrum-1", "HD 3"]
    with pytest.raises(BayneError, match="HD 1 come more than once"):
        bayne.fit_batch([given[0], given[0]], emulator, resolution=20_000.0)


def test_whoever_takes_the_results_may_fit_a_star_meanwhile(stars, emulator):
    """The lock that keeps fits apart is not held while a result is looked at."""

    def look():
        calls = [lambda star=star: star for star in stars[:2]]
        return [bayne.fit_star(star, emulator, method="map").ok for _, star in fit_concurrently(calls, "map")]

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(look).result(timeout=300) == [True, True]


def test_an_empty_batch_and_two_stars_of_one_name_raise(stars, emulator):
    with pytest.raises(BayneError, match="no spectra"):
        bayne.fit_batch([], emulator)
    with pytest.raises(BayneError, match="star-0 come more than once"):
        bayne.fit_batch([stars[0], stars[0]], emulator)


def test_fits_from_several_threads_wait_for_each_other(stars, emulator, monkeypatch):
    """LAPACK inside XLA's pool of threads lets two fits at a time wait for each other for ever."""
    running, most = [], []

    def slow(spectrum, *rest, **options):
        running.append(spectrum)
        most.append(len(running))
        time.sleep(0.05)
        running.remove(spectrum)

    monkeypatch.setattr("bayne.inference.fit.fit_checked", slow)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda star: bayne.fit_star(star, emulator), stars))
    assert most == [1, 1, 1, 1]

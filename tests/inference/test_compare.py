"""`compare`: differences, truth and classical errors that a user can check by hand."""

from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne import BayneError
from bayne.reports import comparison_page
from toy import LABELS, LOWER, UPPER, card

STARS = 6


@pytest.fixture(scope="module")
def truths():
    rng = np.random.default_rng(3)
    return rng.uniform(0.8 * LOWER + 0.2 * UPPER, 0.2 * LOWER + 0.8 * UPPER, (STARS, len(LABELS)))


@pytest.fixture(scope="module")
def stars(mock, truths):
    made = [mock(seed=i, snr=80.0, labels=dict(zip(LABELS, row, strict=True))) for i, row in enumerate(truths)]
    return [replace(star, id=f"star-{i}") for i, star in enumerate(made)]


@pytest.fixture(scope="module")
def hot(emulator):
    """The emulator with its zero point of temperature off by 100 K, and a domain that is a little smaller."""
    params = dict(emulator.params)
    for end in ("x_min", "x_max"):
        params[end] = params[end] + np.array([100.0, 0, 0, 0])
    smaller = card(lower=(4700.0, *LOWER[1:]))
    return replace(emulator, params=params, card=smaller)


@pytest.fixture(scope="module")
def found(stars, emulator, hot, truths):
    truth = dict(zip(LABELS, truths.T, strict=True))
    return bayne.compare(stars, {"true": emulator, "hot": hot}, truth=truth, classical="true", method="map")


def row(found, emulator, label):
    table = found.table
    return table[(table["emulator"] == emulator) & (table["label"] == label)][0]


def test_an_emulator_with_a_wrong_zero_point_differs_by_it(found):
    assert row(found, "hot", "teff")["difference"] == pytest.approx(100, abs=2)
    assert row(found, "hot", "teff")["bias"] == pytest.approx(100, abs=60)
    assert abs(row(found, "hot", "mg_fe")["difference"]) < 0.002
    assert row(found, "hot", "teff")["n"] == STARS


def test_the_reference_does_not_differ_from_itself(found):
    own = found.table[found.table["emulator"] == found.reference]
    assert np.all(own["difference"] == 0)
    assert np.all(own["std_ratio"] == 1)


def test_errors_are_honest_for_the_true_emulator_only(found):
    pulls = dict(zip(found.summary["emulator"], found.summary["rms_pull"], strict=True))
    assert 0.6 < pulls["true"] < 1.5  # 24 labels, scattered by sqrt(1 / 48) if Gaussian
    assert row(found, "hot", "teff")["rms_pull"] > 2


def test_the_classical_fit_finds_the_same_stars(found):
    """One start, pilot continuum: near the others, where all goes well."""
    classical = found.answers["true (least squares)"]
    assert classical.ok.all()
    assert row(found, "true (least squares)", "teff")["n"] == STARS
    assert abs(row(found, "true (least squares)", "teff")["rms_sigma"]) < 4
    assert np.all(classical.std > 0)


def test_a_star_that_fails_leaves_the_others(stars, emulator, hot):
    dead = replace(stars[0], id="dead", arms=tuple(replace(a, flux=a.flux * np.nan) for a in stars[0].arms))
    found = bayne.compare([dead, stars[1]], {"true": emulator, "hot": hot}, classical="hot", method="map")
    assert all(list(own.ok) != [True, True] and np.isnan(own.value[0]).all() for own in found.answers.values())
    assert all(own.messages[0] for own in found.answers.values())
    assert row(found, "hot", "teff")["n"] == 1
    assert np.isnan(row(found, "hot", "teff")["bias"])


def test_the_page_has_every_emulator_and_is_not_overwritten(found, tmp_path):
    page = comparison_page(found, tmp_path / "compare.html")
    text = page.read_text()
    assert "true (least squares)" in text
    assert text.count("<img") == 1
    with pytest.raises(FileExistsError):
        comparison_page(found, page)


def test_wrong_arguments_are_named(stars, emulator, hot):
    pair = {"a": emulator, "b": hot}
    with pytest.raises(BayneError, match="give two emulators"):
        bayne.compare(stars, {"a": emulator})
    with pytest.raises(BayneError, match=r"classical.*'c'"):
        bayne.compare(stars, pair, classical="c")
    with pytest.raises(BayneError, match=r"truth of teff.*6 spectra"):
        bayne.compare(stars, pair, truth={"teff": [5000.0]})
    with pytest.raises(BayneError, match="no wavelength in common"):
        bayne.compare(stars, {"a": emulator, "b": replace(hot, wavelength=hot.wavelength * 2)})

"""Repeat visits: honest errors need no inflation, understated ones get the factor they lack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from astropy.table import Table

from bayne import Flag
from bayne.catalog.visits import MIN_PAIRS, calibrated, calibration, pulls
from bayne.errors import BayneError

NAMES = ("teff", "fe_h")
SIGMA = {"teff": (20.0, 90.0), "fe_h": (0.01, 0.08)}


def visits(counts: Sequence[int], understated: float = 1.0, seed: int = 0) -> Table:
    """Stars with so many visits each, in random order of rows; quoted errors are the true ones / `understated`."""
    rng = np.random.default_rng(seed)
    star = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    table = Table({"star_id": [f"star-{i}" for i in star], "ok": np.ones(star.size, bool)})
    for name in NAMES:
        truth, sigma = rng.normal(0, 1e3, len(counts))[star], rng.uniform(*SIGMA[name], star.size)
        table[name] = truth + sigma * rng.standard_normal(star.size)
        table[f"{name}_std"] = (sigma / understated).astype(np.float32)
    table["teff_std"].unit = "K"
    return table


def test_two_visits_give_the_difference_over_the_error() -> None:
    table = Table({"star_id": ["a", "b", "a"], "ok": [True] * 3, "teff": [5000.0, 1.0, 5100.0]})
    table["teff_std"] = [30.0, 1.0, 40.0]
    np.testing.assert_allclose(pulls(table, "teff"), [2.0])


def test_many_visits_of_a_star_count_once_each() -> None:
    table = visits([7])
    x, s = table["teff"].data, table["teff_std"].data.astype(float)
    found = pulls(table, "teff")
    assert found.size == 6
    mean = np.average(x, weights=s**-2)
    np.testing.assert_allclose((found**2).sum(), (((x - mean) / s) ** 2).sum(), rtol=1e-9)  # chi-square of the star


def test_pulls_of_honest_errors_are_independent_unit_normals() -> None:
    table = visits([4] * 4000)
    found = pulls(table, "fe_h").reshape(3, -1)  # the second visits of all stars, the third ones, the fourth ones
    covariance = np.cov(found)
    np.testing.assert_allclose(covariance, np.eye(3), atol=5 * np.sqrt(2 / 4000))


@pytest.mark.parametrize(("understated", "seed"), [(1.0, 1), (1.0, 2), (2.0, 3), (2.0, 4)])
def test_inflation_is_what_the_errors_lack(understated: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, 1500)
    table = calibration(visits(counts, understated, seed), NAMES)
    assert list(table["label"]) == list(NAMES)
    assert set(table["pairs"]) == {int((counts - 1).sum())}
    off = (table["inflation"] - understated) / table["inflation_error"]
    assert np.all(np.abs(off) < 3.5), table
    assert np.all(table["inflation_error"] < 0.04 * understated)
    if understated == 2.0:  # the bad twin is told from honest errors beyond doubt
        assert np.all(table["inflation"] - 1 > 10 * table["inflation_error"])


def test_the_quoted_error_of_the_factor_is_its_scatter() -> None:
    found = [calibration(visits([3] * 150, seed=seed), NAMES) for seed in range(200)]
    inflation = np.array([t["inflation"] for t in found])
    quoted = np.array([t["inflation_error"] for t in found])
    assert abs(inflation.mean() - 1) < 0.01
    assert 0.85 < np.sqrt((quoted**2).mean()) / inflation.std() < 1.15


def test_a_few_wild_stars_do_not_move_the_factor() -> None:
    table = visits([2] * 2000)
    wild = np.isin(table["star_id"], [f"star-{i}" for i in range(100)])  # 5% of the stars
    table["teff"][wild] += np.random.default_rng(5).normal(0, 1e4, wild.sum())
    row = calibration(table, ["teff"])[0]
    assert row["inflation"] < 1.12
    assert np.std(pulls(table, "teff")) > 5  # a plain standard deviation would be spoilt


def test_only_rows_that_can_be_compared_count() -> None:
    table = visits([2] * 200)
    bad = np.arange(400) % 5 == 0
    table["ok"][bad] = False
    table["teff"][bad] = 1e6
    table["teff"][1], table["teff_std"][2] = np.nan, 0.0
    table["teff_upper_95"] = np.where(np.arange(400) == 3, 5.0, np.nan)
    star, use = np.asarray(table["star_id"]), ~bad
    use[[1, 2, 3]] = False
    assert pulls(table, "teff").size == use.sum() - len(set(star[use]))
    assert np.abs(pulls(table, "teff")).max() < 6


def test_velocities_as_observed_are_not_compared() -> None:
    table = visits([2] * 100)
    table["rv"], table["rv_std"] = table["teff"], table["teff_std"]
    table["flag_warn"] = np.full(200, int(Flag.RV_AS_OBSERVED | Flag.NEAR_EDGE), np.int32)
    assert pulls(table, "rv").size == 0
    assert pulls(table, "teff").size == 100


def test_calibrated_errors_stand_beside_the_raw_ones() -> None:
    table, honest = visits([2] * 1000, understated=2.0), visits([2] * 1000, understated=0.5)
    order = np.argsort(table["star_id"])[np.argsort(np.argsort(honest["star_id"]))]
    table["fe_h"][order], table["fe_h_std"][order] = honest["fe_h"], honest["fe_h_std"]
    before = table.copy()
    found = calibrated(table, calibration(table, NAMES))
    factor = calibration(table, ["teff"])["inflation"][0]
    assert abs(factor - 2) < 0.2
    np.testing.assert_allclose(found["teff_std_calibrated"], factor * before["teff_std"], rtol=1e-6)
    np.testing.assert_array_equal(found["fe_h_std_calibrated"], before["fe_h_std"])  # never smaller
    assert found["teff_std_calibrated"].unit == "K"
    assert found["teff_std_calibrated"].dtype == np.float32
    at = found.colnames.index("teff_std")
    assert found.colnames[at + 1] == "teff_std_calibrated"
    assert table.colnames == before.colnames
    for name in before.colnames:
        np.testing.assert_array_equal(table[name], before[name])
        np.testing.assert_array_equal(found[name], before[name])


@pytest.mark.parametrize("pairs", [0, 1, MIN_PAIRS - 1, MIN_PAIRS])
def test_too_few_pairs_change_nothing(pairs: int) -> None:
    table = visits([2] * pairs + [1] * 5, understated=3.0)
    row = calibration(table, ["teff"])[0]
    assert row["pairs"] == pairs
    assert np.isfinite(row["inflation"]) == (pairs >= MIN_PAIRS)
    same = np.array_equal(calibrated(table, calibration(table, ["teff"]))["teff_std_calibrated"], table["teff_std"])
    assert same == (pairs < MIN_PAIRS)


def test_no_rows_and_no_labels() -> None:
    table = visits([2] * 3)
    assert len(calibration(table[:0], NAMES)) == 2
    assert len(calibration(table, [])) == 0
    assert calibrated(table, calibration(table, [])).colnames == table.colnames


def test_a_missing_column_is_named() -> None:
    with pytest.raises(BayneError, match=r"no column 'tefff'\. Did you mean 'teff'"):
        calibration(visits([2] * 3), ["tefff"])
    bare = visits([2] * 3)
    del bare["star_id"]
    with pytest.raises(BayneError, match="star_id"):
        calibration(bare, NAMES)
    with pytest.raises(BayneError, match="no column 'teff_std'"):
        calibrated(bare[["teff"]], calibration(visits([2] * 3), ["teff"]))

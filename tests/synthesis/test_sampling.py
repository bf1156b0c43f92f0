"""Labels of a grid: evenly spread, and in an order in which every tenth is a fair sample of them."""

from itertools import islice

import numpy as np
import pytest
from scipy.stats import ks_2samp, qmc

from bayne.synthesis.sampling import points

RANGES = {"teff": (4000.0, 7000.0), "logg": (0.0, 5.0), "fe_h": (-2.0, 0.5)} | {
    f"x{i}_fe": (-1.0, 1.0) for i in range(9)
}


def everywhere(labels):
    return np.ones(len(labels), dtype=bool)


def drawn(number, seed, inside=everywhere):
    return np.array([labels for _, labels in islice(points(RANGES, inside, seed), number)])


def least_chance(labels):
    """Lowest p of Kolmogorov-Smirnov tests of test and validation rows against the rest, over all labels."""
    turn = np.arange(len(labels)) % 10
    return min(ks_2samp(column[turn == k], column[turn > 1]).pvalue for column in labels.T for k in (0, 1))


@pytest.mark.parametrize("seed", range(4))
def test_held_out_rows_are_spread_like_the_others(seed):
    assert least_chance(drawn(3000, seed)) > 1e-4  # of 24 tests
    assert least_chance(drawn(3000, seed, lambda x: x[:, 0] / 7000 + x[:, 1] / 5 > 0.9)) > 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_in_the_order_of_the_sequence_they_are_not(seed):
    low, high = np.array(list(RANGES.values())).T
    assert least_chance(low + (high - low) * qmc.Sobol(low.size, seed=seed).random(4096)) < 1e-6


def test_the_random_order_leaves_the_points_evenly_spread():
    """A coordinate of 1024 points of the sequence has one in each 1024th of its range (Owen 1998)."""
    low, high = np.array(list(RANGES.values())).T
    cells = np.floor((drawn(1024, 5) - low) / (high - low) * 1024)
    np.testing.assert_array_equal(np.sort(cells, axis=0), np.tile(np.arange(1024)[:, None], low.size))


def test_more_points_go_on_where_fewer_ended():
    np.testing.assert_array_equal(drawn(700, 3)[:300], drawn(300, 3))
    assert not np.array_equal(drawn(300, 3), drawn(300, 4))

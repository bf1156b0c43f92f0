"""Errors to be believed: stars whose spectra are not what the model says."""

from dataclasses import replace

import numpy as np
import pytest

import bayne
from toy import mock_star, toy_emulator

LABELS = ("teff", "logg", "fe_h", "mg_fe")
SPAN = 80.0


@pytest.fixture(scope="module")
def wide():
    """Emulator of two windows of 80 Å."""
    return toy_emulator(SPAN)


def disturbed(emulator, seed):
    """A star whose continuum wanders by 1% over some 20 Å, and whose lines have errors that neighbours share."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.35, 0.65, 4) * (emulator.upper - emulator.lower) + emulator.lower
    star = mock_star(emulator, truth, velocity=5.0, snr=300.0, seed=seed, span=SPAN)
    arms = []
    for arm in star.arms:
        phase, length = rng.uniform(0, 2 * np.pi), rng.uniform(15, 25)
        level = np.median(arm.flux)
        waves = 0.01 * level * np.sin(phase + 2 * np.pi * arm.wavelength / length)
        wrong = np.repeat(rng.normal(0, 0.012 * level, arm.flux.size // 8 + 1), 8)[: arm.flux.size]
        arms.append(replace(arm, flux=arm.flux + waves + wrong))
    return truth, replace(star, arms=tuple(arms))


def pulls(emulator, robust, method="map"):
    """Deviations (s, 4) of labels in their errors."""
    found = []
    for seed in range(8):
        truth, star = disturbed(emulator, seed)
        table = bayne.fit_star(star, emulator, method=method, robust=robust, free=("rv",)).table
        rows = {str(row["label"]): row for row in table}
        found.append([(rows[n]["median"] - t) / rows[n]["std"] for n, t in zip(LABELS, truth, strict=True)])
    return np.array(found)


def test_errors_hold_where_the_model_does_not(wide):
    """The errors of a model that is taken for right, the known-bad twin, are too small by a factor of two and more."""
    robust, plain = pulls(wide, True), pulls(wide, False)
    assert 0.6 < np.sqrt(np.mean(robust**2)) < 1.6
    assert np.abs(robust).max() < 4
    assert np.sqrt(np.mean(plain**2)) > 2


def test_where_the_model_is_right_little_changes(star, fit, maximum):
    robust = fit(star, robust=True)
    rows, plain = ({str(row["label"]): row for row in result.table} for result in (robust, maximum))
    for name in LABELS:
        assert abs(rows[name]["median"] - plain[name]["median"]) < 0.5 * plain[name]["std"]
        assert 0.95 < rows[name]["std"] / plain[name]["std"] < 1.5
        assert 0.9 < rows[name]["std_over_photon"] < 1.6
    assert robust.influence.shape == (len(robust.blocks), sum(not n.startswith("excess") for n in robust.names))
    assert not maximum.influence.size


def test_a_sampler_has_the_robust_errors(wide):
    """The posterior of `fast` is as wide as the covariance at the maximum says, and stays in the domain."""
    _, star = disturbed(wide, 3)
    result = bayne.fit_star(star, wide, method="fast", free=("rv",))
    rows = {str(row["label"]): row for row in result.table}
    for i, name in enumerate(LABELS):
        at_maximum = np.sqrt(result.fisher_covariance[i, i])
        assert 0.8 < rows[name]["std"] / at_maximum < 1.25
        assert rows[name]["std"] > 1.5 * rows[name]["std_photon"]
        draws = result.draws(name)
        assert wide.lower[i] <= draws.min() <= draws.max() <= wide.upper[i]

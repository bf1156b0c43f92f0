"""The pilot continuum and the noise estimate do what the fit needs of them."""

import numpy as np
import pytest

from bayne.likelihood.continuum import PRIOR_SIGMA, estimated_ivar, pilot
from bayne.spectrum import make_arm
from toy import LOWER, UPPER, toy_flux


def counts(snr, seed=1):
    wave = np.arange(5001.0, 5034.0, 0.06)
    shape = 3e4 * (1 + 0.3 * np.linspace(-1, 1, wave.size))
    flux = toy_flux((0.5 * (LOWER + UPPER))[None], wave)[0]
    rng = np.random.default_rng(seed)
    return make_arm(wave, shape * (flux + rng.normal(0, 1 / snr, wave.size))), shape


def test_pilot_is_right_within_its_prior():
    arm, shape = counts(50)
    assert np.abs(pilot(arm, arm.good, 3) / shape - 1).max() < PRIOR_SIGMA


@pytest.mark.parametrize("snr", [20, 100])
def test_noise_is_estimated_through_the_lines(snr):
    arm, shape = counts(snr)
    sigma = 1 / np.sqrt(np.median(estimated_ivar(arm)[arm.good]))
    # dense lines can only make it look noisier, never better, than it is
    assert 0.85 < sigma / (np.median(shape) / snr) < (1.35 if snr < 50 else 2.0)


def test_pilot_survives_hopeless_input():
    wave = np.arange(5001.0, 5034.0, 0.06)
    for flux in (np.zeros(wave.size), -np.ones(wave.size), np.random.default_rng(0).normal(size=wave.size)):
        level = pilot(make_arm(wave, flux), np.ones(wave.size, bool), 3)
        assert np.all(np.isfinite(level))
        assert np.all(level > 0)

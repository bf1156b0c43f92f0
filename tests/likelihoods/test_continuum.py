"""The pilot continuum and the noise estimate do what the fit needs of them."""

from dataclasses import replace

import numpy as np
import pytest

from bayne.likelihoods.continuum import PRIOR_SIGMA, estimated_ivar, pilot
from bayne.lsf import GaussianLSF
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


def test_noise_is_not_estimated_across_gaps_nor_from_pixels_that_share_it():
    """A spectrum resampled to ten pixels per FWHM, whose orders were merged with zeros between them."""
    rng, wave = np.random.default_rng(3), np.arange(5000.0, 5060.0, 0.01)
    smooth = np.convolve(rng.normal(size=wave.size + 8), np.ones(9) / 3, mode="valid")  # variance 1
    flux = 1 + 0.01 * smooth
    flux[3000:3900], flux[5000:5500] = 0.0, 1.0
    arm = make_arm(wave, flux, lsf=GaussianLSF(np.full(wave.size, 0.2)))
    assert (~arm.good).sum() == 1400
    found = np.median(estimated_ivar(arm)[arm.good]) ** -0.5
    assert found == pytest.approx(0.01, rel=0.1)
    neighbours = np.median(estimated_ivar(replace(arm, lsf=None))[arm.good]) ** -0.5
    assert neighbours < 0.006, "where nothing is known of the resolution"
    every_other = replace(arm, mask=arm.mask | (np.arange(wave.size) % 2 == 0))
    assert np.median(estimated_ivar(every_other)[every_other.good]) ** -0.5 == pytest.approx(0.01, rel=0.1)
    assert not estimated_ivar(replace(arm, mask=np.arange(wave.size) > 20)).any(), "too few pixels"

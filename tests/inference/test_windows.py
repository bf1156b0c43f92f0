"""One long arm that covers several windows of an emulator: a continuum for each, and nothing beyond them."""

from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne.likelihoods import cut_to_windows
from bayne.lsf import BandedLSF, GaussianLSF
from bayne.spectrum import Arm, Spectrum
from toy import mock_star, toy_emulator

TRUTH = np.array([5400.0, 4.3, -0.2, 0.15])
RESOLUTION = 20_000.0


@pytest.fixture(scope="module")
def merged():
    """The two arms of a mock as one, 800 Å long; between and beyond them a continuum that no polynomial follows."""
    star = mock_star(toy_emulator(), TRUTH, velocity=12.3, vsini=14.0, seed=1)
    wave = np.arange(4700.0, 5500.0, 0.06)
    flux, ivar = 1000 * (1 + 0.5 * np.sign(np.sin(wave / 20))), np.full(wave.size, 0.01)
    for arm in star.arms:
        near = (wave > arm.wavelength[0] - 30) & (wave < arm.wavelength[-1] + 30)
        flux[near] = np.interp(wave[near], arm.wavelength, arm.flux)
        inside = (wave > arm.wavelength[0]) & (wave < arm.wavelength[-1])
        ivar[inside] = np.where(np.interp(wave[inside], arm.wavelength, arm.mask) > 0, 0.0, 0.01)
    arm = Arm(wave, flux, ivar, ivar == 0, GaussianLSF(wave / RESOLUTION), "all")
    return Spectrum((arm,), frame="barycentric", id="merged")


def test_each_window_has_a_continuum_of_its_own(merged):
    result = bayne.fit_star(merged, toy_emulator(), method="laplace")
    assert [arm.name for arm in result.arms] == ["all-1", "all-2"]
    assert result.ok, result.messages
    sigma = np.sqrt(np.diag(result.covariance))
    for name, true in zip((*toy_emulator().label_names, "rv"), (*TRUTH, 12.3), strict=True):
        i = result.names.index(name)
        assert abs(result.map[i] - true) < 4 * sigma[i], name
    good = sum(arm.good.sum() for arm in merged.arms)
    assert result.diagnostics["n_lost"] == good - result.diagnostics["n_pixels"], "what was cut off is counted"


def test_arms_within_one_window_stay_as_they_are():
    star = mock_star(toy_emulator(), TRUTH)
    cut, source = cut_to_windows(star, toy_emulator())
    assert source == [0, 1]
    for before, after in zip(star.arms, cut.arms, strict=True):
        assert before.name == after.name
        np.testing.assert_array_equal(before.wavelength, after.wavelength)
        np.testing.assert_array_equal(before.lsf.fwhm, after.lsf.fwhm)


def test_the_line_spread_function_and_the_signal_to_noise_are_cut_with_the_arm(merged):
    arm = merged.arms[0]
    bands = np.stack([np.full(arm.wavelength.size, 0.2), arm.wavelength, np.full(arm.wavelength.size, 0.2)])
    both = (replace(arm, lsf=BandedLSF(bands, np.array([1, 0, -1]))), replace(arm, name="again", ivar=None))
    cut, source = cut_to_windows(replace(merged, arms=both), toy_emulator())
    assert source == [0, 0, 1, 1]
    assert [piece.name for piece in cut.arms] == ["all-1", "all-2", "again-1", "again-2"]
    np.testing.assert_array_equal(cut.arms[1].lsf.bands[1], cut.arms[1].wavelength)
    bare = replace(merged, arms=(replace(arm, ivar=None), replace(arm, name="again", ivar=None)))
    result = bayne.fit_star(bare, toy_emulator(), method="map", snr=(50.0, 100.0))
    snr = [result.diagnostics[f"snr_{name}"] for name in ("all-1", "all-2", "again-1", "again-2")]
    np.testing.assert_allclose(snr, [50, 50, 100, 100], rtol=0.15)  # at the median pixel, of a continuum that is fitted

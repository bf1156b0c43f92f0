"""A file that states air where it means vacuum, or the opposite: the fit says so where the data can tell."""

from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne import Flag
from bayne.lsf import GaussianLSF
from bayne.spectrum import Spectrum, make_arm
from bayne.wavelength import C_KMS, air_to_vacuum, vacuum_to_air
from toy import LOWER, UPPER, log_grid, table_emulator

RESOLUTION = 30_000.0


@pytest.fixture(scope="module")
def emulator():
    """Lines of one strength in four windows from 4800 to 7800 Å; the labels change nothing."""
    wave = np.concatenate([log_grid(low, low + 60) for low in (4780.0, 5700.0, 6600.0, 7700.0)])
    rng, flux = np.random.default_rng(3), np.ones(wave.size)
    for centre in rng.choice(wave, 120):
        flux -= rng.uniform(0.1, 0.5) * np.exp(-0.5 * ((wave - centre) / (centre / RESOLUTION / 2.0)) ** 2)
    return table_emulator(wave, np.clip(flux, 0.05, None), RESOLUTION)


def observed(emulator, convert, noise=0.005, velocity=20.0, frame="barycentric", shifts=(0, 0, 0, 0), **provenance):
    """The star with its wavelengths (vacuum Å) converted once more; arms may be shifted against each other (km/s)."""
    arms = []
    for k, shift in enumerate(shifts):
        own = emulator.segment == k
        rest, flux = emulator.wavelength[own], np.asarray(emulator.params["flux"])[own]
        wave = np.arange(rest[0] + 3, rest[-1] - 3, 0.05)
        stretch = 1 + (velocity + shift) / C_KMS
        value = np.interp(wave, rest * stretch, flux) + np.random.default_rng(k).normal(0, noise, wave.size)
        stated = convert(wave)
        error = np.full(wave.size, noise)
        arms.append(make_arm(stated, value, error=error, lsf=GaussianLSF(stated / 29_900), name=str(k)))
    return Spectrum(tuple(arms), frame=frame, id="star", normalized=True, provenance=provenance)


def fit(spectrum, emulator):
    middle = dict(zip(emulator.label_names, 0.5 * (LOWER + UPPER), strict=True))
    return bayne.fit_star(spectrum, emulator, method="map", fixed=middle, free=("rv",))


def right(wave):
    return wave


@pytest.mark.parametrize("convert", [vacuum_to_air, air_to_vacuum])
def test_arms_that_differ_as_air_refracts_tell(convert, emulator):
    result = fit(observed(emulator, convert), emulator)
    assert Flag.MEDIUM_DOUBTFUL in result.flags
    assert not result.ok
    likely = "in air" if convert is vacuum_to_air else "in vacuum"
    assert any("differ in velocity" in text and likely in text for text in result.messages), result.messages


@pytest.mark.parametrize("shifts", [(0, 0, 0, 0), (0.3, -0.3, 0.3, -0.3), (0.0, 0.0, 0.0, 1.0)])
def test_a_file_that_is_right_is_believed(shifts, emulator):
    """Arms that are calibrated badly do not look like refraction."""
    result = fit(observed(emulator, right, shifts=shifts, stated_rv_kms=25.0), emulator)
    assert Flag.MEDIUM_DOUBTFUL not in result.flags, result.messages
    assert result.diagnostics["rv_minus_stated"] == pytest.approx(-5.0, abs=1.0)


@pytest.mark.parametrize(("frame", "velocity"), [("barycentric", 20.0), ("rest", 0.0)])
@pytest.mark.parametrize(("convert", "likely"), [(vacuum_to_air, "in air"), (air_to_vacuum, "in vacuum")])
def test_a_velocity_that_is_known_tells_where_arms_cannot(frame, velocity, convert, likely, emulator):
    star = observed(emulator, convert, noise=0.05, velocity=velocity, frame=frame, stated_rv_kms=velocity)
    result = fit(replace(star, arms=star.arms[1:2]), emulator)
    assert Flag.MEDIUM_DOUBTFUL in result.flags
    assert any("from what the file states" in text and likely in text for text in result.messages), result.messages

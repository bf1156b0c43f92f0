"""Instrument profiles: every one that ships is sane, and masks act by name."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bayne import BayneError, load_instrument
from bayne.instrument import Instrument, InstrumentArm, instrument_names

NAMES = instrument_names()


@pytest.fixture(params=NAMES)
def profile(request: pytest.FixtureRequest) -> Instrument:
    return load_instrument(request.param)


def test_the_profiles_that_are_promised() -> None:
    assert set(NAMES) >= {"apogee", "sdss", "boss", "hermes", "desi", "mike", "tres", "uves"}


def test_a_profile_is_sane(profile: Instrument) -> None:
    assert profile.medium in ("air", "vacuum")
    assert profile.sampling in ("linear", "log")
    assert 0 < profile.continuum <= 20
    assert 0 <= profile.lsf_scale_sigma < 0.5
    names = [arm.name for arm in profile.arms]
    assert len(set(names)) == len(names)
    for arm in profile.arms:
        low, high = arm.wavelength
        assert 2000 < low < high < 25000
        nodes = np.array(arm.resolution)
        assert np.all(np.diff(nodes[:, 0]) > 0)
        assert np.all((nodes[:, 0] >= low - 50) & (nodes[:, 0] <= high + 50))
        assert np.all((nodes[:, 1] > 500) & (nodes[:, 1] < 200_000))
        middle = (low + high) / 2
        pixel = arm.pixel if profile.sampling == "linear" else arm.pixel / 299792.458 * middle
        # between 1.5 and 8 pixels to a resolution element
        assert 1.5 < float(arm.fwhm(np.array(middle))) / pixel < 8


def test_a_profile_cites_its_source(profile: Instrument) -> None:
    assert profile.description
    assert re.search(r"(19|20)\d\d|manual", profile.source)


def test_bad_bits_are_defined_and_fit_an_integer(profile: Instrument) -> None:
    assert set(profile.bad_bits) <= set(profile.mask_bits)
    assert all(0 <= bit < 32 for bit in profile.mask_bits.values())
    assert len(set(profile.mask_bits.values())) == len(profile.mask_bits)


@pytest.mark.parametrize(
    ("name", "bit", "number", "bad"),
    [
        # APOGEE_PIXMASK, SPPIXMASK and desispec's specmask as they are published
        ("apogee", "BADPIX", 0, True),
        ("apogee", "NOSKY", 7, True),
        ("apogee", "PERSIST_HIGH", 9, False),
        ("apogee", "SIG_SKYLINE", 12, True),
        ("apogee", "SIG_TELLURIC", 13, False),
        ("sdss", "NEARBADPIXEL", 16, False),
        ("boss", "BRIGHTSKY", 23, True),
        ("boss", "REDMONSTER", 28, True),
        ("desi", "COSMIC", 2, True),
        ("desi", "BAD2DFIT", 7, True),
    ],
)
def test_published_bits(name: str, bit: str, number: int, bad: bool) -> None:
    profile = load_instrument(name)
    assert profile.mask_bits[bit] == number
    values = np.array([0, 1 << number, -1], dtype=np.int32)
    assert profile.bad_pixels(values).tolist() == [False, bad, True]


def test_the_width_follows_the_nodes() -> None:
    arm = InstrumentArm("x", (4000.0, 6000.0), 1.0, ((4000.0, 1000.0), (6000.0, 2000.0)))
    assert arm.fwhm(np.array([3000.0, 4000.0, 5000.0, 7000.0])) == pytest.approx([3.0, 4.0, 5000 / 1500, 3.5])


def test_an_arm_that_is_not_named_takes_the_nearest() -> None:
    hermes = load_instrument("hermes")
    wave = np.array([4720.0, 5700.0, 7800.0])
    merged = hermes.lsf("merged", wave)
    for arm, at, width in zip((0, 1, 3), wave, merged.fwhm, strict=True):
        assert width == pytest.approx(float(hermes.arms[arm].fwhm(at)))
    assert merged.scale_sigma == hermes.lsf_scale_sigma == 0.03


def test_an_unknown_instrument_is_helped() -> None:
    with pytest.raises(BayneError, match=r"unknown instrument 'hermse'. Did you mean 'hermes'\? Known: .*apogee, boss"):
        load_instrument("hermse")


def test_telluric_windows_are_in_the_medium_of_the_profile() -> None:
    hermes = load_instrument("hermes")
    assert hermes.telluric == ((7590.0, 7690.0),)
    # 7590 Å in air is 7592.09 Å in vacuum
    np.testing.assert_array_equal(hermes.telluric_mask([7591.0, 7593.0, 7650.0, 7693.0]), [False, True, True, False])
    # at 300 km/s they are 7.6 Å away, and nobody knows where a rest frame has left them
    np.testing.assert_array_equal(
        hermes.telluric_mask([7584.0, 7585.0, 7699.0, 7700.0], 300.0), [False, True, True, False]
    )
    assert not load_instrument("apogee").telluric_mask([15000.0, 16000.0]).any()

"""The emulator of the package that suits a spectrum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne import BayneError, Spectrum
from bayne.lsf import FWHM_PER_SIGMA, BandedLSF, GaussianLSF, resolving_power


def spectrum(windows: list[tuple[float, float]], resolution: float | None) -> Spectrum:
    """A flat spectrum with three pixels per resolution element."""
    step = 1 / 3 / (resolution or 20_000)
    wavelength = [np.exp(np.arange(np.log(low), np.log(high), step)) for low, high in windows]
    flux = [np.ones(w.size) for w in wavelength]
    return Spectrum.from_arrays(wavelength, flux, [0.01 * f for f in flux], medium="vacuum", resolution=resolution)


@pytest.mark.parametrize(
    ("windows", "resolution", "name"),
    [
        ([(3690, 5900), (5700, 9100)], 1_800, "optical-low"),  # LAMOST
        ([(3600, 5800), (5760, 7620), (7520, 9824)], 5_000, "optical-low"),  # DESI
        ([(4714, 4903), (5649, 5873), (6478, 6737), (7585, 7887)], 28_000, "galah"),  # HERMES
        ([(8460, 8700)], 11_500, "rvs"),
        ([(15150, 15800), (15860, 16430), (16480, 16950)], 22_500, "apogee"),
        ([(3780, 6910)], 115_000, "optical-high-calibrated"),  # HARPS
        ([(4800, 6800)], 47_000, "optical-high-calibrated"),
        ([(4712, 7890)], 28_000, "optical-high-calibrated"),  # the windows of HERMES without gaps
    ],
)
def test_wavelengths_and_resolution_decide(windows: list[tuple[float, float]], resolution: float, name: str) -> None:
    assert bayne.load_emulator(spectrum(windows, resolution)).card.name == name


def test_none_suits() -> None:
    with pytest.raises(BayneError, match=r"no emulator of the package suits the spectrum \(8460-8700 Å\)"):
        bayne.load_emulator(spectrum([(8460, 8700)], 100_000))
    with pytest.raises(BayneError, match=r"no emulator of the package suits the spectrum \(20000-23999 Å\)"):
        bayne.load_emulator(spectrum([(20000, 24000)], 10_000))
    with pytest.raises(BayneError, match=r"resolution of the spectrum is not known. Give resolution="):
        bayne.load_emulator(spectrum([(8460, 8700)], None))
    empty = spectrum([(8460, 8700)], 11_500)
    (arm,) = empty.arms
    with pytest.raises(BayneError, match="has no good pixel"):
        bayne.load_emulator(replace(empty, arms=(replace(arm, mask=np.ones(arm.flux.size, bool)),)))


def test_resolving_power_of_both_kinds_of_line_spread_functions() -> None:
    wavelength = np.linspace(5000.0, 5100.0, 201)
    sigma = 1.1  # Å: 2.2 pixels
    expected = wavelength / (FWHM_PER_SIGMA * sigma)
    gaussian = GaussianLSF(np.full(wavelength.size, FWHM_PER_SIGMA * sigma))
    np.testing.assert_allclose(resolving_power(gaussian, wavelength), expected)
    offsets = np.arange(-12, 13)
    # of a matrix that acts on averages over pixels, whose variance is 1/12
    band = np.exp(-0.5 * offsets**2 / (2.2**2 - 1 / 12))
    banded = BandedLSF(np.repeat(band[:, None], wavelength.size, axis=1), offsets)
    np.testing.assert_allclose(resolving_power(banded, wavelength), expected, rtol=1e-3)

"""Where fits start: a velocity from cross-correlation."""

from __future__ import annotations

import numpy as np
import pytest

import bayne
from bayne import Spectrum
from bayne.inference.diagnose import RV_SIGNIFICANCE
from bayne.inference.start import Start, find_start, template_labels
from bayne.wavelength import C_KMS

VELOCITY = 84.0
STAR = {"teff": 5600.0, "logg": 4.2, "fe_h": -0.3, "vmic": 1.2}


@pytest.fixture(scope="module")
def emulator() -> bayne.Emulator:
    return bayne.load_emulator("optical-low")


def start(emulator: bayne.Emulator, depth: float) -> Start:
    """Of a star with a part of its lines' depth, S/N 50, whose pilot continuum is wrong by 10% over 1000 Å."""
    wavelength = np.arange(4000.0, 8000.0, 1.0)
    labels = np.array([STAR.get(name, 0.0) for name in emulator.label_names])
    lines = np.interp(wavelength / (1 + VELOCITY / C_KMS), emulator.wavelength, np.asarray(emulator.flux(labels)))
    noise = np.random.default_rng(5).normal(size=wavelength.size) / 50
    flux = (1 - depth * (1 - lines)) * (1 + 0.1 * np.sin(wavelength / 160)) + noise
    spectrum = Spectrum.from_arrays(
        wavelength, flux, np.full(wavelength.size, 1 / 50), medium="vacuum", resolution=2000, frame="barycentric"
    )
    templates = template_labels(emulator, {}, emulator.lower, emulator.upper)
    return find_start(spectrum, emulator, [np.ones(wavelength.size)], templates)


def test_a_wrong_continuum_does_not_make_the_velocity_uncertain(emulator: bayne.Emulator) -> None:
    found = start(emulator, depth=1.0)
    assert found.velocity == pytest.approx(VELOCITY, abs=8.0)
    assert found.significance > 4 * RV_SIGNIFICANCE


def test_noise_has_no_velocity(emulator: bayne.Emulator) -> None:
    assert start(emulator, depth=0.0).significance < RV_SIGNIFICANCE

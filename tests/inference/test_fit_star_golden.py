"""The MAP of a published APOGEE spectrum against a least-squares fit that shares no code with it."""

from importlib.resources import files

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.optimize import least_squares

import bayne

NAMES = ("teff", "logg", "fe_h", "mg_fe", "vmac", "rv")

#: Least squares on all good pixels.
DIRECT = {"teff": 4950.0, "logg": 4.529, "fe_h": -0.185, "mg_fe": 0.108, "vmac": 16.64, "rv": 0.93}

C = 299_792.458


def cubic(log_wave, flux, shift):
    """Shift by a cubic spline: a few parts in a thousand off where a line is three pixels wide."""
    return CubicSpline(log_wave + shift, flux)(log_wave)


def fourier(log_wave, flux, shift):
    """Shift of pixels uniform in ln λ by the phases of their mirrored continuation."""
    mirrored = np.concatenate([flux, flux[-2:0:-1]])
    pixels = shift / (log_wave[1] - log_wave[0])
    phases = np.exp(-2j * np.pi * np.fft.rfftfreq(mirrored.size) * pixels)
    return np.fft.irfft(np.fft.rfft(mirrored) * phases, mirrored.size)[: flux.size]


class Reference:
    """binspec's network in float64, shifted chip by chip."""

    def __init__(self, folder, shift):
        self.shift = shift
        with np.load(folder / "networks" / "binspec_NN_normalized_spectra.npz") as arrays:
            self.arrays = {name: arrays[name].astype(float) for name in arrays.files}
        with np.load(folder / "networks" / "binspec_apogee_wavelength.npz") as arrays:
            self.wavelength = arrays["wavelength"].astype(float)
        gaps = np.flatnonzero(np.diff(np.log(self.wavelength)) > 1e-4) + 1
        self.chips = np.split(np.arange(self.wavelength.size), gaps)

    def __call__(self, parameters):
        n = self.arrays
        x = (parameters[:5] - n["x_min"]) / (n["x_max"] - n["x_min"]) - 0.5
        hidden = 1 / (1 + np.exp(-(n["w_array_0"] @ x + n["b_array_0"])))
        flux = np.sum(n["w_array_1"] * hidden, axis=1) + n["b_array_1"]
        out = np.empty_like(flux)
        for k in self.chips:
            out[k] = self.shift(np.log(self.wavelength[k]), flux[k], np.arctanh(parameters[5] / C))
        return out


@pytest.fixture(scope="module")
def result(shared):
    card = files("bayne") / "emulators" / "cards" / "binspec_apogee.json"
    emulator = bayne.load_emulator(shared / "networks" / "binspec_NN_normalized_spectra.npz", str(card))
    spectrum = bayne.read_spectrum(shared / "spectra" / "apogee_2M13012770.npz")
    return bayne.fit_star(
        spectrum, emulator, method="map", continuum=False, jitter=False, emulator_error=False, robust=False,
        free=("rv",), priors={"rv": (0.0, 2.0)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def ranges(shared):
    with np.load(shared / "networks" / "binspec_NN_normalized_spectra.npz") as arrays:
        return dict(zip(NAMES, arrays["x_max"] - arrays["x_min"], strict=False))


def test_map_agrees_with_the_direct_fit(result, ranges):
    found = dict(zip(result.names, result.map, strict=True))
    assert set(found) == set(NAMES)
    for name, width in ranges.items():
        assert abs(found[name] - DIRECT[name]) < 0.01 * width, f"{name}: {found[name]:.5g} for {DIRECT[name]:.5g}"
    assert abs(found["rv"] - DIRECT["rv"]) < 0.1


@pytest.mark.parametrize(("shift", "fraction", "km"), [(cubic, 2e-3, 0.1), (fourier, 2e-4, 0.005)])
def test_map_agrees_with_least_squares_on_the_same_pixels(shift, fraction, km, result, ranges, shared):
    model = Reference(shared, shift)
    used = np.concatenate([arm.used for arm in result.arms])
    flux = np.concatenate([arm.flux for arm in result.arms])
    sigma = np.concatenate([arm.sigma for arm in result.arms])
    wavelength = np.concatenate([arm.wavelength for arm in result.arms])
    np.testing.assert_allclose(wavelength, model.wavelength, rtol=1e-9)
    assert used.sum() > 6000

    def residuals(parameters):
        return np.append(((model(parameters) - flux) / sigma)[used], parameters[5] / 2.0)

    start = [4800.0, 4.5, -0.2, 0.1, 10.0, 0.5]
    answer = least_squares(residuals, start, x_scale=[100.0, 0.1, 0.1, 0.1, 1.0, 1.0], xtol=1e-10, ftol=1e-10)
    found = dict(zip(result.names, result.map, strict=True))
    for name, value in zip(NAMES, answer.x, strict=True):
        limit = km if name == "rv" else fraction * ranges[name]
        assert abs(found[name] - value) < limit, f"{name}: {found[name]:.6g}, least squares {value:.6g}"
    assert result.diagnostics["chi2"] == pytest.approx(2 * answer.cost - (answer.x[5] / 2) ** 2, rel=5 * fraction)

"""A sharp spectrum, seen at low resolution: mocks and fits come from different emulators of the package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne import FitResult, Spectrum
from bayne.lsf import FWHM_PER_SIGMA, GaussianLSF, smoothed
from bayne.wavelength import C_KMS

#: A solar twin that is not quite one, and a giant rich in alpha elements.
STARS = {
    "dwarf": {"teff": 5650.0, "logg": 4.3, "fe_h": -0.2, "vmic": 1.1},
    "giant": {"teff": 4850.0, "logg": 2.5, "fe_h": -0.6, "vmic": 1.5, "mg_fe": 0.3, "si_fe": 0.2, "ca_fe": 0.2},
}

SHARP, LOW, SNR = 50_000, 2_000, 100


@pytest.fixture(scope="module")
def mocks() -> dict[str, Spectrum]:
    """Seen at R = 50,000, then at R = 2,000 on pixels of 1.2 Å."""
    emulator = bayne.load_emulator("optical-high")
    log_wave, rng = np.log(emulator.wavelength), np.random.default_rng(8)
    wavelength = np.arange(4850.0, 6750.0, 1.2)
    found = {}
    for name, labels in STARS.items():
        flux = np.asarray(emulator.flux(np.array([labels.get(label, 0.0) for label in emulator.label_names])))
        for before, after in ((emulator.card.resolution, SHARP), (SHARP, LOW)):
            flux = smoothed(flux, log_wave, log_wave, C_KMS / FWHM_PER_SIGMA * np.sqrt(1 / after**2 - 1 / before**2))
        flux = np.interp(wavelength, emulator.wavelength, flux)
        sigma = np.full(wavelength.size, 1 / SNR)
        found[name] = Spectrum.from_arrays(
            wavelength, flux + sigma * rng.normal(size=sigma.size), sigma, medium="vacuum", resolution=LOW, id=name
        )
    return found


def fit(mock: Spectrum) -> FitResult:
    """With the emulator that `fit_star` chooses; the physics is right for mocks, so its discrepancy is left out."""
    emulator = bayne.load_emulator(mock)
    assert emulator.card.name == "optical-low"
    return bayne.fit_star(mock, replace(emulator, card=replace(emulator.card, discrepancy={})))


@pytest.fixture(scope="module")
def fits(mocks: dict[str, Spectrum]) -> dict[str, FitResult]:
    return {name: fit(mock) for name, mock in mocks.items()}


def pulls(result: FitResult) -> np.ndarray:
    """Deviations of the labels over their errors."""
    rows = {row["label"]: row for row in result.table}
    known = STARS[result.id]
    names = [name for name in result.label_names if name != "vmac"]
    return np.array([(rows[name]["median"] - known.get(name, 0.0)) / rows[name]["std"] for name in names])


@pytest.mark.parametrize("name", STARS)
def test_labels_are_recovered(fits: dict[str, FitResult], name: str) -> None:
    assert fits[name].ok
    deviation = pulls(fits[name])
    assert np.all(np.abs(deviation[:3]) < 2.5)
    assert np.sqrt(np.mean(deviation**2)) < 1.3


def rotation(result: FitResult) -> float:
    """The least v sin i (km/s) that the fit allows, at 84%."""
    rows = {row["label"]: row for row in result.table}
    return float(rows["vsini"]["q16"])


def test_a_wrong_resolution_is_taken_for_rotation(mocks: dict[str, Spectrum], fits: dict[str, FitResult]) -> None:
    """The twin: lines a third wider than the file says, by 100 km/s in quadrature, as much as v sin i of 85 km/s."""
    mock = mocks["giant"]
    (arm,) = mock.arms
    assert isinstance(arm.lsf, GaussianLSF)
    narrow = replace(mock, arms=(replace(arm, lsf=GaussianLSF(arm.lsf.fwhm / 1.35)),))
    assert rotation(fits["giant"]) < 40
    assert rotation(fit(narrow)) > 60

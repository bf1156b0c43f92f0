"""Corrected opacities: what they do to a spectrum, and how they are kept."""

from __future__ import annotations

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

import bayne
from bayne.emulators import ErrorModel
from bayne.emulators.corrections import corrected
from bayne.errors import BayneError, ReadError
from species_toy import plain, species_emulator

STAR = np.array([5200.0, 4.2, -0.4, 0.1])


@pytest.fixture(scope="module")
def emulator():
    """Lines of two elements."""
    return species_emulator()


@pytest.fixture(scope="module")
def corrections(emulator):
    """Of everything that can be corrected."""
    rng, p = np.random.default_rng(1), emulator.wavelength.size
    missing = np.where(rng.random(p) < 0.1, 0.02, 0.0)
    return plain(
        emulator, 0.2 * rng.normal(size=p), missing=missing, growth=np.array([2.0, -1.5]),
        slopes=0.1 * rng.normal(size=(3, p)),
    )  # fmt: skip


def test_absorption_changes_by_what_the_corrections_say(emulator, corrections):
    """Of the dominant species at each pixel, and one more species that grows with [Fe/H] and Teff."""
    with jax.enable_x64(True):
        odds = np.array(emulator.network.odds(emulator.on_device, STAR), float)
    by = np.array([-0.4, (5200 - 5772) / 1000, 4.2 - 4.44])
    every = np.arange(emulator.wavelength.size)
    odds[corrections.absorber, every] *= np.exp(corrections.strength + by @ corrections.slopes)
    expected = 1 / (1 + odds.sum(axis=0) + corrections.missing * np.exp(by[:2] @ corrections.growth))
    np.testing.assert_allclose(corrected(emulator, corrections).flux(STAR), expected, atol=2e-6)


def test_derivatives_follow(emulator, corrections):
    made = corrected(emulator, corrections)
    step = np.array([20.0, 0, 0, 0])
    slope = (made.flux(STAR + step).astype(float) - made.flux(STAR - step)) / 40
    np.testing.assert_allclose(made.gradient(STAR)[0], slope, atol=2e-3 * np.abs(slope).max())


def test_no_correction_is_none(emulator):
    made = corrected(emulator, plain(emulator, np.zeros(emulator.wavelength.size)))
    np.testing.assert_allclose(made.flux(STAR), emulator.flux(STAR), atol=1e-6)


def test_a_corrected_emulator_comes_back_from_its_folder(emulator, corrections, tmp_path):
    made = corrected(emulator, corrections)
    again = bayne.load_emulator(bayne.save_emulator(made, tmp_path / "made"))
    np.testing.assert_array_equal(again.flux(STAR), made.flux(STAR))
    with pytest.raises(BayneError, match="corrected already"):
        corrected(again, corrections)


def test_corrections_of_a_packaged_emulator_are_all_that_is_kept(tmp_path):
    """The package has the rest; half precision of corrections is enough."""
    rvs = bayne.load_emulator("rvs")
    rng, p = np.random.default_rng(2), rvs.wavelength.size
    near = np.array([[5772.0, 4.44, 0.0], [4300.0, 1.7, -0.5]])
    rows = np.concatenate([rvs.error.basis, 0.1 * rng.normal(size=(2, p))])
    error = ErrorModel(rows, np.full(p, 0.1), rvs.error.labels, near, floor=0.01)
    made = replace(corrected(rvs, plain(rvs, 0.2 * rng.normal(size=p))), error=error)
    folder = bayne.save_emulator(made, tmp_path / "rvs-calibrated")
    again = bayne.load_emulator(folder)
    middle = 0.5 * (rvs.lower + rvs.upper)
    np.testing.assert_allclose(again.flux(middle), made.flux(middle), atol=1e-4)
    np.testing.assert_allclose(again.error_at(middle).total, made.error_at(middle).total, rtol=1e-2)
    assert again.error_at(middle).sigma.min() >= 0.01
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size < 0.1 * sum(np.asarray(value).nbytes for value in rvs.params.values())
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"original_hash": "another"}))
    with pytest.raises(ReadError, match="corrects an emulator 'rvs'"):
        bayne.load_emulator(folder)


def test_residuals_of_reference_stars_count_for_stars_like_them():
    error = ErrorModel(np.eye(3), np.zeros(3), np.zeros(4), np.array([[5772.0, 4.44, 0.0], [4300.0, 1.7, -0.5]]))
    sun = error.at({"teff": 5772.0, "logg": 4.44, "fe_h": 0.0})
    between = error.at({"teff": 5036.0, "logg": 3.07, "fe_h": -0.25})
    np.testing.assert_allclose(np.diag(sun.basis), [1, 1, 0], atol=0.02)
    np.testing.assert_allclose(np.diag(between.basis) ** 2, [1, 0.5, 0.5], atol=0.01)

"""The numbers of an evaluation are those that can be worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bayne
from bayne import BayneError
from bayne.emulators import ErrorModel
from bayne.training.evaluate import evaluate, held_out_errors
from grids import LABELS, LOWER, linear_emulator, linear_grid, slopes, write_derivatives, write_grid


def test_constant_offset_is_every_error(tmp_path: Path) -> None:
    found = bayne.evaluate(linear_emulator(offset=0.01), write_grid(tmp_path / "grid.h5"))
    for errors in (found.errors, *found.windows.values(), *found.regions.values()):
        for value in (errors.mae, errors.rmse, errors.p999, errors.worst_pixel, errors.median_star_mae):
            assert value == pytest.approx(0.01, rel=1e-4)
    assert found.errors.stars == 6
    assert list(found.rows) == [0, 10, 20, 30, 40, 50]
    assert list(found.windows) == ["4722-4738 Å", "5706-5718 Å", "5848-5868 Å", "6492-6504 Å"]


def test_one_wrong_pixel_is_found(tmp_path: Path) -> None:
    grid = linear_grid(tmp_path)
    pixels = grid.wavelength.size
    last = np.flatnonzero(grid.wavelength > 6490)
    flux = grid.flux.copy()
    flux[20, last[7]] += 0.5
    flux[30, 0] += 0.1
    flux[21] = 0.0  # no test row
    found = evaluate(linear_emulator(), replace(grid, flux=flux))
    assert found.errors.worst_pixel == pytest.approx(0.5, abs=1e-5)
    assert found.errors.worst_star_mae == pytest.approx(0.5 / pixels, rel=1e-3)
    assert found.errors.mae == pytest.approx(0.6 / 6 / pixels, rel=1e-3)
    assert found.errors.rmse == pytest.approx(np.sqrt(0.26 / 6 / pixels), rel=1e-3)
    assert found.rows[found.worst] == 20
    assert found.windows["6492-6504 Å"].mae == pytest.approx(0.5 / 6 / last.size, rel=1e-3)
    assert found.windows["5706-5718 Å"].worst_pixel < 1e-5
    assert found.numbers()["worst_star"]["row"] == 20


def test_mean_spectrum_is_that_of_the_other_rows(tmp_path: Path) -> None:
    grid = linear_grid(tmp_path)
    flux = np.full_like(grid.flux, 0.9)
    flux[grid.test] = 0.7
    found = evaluate(linear_emulator(), replace(grid, flux=flux))
    assert found.mae_of_mean == pytest.approx(0.2, rel=1e-5)


def test_median_star_is_one_of_the_stars(tmp_path: Path) -> None:
    grid = linear_grid(tmp_path, rows=50)
    flux = grid.flux.copy()
    for row, error in zip((0, 10, 20, 30, 40), (0.05, 0.01, 0.03, 0.04, 0.02), strict=True):
        flux[row] += error
    found = evaluate(linear_emulator(), replace(grid, flux=flux))
    assert found.rows[found.median] == 20
    assert found.errors.median_star_mae == pytest.approx(0.03, rel=1e-3)


def test_regions_part_the_stars(tmp_path: Path) -> None:
    grid = linear_grid(tmp_path)
    labels = grid.labels.copy()
    labels[grid.test, 0] = [4700, 4700, 5000, 5000, 5000, 6000]
    labels[grid.test, 2] = [-2, 0, 0, 0, 0, 0]
    labels[grid.test, 1] = [2, 2, 2, 2, 5, 5]
    found = evaluate(linear_emulator(), replace(grid, labels=labels))
    assert {name: errors.stars for name, errors in found.regions.items()} == {
        "teff < 4800, fe_h < -1": 1,
        "teff < 4800, fe_h > -1": 1,
        "teff 4800-5800, fe_h > -1": 3,
        "teff > 5800, fe_h > -1": 1,
        "logg < 3.5": 4,
        "logg > 3.5": 2,
    }


def test_error_model_is_compared_with_residuals(tmp_path: Path) -> None:
    grid = linear_grid(tmp_path, rows=400)
    rng = np.random.default_rng(5)
    pixels = grid.wavelength.size
    sigma, basis = np.full(pixels, 0.003), np.full((1, pixels), 0.004)
    noise = sigma * rng.standard_normal(grid.flux.shape) + 0.004 * rng.standard_normal((len(grid.flux), 1))
    noisy = replace(grid, flux=(grid.flux + noise).astype(np.float32))
    right = evaluate(linear_emulator(error=ErrorModel(basis, sigma)), noisy).calibration
    assert right is not None
    np.testing.assert_allclose(right.predicted, 0.005)
    assert right.ratio == pytest.approx(1.0, abs=0.1)
    assert right.inside == pytest.approx((0.683, 0.954, 0.997), abs=0.06)
    assert right.quantiles == pytest.approx((-2, -1, 0, 1, 2), abs=0.35)
    bold = evaluate(linear_emulator(error=ErrorModel(basis / 2, sigma / 2)), noisy).calibration
    assert bold is not None
    assert bold.ratio == pytest.approx(2 * right.ratio)
    assert evaluate(linear_emulator(), noisy).calibration is None


def test_each_star_has_its_own_predicted_error(tmp_path: Path) -> None:
    emulator = linear_emulator()
    pixels = emulator.wavelength.size
    emulator = replace(emulator, error=ErrorModel(np.zeros((0, pixels)), np.zeros(pixels), np.array([0, 0, 0.1, 0, 0])))
    found = evaluate(emulator, linear_grid(tmp_path))
    assert found.predicted is not None
    np.testing.assert_allclose(found.predicted, np.tile(0.1 * np.abs(slopes()[2]), (6, 1)), rtol=1e-4, atol=1e-9)


def test_card_gets_the_same_numbers(tmp_path: Path) -> None:
    grid = linear_grid(tmp_path)
    emulator = linear_emulator(offset=0.02)
    found, kept = evaluate(emulator, grid), held_out_errors(emulator, grid)
    assert kept["mae"] == found.errors.mae
    assert kept["mae_of_mean"] == found.mae_of_mean


def test_all_numbers_go_into_json(tmp_path: Path) -> None:
    pixels = linear_emulator().wavelength.size
    emulator = linear_emulator(0.01, ErrorModel(np.zeros((1, pixels)), np.full(pixels, 0.01)))
    derivative = slopes()
    derivative[4] = 0.0
    found = evaluate(
        emulator, linear_grid(tmp_path), derivatives=write_derivatives(tmp_path / "derivatives.h5", derivative)
    )
    numbers = json.loads(json.dumps(found.numbers(), allow_nan=False))
    assert numbers["errors"]["mae"] == pytest.approx(0.01, rel=1e-4)
    assert numbers["error_model"]["ratio"] == pytest.approx(1.0, rel=1e-3)
    assert numbers["derivatives"]["sun"]["base_mae"] == pytest.approx(0.01, rel=1e-4)
    assert numbers["derivatives"]["sun"]["mg_fe"]["correlation"] == pytest.approx(1.0)
    assert numbers["derivatives"]["sun"]["ba_fe"]["correlation"] is None
    assert {line["element"] for line in numbers["lines"]} == {"Fe", "Mg", "Ba"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": (*LABELS[:3], "si_fe", "ba_fe")}, "lacks si_fe; the emulator does not know mg_fe"),
        ({"labels": LABELS[:3] + LABELS[:2:-1]}, "another order: teff, logg, fe_h, mg_fe, ba_fe"),
        ({"resolution": 80_000.0}, "R = 50000.*R = 80000"),
        ({"lower": (5000.0, *LOWER[1:])}, "test rows lie outside the domain of 'line', the first is row .*teff = 4"),
    ],
)
def test_grid_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(BayneError, match=words):
        evaluate(linear_emulator(**changes), linear_grid(tmp_path))


def test_other_wavelengths_are_refused(tmp_path: Path) -> None:
    grid = linear_grid(tmp_path)
    with pytest.raises(BayneError, match=r"wavelengths \(\d+ pixels from 4722.944"):
        evaluate(linear_emulator(), replace(grid, wavelength=grid.wavelength * 1.0002))
    with pytest.raises(BayneError, match="wavelengths"):
        evaluate(linear_emulator(), replace(grid, wavelength=grid.wavelength[:-1], flux=grid.flux[:, :-1]))


def test_rounding_of_the_domain_is_forgiven(tmp_path: Path) -> None:
    grid = linear_grid(tmp_path)
    labels = grid.labels.copy()
    labels[0, 0] = LOWER[0] - 1e-4
    assert evaluate(linear_emulator(), replace(grid, labels=labels)).errors.stars == 6

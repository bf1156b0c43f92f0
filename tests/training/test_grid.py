"""A grid seen at a lower resolution and on other pixels: the convolution of a Gaussian line is known exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bayne.errors import BayneError
from bayne.lsf import FWHM_PER_SIGMA
from bayne.training import Grid, evaluate, train
from bayne.wavelength import C_KMS
from toy_grid import toy_grid

CENTRE, DEPTH, WIDTH, SHARP = 5005.0, 0.4, 4.0, 100_000.0


def line(wavelength: np.ndarray, width: float) -> np.ndarray:
    """A Gaussian line whose equivalent width is that of `DEPTH` and `WIDTH` (km/s)."""
    return 1 - DEPTH * WIDTH / width * np.exp(-0.5 * (C_KMS * np.log(wavelength / CENTRE) / width) ** 2)


@pytest.fixture
def sharp() -> Grid:
    wavelength = np.exp(np.arange(np.log(5000.0), np.log(5010.0), 1.0 / C_KMS))
    flux = np.tile(line(wavelength, WIDTH), (20, 1)).astype(np.float32)
    labels = np.random.default_rng(1).normal(size=(20, 1))
    return Grid(labels, ("teff",), ("K",), wavelength, flux, {"resolution": f"{SHARP:g}"}, "hash")


def test_a_gaussian_line_becomes_wider(sharp: Grid) -> None:
    wavelength = np.exp(np.arange(np.log(5002.0), np.log(5008.0), 3.3 / C_KMS))
    seen = sharp.observed(wavelength, 30_000)
    added = C_KMS / FWHM_PER_SIGMA * np.sqrt(1 / 30_000**2 - 1 / SHARP**2)
    np.testing.assert_allclose(seen.flux, np.tile(line(wavelength, np.hypot(WIDTH, added)), (20, 1)), atol=2e-5)
    assert seen.attributes["resolution"] == "30000"
    assert seen.hash != sharp.hash
    assert sharp.observed(sharp.wavelength, SHARP) is sharp
    np.testing.assert_allclose(sharp.observed(sharp.wavelength[9:-9], SHARP).flux, sharp.flux[:, 9:-9], atol=1e-7)
    # the twin that forgets the resolution that the grid has already fails
    wrong = np.hypot(WIDTH, C_KMS / FWHM_PER_SIGMA / 30_000)
    assert np.abs(seen.flux[0] - line(wavelength, wrong)).max() > 1e-3


def test_what_the_grid_lacks(sharp: Grid) -> None:
    with pytest.raises(BayneError, match=r"resolution 200000: the grid is of 100000, and cannot be made sharper"):
        sharp.observed(sharp.wavelength, 200_000)
    with pytest.raises(BayneError, match=r"1 of the wavelengths 5005.0 to 5020.0 are outside the windows"):
        sharp.observed(np.array([5005.0, 5020.0]), 30_000)


def test_an_emulator_of_a_part_of_a_grid_at_a_lower_resolution(tmp_path: Path) -> None:
    grid = toy_grid(tmp_path)
    part = {"windows": [[5001, 5006]], "resolution": 0.5 * float(grid.attributes["resolution"]), "step_kms": 12.0}
    config = {"architecture": {"hidden": [4, 4]}, "training": {"steps": 3, "checks": 1}}
    emulator = train(grid, "payne", config=config | part)
    assert emulator.card.resolution == part["resolution"]
    assert emulator.wavelength[0] == pytest.approx(5001)
    assert emulator.wavelength[-1] < 5006
    assert evaluate(emulator, grid).errors.mae == pytest.approx(emulator.card.held_out_error["mae"], rel=0.01)
    with pytest.raises(BayneError, match="windows, resolution and step_kms go together"):
        train(grid, "payne", config=config | {"windows": [[5005, 5020]]})

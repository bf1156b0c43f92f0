"""The error model finds the errors that were put in, and predicts those of other stars."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bayne import BayneError
from bayne.emulators import Emulator, ErrorModel
from bayne.emulators.coordinates import sensitivity
from bayne.spectrum import FloatArray
from bayne.training import train_kernel
from bayne.training.errors import error_model, with_error_model
from grids import LABELS, LOWER, UPPER, linear_emulator, linear_grid

#: What goes wrong with the lines: iron and barium off by so many dex, every pixel's absorbance by so much.
SHIFT = np.array([0.0, 0.0, 0.05, 0.0, 0.15])
NOISE = 0.01


def wrong(emulator: Emulator, count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """(n, l) labels, and residuals (n, p) of an emulator that errs as above."""
    rng = np.random.default_rng(seed)
    labels = rng.uniform(LOWER, UPPER, (count, len(LABELS)))
    size = sensitivity(emulator.evaluate(labels).astype(float))
    shift = np.stack([(SHIFT * rng.standard_normal(len(LABELS))) @ emulator.gradient(x) for x in labels])
    return labels, shift + size * NOISE * rng.standard_normal(size.shape)


def test_errors_that_were_put_in_are_found() -> None:
    emulator = linear_emulator()
    labels, residual = wrong(emulator, 100, seed=1)
    found = error_model(emulator, labels, residual, rank=2)
    assert found.labels is not None
    # all lines answer to a change of 2000 K as to 1 dex: nobody can tell the two apart
    assert np.hypot(found.labels[2], found.labels[0] / 2000) == pytest.approx(0.05, rel=0.25)
    assert found.labels[4] == pytest.approx(0.15, rel=0.25)
    assert found.labels[3] < 0.02
    assert np.sqrt(np.mean(found.total**2)) == pytest.approx(NOISE, rel=0.1)


def test_label_errors_of_other_stars_are_as_large_as_predicted() -> None:
    """Along the derivative by [Fe/H]; independent errors of the right size are known to be too small there."""
    emulator = linear_emulator()
    model = error_model(emulator, *wrong(emulator, 60, seed=1), rank=0)
    labels, residual = wrong(emulator, 60, seed=2)

    def chi2(emulator: Emulator) -> float:
        pulls = []
        for x, r in zip(labels, residual, strict=True):
            error, iron = emulator.error_at(x), emulator.gradient(x)[2]
            assert error is not None
            pulls.append(r @ iron / np.sqrt(np.sum((error.basis @ iron) ** 2) + np.sum((error.sigma * iron) ** 2)))
        return float(np.mean(np.square(pulls)))

    assert chi2(replace(emulator, error=model)) == pytest.approx(1.0, abs=0.4)
    independent = ErrorModel(np.zeros((0, residual.shape[1])), np.sqrt(np.mean(residual**2, axis=0)))
    assert chi2(replace(emulator, error=independent)) > 4


def test_error_is_large_where_lines_are_strong() -> None:
    """[Fe/H] changes lines of the linear emulator from weak to strong."""
    emulator = linear_emulator()
    emulator = replace(emulator, error=error_model(emulator, *wrong(emulator, 60, seed=1), rank=1))
    weak, strong = (emulator.error_at(np.array([5500.0, 4.0, iron, 0.0, 0.0])) for iron in (-1.5, 0.2))
    assert weak is not None
    assert strong is not None
    assert weak.labels is None, "a covariance in flux"
    assert np.mean(strong.sigma**2) > 2 * np.mean(weak.sigma**2)


def test_only_validation_rows_count(tmp_path: Path) -> None:
    grid, emulator = linear_grid(tmp_path, rows=90), linear_emulator(offset=0.01)
    flux = grid.flux.copy()
    flux[~grid.validation] += 0.3
    one, other = (with_error_model(emulator, g, rank=3).error for g in (grid, replace(grid, flux=flux)))
    assert one is not None
    assert other is not None
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name))
    assert one.basis.shape == (3, emulator.wavelength.size)


def test_few_spectra_do_not_make_an_error_that_is_certain() -> None:
    """White noise in as many spectra as components: what is left over is not zero."""
    emulator = linear_emulator()
    labels, residual = wrong(emulator, 9, seed=3)
    model = error_model(emulator, labels, residual + 0.01 * np.random.default_rng(0).normal(size=residual.shape), 12)
    assert len(model.basis) == 3
    assert np.median(model.sigma) > 0.3 * np.sqrt(np.mean(np.sum(model.basis**2, axis=0)))


def test_kernel_emulators_have_their_own(tmp_path: Path) -> None:
    grid = linear_grid(tmp_path)
    with pytest.raises(BayneError, match="leave-one-out"):
        with_error_model(train_kernel(grid, steps=2, rank=5), grid)


def test_the_grid_must_be_the_emulators(tmp_path: Path) -> None:
    grid = linear_grid(tmp_path)
    with pytest.raises(BayneError, match="wavelengths"):
        with_error_model(linear_emulator(), replace(grid, wavelength=grid.wavelength * 1.001))

"""Derivatives of the network against derivatives in a file."""

from __future__ import annotations

from pathlib import Path

import h5py
import jax
import numpy as np
import pytest

from bayne import ReadError
from bayne.training.derivatives import compare_derivatives, strongest
from grids import LABELS, ORIGIN, linear_emulator, slopes, write_derivatives


@pytest.mark.parametrize("wide", [False, True])
def test_gradient_of_a_linear_network_is_its_slope(wide: bool) -> None:
    with jax.enable_x64(wide):
        np.testing.assert_allclose(linear_emulator().gradient(ORIGIN), slopes(), rtol=1e-5, atol=1e-9)


def test_right_derivatives_are_perfect(tmp_path: Path) -> None:
    (star,) = compare_derivatives(linear_emulator(offset=0.02), write_derivatives(tmp_path / "d.h5", slopes()))
    assert star.name == "sun"
    assert star.base_mae == pytest.approx(0.02, rel=1e-4)
    np.testing.assert_allclose(star.correlation, 1, rtol=1e-5)
    np.testing.assert_allclose(star.cosine, 1, rtol=1e-5)
    np.testing.assert_allclose(star.slope, 1, rtol=1e-5)
    np.testing.assert_allclose(star.relative_rms, 0, atol=1e-5)


def test_wrong_derivatives_are_told_apart(tmp_path: Path) -> None:
    physical = slopes()
    physical[0] /= 2  # the emulator answers twice as strongly
    physical[1] *= -1
    physical[3] = np.roll(physical[3], 300)
    physical[4] = 0.0
    (star,) = compare_derivatives(linear_emulator(), write_derivatives(tmp_path / "d.h5", physical))
    assert star.correlation[:3] == pytest.approx([1, -1, 1])
    assert star.cosine[:3] == pytest.approx([1, -1, 1])
    assert star.slope[:3] == pytest.approx([2, -1, 1], rel=1e-4)
    assert star.relative_rms[:4] == pytest.approx([1, 2, 0, np.sqrt(2)], rel=1e-3, abs=1e-5)
    assert abs(star.slope[3]) < 0.01
    assert np.isnan(star.correlation[4])
    assert np.isnan(star.slope[4])


def test_measurable_is_a_matter_of_significance(tmp_path: Path) -> None:
    physical = np.zeros_like(slopes())
    physical[0, 5] = 0.0006  # 100 K: 0.06, six sigma at S/N 100
    physical[1, 5:14] = 0.03  # 0.3 dex: nine pixels of 0.9 sigma
    physical[2, 5] = 0.11
    physical[3, 5] = 0.09
    (star,) = compare_derivatives(linear_emulator(), write_derivatives(tmp_path / "d.h5", physical))
    assert star.significance == pytest.approx([6.0, 2.7, 3.3, 2.7, 0.0])
    assert list(star.measurable) == [True, False, True, False, False]


def test_strongest_pixels_hold_nine_tenths() -> None:
    # squares 1, 16, 4, 81, 9, 0: 81 + 16 of 111 is the least above 0.9 * 111 = 99.9 but for one more
    assert list(strongest(np.array([1.0, -4.0, 2.0, 9.0, 3.0, 0.0]))) == [1, 3, 4]
    assert list(strongest(np.array([0.0, -1.0, 0.0]))) == [1]


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    emulator, path = linear_emulator(), tmp_path / "d.h5"
    with pytest.raises(ReadError, match="no such file of derivatives"):
        compare_derivatives(emulator, path)
    path.write_text("no HDF5")
    with pytest.raises(ReadError, match="not a readable HDF5"):
        compare_derivatives(emulator, path)
    write_derivatives(path, slopes(), names=(*LABELS[:4], "eu_fe"))
    with pytest.raises(ReadError, match="it lacks ba_fe; the emulator does not know eu_fe"):
        compare_derivatives(emulator, path)
    write_derivatives(path, slopes()[:, :-1])
    with pytest.raises(ReadError, match="sun/derivative should have shape"):
        compare_derivatives(emulator, path)
    for name, words in (("sun/labels", "sun/labels should have shape .* found nothing"), ("wavelength", "need")):
        write_derivatives(path, slopes())
        with h5py.File(path, "a") as file:
            del file[name]
        with pytest.raises(ReadError, match=words):
            compare_derivatives(emulator, path)
    write_derivatives(path, slopes())
    with h5py.File(path, "a") as file:
        file["wavelength"][:] *= 1.001
    with pytest.raises(ReadError, match="wavelengths"):
        compare_derivatives(emulator, path)
    with h5py.File(path, "a") as file:
        file["wavelength"][:] /= 1.001
        del file["sun"]
    with pytest.raises(ReadError, match="no star in it"):
        compare_derivatives(emulator, path)

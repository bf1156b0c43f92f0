"""Echelle orders in HDF5."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from bayne import ReadError, read_spectrum
from bayne.wavelength import vacuum_to_air
from surveys import examples


def test_orders_overlap_and_have_names(tmp_path: Path) -> None:
    spectrum = read_spectrum(examples.echelle_hdf5(tmp_path), medium="air")
    assert [arm.name for arm in spectrum.arms] == ["order_00", "order_01", "order_02"]
    assert spectrum.arms[0].wavelength[-1] > spectrum.arms[1].wavelength[0]
    assert vacuum_to_air(spectrum.arms[0].wavelength[0]) == pytest.approx(5000)
    assert spectrum.arms[0].lsf is None


def test_a_profile_gives_the_width(tmp_path: Path) -> None:
    arm = read_spectrum(examples.echelle_hdf5(tmp_path), medium="air", instrument="tres").arms[1]
    assert arm.lsf.fwhm == pytest.approx(arm.wavelength / 44000)


def test_the_frame_is_barycentric_where_a_correction_was_applied(tmp_path: Path) -> None:
    spectrum = read_spectrum(examples.echelle_hdf5(tmp_path), medium="air")
    assert spectrum.frame == "barycentric"
    assert spectrum.provenance["header"] == {"BCV": -19.99}
    assert read_spectrum(examples.echelle_hdf5(tmp_path, medium="air")).frame == "observed"
    assert read_spectrum(examples.echelle_hdf5(tmp_path, medium="air"), frame="rest").frame == "rest"


def test_the_medium_is_stated_or_given(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"echelle.hdf5: it does not state .* say medium="):
        read_spectrum(examples.echelle_hdf5(tmp_path))
    assert read_spectrum(examples.echelle_hdf5(tmp_path, medium="vacuum")).arms[0].wavelength[0] == 5000


def test_the_layout_of_starfish_with_its_mask_of_pixels_to_keep(tmp_path: Path) -> None:
    path = tmp_path / "starfish.hdf5"
    wave = 5000.0 + 0.05 * np.arange(300)
    with h5py.File(path, "w") as file:
        file.update({"waves": wave, "fluxes": np.ones(300), "sigmas": np.full(300, 0.01)})
        file["masks"] = np.arange(300) >= 10
        file.attrs["name"] = "WASP-14"
    spectrum = read_spectrum(path, medium="vacuum")
    assert np.flatnonzero(spectrum.arms[0].mask).tolist() == list(range(10))
    assert spectrum.counts == {"masked": 10}
    assert spectrum.star_id == "WASP-14"


def test_arrays_that_do_not_fit(tmp_path: Path) -> None:
    path = examples.echelle_hdf5(tmp_path)
    with h5py.File(path, "r+") as file:
        wave = file["wls"][()]
        wave[1, 200:210] = wave[1, 200]
        file["wls"][...] = wave
    with pytest.raises(ReadError, match=r"echelle.hdf5: arm 'order_01': wavelength does not increase at pixel 201"):
        read_spectrum(path, medium="air")
    with h5py.File(path, "r+") as file:
        file["wls"][...] = wave / 10
    with pytest.raises(ReadError, match="is the unit right"):
        read_spectrum(path, medium="air")
    with h5py.File(path, "r+") as file:
        del file["fls"]
        file["fls"] = np.ones((3, 10))
    with pytest.raises(ReadError, match="differ in shape"):
        read_spectrum(path, medium="air")
    with h5py.File(path, "r+") as file:
        del file["fls"]
    with pytest.raises(ReadError, match="not recognised"):
        read_spectrum(path)
    with pytest.raises(ReadError, match=r"no arrays wls, fls, sigmas; it has sigmas, wls"):
        read_spectrum(path, format="echelle-hdf5", medium="air")

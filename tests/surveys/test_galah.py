"""GALAH: the CCDs of a star joined, frame, telluric mask, boxy profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.integrate import quad

from bayne import ReadError, read_spectrum
from bayne.surveys.galah import gaussian_equivalent
from bayne.wavelength import vacuum_to_air
from surveys import examples


@pytest.mark.parametrize("name", ["2101150001010011.fits", "2101150001010014.fits", "210115000101001"])
def test_any_file_and_the_common_stem_bring_all(tmp_path: Path, name: str) -> None:
    examples.galah(tmp_path)
    spectrum = read_spectrum(tmp_path / name)
    assert [arm.name for arm in spectrum.arms] == ["blue", "green", "red", "infrared"]
    assert spectrum.id == "210115000101001"
    assert spectrum.star_id == "3335074476514836608"
    assert sorted(spectrum.provenance["ccds"]) == ["blue", "green", "infrared", "red"]


def test_missing_ccds_are_left_out(tmp_path: Path) -> None:
    examples.galah(tmp_path, ccds="13")
    assert [arm.name for arm in read_spectrum(tmp_path / "210115000101001").arms] == ["blue", "red"]
    with pytest.raises(ReadError, match="no such file"):
        read_spectrum(tmp_path / "210115000101009")


def test_another_name_stands_alone(tmp_path: Path) -> None:
    examples.galah(tmp_path)
    (tmp_path / "2101150001010013.fits").rename(tmp_path / "mine.fits")
    spectrum = read_spectrum(tmp_path / "mine.fits")
    assert [arm.name for arm in spectrum.arms] == ["red"]
    assert spectrum.id == "mine"


def test_wavelengths_are_vacuum_and_counted_from_the_reference_pixel(tmp_path: Path) -> None:
    path = examples.galah(tmp_path, ccds="3")
    start, step = examples.CCDS[2]
    assert vacuum_to_air(read_spectrum(path).arms[0].wavelength) == pytest.approx(start + step * np.arange(4096))
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["CRPIX1"] = 2.0
    assert vacuum_to_air(read_spectrum(path).arms[0].wavelength[1]) == pytest.approx(start, abs=1e-9)


def test_the_frame_is_observed_where_no_correction_was_made(tmp_path: Path) -> None:
    path = examples.galah(tmp_path)
    assert read_spectrum(path).frame == "barycentric"
    examples.galah(tmp_path, bary="None")
    spectrum = read_spectrum(path)
    assert spectrum.frame == "observed"
    assert spectrum.bary_kms is None
    examples.galah(tmp_path, ccds="2")
    with pytest.raises(ReadError, match="BARYEFF"):
        read_spectrum(path)


def test_errors_are_relative_to_the_counts(tmp_path: Path) -> None:
    arm = read_spectrum(examples.galah(tmp_path, ccds="1")).arms[0]
    assert arm.ivar == pytest.approx(np.full(4096, (1000 / 50) ** -2.0))


def test_counts_below_zero_keep_their_error(tmp_path: Path) -> None:
    def edit(flux: np.ndarray, error: np.ndarray) -> None:
        flux[10:20] *= -1

    spectrum = read_spectrum(examples.galah(tmp_path, edit, ccds="1"))
    assert np.all(spectrum.arms[0].flux[10:20] < 0)
    assert spectrum.counts == {}


@pytest.mark.parametrize(("transmission", "masked"), [(0.99, 0), (0.951, 0), (0.949, 100), (0.02, 100)])
def test_deep_telluric_lines_are_masked(tmp_path: Path, transmission: float, masked: int) -> None:
    spectrum = read_spectrum(examples.galah(tmp_path, ccds="4", telluric=transmission))
    assert np.count_nonzero(spectrum.arms[0].mask) == masked
    assert spectrum.counts.get("telluric", 0) == masked


@pytest.mark.parametrize("boxiness", [1.7, 2.0, 2.4, 2.9])
def test_the_profile_keeps_its_second_moment(boxiness: float) -> None:
    def profile(x: float) -> float:
        return float(np.exp(-np.log(2) * abs(2 * x) ** boxiness))

    variance = quad(lambda x: x * x * profile(x), -5, 5)[0] / quad(profile, -5, 5)[0]
    assert gaussian_equivalent(boxiness) == pytest.approx(2.3548200450309493 * np.sqrt(variance), rel=1e-6)


def test_the_width_of_a_boxy_profile_is_narrower_and_free_to_scale(tmp_path: Path) -> None:
    lsf = read_spectrum(examples.galah(tmp_path, ccds="1", boxiness=2.8)).arms[0].lsf
    assert lsf.fwhm == pytest.approx(np.full(4096, 0.25 * 0.8342), rel=1e-3)
    assert lsf.scale_sigma == 0.03


def test_header_values_are_kept_and_the_word_none_is_not(tmp_path: Path) -> None:
    header = read_spectrum(examples.galah(tmp_path)).provenance["header"]
    assert header["RVCOM"] == -18.7
    assert header["TEFF_R"] == 4688.4
    assert "LOGG_R" not in header


def test_a_missing_extension_is_named(tmp_path: Path) -> None:
    path = examples.galah(tmp_path, ccds="1")
    with fits.open(path, mode="update") as hdus:
        del hdus["teluric"]
    with pytest.raises(ReadError, match=r"no extension 'teluric'; it has .*'RELATIVE_ERROR'"):
        read_spectrum(path)

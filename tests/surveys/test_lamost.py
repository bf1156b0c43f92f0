"""LAMOST: both layouts of the low-resolution survey, and the arms and exposures of the medium-resolution one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from bayne import ReadError, load_instrument, read_spectrum
from bayne.wavelength import air_to_vacuum
from surveys import examples


def test_both_layouts_are_the_same_spectrum(tmp_path: Path) -> None:
    table, image, first = (
        read_spectrum(path)
        for path in (
            examples.lamost(tmp_path),
            examples.lamost_image(tmp_path),
            examples.lamost_image(tmp_path, first=True),
        )
    )
    for other in (image, first):
        for a, b in zip(table.arms, other.arms, strict=True):
            assert np.array_equal(a.wavelength, b.wavelength)
            assert np.array_equal(a.flux, b.flux)
    assert table.frame == "barycentric"
    assert table.star_id == "LAMOST J000000.00+000000.0"
    assert table.id == "spec-55877-B7708_sp03-110"
    assert table.provenance["stated_rv_kms"] == pytest.approx(-29.98, abs=0.01)


def test_the_arms_are_apart_where_the_pipeline_joined_them(tmp_path: Path) -> None:
    spectrum = read_spectrum(examples.lamost(tmp_path))
    blue, red = spectrum.arms
    assert (blue.name, red.name) == ("blue", "red")
    assert blue.wavelength[-1] < 5800 <= red.wavelength[0]
    assert blue.lsf.fwhm[-1] == pytest.approx(2.8, rel=0.01)
    assert red.lsf.fwhm[0] == pytest.approx(4.3, rel=0.01)
    assert blue.lsf.scale_sigma == 0.15
    # where they overlap, and where telluric bands are
    bad = load_instrument("lamost").telluric_mask([5600.0, 5800.0, 6000.0, 7650.0])
    assert bad.tolist() == [False, True, False, True]


def test_the_grid_is_exact_unless_the_header_was_rounded(tmp_path: Path) -> None:
    wave = np.concatenate([arm.wavelength for arm in read_spectrum(examples.lamost(tmp_path)).arms])
    assert wave == pytest.approx(10 ** (3.7384 + 1e-4 * np.arange(500)), rel=1e-12)
    rounded = read_spectrum(examples.lamost(tmp_path, COEFF0=3.738402))  # 1.4 km/s
    wave = np.concatenate([arm.wavelength for arm in rounded.arms])
    assert wave == pytest.approx(10 ** (3.7384 + 1e-4 * np.arange(500)), rel=2e-7)


@pytest.mark.parametrize("write", [examples.lamost, examples.lamost_image])
def test_wavelengths_that_contradict_the_header(write: object, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"from 5475.2 to .* are not those of COEFF0 and COEFF1, 3699"):
        read_spectrum(write(tmp_path, COEFF0=3.5682))  # type: ignore[operator]


def test_what_the_header_says_of_medium_and_frame(tmp_path: Path) -> None:
    spectrum = read_spectrum(examples.lamost(tmp_path, VACUUM=False, HELIO=False))
    assert spectrum.arms[0].wavelength[0] == pytest.approx(float(air_to_vacuum(10**3.7384)))
    # HELIO_RV is the velocity of the Earth away from the star
    assert (spectrum.frame, spectrum.bary_kms) == ("observed", 29.3)
    assert "stated_rv_kms" not in read_spectrum(examples.lamost(tmp_path, CLASS="GALAXY")).provenance


def test_only_the_and_mask_counts(tmp_path: Path) -> None:
    mask = np.zeros(500)
    mask[[10, 11, 300]] = 1, 4, 64  # the last is no bit of the survey
    spectrum = read_spectrum(examples.lamost(tmp_path, mask=mask))
    assert [np.flatnonzero(arm.mask).tolist() for arm in spectrum.arms] == [[10, 11], []]
    assert spectrum.counts == {"BADCCD": 1, "NOSKY": 1}


def test_a_table_that_is_not_what_it_seems(tmp_path: Path) -> None:
    path = examples.lamost(tmp_path)
    with fits.open(path, memmap=False) as hdus:
        table = Table(hdus[1].data)
        fits.HDUList([hdus[0], fits.BinTableHDU(table[["FLUX", "WAVELENGTH"]], name="COADD")]).writeto(
            tmp_path / "less.fits"
        )
        table.add_row(table[0])
        fits.HDUList([hdus[0], fits.BinTableHDU(table, name="COADD")]).writeto(tmp_path / "more.fits")
    with pytest.raises(ReadError, match=r"'COADD' has no column 'ivar'; it has FLUX, WAVELENGTH"):
        read_spectrum(tmp_path / "less.fits")
    with pytest.raises(ReadError, match=r"more.fits holds 2 spectra where one is expected"):
        read_spectrum(tmp_path / "more.fits")


def test_an_image_in_nanometres_is_refused(tmp_path: Path) -> None:
    path = examples.lamost_image(tmp_path)
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[2] /= 10
        del hdus[0].header["COEFF0"]
    with pytest.raises(ReadError, match=r"not those of a stellar spectrum; is the unit right"):
        read_spectrum(path)


def test_the_combination_or_one_exposure(tmp_path: Path) -> None:
    path = examples.lamost_mrs(tmp_path)
    combined = read_spectrum(path)
    assert [arm.name for arm in combined.arms] == ["blue", "red"]
    assert [float(np.median(arm.flux)) for arm in combined.arms] == pytest.approx([200.0, 200.0])
    assert combined.arms[0].wavelength == pytest.approx(10 ** (3.7 + 1e-5 * np.arange(400)), rel=1e-12)
    assert combined.arms[0].wavelength[0] / combined.arms[0].lsf.fwhm[0] == pytest.approx(7500)
    for exposure in (83555758, "83555772"):
        spectrum = read_spectrum(path, exposure=exposure)
        assert [float(np.median(arm.flux)) for arm in spectrum.arms] == pytest.approx([50.0, 50.0])
        assert spectrum.id == f"med-58025-HIP9645901_sp02-051-{exposure}"
        assert spectrum.star_id == combined.star_id
        assert spectrum.frame == "barycentric"


def test_an_arm_may_be_missing_but_not_all(tmp_path: Path) -> None:
    (only,) = read_spectrum(examples.lamost_mrs(tmp_path, coadd="R")).arms
    assert only.name == "red"
    path = examples.lamost_mrs(tmp_path, coadd="")
    with pytest.raises(ReadError, match="no combined spectrum; its exposures are 83555758, 83555772; choose one"):
        read_spectrum(path)
    with pytest.raises(ReadError, match="no exposure 5; its exposures are 83555758"):
        read_spectrum(path, exposure=5)

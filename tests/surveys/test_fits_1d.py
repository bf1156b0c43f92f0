"""One-dimensional FITS: the wavelengths of a header, whatever its dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from bayne import ReadError, read_spectrum
from bayne.wavelength import air_to_vacuum
from surveys import examples

LINEAR = 5000.0 + 0.1 * np.arange(500)


@pytest.mark.parametrize(
    ("header", "wave"),
    [
        ({"CRVAL1": 5000.0, "CDELT1": 0.1}, LINEAR),
        ({"CRVAL1": 5000.0, "CDELT1": 0.1, "CRPIX1": 1.0, "CTYPE1": "LINEAR", "CUNIT1": "Angstroms"}, LINEAR),
        ({"CRVAL1": 5010.0, "CD1_1": 0.1, "CRPIX1": 101.0}, LINEAR),
        ({"CRVAL1": 5010.0, "CD1_1": 0.1, "CDELT1": 1.0, "CRPIX1": 101.0}, LINEAR),
        ({"CRVAL1": 500.0, "CDELT1": 0.01, "CUNIT1": "nm"}, LINEAR),
        ({"CRVAL1": 500.0, "CDELT1": 0.01, "CUNIT1": "NM"}, LINEAR),
        ({"CRVAL1": 0.5, "CDELT1": 1e-5, "CUNIT1": "Microns"}, LINEAR),
        ({"CRVAL1": 5000.0, "CDELT1": 0.1, "CUNIT1": "A"}, LINEAR),
        ({"CRVAL1": 5e-7, "CDELT1": 1e-11, "CUNIT1": "m", "CTYPE1": "WAVE"}, LINEAR),
        ({"CRVAL1": 5049.9, "CDELT1": -0.1}, LINEAR),
        ({"CRVAL1": 3.7, "CDELT1": 1e-5, "DC-FLAG": 1}, 10 ** (3.7 + 1e-5 * np.arange(500))),
        ({"CRVAL1": 3.7, "CDELT1": 1e-5, "CTYPE1": "LOG-LINEAR"}, 10 ** (3.7 + 1e-5 * np.arange(500))),
        ({"CRVAL1": 5000.0, "CDELT1": 0.1, "CTYPE1": "WAVE-LOG"}, 5000 * np.exp(0.1 * np.arange(500) / 5000)),
    ],
)
def test_wavelengths_of_a_header(tmp_path: Path, header: dict[str, Any], wave: np.ndarray) -> None:
    arm = read_spectrum(examples.fits_1d(tmp_path, header=header), medium="vacuum").arms[0]
    assert arm.wavelength == pytest.approx(wave, rel=1e-12)


def test_the_standard_logarithm_agrees_with_astropy(tmp_path: Path) -> None:
    from astropy.wcs import WCS

    header = {"CRVAL1": 5000.0, "CDELT1": 0.1, "CRPIX1": 7.0, "CTYPE1": "AWAV-LOG", "CUNIT1": "Angstrom"}
    path = examples.fits_1d(tmp_path, header=header)
    reference = 1e10 * WCS(fits.getheader(path)).all_pix2world(np.arange(500), 0)[0]
    assert read_spectrum(path).arms[0].wavelength == pytest.approx(air_to_vacuum(reference), rel=1e-10)


@pytest.mark.parametrize(
    ("stated", "given", "air"),
    [
        ({"CTYPE1": "WAVE"}, None, False),
        ({"CTYPE1": "AWAV"}, None, True),
        ({"AIRORVAC": "air"}, None, True),
        ({"AIRORVAC": "vac", "CTYPE1": "LINEAR"}, None, False),
        ({}, "air", True),
        ({"AIRORVAC": "air"}, "vacuum", False),
    ],
)
def test_the_medium_is_stated_or_given(tmp_path: Path, stated: dict[str, Any], given: Any, air: bool) -> None:
    header = {"CRVAL1": 5000.0, "CDELT1": 0.1, "CUNIT1": "Angstrom", **stated}
    wave = read_spectrum(examples.fits_1d(tmp_path, header=header), medium=given).arms[0].wavelength
    # 5000 Å in air are 5001.394 Å in vacuum: see tests/test_spectrum.py
    assert wave[0] == pytest.approx(5000.0 + (1.3942 if air else 0.0), abs=1e-3)


def test_the_medium_is_never_guessed(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"hd1.fits: it does not state .* say medium='air' or 'vacuum'"):
        read_spectrum(examples.fits_1d(tmp_path))
    with pytest.raises(ReadError, match="'water': say 'vacuum' or 'air'"):
        read_spectrum(examples.fits_1d(tmp_path), medium="water")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stated", "given", "frame"),
    [
        (None, None, "observed"),
        (None, "rest", "rest"),
        ("TOPOCENT", None, "observed"),
        ("BARYCENT", None, "barycentric"),
        ("HELIOCEN", None, "barycentric"),
        ("BARYCENT", "rest", "rest"),
    ],
)
def test_the_frame(tmp_path: Path, stated: str | None, given: Any, frame: str) -> None:
    header = {"CRVAL1": 5000.0, "CDELT1": 0.1} | ({"SPECSYS": stated} if stated else {})
    path = examples.fits_1d(tmp_path, header=header)
    assert read_spectrum(path, medium="air", frame=given).frame == frame
    with pytest.raises(ReadError, match="'heliocentric': say 'observed', 'barycentric' or 'rest'"):
        read_spectrum(path, medium="air", frame="heliocentric")  # type: ignore[arg-type]


def test_errors_come_from_their_extension_or_are_absent(tmp_path: Path) -> None:
    path = examples.fits_1d(tmp_path)
    assert read_spectrum(path, medium="air").arms[0].ivar == pytest.approx(np.full(500, 0.25))
    with fits.open(path, mode="update") as hdus:
        hdus["ERROR"].name = "IVAR"
    assert read_spectrum(path, medium="air").arms[0].ivar == pytest.approx(np.full(500, 2.0))
    with fits.open(path, mode="update") as hdus:
        del hdus["IVAR"]
    assert read_spectrum(path, medium="air").arms[0].ivar is None


def test_a_file_of_many_spectra_is_read_by_hdu(tmp_path: Path) -> None:
    path = examples.fits_1d(tmp_path)
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.ImageHDU(np.full(500, 7.0), hdus[0].header, name="OTHER"))
    first, other = (read_spectrum(path, medium="air", hdu=hdu).arms[0] for hdu in (None, "other"))
    assert (other.flux == 7.0).all()
    assert not (first.flux == 7.0).any()
    np.testing.assert_array_equal(first.ivar, other.ivar)
    assert read_spectrum(path, medium="air", hdu="other").id.endswith("-other")
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.ImageHDU(np.full(500, 0.5), name="ERROR", ver=2))
    assert read_spectrum(path, medium="air", hdu="other").arms[0].ivar == pytest.approx(np.full(500, 0.25))
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.ImageHDU(np.full(500, 8.0), name="ERROR", ver=1))
    with pytest.raises(ReadError, match="several HDUs 'ERROR' may be errors of 'other'; EXTVER should tell"):
        read_spectrum(path, medium="air", hdu="other")
    with pytest.raises(ReadError, match="no extension 7; it has 0 'PRIMARY'"):
        read_spectrum(path, medium="air", hdu=7)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"CRVAL1": 500.0, "CDELT1": 0.01}, "is the unit right, or are they logarithms"),
        ({"CRVAL1": 3.7, "CDELT1": 1e-5}, "is the unit right, or are they logarithms"),
        ({"CRVAL1": 5000.0, "CDELT1": 0.1, "DC-FLAG": 1}, "log10 wavelengths, but CRVAL1 is 5000"),
        ({"CRVAL1": 5000.0, "CDELT1": 0.1, "CUNIT1": "kg"}, "'kg' is no unit of wavelength"),
        ({"CRVAL1": 5000.0, "CDELT1": 0.0}, "CRVAL1 and CDELT1 or CD1_1"),
        ({}, "CRVAL1 and CDELT1 or CD1_1"),
    ],
)
def test_headers_that_mean_no_wavelengths(tmp_path: Path, header: dict[str, Any], message: str) -> None:
    with pytest.raises(ReadError, match=message):
        read_spectrum(examples.fits_1d(tmp_path, header=header), format="fits-1d", medium="vacuum")


def test_a_unit_can_be_given(tmp_path: Path) -> None:
    path = examples.fits_1d(tmp_path, header={"CRVAL1": 500.0, "CDELT1": 0.01})
    assert read_spectrum(path, medium="vacuum", unit="nm").arms[0].wavelength == pytest.approx(LINEAR)


def test_two_axes_are_refused_and_idle_axes_are_not(tmp_path: Path) -> None:
    path = tmp_path / "cube.fits"
    for shape, good in (((1, 1, 500), True), ((3, 500), False)):
        hdu = fits.PrimaryHDU(np.ones(shape))
        hdu.header.update(CRVAL1=5000.0, CDELT1=0.1)
        hdu.writeto(path, overwrite=True)
        if good:
            assert read_spectrum(path, medium="air").arms[0].flux.size == 500
        else:
            with pytest.raises(ReadError, match="2 axes"):
                read_spectrum(path, format="fits-1d", medium="air")


def test_a_profile_gives_the_width_by_wavelength(tmp_path: Path) -> None:
    # the arm has a name of its own: MIKE's red and blue meet between 4900 and 5000 Å
    path = examples.fits_1d(tmp_path, header={"CRVAL1": 4800.0, "CDELT1": 1.0})
    spectrum = read_spectrum(path, medium="vacuum", instrument="mike", normalized=True)
    resolution = spectrum.arms[0].wavelength / spectrum.arms[0].lsf.fwhm
    assert (resolution[0], resolution[-1]) == (pytest.approx(35700), pytest.approx(27100))
    assert spectrum.instrument == "mike"
    assert spectrum.normalized
    with pytest.raises(ReadError, match="Did you mean 'mike'"):
        read_spectrum(path, medium="vacuum", instrument="mikey")


@pytest.mark.parametrize(
    ("name", "power"),
    [("SIGMA", 1), ("ERR", 1), ("ERROR", 1), ("errors", 1), ("UNCERT", 1), ("IVAR", -2), ("VARIANCE", 2), ("var", 2)],
)
def test_errors_are_found_by_the_name_of_their_extension(tmp_path: Path, name: str, power: int) -> None:
    path = examples.fits_1d(tmp_path, header={"CRVAL1": 5000.0, "CDELT1": 0.1, "CTYPE1": "AWAV"})
    flux = fits.getdata(path, 0)
    error = 0.01 * np.abs(flux)
    error[7] = -1.0
    with fits.open(path) as hdus:
        fits.HDUList([hdus[0], fits.ImageHDU(np.sign(error) * np.abs(error) ** power, name=name)]).writeto(
            tmp_path / "named.fits"
        )
    spectrum = read_spectrum(tmp_path / "named.fits")
    good = spectrum.arms[0].good
    assert spectrum.arms[0].ivar[good] == pytest.approx(error[good] ** -2.0)
    assert spectrum.counts == {"negative error": 1}


@pytest.mark.parametrize("value", [0.0, np.nan, -99.0])
def test_errors_of_which_none_is_one_are_none(tmp_path: Path, value: float) -> None:
    path = examples.fits_1d(tmp_path, header={"CRVAL1": 5000.0, "CDELT1": 0.1, "CTYPE1": "AWAV"})
    with fits.open(path) as hdus:
        empty = fits.ImageHDU(np.full(hdus[0].data.shape, value), name="SIGMA")
        fits.HDUList([hdus[0], empty]).writeto(tmp_path / "empty.fits")
    arm = read_spectrum(tmp_path / "empty.fits").arms[0]
    assert arm.ivar is None
    assert arm.good.all()


def test_a_frame_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    header = {"CRVAL1": 5000.0, "CDELT1": 0.1, "CTYPE1": "AWAV"}
    for frame in ("LSRK", "GALACTOC", "CMBDIPOL"):
        path = examples.fits_1d(tmp_path, header=header | {"SPECSYS": frame})
        with pytest.raises(ReadError, match=f"frame {frame}: shift the wavelengths to the barycentre"):
            read_spectrum(path)
        assert read_spectrum(path, frame="barycentric").frame == "barycentric"
    assert read_spectrum(examples.fits_1d(tmp_path, header=header | {"SPECSYS": "HELIOCEN"})).frame == "barycentric"


def test_the_velocity_of_a_header_is_kept(tmp_path: Path) -> None:
    header = {"CRVAL1": 5000.0, "CDELT1": 0.1, "CTYPE1": "AWAV", "HIERARCH ESO DRS CCF RVC": -12.25}
    assert read_spectrum(examples.fits_1d(tmp_path, header=header)).provenance["stated_rv_kms"] == -12.25
    header["HIERARCH ESO DRS CCF RVC"] = -99999.0
    assert "stated_rv_kms" not in read_spectrum(examples.fits_1d(tmp_path, header=header)).provenance

"""ESO's archive and 4MOST: what the header says of columns, medium, frame and resolving power."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from bayne import ReadError, read_spectrum
from bayne.wavelength import air_to_vacuum
from surveys import damage, examples

WAVE = 5000.0 + 0.05 * np.arange(500)


def test_a_product_says_all(tmp_path: Path) -> None:
    spectrum = read_spectrum(examples.eso(tmp_path))
    (arm,) = spectrum.arms
    assert arm.wavelength == pytest.approx(air_to_vacuum(WAVE))
    # the flux, and not the sky before it
    assert np.median(arm.flux) == pytest.approx(100.0)
    assert (spectrum.frame, spectrum.star_id, spectrum.normalized) == ("barycentric", "HD 1", False)
    assert spectrum.instrument == "uves"
    assert arm.lsf.fwhm == pytest.approx(arm.wavelength / 42_310)
    assert arm.lsf.scale_sigma == 0.1
    assert spectrum.id == "ADP.2016-07-18T09"


@pytest.mark.parametrize(
    ("header", "name", "resolution"),
    [
        ({"INSTRUME": "HARPS", "SPEC_RES": 0.0}, "harps", 115_000),
        ({"INSTRUME": "FEROS", "SPEC_RES": 0.0}, "feros", 48_000),
        ({"INSTRUME": "XSHOOTER", "SPEC_RES": 8900.0}, "", 8900),
        ({"INSTRUME": "XSHOOTER", "SPEC_RES": 0.0}, "", None),
    ],
)
def test_the_width_is_that_of_the_header_or_the_profile(
    tmp_path: Path, header: dict[str, Any], name: str, resolution: float | None
) -> None:
    spectrum = read_spectrum(examples.eso(tmp_path, **header))
    (arm,) = spectrum.arms
    assert spectrum.instrument == name
    if resolution is None:
        assert arm.lsf is None
    else:
        assert np.median(arm.wavelength / arm.lsf.fwhm) == pytest.approx(resolution, rel=1e-3)


def test_the_caller_knows_better(tmp_path: Path) -> None:
    spectrum = read_spectrum(examples.eso(tmp_path), medium="vacuum", frame="rest", instrument="harps", normalized=True)
    (arm,) = spectrum.arms
    assert arm.wavelength == pytest.approx(WAVE)
    assert (spectrum.frame, spectrum.normalized, spectrum.instrument) == ("rest", True, "harps")
    assert np.median(arm.wavelength / arm.lsf.fwhm) == pytest.approx(115_000, rel=1e-3)


def test_of_two_fluxes_the_main_one_with_its_error(tmp_path: Path) -> None:
    (arm,) = read_spectrum(damage.eso_two_fluxes(tmp_path)).arms
    assert arm.wavelength == pytest.approx(WAVE)  # em.wl is vacuum
    assert np.median(arm.flux) == pytest.approx(100.0)
    assert arm.ivar == pytest.approx(np.full(500, 0.25))


@pytest.mark.parametrize(("good", "masked"), [(0, 3), (1, 0)])
def test_a_quality_is_good_where_it_is_zero_if_it_ever_is(tmp_path: Path, good: int, masked: int) -> None:
    path = examples.eso(tmp_path)
    with fits.open(path, mode="update") as hdus:
        quality = np.full(500, good)
        quality[:3] = -5
        hdus[1].data["QUAL"] = quality
    assert 500 - read_spectrum(path).n_good == masked


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"TUCD1": "em.freq"}, "say medium='air' or 'vacuum'"),
        ({"TUNIT1": ""}, "the wavelengths have no unit; say it with format='table'"),
        ({"TUNIT1": "um"}, "not those of a stellar spectrum"),
    ],
)
def test_what_is_not_stated(tmp_path: Path, column: dict[str, str], message: str) -> None:
    with pytest.raises(ReadError, match=message):
        read_spectrum(examples.eso(tmp_path, column=column))


def test_a_flux_that_no_column_is_said_to_be(tmp_path: Path) -> None:
    path = examples.eso(tmp_path)
    with fits.open(path, mode="update") as hdus:
        del hdus[1].header["TUTYP3"]
    with pytest.raises(ReadError, match="no column is said to be the flux; there are wave, bg, flux"):
        read_spectrum(path)
    with pytest.raises(ReadError, match="has no table with one row of arrays"):
        read_spectrum(examples.fits_1d(tmp_path), format="eso-phase3")


def test_columns_without_roles_go_by_name(tmp_path: Path) -> None:
    path = examples.eso(tmp_path)
    with fits.open(path, mode="update") as hdus:
        for i in range(1, 6):
            del hdus[1].header[f"TUTYP{i}"]
    assert read_spectrum(path).arms[0].ivar == pytest.approx(np.full(500, 0.25))


@pytest.mark.parametrize(("step", "name", "resolution"), [(0.25, "4most-lr", 6500), (0.05, "4most-hr", 20_000)])
def test_the_spectrographs_of_4most_have_different_steps(
    tmp_path: Path, step: float, name: str, resolution: float
) -> None:
    spectrum = read_spectrum(examples.fourmost(tmp_path, step=step))
    (arm,) = spectrum.arms
    assert spectrum.instrument == name
    assert (spectrum.star_id, spectrum.frame) == ("00000000+0000000", "barycentric")
    assert np.median(arm.flux) == pytest.approx(1.0)
    assert np.median(arm.wavelength / arm.lsf.fwhm) == pytest.approx(resolution, rel=1e-3)


def test_the_medium_of_4most_is_stated_or_asked_for(tmp_path: Path) -> None:
    assert read_spectrum(examples.fourmost(tmp_path)).arms[0].wavelength[0] == pytest.approx(5200.0)
    assert read_spectrum(examples.fourmost(tmp_path, kind="em.wl;obs.atmos")).arms[0].wavelength[0] > 5201
    path = examples.fourmost(tmp_path, kind="")
    with pytest.raises(ReadError, match="say medium='air' or 'vacuum'"):
        read_spectrum(path)
    assert read_spectrum(path, medium="air").arms[0].wavelength[0] > 5201

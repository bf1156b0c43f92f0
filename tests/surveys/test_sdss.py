"""SDSS spec files: grid, masks, width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from bayne import ReadError, load_instrument, read_spectrum
from surveys import examples


def test_the_grid_is_exact_although_the_file_rounds_it(tmp_path: Path) -> None:
    wave = read_spectrum(examples.sdss_spec(tmp_path)).arms[0].wavelength
    assert wave == pytest.approx(10 ** (3.7 + 1e-4 * np.arange(500)), rel=1e-12)
    # float32 alone would be wrong by a tenth of a km/s
    assert np.max(np.abs(10 ** np.float32(np.log10(wave)).astype(float) / wave - 1)) > 1e-7


def test_only_and_mask_counts_and_only_its_bad_bits(tmp_path: Path) -> None:
    bits = load_instrument("sdss").mask_bits
    mask = np.zeros(500, np.int32)
    mask[7] = 1 << bits["BRIGHTSKY"]
    mask[8] = 1 << bits["NEARBADPIXEL"]
    mask[9] = 1 << bits["BADFLAT"]
    spectrum = read_spectrum(examples.sdss_spec(tmp_path, and_mask=mask))
    assert np.flatnonzero(spectrum.arms[0].mask).tolist() == [7]
    assert spectrum.counts == {"BRIGHTSKY": 1}


def test_the_width_is_that_of_wdisp(tmp_path: Path) -> None:
    arm = read_spectrum(examples.sdss_spec(tmp_path)).arms[0]
    # 1.1 pixels of 69.03 km/s (1e-4 dex), times 2.3548
    assert 299792.458 * arm.lsf.fwhm / arm.wavelength == pytest.approx(2.354820 * 1.1 * 69.03, rel=2e-4)


def test_unknown_width_falls_back_to_the_profile(tmp_path: Path) -> None:
    path = examples.sdss_spec(tmp_path)
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["wdisp"][:3] = [0.0, -1.0, np.nan]
    arm = read_spectrum(path).arms[0]
    assert np.all(np.abs(arm.wavelength[:3] / arm.lsf.fwhm[:3] - 2040) < 20)


@pytest.mark.parametrize("name", ["SDSS", "BOSS"])
def test_the_spectrograph_is_that_of_the_file(tmp_path: Path, name: str) -> None:
    spectrum = read_spectrum(examples.sdss_spec(tmp_path, instrument=name))
    assert spectrum.instrument == name.lower()
    assert spectrum.frame == "barycentric"
    assert spectrum.star_id == "1237648721216405598"
    assert spectrum.provenance["header"]["CLASS"] == "STAR"


@pytest.mark.parametrize(("night", "name"), [(51602, "sdss"), (55500, "boss")])
def test_without_results_the_date_decides(tmp_path: Path, night: int, name: str) -> None:
    path = examples.sdss_spec(tmp_path)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["MJD"] = night
        del hdus[2]
    assert read_spectrum(path).instrument == name


def test_a_table_without_the_columns(tmp_path: Path) -> None:
    path = examples.desi_coadd(tmp_path)
    with pytest.raises(ReadError, match="no column 'flux'"):
        read_spectrum(path, format="sdss-spec")

"""SDSS-V: combined spectra and visits of two spectrographs in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from bayne import ReadError, load_instrument, read_spectrum
from surveys import examples


def test_the_only_spectrum_is_read(tmp_path: Path) -> None:
    boss = read_spectrum(examples.mwm(tmp_path))
    assert boss.instrument == "boss"
    assert boss.arms[0].wavelength == pytest.approx(10 ** (3.5523 + 1e-4 * np.arange(4648)))
    assert (boss.frame, boss.star_id, boss.id) == ("rest", "42", "mwmStar-0.6.0-42-BOSS-APO")
    apogee = read_spectrum(examples.mwm(tmp_path, boss=0, apogee=1))
    assert apogee.instrument == "apogee"
    assert [arm.name for arm in apogee.arms] == ["blue", "green", "red"]


def test_the_spectrograph_is_chosen(tmp_path: Path) -> None:
    path = examples.mwm(tmp_path, boss=1, apogee=1)
    for hdu in (3, "APOGEE/APO"):
        assert read_spectrum(path, hdu=hdu).instrument == "apogee"
    with pytest.raises(ReadError, match="has spectra in BOSS/APO, APOGEE/APO; say which with hdu="):
        read_spectrum(path)
    with pytest.raises(ReadError, match="HDU 'BOSS/LCO' has no spectrum; BOSS/APO, APOGEE/APO has"):
        read_spectrum(path, hdu="BOSS/LCO")
    with pytest.raises(ReadError, match="no extension 9"):
        read_spectrum(path, hdu=9)
    with pytest.raises(ReadError, match="no spectrum in any of the tables BOSS/APO"):
        read_spectrum(examples.mwm(tmp_path, boss=0))


def test_visits_have_their_wavelengths_in_the_header(tmp_path: Path) -> None:
    path = examples.mwm(tmp_path, boss=3, visits=True)
    second = read_spectrum(path, visit=2)
    assert np.median(second.arms[0].flux) == pytest.approx(20.0)
    assert second.id == "mwmVisit-0.6.0-42-BOSS-APO-visit-2"
    assert second.provenance["header"]["mjd"] == 59805
    assert second.arms[0].wavelength == pytest.approx(10 ** (3.5523 + 1e-4 * np.arange(4648)))
    for visit, message in (
        (None, "has 3 visits; choose one with visit=1 to 3"),
        (4, "no visit 4; it has visits 1 to 3"),
    ):
        with pytest.raises(ReadError, match=message):
            read_spectrum(path, visit=visit)


def test_flags_of_one_exposure_are_not_those_of_the_combination(tmp_path: Path) -> None:
    bits = load_instrument("boss").mask_bits
    path = examples.mwm(tmp_path, flags=1 << bits["COMBINEREJ"] | 1 << bits["FULLREJECT"])
    assert read_spectrum(path).n_good == 4648
    assert read_spectrum(examples.mwm(tmp_path, flags=1 << bits["BRIGHTSKY"])).counts == {"BRIGHTSKY": 4648}
    apogee = read_spectrum(examples.mwm(tmp_path, boss=0, apogee=1, flags=1))
    assert apogee.counts == {"BADPIX": 8575}


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = examples.mwm(tmp_path, visits=True)
    with fits.open(path, mode="update") as hdus:
        del hdus[1].header["CRVAL"]
    with pytest.raises(ReadError, match="neither a column 'wavelength' nor CRVAL and CDELT"):
        read_spectrum(path)
    with fits.open(path, mode="update") as hdus:
        hdus[1].columns.change_name("ivar", "weight")
    with pytest.raises(ReadError, match=r"'BOSS/APO' has no column 'ivar'; it has .*weight"):
        read_spectrum(path)

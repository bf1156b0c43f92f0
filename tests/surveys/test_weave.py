"""WEAVE: one fibre out of many, its sensitivity, mode and medium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from bayne import ReadError, read_spectrum
from bayne.wavelength import air_to_vacuum
from surveys import examples


def test_a_fibre_is_chosen_by_row_or_name(tmp_path: Path) -> None:
    path = examples.weave(tmp_path)
    for options, level in (({"row": 1}, 40.0), ({"targetid": "WVE_00000000+0000001"}, 40.0), ({"targetid": "a"}, 20.0)):
        spectrum = read_spectrum(path, **options)  # type: ignore[arg-type]
        assert np.median(spectrum.arms[0].flux) == pytest.approx(level)  # counts times the sensitivity
        assert spectrum.arms[0].name == "red"
    assert spectrum.star_id == "WVE_00000000+0000000"
    assert (spectrum.id, spectrum.provenance["header"]["FIBREID"]) == ("single_1003453-0", 101)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "holds 3 spectra; say which with targetid= or row="),
        ({"targetid": "b"}, r"target b is in rows \[1, 2\]; choose one with row="),
        ({"targetid": "c"}, "no target c among its 3 spectra"),
        ({"row": 3}, "rows are 0 to 2"),
    ],
)
def test_what_cannot_be_chosen(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ReadError, match=message):
        read_spectrum(examples.weave(tmp_path), **options)


def test_the_medium_is_air_unless_the_header_says_vacuum(tmp_path: Path) -> None:
    air = float(air_to_vacuum(6000.0))
    for header, options, start in (
        ({}, {}, air),
        ({"CTYPE1": "AWAV"}, {}, air),
        ({"CTYPE1": "WAVE"}, {}, 6000.0),
        ({"CTYPE1": "WAVE"}, {"medium": "air"}, air),
        ({"CRVAL1": 6000e-10, "CD1_1": 0.5e-10, "CUNIT1": "m"}, {}, air),
    ):
        spectrum = read_spectrum(examples.weave(tmp_path, **header), row=0, **options)  # type: ignore[arg-type]
        assert spectrum.arms[0].wavelength[0] == pytest.approx(start)


@pytest.mark.parametrize(
    ("mode", "name", "resolution"), [("LOWRES", "weave-lr", 5000), ("HIGHRES", "weave-hr", 20_000)]
)
def test_the_mode_decides_on_the_profile(tmp_path: Path, mode: str, name: str, resolution: float) -> None:
    spectrum = read_spectrum(examples.weave(tmp_path, mode=mode), row=0)
    (arm,) = spectrum.arms
    assert spectrum.instrument == name
    assert np.median(arm.wavelength / arm.lsf.fwhm) == pytest.approx(resolution, rel=1e-3)
    assert spectrum.frame == "observed"
    with pytest.raises(ReadError, match="MODE is 'X'; LOWRES or HIGHRES is expected"):
        read_spectrum(examples.weave(tmp_path, mode="x"), row=0)


def test_a_pixel_without_sensitivity_says_nothing(tmp_path: Path) -> None:
    path = examples.weave(tmp_path)
    with fits.open(path, mode="update") as hdus:
        hdus["RED_SENSFUNC"].data[0, 5:8] = 0.0, np.nan, -1.0
    assert np.flatnonzero(read_spectrum(path, row=0).arms[0].mask).tolist() == [5, 6, 7]
    with fits.open(path, memmap=False) as hdus:
        del hdus["RED_IVAR"]
        hdus.writeto(tmp_path / "less.fit")
    with pytest.raises(ReadError, match=r"no extension 'RED_IVAR'; it has .*'RED_DATA'"):
        read_spectrum(tmp_path / "less.fit", row=0)

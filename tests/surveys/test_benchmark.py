"""The library of benchmark stars: what its headers leave out is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bayne import ReadError, read_spectrum
from bayne.wavelength import air_to_vacuum
from surveys import examples


@pytest.mark.parametrize(
    ("name", "unit", "resolution"),
    [
        ("UVES_epsEri_47000.fits", "NM", 47_000),
        ("NARVAL_Gmb1830_70000.fits", "NM", 70_000),
        ("HARPS.fits", "Angstrom", 0),
    ],
)
def test_air_at_rest_normalised_and_the_resolution_of_the_name(
    tmp_path: Path, name: str, unit: str, resolution: float
) -> None:
    spectrum = read_spectrum(examples.benchmark(tmp_path, name=name, unit=unit))
    (arm,) = spectrum.arms
    assert spectrum.provenance["format"] == "gaia-benchmark"
    assert arm.wavelength[[0, -1]] == pytest.approx(air_to_vacuum([4800.0, 6799.99]))
    assert (spectrum.frame, spectrum.normalized) == ("rest", True)
    assert arm.ivar is not None
    if resolution:
        assert arm.lsf.fwhm == pytest.approx(arm.wavelength / resolution)
    else:
        assert arm.lsf is None


def test_the_caller_knows_better(tmp_path: Path) -> None:
    path = examples.benchmark(tmp_path)
    spectrum = read_spectrum(path, frame="observed", normalized=False, instrument="harps")
    assert (spectrum.frame, spectrum.normalized) == ("observed", False)
    assert np.median(spectrum.arms[0].wavelength / spectrum.arms[0].lsf.fwhm) == pytest.approx(115_000, rel=1e-3)


def test_another_spectrum_of_the_same_software_is_not_of_the_library(tmp_path: Path) -> None:
    path = examples.fits_1d(tmp_path, header={"ORIGIN": "iSpec", "CRVAL1": 500.0, "CDELT1": 0.001, "CTYPE1": "AWAV"})
    with pytest.raises(ReadError, match="is not of this library: 200000 pixels"):
        read_spectrum(path, format="gaia-benchmark")

"""Gaia RVS: every format and structure of DataLink is the same spectrum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io.votable import from_table, writeto
from astropy.io.votable.tree import Param
from astropy.table import Table

from bayne import ReadError, read_spectrum
from surveys import examples

NAMES = ("RVS-Gaia-DR3.csv", "RVS-Gaia-DR3.ecsv", "RVS-Gaia-DR3.xml", "RVS-Gaia-DR3.fits")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("raw", [False, True])
def test_formats_and_structures(tmp_path: Path, name: str, raw: bool) -> None:
    spectrum = read_spectrum(examples.gaia_rvs(tmp_path, name=name, raw=raw))
    (arm,) = spectrum.arms
    assert spectrum.provenance["format"] == "gaia-rvs"
    assert arm.wavelength == pytest.approx(8460.0 + 0.1 * np.arange(2401), rel=1e-12)
    flux, error = examples.star(846.0 + 0.01 * np.arange(2401), 1.0)
    assert arm.flux == pytest.approx(flux, rel=1e-6)
    assert arm.ivar == pytest.approx(error**-2.0, rel=1e-5)
    assert (spectrum.frame, spectrum.normalized, spectrum.instrument) == ("rest", True, "rvs")
    assert spectrum.star_id == f"Gaia {examples.SOURCES[0]}"
    assert spectrum.id == "RVS-Gaia-DR3"
    assert arm.lsf.fwhm == pytest.approx(arm.wavelength / 11_500)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("raw", [False, True])
def test_one_source_of_several(tmp_path: Path, name: str, raw: bool) -> None:
    path = examples.gaia_rvs(tmp_path, name=name, sources=2, raw=raw)
    for source in (examples.SOURCES[1], str(examples.SOURCES[1])):
        spectrum = read_spectrum(path, source_id=source)
        assert np.median(spectrum.arms[0].flux) == pytest.approx(2.0)
        assert spectrum.id == f"RVS-Gaia-DR3-{source}"
    with pytest.raises(ReadError, match="holds 2 spectra; say which with source_id="):
        read_spectrum(path)
    with pytest.raises(ReadError, match="no source_id 5 among its 2 spectra"):
        read_spectrum(path, source_id=5)


def test_a_votable_may_name_the_source_outside_its_rows(tmp_path: Path) -> None:
    table = examples.rvs_table(examples.unchanged, 1, False)
    table.remove_column("source_id")
    document = from_table(table)
    source = Param(document, name="source_id", datatype="long", value=str(examples.SOURCES[0]))
    document.get_first_table().params.append(source)
    writeto(document, str(tmp_path / "RVS.vot"))
    assert read_spectrum(tmp_path / "RVS.vot").star_id == f"Gaia {examples.SOURCES[0]}"


def test_columns_without_a_source(tmp_path: Path) -> None:
    table = examples.rvs_table(examples.unchanged, 1, False)["wavelength", "flux", "flux_error"]
    table.write(tmp_path / "star.csv")
    spectrum = read_spectrum(tmp_path / "star.csv")
    assert (spectrum.id, spectrum.star_id) == ("star", "")


def test_empty_cells_are_masked(tmp_path: Path) -> None:
    path = examples.gaia_rvs(tmp_path)
    lines = path.read_text().splitlines()
    for i in (1, 2, 2401):
        lines[i] = ",".join([*lines[i].split(",")[:2], "", ""])
    path.write_text("\n".join(lines) + "\n")
    assert read_spectrum(path).counts == {"not finite": 3, "no information": 3}
    raw = examples.gaia_rvs(tmp_path, raw=True)
    raw.write_text(raw.read_text().replace("[1.0,1.0,", "[null,NaN,"))
    assert read_spectrum(raw).counts == {"not finite": 2}


def test_other_spectra_are_not_taken_for_it(tmp_path: Path) -> None:
    wave = 846.0 + 0.02 * np.arange(1200)
    table = Table({"wavelength": wave, "flux": wave, "flux_error": wave})
    table.write(tmp_path / "half.csv")
    with pytest.raises(ReadError, match=r"have \[1200, 1200, 1200\] pixels, not 2401"):
        read_spectrum(tmp_path / "half.csv")
    assert read_spectrum(tmp_path / "half.csv", format="table", medium="air", unit="nm").n_good == 1200
    table["wavelength"] = wave - 100
    table.write(tmp_path / "other.csv")
    assert read_spectrum(tmp_path / "other.csv", medium="air", unit="nm").provenance["format"] == "table"
    path = examples.gaia_rvs(tmp_path)
    path.write_text(path.read_text().replace(",850.", ",85."))
    with pytest.raises(ReadError, match="are not 846 to 870 nm in equal steps"):
        read_spectrum(path)
    with pytest.raises(ReadError, match="holds no spectrum with the columns wavelength, flux, flux_error"):
        read_spectrum(examples.fits_1d(tmp_path), format="gaia-rvs")

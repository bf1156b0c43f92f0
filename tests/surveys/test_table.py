"""Tables: units, metadata, plain text."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table

from bayne import ReadError, read_spectrum
from surveys import examples

WAVE = 5000.0 + 0.1 * np.arange(500)


def test_units_and_metadata_of_ecsv(tmp_path: Path) -> None:
    meta = {
        "medium": "vacuum",
        "frame": "observed",
        "bary_kms": -3.5,
        "normalized": True,
        "instrument": "uves",
        "id": "a",
        "star_id": "b",
    }
    spectrum = read_spectrum(examples.table(tmp_path, **meta))
    assert spectrum.arms[0].wavelength == pytest.approx(WAVE)
    assert (spectrum.bary_kms, spectrum.normalized, spectrum.id, spectrum.star_id) == (-3.5, True, "a", "b")
    assert spectrum.arms[0].lsf is not None
    overridden = read_spectrum(examples.table(tmp_path, **meta), medium="air", frame="rest", normalized=False)
    assert overridden.frame == "rest"
    assert not overridden.normalized
    assert overridden.arms[0].wavelength[0] > 5001


@pytest.mark.parametrize("bary", ["fast", float("nan")])
def test_a_correction_that_is_no_velocity(tmp_path: Path, bary: object) -> None:
    with pytest.raises(ReadError, match=r"star.ecsv: bary_kms"):
        read_spectrum(examples.table(tmp_path, medium="air", bary_kms=bary))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("two.txt", "{w} {f}\n"),
        ("three.dat", "{w}   {f}   {e}\n"),
        ("comma.csv", "{w},{f},{e}\n"),
    ],
)
def test_text_without_names(tmp_path: Path, name: str, text: str) -> None:
    flux, error = examples.star(WAVE)
    path = tmp_path / name
    path.write_text("".join(text.format(w=w, f=f, e=e) for w, f, e in zip(WAVE, flux, error, strict=True)))
    arm = read_spectrum(path, medium="air", unit="Angstrom").arms[0]
    assert arm.flux == pytest.approx(flux)
    assert (arm.ivar is None) == (name == "two.txt")


@pytest.mark.parametrize(
    "head", ["wave flux ivar\n", "# made by hand\n# wave flux ivar\n", "# 5 columns\nlambda FLUX ivar\n\n"]
)
@pytest.mark.parametrize("separator", [" ", ","])
def test_text_with_names(tmp_path: Path, head: str, separator: str) -> None:
    path = tmp_path / "star.txt"
    comment = "".join(line for line in head.splitlines(keepends=True) if line.startswith("#"))
    names = head.removeprefix(comment) if not head.startswith("# made") else ""
    rows = "".join(separator.join(map(str, row)) + "\n" for row in zip(WAVE, 2 * WAVE, WAVE / WAVE, strict=True))
    path.write_text(comment + names.replace(" ", separator) + rows)
    arm = read_spectrum(path, medium="vacuum", unit="AA").arms[0]
    assert arm.flux == pytest.approx(2 * WAVE)
    assert np.all(arm.ivar == 1)


def test_a_missing_unit_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "star.csv"
    Table({"wavelength": WAVE, "flux": WAVE}).write(path)
    with pytest.raises(ReadError, match=r"star.csv: the wavelengths have no unit; say unit='Angstrom'"):
        read_spectrum(path, medium="air")
    with pytest.raises(ReadError, match="'parsec-ish' is no unit of wavelength"):
        read_spectrum(path, medium="air", unit="parsec-ish")
    with pytest.raises(ReadError, match="not those of a stellar spectrum"):
        read_spectrum(path, medium="air", unit="um")
    with pytest.raises(ReadError, match="say medium='air' or 'vacuum'"):
        read_spectrum(path, unit="Angstrom")


def test_empty_cells_and_flags_are_masked(tmp_path: Path) -> None:
    path = tmp_path / "star.csv"
    lines = ["wavelength,flux,error,mask"]
    lines += [f"{w},{'' if i == 3 else 1.0},{'' if i == 4 else 0.1},{i == 5}" for i, w in enumerate(WAVE[:20])]
    path.write_text("\n".join(lines) + "\n")
    spectrum = read_spectrum(path, medium="air", unit="Angstrom")
    assert np.flatnonzero(spectrum.arms[0].mask).tolist() == [3, 4, 5]
    assert spectrum.counts == {"not finite": 1, "no information": 1, "masked": 1}


def test_a_column_of_orders_makes_arms(tmp_path: Path) -> None:
    path = tmp_path / "orders.ecsv"
    wave = np.concatenate([WAVE, WAVE + 20])
    columns = QTable({"order": np.repeat([51, 52], 500), "wavelength": wave * u.AA, "flux": np.ones(1000)})
    columns.meta["medium"] = "air"
    columns.write(path)
    assert [arm.name for arm in read_spectrum(path).arms] == ["51", "52"]
    columns.remove_column("order")
    columns.write(path, overwrite=True)
    with pytest.raises(ReadError, match="does not increase at pixel 500; sort it, or split overlapping orders"):
        read_spectrum(path)


@pytest.mark.parametrize("nested", [False, True])
def test_fits_tables_long_or_in_one_row(tmp_path: Path, nested: bool) -> None:
    path = tmp_path / "phase3.fits"
    flux, error = examples.star(WAVE)
    columns = {"WAVE": WAVE, "FLUX": flux, "ERR": error}
    table = Table({name: [column] if nested else column for name, column in columns.items()})
    table["WAVE"].unit = "Angstrom"
    table.meta["MEDIUM"] = "air"
    table.write(path)
    arm = read_spectrum(path).arms[0]
    assert arm.flux == pytest.approx(flux)
    assert arm.ivar == pytest.approx(error**-2)


def test_prose_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear all,\nthe spectrum is in the other folder.\n5000 1\n")
    with pytest.raises(ReadError, match="not recognised"):
        read_spectrum(path)
    with pytest.raises(ReadError, match="no line with two or more numbers"):
        read_spectrum(path, format="table")
    path.write_text("time flux\n1 2\n3 4\n")
    with pytest.raises(ReadError, match=r"no column of wavelength .* it has time, flux"):
        read_spectrum(path, unit="Angstrom", medium="air")


def test_a_file_of_many_spectra_is_read_by_hdu(tmp_path: Path) -> None:
    tables = [Table({"wavelength": WAVE * u.AA, "flux": np.full(500, float(i))}) for i in (1, 2)]
    image = fits.ImageHDU(np.ones((2, 2)), name="IMAGE")
    hdus = [fits.PrimaryHDU(), image, *(fits.table_to_hdu(table) for table in tables)]
    hdus[3].name = "SECOND"
    fits.HDUList(hdus).writeto(tmp_path / "many.fits")
    read = partial(read_spectrum, tmp_path / "many.fits", medium="vacuum")
    for hdu, flux in ((None, 1.0), (2, 1.0), (3, 2.0), ("second", 2.0)):
        assert read(hdu=hdu).arms[0].flux[0] == flux
    with pytest.raises(ReadError, match="HDU 'IMAGE' has no table with columns of wavelength and flux"):
        read(hdu="IMAGE")
    with pytest.raises(ReadError, match=r"no extension 4; it has .*'SECOND'"):
        read(hdu=4)
    with pytest.raises(ReadError, match="no FITS file and has no HDU 1"):
        read_spectrum(examples.table(tmp_path), hdu=1)

"""Tables: units, metadata, plain text."""

from __future__ import annotations

import gzip
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
    arms = read_spectrum(path).arms
    assert [arm.name for arm in arms] == ["0", "1"]
    np.testing.assert_array_equal([arm.flux.size for arm in arms], 500)
    columns[np.random.default_rng(0).permutation(1000)].write(path, overwrite=True)
    with pytest.raises(ReadError, match=r"wavelengths run back at .* pixels; sort them, or give each order as an arm"):
        read_spectrum(path)


@pytest.mark.parametrize("reverse", [False, True])
def test_pieces_that_overlap_become_arms_in_either_direction(tmp_path: Path, reverse: bool) -> None:
    """As echelle orders one below the other, from the red to the blue, or the whole table upside down."""
    path = tmp_path / "orders.csv"
    wave = np.concatenate([WAVE + 90, WAVE + 45, WAVE])
    flux = np.tile(examples.star(WAVE)[0], 3)
    turn = slice(None, None, -1 if reverse else 1)
    Table({"waveobs": wave[turn], "flux": flux[turn], "err": 0.01 * flux[turn]}).write(path)
    arms = read_spectrum(path, medium="vacuum", unit="Angstrom").arms
    assert sorted(arm.wavelength[0] for arm in arms) == pytest.approx(WAVE[0] + np.array([0, 45, 90]))
    for arm in arms:
        np.testing.assert_allclose(arm.flux, flux[:500])


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


@pytest.mark.parametrize(
    ("wavelength", "flux", "error", "power"),
    [
        ("waveobs", "flux", "err", 1),
        ("w", "s", "serr", 1),
        ("WAVE", "FLUX_REDUCED", "ERR_REDUCED", 1),
        ("lambda", "SPEC", "IVAR", -2),
        ("wl", "intensity", "variance", 2),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", ["csv", "fits"])
def test_columns_have_many_names(
    tmp_path: Path, wavelength: str, flux: str, error: str, power: int, ending: str, packed: bool
) -> None:
    value, spread = examples.star(WAVE)
    path = tmp_path / f"star.{ending}"
    Table({wavelength: WAVE, flux: value, error: spread**power}).write(path)
    if packed:
        path = path.with_name(path.name + ".gz")
        path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    arm = read_spectrum(path, medium="vacuum", unit="Angstroms").arms[0]
    np.testing.assert_allclose(arm.wavelength, WAVE)
    np.testing.assert_allclose(arm.flux, value)
    np.testing.assert_allclose(arm.ivar, spread**-2.0)


def test_one_row_of_arrays_among_scalars(tmp_path: Path) -> None:
    """As the products of Keck/HIRES have it."""
    flux, error = examples.star(WAVE)
    weight = np.where(WAVE > 5049, 0.0, error**-2.0)
    columns = {"NAME": ["HD 1"], "MJD": [55000.0], "LAMBDA": [WAVE], "SPEC": [flux], "IVAR": [weight]}
    Table(columns).write(tmp_path / "star.fits")
    spectrum = read_spectrum(tmp_path / "star.fits", medium="air", unit="A")
    np.testing.assert_allclose(spectrum.arms[0].flux, flux)
    assert spectrum.counts == {"no information": int((WAVE > 5049).sum())}


def test_a_product_of_the_archive_of_eso_says_nearly_all(tmp_path: Path) -> None:
    """ESO-044286: one row of arrays, the medium in TUCD, frame and normalisation in the primary header."""
    flux, _ = examples.star(WAVE)
    empty = np.full(WAVE.size, np.nan)  # as HARPS' errors are
    table = fits.BinTableHDU(Table({"WAVE": [WAVE], "FLUX": [flux], "ERR": [empty]}))
    table.header.update(TUNIT1="angstrom", TUCD1="em.wl;obs.atmos", TUCD2="phot.flux.density;em.wl")
    primary = fits.PrimaryHDU()
    primary.header.update({"SPECSYS": "BARYCENT", "CONTNORM": False, "HIERARCH ESO DRS CCF RVC": 11.5})
    fits.HDUList([primary, table]).writeto(tmp_path / "ADP.fits")
    spectrum = read_spectrum(tmp_path / "ADP.fits")
    assert spectrum.arms[0].wavelength[0] == pytest.approx(5001.394, abs=1e-3)
    assert spectrum.arms[0].ivar is None
    assert (spectrum.frame, spectrum.normalized) == ("barycentric", False)
    assert spectrum.provenance["stated_rv_kms"] == 11.5
    primary.header.update(SPECSYS="LSRK", CONTNORM=True)
    fits.HDUList([primary, table]).writeto(tmp_path / "ADP.fits", overwrite=True)
    with pytest.raises(ReadError, match="frame LSRK"):
        read_spectrum(tmp_path / "ADP.fits")
    assert read_spectrum(tmp_path / "ADP.fits", frame="rest").normalized


def test_an_order_is_named_as_a_file_can_be(tmp_path: Path) -> None:
    Table({"wavelength": WAVE, "flux": examples.star(WAVE)[0], "order": ["a/b"] * 500}).write(tmp_path / "star.csv")
    assert read_spectrum(tmp_path / "star.csv", medium="air", unit="A").arms[0].name == "a-b"

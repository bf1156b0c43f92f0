"""`merge`: one table with the rows of the catalogue, that says what it is."""

import json
import sys
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

import bayne
from bayne import BayneError, ReadError
from bayne.catalog import read_rows, run
from catalog.quick import assert_same, merged, quick_fit

CALIBRATED = [f"{name}_std_calibrated" for name in ("teff", "logg", "fe_h", "mg_fe", "mg_h", "rv", "vsini")]


def test_a_fits_table_says_what_its_columns_are(real):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # checksums that do not agree
        hdus = fits.open(real.folder / "merged.fits", checksum=True)
    with hdus:
        table, header = hdus[1], hdus[1].header
        assert list(table.data["spectrum_id"]) == list(real.catalogue["spectrum_id"])
        assert "CHECKSUM" in header
        assert "DATASUM" in hdus[0].header
        units = {"teff_std": "K", "mg_h": "dex", "rv": "km s-1", "seconds": "s", "teff_rhat": None}
        assert {name: table.columns[name].unit for name in units} == units
        for i in range(1, header["TFIELDS"] + 1):
            assert header[f"TCOMM{i}"]
            assert header[f"TUCD{i}"]
        where = table.columns.names.index("logg_std") + 1
        assert header[f"TUCD{where}"] == "stat.error;phys.gravity"
        rows = read_rows(real.run)
        assert set(table.columns.names) == {*rows.colnames, *CALIBRATED}
        for name in rows.colnames:
            np.testing.assert_array_equal(table.data[name], np.asarray(rows[name]), err_msg=name)


def test_its_header_says_what_it_was_made_with(real):
    header = fits.getheader(real.folder / "merged.fits", 1)
    assert header["SEED"] == 3
    assert header["METHOD"] == "laplace"
    assert (header["EMULATOR"], header["EMULHASH"]) == ("toy", real.emulator.hash)
    assert header["COVNAMES"] == "teff,logg,fe_h,mg_fe,rv,vsini"
    assert json.loads(header["VERSIONS"])["bayne"] == bayne.__version__
    assert json.loads(header["CONFIG"])["resolution"] == 20_000


def test_a_parquet_file_has_the_same(real, tmp_path):
    bayne.merge(real.run, tmp_path / "merged.parquet")
    table = pq.read_table(tmp_path / "merged.parquet")
    assert table.column_names == real.table.colnames
    np.testing.assert_array_equal(table["mg_h"].to_numpy(), real.table["mg_h"])
    np.testing.assert_array_equal(np.array(table["covariance"].to_pylist(), np.float32), real.table["covariance"])
    about = table.schema.field("logg_std").metadata
    assert about[b"unit"] == b"dex"
    assert about[b"ucd"] == b"stat.error;phys.gravity"
    assert table.schema.metadata[b"SEED"] == b"3"


def test_other_programs_can_read_it(real):
    assert str(real.table["rv"].unit) == "km / s"
    assert real.table["ok"].dtype == bool
    assert real.table["covariance"].shape == (7, 21)
    assert "no such file" in real.table["message"][5]


def test_errors_are_calibrated_where_stars_were_seen_again(real, quick, tmp_path):
    place = real.table.colnames.index("teff_std")
    assert real.table.colnames[place + 1] == "teff_std_calibrated"
    np.testing.assert_array_equal(real.table["teff_std"], real.table["teff_std_calibrated"])  # two visits tell nothing
    once = merged(quick(tmp_path / "run"), tmp_path / "once.fits")
    assert "teff_std_calibrated" not in once.colnames


@pytest.mark.parametrize("ending", ["fits", "parquet"])
def test_rows_that_are_merged_some_at_a_time_make_the_same_table(real, quick, tmp_path, monkeypatch, ending):
    folders = real.run, quick(tmp_path / "run")  # with calibrated errors, and without
    whole = [merged(folder, tmp_path / f"whole-{i}.{ending}") for i, folder in enumerate(folders)]
    monkeypatch.setattr(sys.modules["bayne.catalog.merge"], "ROWS", 1)
    for i, folder in enumerate(folders):
        assert_same(merged(folder, tmp_path / f"parts-{i}.{ending}"), whole[i], except_for=())


def test_one_free_label_has_a_covariance_too(quick, tmp_path):
    fixed = {"teff": 5000.0, "fe_h": 0.0, "mg_fe": 0.0}
    folder = quick(tmp_path / "run", fixed=fixed, free=())
    table = merged(folder, tmp_path / "merged.fits")
    assert fits.getheader(tmp_path / "merged.fits", 1)["COVNAMES"] == "logg"
    np.testing.assert_array_equal(table["covariance"].ravel(), read_rows(folder)["covariance"].ravel())


def test_arms_are_those_that_any_star_has(quick, tmp_path, monkeypatch):
    def two_instruments(spectrum, emulator, settings, name):
        result = quick_fit(spectrum, emulator, settings, name)
        if name in ("star-4", "star-9"):
            result.diagnostics["snr_red"] = result.diagnostics.pop("snr_blue") + 1
        return result

    monkeypatch.setattr(run, "fit_checked", two_instruments)
    table = merged(quick(tmp_path / "run"), tmp_path / "merged.fits")
    np.testing.assert_array_equal(table["snr_blue"][[0, 4, 8, 9]], [60, np.nan, 60, np.nan])
    np.testing.assert_array_equal(table["snr_red"][[0, 3, 4, 9]], [np.nan, np.nan, 61, 61])


def test_names_beyond_ascii_are_not_for_fits(quick, stars, tmp_path):
    table = Table.read(stars / "stars.ecsv")
    table["spectrum_id"] = [f"β-{i}" for i in range(10)]
    table.write(stars / "greek.ecsv")
    folder = quick(tmp_path / "run", stars / "greek.ecsv")
    with pytest.raises(BayneError, match=r"spectrum_id has letters that FITS.* write a \.parquet"):
        bayne.merge(folder, tmp_path / "greek.fits")
    assert not list(tmp_path.glob("*greek*"))
    found = merged(folder, tmp_path / "greek.parquet")
    assert list(found["spectrum_id"]) == list(table["spectrum_id"])


def test_messages_are_spelled_out_for_fits(quick, tmp_path, monkeypatch):
    def hopeless(spectrum, emulator, settings, name):
        raise BayneError("3 σ² at 5000 Å ☂")

    monkeypatch.setattr(run, "fit_checked", hopeless)
    folder = quick(tmp_path / "run")
    assert merged(folder, tmp_path / "merged.fits")["message"][0] == "3 sigma^2 at 5000 A ?"
    assert merged(folder, tmp_path / "merged.parquet")["message"][0] == "3 σ² at 5000 Å ☂"


def test_missing_and_damaged_blocks_are_named(quick, tmp_path):
    folder = quick(tmp_path / "run")
    for number in (1, 2):
        (folder / "rows" / f"block-00000{number}.parquet").unlink()
    with pytest.raises(BayneError, match="2 of 4 blocks are missing, 6 of 10 stars: 1-2; go on with resume"):
        bayne.merge(folder, tmp_path / "merged.fits")
    quick(folder, resume=True)
    (folder / "rows" / "block-000003.parquet").write_bytes(b"not any more")
    with pytest.raises(BayneError, match=r"block-000003\.parquet cannot be read"):
        bayne.merge(folder, tmp_path / "merged.fits")
    assert not (tmp_path / "merged.fits").exists()


def test_wrong_calls_are_refused_in_words(real, tmp_path):
    with pytest.raises(BayneError, match=r"ends in \.fits or \.parquet"):
        bayne.merge(real.run, tmp_path / "merged.csv")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        bayne.merge(real.run, real.folder / "merged.fits")
    with pytest.raises(ReadError, match=r"no folder of a run: it has no manifest\.json"):
        bayne.merge(tmp_path, tmp_path / "merged.fits")
    with pytest.raises(BayneError, match="could not be written"):
        bayne.merge(real.run, tmp_path / "nowhere" / "merged.fits")

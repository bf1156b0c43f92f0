"""`validate`: says what a run lacks."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

import bayne
from bayne.catalog import read_rows


@pytest.fixture
def folder(quick, tmp_path):
    return quick(tmp_path / "run", keep_spectra=True)


def test_a_finished_run_lacks_nothing(folder, real):
    assert bayne.validate(folder) == []
    assert bayne.validate(real.run) == []


def test_missing_blocks_are_counted(folder):
    for number in (0, 2, 3):
        (folder / "rows" / f"block-00000{number}.parquet").unlink()
    (wrong,) = bayne.validate(folder)
    assert wrong == "3 of 4 blocks are missing, 7 of 10 stars: 0, 2-3; go on with resume"


def test_each_damage_has_its_sentence(folder):
    rows = folder / "rows"
    shutil.copy(rows / "block-000000.parquet", rows / "block-000001.parquet")
    table = pq.read_table(rows / "block-000002.parquet")
    pq.write_table(table.slice(1), rows / "block-000002.parquet")
    (folder / "residuals" / "block-000000.npz").write_bytes(b"PK\x03\x04")
    (folder / "spectra" / "block-000003.h5").write_bytes(b"\x89HDF")
    (rows / "block-000004.parquet").write_bytes(b"")
    (rows / ".block-000001.parquet.host-7.part").write_bytes(b"")
    wrong = "\n".join(bayne.validate(folder))
    assert "block-000001.parquet has a row of 'star-0' where the catalogue has 'star-3'" in wrong
    assert "block-000002.parquet has 2 rows, its block of the catalogue has 3" in wrong
    assert "block-000000.npz cannot be read" in wrong
    assert "block-000003.h5 cannot be read" in wrong
    assert "block-000004.parquet is of no block of this run" in wrong
    assert len(wrong.splitlines()) == 5


def test_what_resume_mends_is_mended(folder, quick):
    (folder / "residuals" / "block-000000.npz").unlink()
    (folder / "rows" / "block-000001.parquet").write_bytes(b"")
    assert len(bayne.validate(folder)) == 2
    quick(folder, resume=True, keep_spectra=True)
    assert bayne.validate(folder) == []


def test_a_damaged_manifest_is_said(folder, tmp_path):
    note = folder / "manifest.json"
    text = note.read_text()
    for wrong, words in (
        ("{", "cannot be read"),
        (json.dumps(json.loads(text) | {"format": 99}), "of another version of Bayne"),
        (text.replace('"number": 10', '"number": 11'), "is not the catalogue of manifest.json"),
    ):
        note.write_text(wrong)
        (found,) = bayne.validate(folder)
        assert words in found
    assert "no manifest.json" in bayne.validate(tmp_path / "nowhere")[0]


def test_spectra_that_were_replaced_are_named(real, tmp_path):
    assert bayne.validate(real.run, spectra=True) == []
    stars = shutil.copytree(real.folder, tmp_path / "stars", ignore=shutil.ignore_patterns("run"))
    run = bayne.fit_catalog(stars / "[0-2].fits", real.emulator, tmp_path / "run", **real.options)
    assert read_rows(run)["spectrum_hash"][1] == bayne.read_spectrum(stars / "1.fits").hash
    shutil.copy(stars / "0.fits", stars / "1.fits")
    (stars / "2.fits").unlink()
    assert bayne.validate(run) == []
    replaced, gone = bayne.validate(run, spectra=True)
    assert replaced == f"'1': {stars / '1.fits'} is not what was fitted; fit it in a new run"
    assert gone.startswith("'2' was fitted, but now: ")
    assert "2.fits" in gone


def test_rows_that_lack_a_column_are_wrong(folder):
    path = folder / "rows" / "block-000001.parquet"
    pq.write_table(pq.read_table(path).drop(["flag_bad"]), path)
    for spectra in (False, True):
        (wrong,) = bayne.validate(folder, spectra=spectra)
        assert wrong == f"{path} has no column 'flag_bad'; resume makes it again"

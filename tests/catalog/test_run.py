"""`fit_catalog`: every star once, the result it has alone, whatever happens on the way."""

import errno
import functools
import gc
import json
import os
import shutil
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import bayne
from bayne import BayneError, Flag, ReadError
from bayne.catalog import open_store, read_rows
from bayne.catalog import run as module
from bayne.catalog import store as store_module
from bayne.emulators import save_emulator
from bayne.reports import write_catalogue_page
from catalog.quick import READING, assert_same, kill_often, merged, quick_fit, write_stars

FAILED = int(Flag.FAILED) >> 32


@pytest.fixture
def whole(quick, tmp_path):
    """Rows of a run that nothing has disturbed."""
    return read_rows(quick(tmp_path / "whole"))


def test_a_star_has_the_result_that_it_has_alone(real):
    for i, row in enumerate(real.table[:4]):
        own = [{}, {"priors": {"teff": (real.labels[1, 0], 5.0)}}, {"start": {"logg": real.labels[2, 1]}}, {}][i]
        spectrum = bayne.read_spectrum(real.folder / f"{i}.fits")
        alone = bayne.fit_star(spectrum, real.emulator, id=row["spectrum_id"], **own, **real.options)
        labels = alone.table[:7]
        for line in labels:
            name = line["label"]
            columns = {"": "median", "_mean": "mean", "_std": "std", "_q16": "q16", "_q84": "q84", "_bound": "crb"}
            for ending, column in columns.items():
                assert row[name + ending] == np.float32(line[column]), name + ending
        assert row["snr_blue"] == np.float32(alone.diagnostics["snr_blue"])
        assert row["pixels"] == alone.diagnostics["n_pixels"]
        assert row["ok"] == alone.ok
    assert real.table["teff_std"][1] < 6, "the prior of this star"
    assert real.table["teff_std"][0] > 6


def test_what_cannot_be_fitted_has_a_row_with_the_reason(real):
    for row, words in zip(real.table[5:], ("no such file", "sd must be positive"), strict=True):
        assert not row["ok"]
        assert row["flag_bad"] == FAILED
        assert words in row["message"]
        assert np.isnan(row["teff"])
        assert np.isnan(row["covariance"]).all()
    assert list(real.table["spectrum_id"]) == list(real.catalogue["spectrum_id"])


def test_results_are_kept_when_asked_for(real):
    store = open_store(real.run)
    kept = store.kept("two")
    spectrum, prior = bayne.read_spectrum(real.folder / "1.fits"), {"teff": (real.labels[1, 0], 5.0)}
    alone = bayne.fit_star(spectrum, real.emulator, id="two", priors=prior, **real.options)
    assert (kept.id, kept.flags, kept.messages) == ("two", alone.flags, alone.messages)
    for ours, theirs in zip(kept.table, alone.table, strict=True):
        for name in ("median", "std", "crb"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-5), ours["label"]
    for ours, theirs in zip(kept.arms, alone.arms, strict=True):
        np.testing.assert_array_equal(ours.wavelength, theirs.wavelength)
        np.testing.assert_array_equal(ours.used, theirs.used)
        np.testing.assert_allclose(ours.model, theirs.model, rtol=1e-6)
    with pytest.raises(ReadError, match="no spectrum 'twoo'"):
        store.kept("twoo")
    with pytest.raises(ReadError, match="not a Bayne result"):
        store.kept("missing")


def test_spectra_of_one_file_are_told_by_hdu(quick, tmp_path):
    wave = 5000 + 0.1 * np.arange(20)
    tables = [Table({"wavelength": wave, "flux": np.full(20, value), "error": np.ones(20)}) for value in (5.0, 6.0)]
    hdus = [fits.PrimaryHDU(), *(fits.table_to_hdu(table) for table in tables)]
    fits.HDUList(hdus).writeto(tmp_path / "many.fits")
    Table({"spectrum_id": ["a", "b"], "path": ["many.fits"] * 2, "hdu": [1, 2]}).write(tmp_path / "stars.fits")
    rows = read_rows(quick(tmp_path / "run", tmp_path / "stars.fits"))
    assert not rows["message"][0]
    for hash_of, hdu in zip(rows["spectrum_hash"], (1, 2), strict=True):
        assert hash_of == bayne.read_spectrum(tmp_path / "many.fits", hdu=hdu, **READING).hash


def test_results_of_names_with_slashes_are_kept_apart(quick, stars, tmp_path):
    names = ["a", "a/b", "a%2Fb", "a/b/c"]
    table = Table({"spectrum_id": names, "path": [f"spectra/{i}.csv" for i in (0, 1, 2, 4)]})
    table.write(stars / "slashes.ecsv", overwrite=True)
    store = open_store(quick(tmp_path / "run", stars / "slashes.ecsv", keep_spectra=True, block=4))
    assert [store.kept(name).id for name in names] == names
    with pytest.raises(ReadError, match="keeps no results"):
        open_store(quick(tmp_path / "not kept", stars / "slashes.ecsv")).kept("a")


def test_a_page_links_to_pages_of_the_stars_that_it_lists(real, tmp_path, caplog):
    folder = shutil.copytree(real.run, tmp_path / "run")
    told = []
    page = write_catalogue_page(folder, tmp_path / "run.html", tell=lambda _, name: told.append(name))
    assert sorted(told) == ["four-a", "four-b", "one", "three", "two"]
    for name in told:
        assert f'href="run/pages/{name}.html"' in page.read_text()
        assert f"<h1>{name}</h1>" in (folder / "pages" / f"{name}.html").read_text()
    write_catalogue_page(folder, page, overwrite=True, tell=lambda _, name: pytest.fail(f"{name} has a page"))
    kept = folder / "spectra" / "block-000000.h5"
    kept.write_bytes(kept.read_bytes()[:1000])  # newer than the pages, and damaged
    with caplog.at_level("WARNING"):
        write_catalogue_page(folder, page, overwrite=True)
    assert "no page of one: " in caplog.text


def test_residuals_are_added_up_in_the_rest_frame(real):
    with np.load(real.run / "residuals" / "block-000000.npz") as file:
        number, mean, square = file["number"], file["sum"], file["square"]
        np.testing.assert_array_equal(file["wavelength"], real.emulator.wavelength)
    assert number.max() == 3
    assert number[0] == 0, "no arm reaches this far"
    spread = np.sqrt(square.sum() / number.sum())
    assert spread == pytest.approx(1 / 60, rel=0.25), "noise; the continuum bends"
    assert abs(mean.sum() / number.sum()) < 0.1 * spread


def test_the_status_tells_how_far_it_is(real):
    status = json.loads((real.run / "status.json").read_text())
    assert (status["number"], status["done"], status["failed"]) == (7, 7, 2)
    assert status["failures"] == {"FAILED": 2}
    assert status["rate"] > 0
    assert status["remaining"] == 0
    assert status["seconds"]["all"] >= status["seconds"]["fitting"] > status["seconds"]["writing"] > 0


def test_no_star_is_lost_or_doubled_by_kills(toy, tmp_path, monkeypatch):
    """Killed at random moments, of which some are before the first block and some in the middle of writing."""
    catalogue = write_stars(tmp_path / "many", 60)
    options = {"block": 3, "reading": READING, "resume": True, "keep_spectra": True}
    blocks = kill_often(catalogue, tmp_path / "killed", toy, options, times=6)
    assert 2 <= blocks[-1] < 20
    assert bayne.validate(tmp_path / "killed")
    monkeypatch.setattr(module, "fit_checked", quick_fit)
    for name in ("killed", "whole"):
        bayne.fit_catalog(catalogue, toy, tmp_path / name, **options)
        assert bayne.validate(tmp_path / name) == []
    found, expected = (merged(tmp_path / name, tmp_path / f"{name}.fits") for name in ("killed", "whole"))
    assert_same(found, expected)
    assert not list((tmp_path / "killed").rglob("*.part"))


def test_shards_make_what_one_process_makes(quick, whole, tmp_path):
    for i in (1, 0):
        quick(tmp_path / "shared", shard=(i, 2))
        assert json.loads((tmp_path / "shared" / f"status-{i}-of-2.json").read_text())["done"] == (4 if i else 6)
    assert_same(read_rows(tmp_path / "shared"), whole)
    with pytest.raises(BayneError, match="has blocks of shard 1/2 already: go on with resume"):
        quick(tmp_path / "shared", shard=(1, 2))
    with pytest.raises(BayneError, match="seed was 0, now it is 1"):
        quick(tmp_path / "shared", shard=(1, 2), seed=1)
    quick(tmp_path / "shared", shard=(2, 9), resume=True)
    quick(tmp_path / "shared", shard=(8, 9), resume=True)  # has no block


def test_neighbours_order_and_size_of_blocks_change_nothing(quick, whole, stars, tmp_path, monkeypatch):
    table = Table.read(stars / "stars.ecsv")[::-1][:8]
    table.write(stars / "reversed.ecsv")
    rows = read_rows(quick(tmp_path / "reversed", stars / "reversed.ecsv", block=5))
    assert_same(rows, whole[::-1][:8])
    monkeypatch.setattr("bayne.inference.fit.stars_at_a_time", lambda method: 4)
    assert_same(read_rows(quick(tmp_path / "side by side")), whole)


def test_only_a_few_results_are_in_memory(quick, tmp_path, monkeypatch):
    """Those of a block, and of the two before it that are being written or wait to be."""
    catalogue, alive, most = write_stars(tmp_path / "stars", 40), weakref.WeakSet(), []

    def watched(*given):
        if given[-1] in ("star-19", "star-39"):
            gc.collect()
            most.append(len(alive))
        result = quick_fit(*given)
        alive.add(result)
        return result

    monkeypatch.setattr(module, "fit_checked", watched)
    quick(tmp_path / "run", catalogue, block=2)
    assert len(most) == 2
    assert max(most) <= 7


def test_the_next_block_is_read_while_one_is_fitted(quick, tmp_path, monkeypatch):
    read = threading.Event()

    @functools.wraps(bayne.read_spectrum)
    def reading(path, **options):
        if path.stem == "4":
            read.set()
        return bayne.read_spectrum(path, **options)

    def waiting(spectrum, emulator, settings, name):
        if name == "star-0":
            assert read.wait(10)
        return quick_fit(spectrum, emulator, settings, name)

    monkeypatch.setattr(module, "read_spectrum", reading)
    monkeypatch.setattr(module, "fit_checked", waiting)
    quick(tmp_path / "run")
    assert read.is_set()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 1}, "seed was 0, now it is 1"),
        ({"method": "map"}, "configuration.method was fast, now it is map"),
        ({"priors": {"teff": (5000, 100)}}, r"configuration.priors.teff was None, now it is \[5000, 100\]"),
        ({"fixed": {"vsini": 3.0}}, "configuration.fixed.vsini was None, now it is 3.0"),
        ({"reading": READING | {"frame": "rest"}}, "configuration.reading.frame was None, now it is rest"),
        ({"keep_spectra": True}, "keep_spectra was False, now it is True"),
        ({"block": 4}, "block was 3, now it is 4"),
    ],
)
def test_a_run_of_other_settings_is_not_gone_on_with(quick, tmp_path, changes, words):
    quick(tmp_path / "run")
    with pytest.raises(BayneError, match=words):
        quick(tmp_path / "run", resume=True, **changes)


def test_nor_is_one_of_another_catalogue_or_emulator(quick, stars, toy, tmp_path):
    quick(tmp_path / "run")
    table = Table.read(stars / "stars.ecsv")
    table["path"][3] = "spectra/9.csv"
    table.write(tmp_path / "other.ecsv")
    with pytest.raises(BayneError, match=r"in row 4 path was spectra/3.csv, now it is spectra/9.csv"):
        quick(tmp_path / "run", tmp_path / "other.ecsv", resume=True)
    table[:5].write(tmp_path / "fewer.ecsv")
    with pytest.raises(BayneError, match="it had 10 rows, now it has 5"):
        quick(tmp_path / "run", tmp_path / "fewer.ecsv", resume=True)
    emulator = bayne.load_emulator(toy)
    other = save_emulator(replace(emulator, params=emulator.params | {"x_max": emulator.params["x_max"] + 1}), tmp_path)
    with pytest.raises(BayneError, match=r"emulator\.hash was"):
        bayne.fit_catalog(stars / "stars.ecsv", other, tmp_path / "run", resume=True, block=3, reading=READING)


def test_a_folder_that_is_there_is_not_written_to_unasked(quick, tmp_path):
    quick(tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(BayneError, match="has a run already: go on with resume, or overwrite it"):
        quick(tmp_path / "run")
    quick(tmp_path / "run", overwrite=True, seed=8, block=5)
    assert bayne.validate(tmp_path / "run") == []
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("precious")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(BayneError, match=r"no folder of a run, it has dear\.txt"):
            quick(tmp_path / "letters", **options)
    assert os.listdir(tmp_path / "letters") == ["dear.txt"]


def test_a_full_disk_keeps_whole_blocks(quick, whole, tmp_path, monkeypatch):
    write, written = store_module.pq.write_table, []

    def full(table, where, **options):
        written.append(where)
        if len(written) == 4:
            where.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        write(table, where, **options)

    monkeypatch.setattr(store_module.pq, "write_table", full)
    with pytest.raises(BayneError, match=r"No space left on device; whole blocks are kept in .* go on with resume"):
        quick(tmp_path / "full")
    monkeypatch.setattr(store_module.pq, "write_table", write)
    assert [path.stem for path in (tmp_path / "full" / "rows").iterdir() if "2" in path.stem] == []
    assert len(read_rows(tmp_path / "full")) >= 6
    assert_same(read_rows(quick(tmp_path / "full", resume=True)), whole)


def test_a_place_that_cannot_be_written_to_is_said(quick, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BayneError, match="Not a directory"):
        quick(tmp_path / "file" / "run")


def test_a_damaged_block_is_made_again(quick, whole, tmp_path, caplog):
    folder = quick(tmp_path / "run")
    (folder / "rows" / "block-000001.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(ReadError, match=r"block-000001\.parquet cannot be read"):
        read_rows(folder)
    assert_same(read_rows(quick(folder, resume=True)), whole)
    assert "block-000001.parquet cannot be read" in caplog.text


def test_a_defect_raised_for_debugging_names_the_star_and_loses_nothing(quick, whole, tmp_path, monkeypatch):
    def broken(spectrum, emulator, settings, name):
        if name == "star-7":
            raise ZeroDivisionError("oh")
        return quick_fit(spectrum, emulator, settings, name)

    monkeypatch.setattr(module, "fit_checked", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        quick(tmp_path / "run", debug=True)
    assert caught.value.__notes__ == ["at 'star-7'"]
    monkeypatch.setattr(module, "fit_checked", quick_fit)
    assert_same(read_rows(quick(tmp_path / "run", resume=True)), whole)


def test_overwriting_a_run_removes_the_run_and_nothing_else(quick, whole, tmp_path):
    folder = quick(tmp_path / "run", block=2)
    others = [folder / "notes.txt", folder / "rows" / "plot.py", folder / "status_of_my_thesis.json"]
    for path in others:
        path.write_text("mine")
    quick(folder, overwrite=True)
    assert all(path.read_text() == "mine" for path in others)
    assert_same(read_rows(folder), whole)


def test_a_run_needs_no_hard_links(quick, whole, tmp_path, monkeypatch):
    """exFAT, SMB shares and mounted object stores have none."""

    def link(*paths, **options):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", link)
    assert_same(read_rows(quick(tmp_path / "run")), whole)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "method 'magic'"),
        ({"fixed": {"tef": 5000.0}}, "teff"),
        ({"fixed": {"logg": 4.0}}, "logg: both fixed and given a prior"),
        ({"start": {"vsini": 4.0}}, "start: unknown label 'vsini'"),
        ({"reading": {"mediun": "air"}}, "no option 'mediun'. Did you mean 'medium'"),
        ({"block": 0}, "block = 0; give 1 or more"),
        ({"shard": (2, 2)}, r"shard = 2/2: of n processes they are 0/n, 1/n, \.\.\. up to 1/n"),
        ({"resume": True, "overwrite": True}, "choose one"),
        ({"shard": (0, 2), "overwrite": True}, "remove what other shards have written"),
        ({"mask": []}, "mask belongs to one star"),
        ({"id": "me"}, "id belongs to one star"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(quick, tmp_path, options, words):
    with pytest.raises(BayneError, match=words):
        quick(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()

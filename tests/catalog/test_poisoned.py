"""A survey of 200 mocks, one in ten poisoned: all rows are there, in order, with reasons; kills do no harm."""

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from typer.testing import CliRunner

import bayne
from bayne import Flag
from bayne.catalog import open_store, read_rows
from bayne.catalog import run as module
from bayne.cli import app
from bayne.information.mock import mock
from catalog.quick import assert_same, kill_often, quick_fit
from toy import toy_instrument

NUMBER, EVERY = 200, 10
FAILED = int(Flag.FAILED) >> 32


def change_table(path, change):
    with fits.open(path) as hdus:
        hdus = fits.HDUList([hdu.copy() for hdu in hdus])
    change(hdus[1])
    hdus.writeto(path, overwrite=True)


def all_nan(path):
    def change(hdu):
        hdu.data["flux"][:] = np.nan

    change_table(path, change)


def one_pixel(path):
    table = Table.read(path)
    table[:1].write(path, overwrite=True)


def wrong_unit(path):
    def change(hdu):
        hdu.columns["wavelength"].unit = "km / s"

    change_table(path, change)


def huge(path):
    header = fits.Header([("SIMPLE", True), ("BITPIX", -64), ("NAXIS", 1), ("NAXIS1", 10 * 2**27)])
    header.extend([("CRVAL1", 5000.0), ("CDELT1", 0.05), ("CTYPE1", "WAVE"), ("CUNIT1", "Angstrom")])
    path.write_bytes(header.tostring().encode() + bytes(2880))


def folder(path):
    path.unlink()
    path.mkdir()


#: What is done to a star's file, and the words that its row must have.
POISONS = [
    (lambda path: path.unlink(), "no such file"),
    (folder, "is a directory"),
    (lambda path: path.write_bytes(b""), "format was not recognised|empty"),
    (all_nan, "good pixels"),
    (one_pixel, "two pixels"),
    (wrong_unit, "no unit of wavelength"),
    (lambda path: path.write_bytes(pickle.dumps({"flux": [1.0]})), "format was not recognised"),
    (huge, "is truncated"),
]

#: Priors on rv of the other poisoned stars, and the words of their rows; none where the prior is taken as missing.
PRIORS = [((-9999.0, 1.0), ""), ((5000.0, 1.0), "prior of rv"), ((0.0, -1.0), "sd must be positive"),
          ((9999.0, 9999.0), "")]  # fmt: skip


@pytest.fixture(scope="module")
def survey(toy, tmp_path_factory):
    """Catalogue of the mocks, and the words that are to be found at the poisoned ones."""
    home = tmp_path_factory.mktemp("survey")
    mock(
        bayne.load_emulator(toy),
        replace(toy_instrument(), name=""),
        home / "mocks",
        number=NUMBER,
        snr=(40.0, 200.0),
        seed=2,
    )
    ids = [f"mock-{i:06d}" for i in range(NUMBER)]
    prior, words = np.full((NUMBER, 2), np.nan), {}
    for k, i in enumerate(range(3, NUMBER, EVERY)):
        if k % 5 == 4:
            prior[i], words[i] = PRIORS[k // 5]
        else:
            poison, words[i] = POISONS[(k - k // 5) % len(POISONS)]
            poison(home / "mocks" / f"{ids[i]}.fits")
    columns = {"spectrum_id": ids, "path": [f"mocks/{name}.fits" for name in ids]}
    Table(columns | {"rv_prior": prior[:, 0], "rv_prior_error": prior[:, 1]}).write(home / "survey.fits")
    assert len(words) == NUMBER // EVERY
    return home / "survey.fits", words


def test_a_poisoned_survey_finishes_and_resume_does_nothing(survey, toy, tmp_path, monkeypatch):
    catalogue, words = survey
    monkeypatch.setenv("BAYNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("bayne.cli.common.cache_compilations", lambda: None)
    command = ["fit-catalog", str(catalogue), "-e", str(toy), "-o", str(tmp_path / "run"), "--method", "map",
               "--resolution", "20000"]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 3, done.output
    rows = read_rows(tmp_path / "run")
    assert list(rows["spectrum_id"]) == [f"mock-{i:06d}" for i in range(NUMBER)]
    for i, row in enumerate(rows):
        if words.get(i):
            assert not row["ok"]
            assert row["flag_bad"], i
            assert np.isnan(row["teff"]), i
            assert len(row["message"]) > 10, i
        else:
            assert np.isfinite(row["teff"]), (i, row["message"])
    for i, text in words.items():
        if text:
            assert any(part in rows["message"][i] for part in text.split("|")), (i, rows["message"][i])
    store = open_store(tmp_path / "run")
    before = {path: os.stat(path).st_mtime_ns for path in store.folder.glob("*/block-*")}
    assert CliRunner().invoke(app, [*command, "--resume"]).exit_code == 3
    assert {path: os.stat(path).st_mtime_ns for path in store.folder.glob("*/block-*")} == before


def test_the_same_after_ten_kills(survey, toy, tmp_path, monkeypatch):
    """Fits that take no time, so that kills come at any moment of reading and writing."""
    options = {"block": 7, "resume": True}
    blocks = kill_often(survey[0], tmp_path / "killed", toy, options, times=10)
    assert blocks[-1] < NUMBER / 7
    monkeypatch.setattr(module, "fit_checked", quick_fit)
    for name in ("killed", "whole"):
        bayne.fit_catalog(survey[0], toy, tmp_path / name, **options)
    assert_same(read_rows(tmp_path / "killed"), read_rows(tmp_path / "whole"))
    assert len(read_rows(tmp_path / "killed")) == NUMBER

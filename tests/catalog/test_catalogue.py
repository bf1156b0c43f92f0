"""`read_catalogue`: what is to be fitted, from tables and from files; wrong tables in words."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from bayne import BayneError, ReadError
from bayne.catalog import read_catalogue

COLUMNS = {
    "spectrum_id": ["a", "b", "c"],
    "star_id": ["one", "one", "two"],
    "path": ["x/a.fits", "x/a.fits", "/far/c.fits"],
    "row": [4, 5, 6],
    "teff_prior": [5000.0, np.nan, 4000.0],
    "teff_prior_error": [100.0, 50.0, np.nan],
    "rv_start": [10.0, -20.0, np.nan],
    "ra": [1.0, 2.0, 3.0],
}


@pytest.fixture(params=["fits", "parquet", "ecsv", "fits.gz"])
def table(request, tmp_path):
    path = tmp_path / f"stars.{request.param}"
    if request.param == "parquet":
        pq.write_table(pa.table(COLUMNS), path)
    else:
        Table(COLUMNS).write(path, format="ascii.ecsv" if request.param == "ecsv" else "fits")
    return path


def test_a_table_of_any_format_gives_the_same_entries(table, tmp_path):
    one, two, three = read_catalogue(table)
    assert (one.spectrum_id, one.star_id, one.name) == ("a", "one", "x/a.fits")
    assert one.path == tmp_path / "x" / "a.fits"
    assert str(three.path) == "/far/c.fits"
    assert (one.options, two.options) == ({"row": 4}, {"row": 5})
    assert one.priors == {"teff": (5000.0, 100.0)}
    assert two.priors == {}, "a prior that is NaN is none"
    assert [entry.start for entry in (one, two, three)] == [{"rv": 10.0}, {"rv": -20.0}, {}]
    assert list(three.priors) == ["teff"], "one without error is wrong: the fit will say so"
    assert read_catalogue(table)[1:] == [two, read_catalogue(table)[-1]] or np.isnan(three.priors["teff"][1])


def test_the_same_rows_have_the_same_hash_wherever_they_are(tmp_path):
    found = set()
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        Table(COLUMNS).write(tmp_path / folder / "stars.fits")
        found.add(read_catalogue(tmp_path / folder / "stars.fits").hash)
    Table(COLUMNS | {"row": [4, 5, 7]}).write(tmp_path / "other.fits")
    assert len(found) == 1
    assert read_catalogue(tmp_path / "other.fits").hash not in found


def test_identities_may_be_numbers_and_stars_need_no_name(tmp_path):
    Table({"spectrum_id": [140111002101001, 7], "path": ["a", "b"]}).write(tmp_path / "stars.fits")
    first, last = read_catalogue(tmp_path / "stars.fits")
    assert (first.spectrum_id, first.star_id, last.spectrum_id) == ("140111002101001", "140111002101001", "7")


def test_masked_values_are_none(tmp_path):
    columns = {
        "spectrum_id": ["a", "b"], "path": ["a", "b"], "row": MaskedColumn([1, 2], mask=[True, False]),
        "logg_prior": MaskedColumn([4.0, 4.0], mask=[True, False]), "logg_prior_error": [0.1, 0.1],
    }  # fmt: skip
    Table(columns).write(tmp_path / "stars.ecsv")
    first, last = read_catalogue(tmp_path / "stars.ecsv")
    assert (first.options, first.priors) == ({}, {})
    assert (last.options, last.priors) == ({"row": 2}, {"logg": (4.0, 0.1)})


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_nines_that_no_star_can_have_are_missing_and_counted(tmp_path, caplog, kind):
    columns = {
        "spectrum_id": ["a", "b", "c", "d"], "path": ["a", "b", "c", "d"],
        "teff_prior": np.array([-9999, 9999, 999999, 5000], kind), "teff_prior_error": np.full(4, 100.0, kind),
        "fe_h_prior": np.array([99.99, -9.99, -0.99, 0.9], kind), "fe_h_prior_error": np.full(4, 0.1, kind),
        "rv_start": np.array([-999.9, 99.9, 9999, 0.0], kind),
    }  # fmt: skip
    Table(columns).write(tmp_path / "stars.fits")
    found = read_catalogue(tmp_path / "stars.fits")
    assert [sorted(entry.priors) for entry in found] == [[], ["teff"], ["fe_h"], ["fe_h", "teff"]]
    assert [sorted(entry.start) for entry in found] == [[], ["rv"], [], ["rv"]]
    for words in ("2 values of teff_prior ", "2 values of fe_h_prior ", "2 values of rv_start "):
        assert words in caplog.text


def test_a_pattern_makes_paths_of_columns(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entries = read_catalogue(table, "spectra/{star_id}/{row:04d}-{spectrum_id}.fits")
    assert entries[1].path == tmp_path / "spectra" / "one" / "0005-b.fits"
    for pattern, words in (
        ("spectra/{spectrum}.fits", "no column 'spectrum', which .* asks for. Did you mean 'spectrum_id'"),
        ("spectra/all.fits", "names no column"),
        ("spectra/{ra:d}.fits", "give a pattern such as"),
        ("spectra/{ra.fits", "give a pattern such as"),
    ):
        with pytest.raises(ReadError, match=words):
            read_catalogue(table, pattern)


def test_files_are_called_as_they_are(tmp_path, monkeypatch):
    for name in ("b/two.fits", "a/one.fits", ".hidden/no.fits", "a/.no.fits"):
        (tmp_path / "spectra" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "spectra" / name).touch()
    found = read_catalogue(tmp_path / "spectra")
    assert [entry.spectrum_id for entry in found] == ["one", "two"]
    assert found[0].path == tmp_path / "spectra" / "a" / "one.fits"
    monkeypatch.chdir(tmp_path)
    same = read_catalogue("spectra/*/*.fits")
    assert [entry.path for entry in same] == [entry.path for entry in found]
    assert same.hash == found.hash
    (tmp_path / "spectra" / "b" / "one.fits").touch()
    assert [entry.spectrum_id for entry in read_catalogue("spectra/**/*.fits")] == ["a/one", "b/one", "b/two"]
    (tmp_path / "spectra" / "b" / "one.csv").touch()
    assert [entry.spectrum_id for entry in read_catalogue("spectra")][1:3] == ["b/one.csv", "b/one.fits"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spectrum_id": None}, "no column 'spectrum_id'"),
        ({"path": None}, "no column 'path', and no pattern such as"),
        ({"spectrum_id": ["a", "b", "a"]}, "must be unique, but a come more than once"),
        ({"spectrum_id": ["a", " ", "c"]}, "spectrum_id of row 2 is"),
        ({"spectrum_id": [1.5, 2.5, 3.5]}, "spectrum_id of row 1 is 1.5; give a text or an integer"),
        ({"path": ["x", "", "y"]}, "path of row 2 is"),
        ({"teff_prior_error": None}, "no column 'teff_prior_error'"),
        ({"teff_prior": None}, "no column 'teff_prior'"),
        ({"teff_prior": ["hot", "cold", "mild"]}, "column 'teff_prior' should hold numbers"),
    ],
)
def test_wrong_tables_are_refused_in_words(tmp_path, changes, words):
    columns = {name: values for name, values in (COLUMNS | changes).items() if values is not None}
    Table(columns).write(tmp_path / "wrong.ecsv")
    with pytest.raises(ReadError, match=words):
        read_catalogue(tmp_path / "wrong.ecsv")


def test_what_is_no_catalogue_is_said(tmp_path):
    for name in ("stars.fits", "stars.parquet", "stars.ecsv"):
        (tmp_path / name).write_text("nothing of the kind")
        with pytest.raises(ReadError, match="not a readable table"):
            read_catalogue(tmp_path / name)
    (tmp_path / "stars.txt").write_text("a b c")
    with pytest.raises(ReadError, match=r"give a table that ends in \.fits"):
        read_catalogue(tmp_path / "stars.txt")
    with pytest.raises(ReadError, match="no such table or folder"):
        read_catalogue(tmp_path / "none.fits")
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", tmp_path / "*.nothing"):
        with pytest.raises(ReadError, match="no file there"):
            read_catalogue(nothing)
    with pytest.raises(BayneError, match="goes with a table"):
        read_catalogue(tmp_path / "empty", "{spectrum_id}.fits")
    Table({"spectrum_id": np.zeros(0, str), "path": np.zeros(0, str)}).write(tmp_path / "none.ecsv")
    with pytest.raises(ReadError, match="has no rows"):
        read_catalogue(tmp_path / "none.ecsv")

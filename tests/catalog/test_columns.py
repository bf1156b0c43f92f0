"""The columns of a run: one row per star, the same columns for all, each with unit, meaning and descriptor."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io.votable.ucd import check_ucd

from bayne import Flag
from bayne.catalog import Entry
from bayne.catalog.columns import Layout
from fakes import LABELS, fake_result

LAYOUT = Layout((*LABELS, "vmac"), LABELS)
ENTRY = Entry("star-1", "star", "a/star-1.fits", Path("/data/a/star-1.fits"), {}, {}, {})


def test_a_result_fills_its_row():
    result = fake_result(flags=Flag.NEAR_EDGE | Flag.BAD_FIT, messages=("Look at\n[Si/Fe].",))
    row = LAYOUT.row(ENTRY, result, "nuts")
    table = {str(line["label"]): line for line in result.table}
    for name in (*LABELS, "vmac", "mg_h", "si_h"):
        assert row[name] == table[name]["median"]
        assert row[f"{name}_rhat"] == pytest.approx(table[name]["rhat"], nan_ok=True)
        assert row[f"{name}_std_over_bound"] == pytest.approx(table[name]["std_over_crb"], nan_ok=True)
    assert (row["spectrum_id"], row["star_id"], row["path"]) == ("star-1", "star", "a/star-1.fits")
    assert (row["ok"], row["flag_warn"], row["flag_bad"]) == (False, int(Flag.NEAR_EDGE), int(Flag.BAD_FIT) >> 32)
    assert row["message"] == "The model does not fit the spectrum. Look at [Si/Fe]."
    flags = [name for name in LAYOUT.names if row[f"{name}_flag"]]
    assert flags == ["vsini"], "the label that is near the edge"


def test_the_covariance_is_packed_by_rows():
    result = fake_result()
    packed = np.array(LAYOUT.row(ENTRY, result, "nuts")["covariance"])
    size = len(LABELS)
    whole = np.zeros((size, size))
    whole[np.triu_indices(size)] = packed
    np.testing.assert_array_equal(whole, np.triu(result.covariance[:size, :size]))
    np.testing.assert_allclose(np.sqrt(np.diag(whole)), [LAYOUT.row(ENTRY, result, "nuts")[f"{n}_std"] for n in LABELS])


def test_the_method_is_the_one_that_was_taken():
    assert LAYOUT.row(ENTRY, fake_result(method="map"), "map")["method"] == "map"
    sampled = fake_result(flags=Flag.SAMPLED_INSTEAD)
    assert LAYOUT.row(ENTRY, sampled, "fast")["method"] == "hmc"


def test_failed_stars_have_the_same_columns():
    rows = [LAYOUT.row(ENTRY, what, "fast") for what in ("no such\nfile", fake_result(failed=True), fake_result())]
    table = LAYOUT.table(rows)
    assert table.column_names == [column.name for column in LAYOUT.columns()]
    assert table["message"][0].as_py() == "no such file"
    assert [Flag(bits << 32) for bits in table["flag_bad"].to_pylist()] == [Flag.FAILED, Flag.FAILED, Flag(0)]
    assert np.isnan(table["teff"].to_numpy()[:2]).all()
    assert np.isnan(table["covariance"][1].as_py()).all()


def test_every_column_has_a_meaning_and_a_descriptor():
    for column in LAYOUT.columns(("blue", "red")):
        assert 0 < len(column.description) <= 68, "fits into one card of a FITS header"
        assert column.description.isascii()
        assert check_ucd(column.ucd, check_controlled_vocabulary=True), column
    units = {column.name: column.unit for column in LAYOUT.columns()}
    assert (units["teff_std"], units["mg_h_bound"], units["rv"], units["seconds"]) == ("K", "dex", "km/s", "s")
    assert (units["teff_rhat"], units["ok"]) == ("", "")

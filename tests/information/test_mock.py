"""`mock`: files as an instrument would write them, and the truth beside."""

import numpy as np
import pytest
from astropy.table import Table

import bayne
from bayne import BayneError
from toy import toy_emulator, toy_instrument
from toy_grid import write_toy_grid


@pytest.fixture(scope="module")
def emulator():
    return bayne.load_emulator("galah")


@pytest.fixture(scope="module")
def made(emulator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mock") / "stars"
    return folder, bayne.mock(emulator, "hermes", folder, number=3, snr=(80, 120), arms=["red"], seed=3)


def test_files_are_read_as_any_spectrum(made):
    folder, table = made
    for row in table:
        star = bayne.read_spectrum(folder / row["path"])
        assert (star.id, star.instrument, star.frame) == (row["spectrum_id"], "hermes", "barycentric")
        (arm,) = star.arms
        assert arm.name == "red"
        assert arm.lsf is not None
        seen = np.median((np.abs(arm.flux) * np.sqrt(arm.ivar))[arm.good])
        assert seen == pytest.approx(row["snr"], rel=0.25)  # lines and the blaze take some
        assert 80 <= row["snr"] <= 120


def test_a_fit_finds_the_truth(made, emulator):
    """All but the noise and a few labels are known, so that the maximum must lie within some sigma."""
    folder, table = made
    row = table[0]
    known = {name: row[name] for name in emulator.label_names if name not in ("teff", "fe_h")}
    star = bayne.read_spectrum(folder / row["path"])
    result = bayne.fit_star(star, emulator, method="map", fixed=known, emulator_error=False)
    found = {str(line["label"]): line for line in result.table}
    for label in ("teff", "fe_h", "rv", "vsini"):
        assert abs(found[label]["median"] - row[label]) < 4 * found[label]["std"], label


def test_the_truth_is_written_beside_them(made, emulator):
    folder, table = made
    truth = Table.read(folder / "truth.ecsv")
    assert truth.colnames == table.colnames
    assert truth.colnames == ["spectrum_id", "path", *emulator.label_names, "rv", "vsini", "snr"]
    assert str(truth["teff"].unit) == "K"
    np.testing.assert_array_equal(truth["mg_fe"], table["mg_fe"])


def test_the_same_seed_makes_the_same_stars(made, emulator, tmp_path):
    folder, table = made
    again = bayne.mock(emulator, "hermes", tmp_path / "again", number=3, snr=(80, 120), arms=["red"], seed=3)
    np.testing.assert_array_equal(again["teff"], table["teff"])
    one, two = (bayne.read_spectrum(where / "mock-000001.fits").arms[0].flux for where in (folder, tmp_path / "again"))
    np.testing.assert_array_equal(one, two)


def test_spectra_of_a_grid_are_observed_too(tmp_path):
    write_toy_grid(tmp_path / "grid.h5")
    table = bayne.mock(tmp_path / "grid.h5", toy_instrument(), tmp_path / "stars", number=5)
    assert len(set(table["teff"])) == 5
    with pytest.raises(BayneError, match="60 spectra, fewer than number = 61"):
        bayne.mock(tmp_path / "grid.h5", toy_instrument(), tmp_path / "more", number=61)


def test_overwriting_removes_mock_stars_and_nothing_else(tmp_path):
    emulator, folder = toy_emulator(), tmp_path / "stars"
    bayne.mock(emulator, toy_instrument(), folder, number=3)
    (folder / "notes.txt").write_text("mine")
    bayne.mock(emulator, toy_instrument(), folder, number=2, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == [
        "mock-000000.fits", "mock-000001.fits", "notes.txt", "truth.ecsv",
    ]  # fmt: skip


def test_a_folder_of_something_else_is_not_overwritten(tmp_path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.tex").write_text("ten years of work")
    Table({"label": [1.0]}).write(thesis / "truth.ecsv")
    with pytest.raises(BayneError, match=r"no folder of mock stars, it has chapter\.tex, truth\.ecsv"):
        bayne.mock(toy_emulator(), toy_instrument(), thesis, number=1, overwrite=True)
    assert sorted(path.name for path in thesis.iterdir()) == ["chapter.tex", "truth.ecsv"]


def test_what_a_killed_call_left_can_be_overwritten(tmp_path):
    def kill(share, text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bayne.mock(toy_emulator(), toy_instrument(), tmp_path / "stars", number=3, tell=kill)
    bayne.mock(toy_emulator(), toy_instrument(), tmp_path / "stars", number=1, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "stars").iterdir()) == ["mock-000000.fits", "truth.ecsv"]


def test_wrong_calls_are_refused_in_words(tmp_path):
    emulator = toy_emulator()
    for options, words in (({"number": 0}, "1 or more"), ({"snr": (50, 20)}, "lowest and the highest")):
        with pytest.raises(BayneError, match=words):
            bayne.mock(emulator, toy_instrument(), tmp_path / "stars", **options)
    with pytest.raises(BayneError, match="no wavelength of 'hermes'"):
        bayne.mock(emulator, "hermes", tmp_path / "stars", number=1)
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        bayne.mock(emulator, toy_instrument(), tmp_path / "there")

"""PySME behind the same contract; what needs it runs where it is installed."""

from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne import BayneError
from bayne.synthesis.abundances import abundances
from bayne.synthesis.lte import LTE
from bayne.synthesis.models import Grey
from bayne.synthesis.pysme import PySME, _table
from bayne.synthesis.stagger import read_stagger
from bayne.synthesis.synthesiser import fine_windows
from bayne.training import read_grid
from solar_lines import WIDTHS, solar_lines, widths
from synthesis.vald_text import vald


def test_line_data_are_in_its_units():
    lines = solar_lines()
    table = _table(lines, [np.linspace(4780, 4820, 10)])
    metals = table[table["species"] != "H 1"]
    np.testing.assert_allclose(metals["wlcent"], np.sort(lines.wavelength))
    assert list(metals["species"]) == ["Fe 1"] * 5 + ["Zn 1"]
    np.testing.assert_allclose(metals["gamvw"], [238.249, 353.241, -7.80, 356.244, 297.274, 676.238])
    np.testing.assert_allclose(metals["gamrad"], [7.42, 7.96, 7.61, 7.96, 8.20, 7.98])


def test_balmer_lines_are_added_with_their_quantum_numbers():
    table = _table(solar_lines(), [np.linspace(4780, 4820, 10)])
    (balmer,) = table[table["species"] == "H 1"].to_dict("records")
    assert (balmer["gamqst"], balmer["gamvw"]) == (2, 4)
    assert balmer["wlcent"] == pytest.approx(4862.69)
    assert balmer["gflog"] == pytest.approx(-0.020, abs=0.001)  # NIST Atomic Spectra Database


def test_it_is_said_when_it_is_not_installed():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "pysme", None)
        with pytest.raises(BayneError, match=r"pip install 'bayne\[synthesis\]'"):
            PySME(solar_lines(), fine_windows([(4780, 4820)], 50_000))


def test_solar_equivalent_widths(shared):
    pytest.importorskip("pysme")
    path = shared / "physics" / "stagger_3d_mean_optical.npz"
    if not path.exists():
        pytest.skip("needs the model atmospheres")
    windows = fine_windows([(4785, 4815)], 50_000)
    sun = read_stagger(path).at(5772, 4.44, 0.0)
    flux, continuum = PySME(solar_lines(), windows).synthesise(sun, abundances({"fe_h": 0.0}, "asplund2009"), 1.0)
    for line, found in widths(np.concatenate(windows), flux / continuum).items():
        assert found == pytest.approx(WIDTHS[line], rel=0.15), line


def test_models_that_give_no_electrons_or_another_depth():
    pytest.importorskip("pysme")
    windows = fine_windows([(4785, 4815)], 50_000)
    grey, solar, wave = Grey().at(5772, 4.44, 0.0), abundances({"fe_h": 0.0}, "asplund2009"), np.concatenate(windows)
    assert not np.isfinite(grey.electron_pressure).any()
    other = replace(grey, scale="rosseland", log_tau=grey.log_tau + 0.3, column=grey.pressure / 10**4.44)
    engine, known = PySME(solar_lines(), windows), LTE(solar_lines(), windows).synthesise(grey, solar, 1.0)
    for star in (grey, other):
        found = widths(wave, np.divide(*engine.synthesise(star, solar, 1.0)))
        for line, width in widths(wave, np.divide(*known)).items():
            assert found[line] == pytest.approx(width, rel=0.05), line


def test_two_processes_make_what_one_makes(tmp_path):
    pytest.importorskip("pysme")
    (tmp_path / "lines.vald").write_text(vald())
    config = {
        "synthesiser": "pysme",
        "linelist": str(tmp_path / "lines.vald"),
        "windows": [[5165, 5170]],
        "number": 12,  # more than a part
        "labels": {"teff": [5000, 6000], "logg": [4, 5], "fe_h": [-0.5, 0.5], "vmic": [0.5, 2], "mg_fe": [0, 0.4]},
    }
    two, one = (read_grid(bayne.make_grid(config, tmp_path / f"{n}.h5", workers=n)) for n in (2, 1))
    assert len(one.labels) == 12
    assert one.flux.min() < 0.8
    of_one, of_two = (np.argsort(grid.labels[:, 0]) for grid in (one, two))
    np.testing.assert_array_equal(two.labels[of_two], one.labels[of_one])
    np.testing.assert_array_equal(two.flux[of_two], one.flux[of_one])

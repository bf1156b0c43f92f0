"""Changes to the log gf of single lines reach those lines alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bayne.errors import BayneError, ReadError
from bayne.synthesis.line_strengths import change_log_gf
from bayne.synthesis.linelist import LineList, assemble
from bayne.synthesis.species import parse_species

HEADER = "species,wavelength,energy,change\n"


@pytest.fixture
def lines() -> LineList:
    """Two lines of Fe I at one wavelength, one of Fe II there, and one of Fe I elsewhere."""
    species = parse_species("Fe I"), parse_species("Fe II")
    wavelength, energy = np.array([5000.0, 5000.0, 5000.0, 5003.0]), np.array([1.0, 2.5, 1.0, 1.0])
    none = np.zeros(4)
    return assemble(wavelength, species, np.array([0, 0, 1, 0]), np.full(4, -1.0), energy, none, none, none)


def test_the_line_that_is_meant(lines: LineList, tmp_path: Path) -> None:
    path = tmp_path / "changes.csv"
    path.write_text(HEADER + "Fe I,5000.0010,1.000,-0.50\nFe 1,5003.0,1.0,0.2\nFe I,7000.0,1.0,3\n")
    found = change_log_gf(lines, path)
    changed = {
        (found.species[kind].name, wave, energy): log_gf
        for kind, wave, energy, log_gf in zip(found.kind, found.wavelength, found.energy, found.log_gf, strict=True)
    }
    assert changed == {
        ("Fe I", 5000.0, 1.0): -1.5,
        ("Fe I", 5000.0, 2.5): -1.0,
        ("Fe II", 5000.0, 1.0): -1.0,
        ("Fe I", 5003.0, 1.0): -0.8,
    }
    assert np.all(lines.log_gf == -1.0), "the list that was given stays as it is"


def test_a_file_for_another_list(lines: LineList, tmp_path: Path) -> None:
    path = tmp_path / "changes.csv"
    path.write_text(HEADER + "Fe I,5001.0,1.0,-1\nFe I,5002.0,1.0,-1\nFe I,5003.0,1.0,-1\n")
    with pytest.raises(BayneError, match=r"only 1 of 3 changes to log gf meet a line: it is for another line list"):
        change_log_gf(lines, path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("species,wavelength\nFe I,5000\n", "have a header species, wavelength, energy, change"),
        (HEADER, "and rows"),
        (HEADER + "Fe I,5000,1,much\n", "line 2: could not convert"),
        (HEADER + "Xx I,5000,1,1\n", "line 2"),
    ],
)
def test_damaged_files(lines: LineList, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "changes.csv"
    path.write_text(text)
    with pytest.raises(ReadError, match=words):
        change_log_gf(lines, path)
    with pytest.raises(ReadError, match="no such file"):
        change_log_gf(lines, tmp_path / "none.csv")

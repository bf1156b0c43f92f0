"""Formats of line lists are recognised by content, added by registering, and refused in words."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from bayne.errors import BayneError, ReadError
from bayne.synthesis import linelist
from bayne.synthesis.linelist import LineList, Reader, assemble, format_names, read_linelist, register
from bayne.synthesis.species import parse_species
from synthesis.vald_text import vald


def test_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("5000.0 Fe 1.0 -1.0\n")
    with pytest.raises(ReadError, match=r"format of this line list is not known\. Known: 'vald'.*'korg'"):
        read_linelist(path)
    with pytest.raises(BayneError, match=r"unknown format 'vlad' of line lists\. Did you mean 'vald'"):
        read_linelist(path, format="vlad")


def test_forced_format_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(vald())
    with pytest.raises(ReadError, match="damaged"):
        read_linelist(path, format="korg")
    path.write_text("5000.0 26.0 1.0 -1.0\n")
    with pytest.raises(ReadError, match="no heading with a column WL_air or WL_vac"):
        read_linelist(path, format="vald")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no such file"):
        read_linelist(tmp_path / "none.vald")
    with pytest.raises(ReadError, match="no such file"):
        read_linelist(tmp_path)


def test_unknown_medium(tmp_path: Path) -> None:
    with pytest.raises(BayneError, match="medium 'vac': say 'vacuum' or 'air'"):
        read_linelist(tmp_path / "list.vald", medium="vac")


@patch.dict(linelist._READERS)
def test_another_format_is_one_registered_reader(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("mine\n5000.0 26.0 1.0 -1.0\n")

    def read(path: Path, medium: str | None) -> LineList:
        wavelength, code, energy, log_gf = path.read_text().split()[1:]
        species = (parse_species(code),)
        one = [np.array([float(value)]) for value in (wavelength, log_gf, energy, 0, 0, 0)]
        return assemble(one[0], species, np.array([0]), *one[1:])

    register("mine", Reader("my own", lambda path: path.read_bytes().startswith(b"mine"), read))
    assert "mine" in format_names()
    lines = read_linelist(path)
    assert lines.species[0].name == "Fe I"
    assert lines.gamma_vdw[0] > 0
    with pytest.raises(BayneError, match="registered already"):
        register("mine", Reader("again", lambda path: False, read))

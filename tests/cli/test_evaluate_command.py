"""``bayne evaluate`` prints the main numbers and writes a page and all numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

import bayne.emulators
from bayne.emulators import ErrorModel
from grids import linear_emulator, slopes, write_derivatives, write_grid

Run = Callable[..., Result]


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A grid, and an emulator that is 0.01 off."""
    pixels = linear_emulator().wavelength.size
    emulator = linear_emulator(0.01, ErrorModel(np.zeros((1, pixels)), np.full(pixels, 0.02)))
    monkeypatch.setattr(bayne.emulators, "load_emulator", lambda source: emulator)
    return write_grid(tmp_path / "grid.h5")


def test_numbers_go_to_the_terminal_alone(run: Run, grid: Path) -> None:
    result = run("evaluate", "line", grid)
    assert result.exit_code == 0, result.output
    assert "line: MAE 0.01000" in result.stdout
    assert "4722-4738 Å" in result.stdout
    assert "actual / predicted 0.50" in result.stdout
    assert "3 of 3 maps" in result.stdout
    assert "…" not in result.stdout
    assert [path.name for path in grid.parent.iterdir() if path.is_file()] == ["grid.h5"]


def test_page_and_numbers_are_written(run: Run, grid: Path) -> None:
    derivatives = write_derivatives(grid.parent / "d.h5", slopes())
    page = grid.parent / "line.html"
    result = run("evaluate", "line", grid, "--derivatives", derivatives, "--output", page)
    assert result.exit_code == 0, result.output
    assert re.search(r"sun: (\d) of \1 measurable labels correlate > 0.99", result.stdout)
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    numbers = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert numbers["errors"]["mae"] == pytest.approx(0.01, rel=1e-4)
    assert str(page) in result.stdout
    refused = run("evaluate", "line", grid, "--output", page)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert run("evaluate", "line", grid, "--output", page, "--overwrite").exit_code == 0


def test_a_grid_that_does_not_fit_is_one_line(run: Run, grid: Path) -> None:
    write_grid(grid, names=("teff", "logg", "fe_h", "mg_fe", "si_fe"))
    result = run("evaluate", "line", grid)
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "it lacks ba_fe; the emulator does not know si_fe" in result.stderr

"""``bayne compare`` and ``bayne compile`` hand on what they are told, and write what they promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table
from typer.testing import Result

import bayne.emulators
import bayne.inference
import bayne.surveys
import bayne.training
from bayne import BayneError
from bayne.emulators import Emulator, load_emulator
from bayne.inference.compare import Answers, Comparison
from toy import card, mock_star, toy_emulator

Run = Callable[..., Result]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `compare` was called with; it answers about two stars and one label."""
    seen: dict[str, Any] = {}
    star = mock_star(toy_emulator(), np.array([5400.0, 4.3, -0.2, 0.15]))

    def compare(spectra: Any, emulators: Any, **options: Any) -> Comparison:
        seen.update(options, ids=[s.id for s in spectra], emulators=list(emulators))
        value, std, chi2 = np.array([[5400.0], [5500.0]]), np.full((2, 1), 50.0), np.array([1.0, 1.1])
        names = [*emulators, "b (least squares)"]
        chi2[1] = np.nan if seen.get("fails") else 1.1
        answers = {
            n: Answers(value + 10 * i, std, np.array([True, True]), chi2, np.array([2.0, 3.0]), ("", ""))
            for i, n in enumerate(names)
        }
        return Comparison(("x", "y"), ("teff",), answers, np.array([[5390.0], [np.nan]]), options["method"])

    monkeypatch.setattr(bayne.surveys, "read_spectrum", lambda path, *rest, **more: replace(star, id=Path(path).stem))
    monkeypatch.setattr(bayne.emulators, "load_emulator", lambda source: toy_emulator())
    monkeypatch.setattr(bayne.inference, "compare", compare)
    return seen


def test_compare_writes_page_and_table(run: Run, given: dict[str, Any], tmp_path: Path) -> None:
    truth = tmp_path / "truth.ecsv"
    Table({"id": ["x", "y"], "teff": [5390.0, 5480.0]}).write(truth)
    page = tmp_path / "new" / "compare.html"
    words = ("x.fits", "y.fits", "-e", "a", "-e", "b", "--classical", "b", "--truth", truth, "--output", page)
    result = run("compare", *words)
    assert result.exit_code == 0, result.output
    assert given["emulators"] == ["a", "b"]
    assert given["ids"] == ["x", "y"]
    assert (given["classical"], given["method"]) == ("b", "fast")
    np.testing.assert_array_equal(given["truth"]["teff"], [5390.0, 5480.0])
    assert "b (least squares)" in result.stdout
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    table = Table.read(page.with_suffix(".ecsv"))
    assert list(table["difference"]) == [0.0, 10.0, 20.0]
    refused = run("compare", *words)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert run("compare", *words, "--overwrite").exit_code == 0


def test_a_star_without_an_answer_is_told_by_the_exit_code(run: Run, given: dict[str, Any], tmp_path: Path) -> None:
    given["fails"] = True
    result = run("compare", "x.fits", "y.fits", "-e", "a", "-e", "b", "--output", tmp_path / "compare.html")
    assert result.exit_code == 3
    assert (tmp_path / "compare.ecsv").exists()


def test_a_truth_that_is_no_table_is_one_line(run: Run, given: dict[str, Any], tmp_path: Path) -> None:
    for name in ("truth.xyz", "missing.ecsv"):
        if name.endswith("xyz"):
            (tmp_path / name).write_text("?")
        result = run("compare", "x.fits", "-e", "a", "-e", "b", "--truth", tmp_path / name, "-o", tmp_path / "c.html")
        assert result.exit_code == 1
        assert "not a readable table" in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A toy that calls itself distilled."""
    told = {"distillation_mae": 2e-4, "distillation_median_star_mae": 1e-4}
    made = replace(toy_emulator(), card=card(name="toy-hermes", held_out_error=told))

    def compile(emulator: Emulator, instrument: str, **options: Any) -> Emulator:
        if instrument != "hermes":
            raise BayneError(f"unknown instrument {instrument!r}")
        options["tell"](0.5, "half")
        assert (options["error"], options["seed"]) == (1e-3, 3)
        return made

    monkeypatch.setattr(bayne.emulators, "load_emulator", lambda source: toy_emulator())
    monkeypatch.setattr(bayne.training, "compile", compile)
    return made


def test_compile_writes_an_emulator(run: Run, teacher: Emulator, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    words = ("compile", "toy", "hermes", "--error", "1e-3", "--seed", "3", "--output", folder)
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "difference from toy 0.00020, median star 0.00010" in result.stdout
    assert load_emulator(folder).card.name == "toy-hermes"
    assert run(*words).exit_code == 1
    assert run(*words, "--overwrite").exit_code == 0


def test_compile_for_an_unknown_instrument_is_one_line(run: Run, teacher: Emulator, tmp_path: Path) -> None:
    result = run("compile", "toy", "hermess", "--output", tmp_path / "small")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1

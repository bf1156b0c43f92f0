"""The page of an evaluation shows what was found, and nothing from elsewhere."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from bayne.emulators import ErrorModel
from bayne.labels import pretty
from bayne.reports import evaluation_page
from bayne.reports.answers import matrix_figure, named_lines
from bayne.reports.residuals import star_figure
from bayne.training import Evaluation, evaluate
from grids import LABELS, linear_emulator, linear_grid, slopes, write_derivatives


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """With derivatives and an error model; the emulator's lines are too strong."""
    folder = tmp_path_factory.mktemp("evaluation")
    pixels = linear_emulator().wavelength.size
    emulator = linear_emulator(0.01, ErrorModel(np.zeros((1, pixels)), np.full(pixels, 0.01)), slope=1.2 * slopes())
    physical = slopes()
    physical[3] = np.roll(physical[3], 200)
    return evaluate(emulator, linear_grid(folder), derivatives=write_derivatives(folder / "d.h5", physical))


@pytest.fixture(scope="module")
def html(full: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> str:
    return evaluation_page(full, tmp_path_factory.mktemp("page") / "line.html").read_text(encoding="utf-8")


def words(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_numbers_are_on_the_page(full: Evaluation, html: str) -> None:
    text = words(html)
    assert f"{full.errors.mae:.5f}" in text
    assert "4722-4738 Å 6 " in text
    assert "logg > 3.5" in text
    assert f"row {full.rows[full.worst]} of the grid" in text
    assert all(pretty(name) in text for name in LABELS)
    assert "sun: MAE of the spectrum itself 0.01" in text
    assert "Fe gradient 10 " in text


def test_a_derivative_that_does_not_follow_is_marked(html: str) -> None:
    assert re.search(r'\[Mg/Fe\]</td><td class="alert">', html)
    assert not re.search(r'\[Ba/Fe\]</td><td class="alert">', html)


def test_pictures(html: str) -> None:
    alts = " ".join(re.findall(r'<img alt="([^"]*)" src="data:image/png;base64,', html))
    for what in ("residuals of all stars", "every pixel", "against its labels", "worst spectrum", "Correlation",
                 "Derivatives of sun", "actual error", "named lines"):  # fmt: skip
        assert what in alts
    assert "http" not in html
    assert "<script" not in html
    assert set(re.findall(r'(?:src|href)="([^":]+:)', html)) == {"data:"}


def test_without_derivatives_error_model_and_named_labels(tmp_path: Path) -> None:
    names = ("a", "b", "c", "d", "e")
    found = evaluate(linear_emulator(0.01, labels=names), linear_grid(tmp_path, names=names))
    text = words(evaluation_page(found, tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "states no error of its own" in text
    assert "Derivatives" not in text
    assert "Label space" not in text
    assert "Permutation test" not in text


def test_close_ups_show_grid_and_emulator(full: Evaluation) -> None:
    upper, lower = star_figure(full, full.worst).axes[:2]
    grid, emulator = (line.get_ydata() for line in upper.lines)
    np.testing.assert_allclose(np.subtract(emulator, grid), lower.lines[1].get_ydata(), atol=1e-6)
    assert np.abs(lower.lines[1].get_ydata()).max() == pytest.approx(
        np.abs(full.residual[full.worst, full.segment == 0]).max()
    )


def test_each_line_answers_to_its_own_element(full: Evaluation) -> None:
    lines = named_lines(full)
    assert set(lines) == {"Fe", "Mg", "Ba"}
    image = matrix_figure(full, full.maps[0]).axes[0].images[0].get_array()
    assert image is not None
    np.testing.assert_allclose(np.asarray(image), np.eye(3), atol=0.02)


def test_page_is_kept_unless_asked(full: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        evaluation_page(full, path)
    assert path.read_text() == "mine"
    evaluation_page(full, path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]

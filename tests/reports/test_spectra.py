"""Rows of the spectrum figures, and the marks above them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from bayne.reports.spectra import MAX_ROWS, ROW_SPAN, continuum_of, plan_rows, spectrum_figures, spread
from bayne.wavelength import C_KMS
from fakes import fake_arm


def figures(arms: list, velocity: float = 0.0) -> list[Figure]:
    return [figure for _, rows in spectrum_figures(arms, velocity, plan_rows(arms)) for figure in rows]


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_long_arm_is_cut_into_rows_that_cover_it() -> None:
    arm = fake_arm("red", 6480, 6740, 4096, 0.0)
    ((index, rows),) = plan_rows([arm]).rows
    assert index == 0
    assert rows[0][0] == arm.wavelength[0]
    assert rows[-1][1] == arm.wavelength[-1]
    assert all(one[1] == other[0] for one, other in pairwise(rows))
    assert all(0.7 * ROW_SPAN[0] <= high - low <= ROW_SPAN[1] for low, high in rows)


def test_coarse_spectrum_gets_wide_rows() -> None:
    arm = fake_arm("sdss", 3800, 9200, 3900, 0.0)
    ((_, rows),) = plan_rows([arm]).rows
    assert 5 <= len(rows) <= 12


def test_unused_rows_and_arms_are_left_out_and_told() -> None:
    arms = [fake_arm("a", 5000, 5300, 3000, 0.0), fake_arm("b", 6000, 6100, 1000, 0.0, used=False)]
    arms[0].used[:1500] = False
    plan = plan_rows(arms)
    assert [index for index, _ in plan.rows] == [0]
    assert plan.rows[0][1][0][0] >= 5099  # the first of three rows has no used pixel
    assert any("1 arm without used pixels is not shown" in text for text in plan.left_out)
    assert any("Å without used pixels are not shown" in text for text in plan.left_out)


def test_nothing_used_shows_everything() -> None:
    arms = [fake_arm(name, 5000, 5100, 1000, 0.0, used=False) for name in "ab"]
    plan = plan_rows(arms)
    assert [index for index, _ in plan.rows] == [0, 1]
    assert not plan.left_out


@pytest.mark.parametrize("n", [51, 80])
def test_many_orders_stay_within_the_cap(n: int) -> None:
    arms = [fake_arm(f"{i}", 3900 + 100 * i, 4020 + 100 * i, 2000 + i, 0.0) for i in range(n)]
    plan = plan_rows(arms)
    assert sum(len(rows) for _, rows in plan.rows) <= MAX_ROWS
    shown = [index for index, _ in plan.rows]
    assert shown == sorted(shown)
    if n > MAX_ROWS:
        assert any(f"{n - MAX_ROWS} arms with the fewest used pixels are not shown" in t for t in plan.left_out)


@pytest.mark.parametrize("velocity", [-150.0, 0.0, 80.0])
def test_marks_follow_the_velocity(velocity: float) -> None:
    arm = fake_arm("red", 6545, 6585, 900, velocity)
    (figure,) = figures([arm], velocity)
    assert "H I" in labels(figure)
    where = np.argmin(np.where(arm.used, arm.model, np.inf))
    marks = [line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 4]
    step = arm.wavelength[1] - arm.wavelength[0]
    assert min(abs(np.array(marks) - arm.wavelength[where])) < step + 6564.61 * (velocity / C_KMS) ** 2


def test_lines_that_the_model_lacks_are_not_marked() -> None:
    arm = fake_arm("blue", 4910, 4950, 900, 0.0)  # the made-up star has no line here, the table has several
    (figure,) = figures([arm])
    assert labels(figure) == []


def test_without_a_model_lines_are_marked() -> None:
    arm = fake_arm("blue", 4910, 4950, 900, 0.0, used=False)
    (figure,) = figures([arm])
    assert "Ba II" in labels(figure)


def test_wavelength_axis_says_vacuum() -> None:
    rows = figures([fake_arm("red", 6480, 6740, 4096, 0.0)])
    assert [axes.get_xlabel() for axes in rows[-1].axes] == ["", "vacuum wavelength (Å)"]


def test_names_are_moved_apart_but_stay_in_order() -> None:
    wanted = np.array([0.0, 0.01, 0.02, 5.0, 5.05, 9.99])
    moved = spread(wanted, 0.2, 10.0)
    assert np.all(np.diff(moved) > 0.2 - 1e-9)
    assert moved[0] >= 0.1
    assert moved[-1] <= 9.9 + 1e-9
    assert abs(moved[3:5].mean() - 5.025) < 1e-9
    np.testing.assert_allclose(spread(np.array([1.0, 2.0]), 0.2, 10.0), [1.0, 2.0])


def test_continuum_is_continued_or_replaced_by_the_median() -> None:
    arm = fake_arm("red", 6480, 6740, 500, 0.0)
    arm.continuum[100:120] = np.nan
    scale, fitted = continuum_of(arm)
    assert fitted
    assert np.all(np.diff(scale) > 0)
    scale, fitted = continuum_of(fake_arm("red", 6480, 6740, 500, 0.0, used=False))
    assert not fitted
    assert np.ptp(scale) == 0

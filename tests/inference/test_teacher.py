"""A distilled emulator's posterior is checked against its teacher at a few draws."""

from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne import Flag
from bayne.inference import maximum


def taught(emulator, kelvin):
    """The emulator with a teacher whose zero point of temperature is off."""
    params = dict(emulator.params)
    for end in ("x_min", "x_max"):
        params[end] = params[end] + np.array([kelvin, 0.0, 0.0, 0.0])
    return replace(emulator, teacher=replace(emulator, params=params))


def fitted(star, emulator):
    return bayne.fit_star(star, emulator, method="laplace")


def test_a_teacher_that_agrees_moves_nothing(star, emulator):
    result = fitted(star, taught(emulator, 0.0))
    assert result.diagnostics["teacher_shift"] < 1e-3
    assert Flag.TEACHER_DIFFERS not in result.flags


def test_the_teacher_is_followed(star, emulator):
    """A zero point of temperature that is 40 K off, which is some sigma, is gone, and so is the one in gravity."""
    with_teacher = taught(emulator, 40.0)
    result, right, wrong = (fitted(star, e) for e in (with_teacher, with_teacher.teacher, emulator))
    sigma = right.table["std"]
    for column in ("median", "q16", "q84"):
        off = (result.table[column] - right.table[column]) / sigma
        assert np.nanmax(np.abs(off)) < 0.15
    assert abs(wrong.table["median"][0] - right.table["median"][0]) > sigma[0]
    assert result.diagnostics["teacher_shift"] < 0.1
    assert Flag.TEACHER_DIFFERS not in result.flags
    np.testing.assert_allclose(result.best_fit[0], right.best_fit[0], rtol=1e-4)


def test_the_shift_is_the_one_that_is_there(star, emulator, monkeypatch):
    """If it is not: differing in temperature alone, by ΔT, its squared shifts in sigma sum to ΔT² (C⁻¹)_TT."""
    monkeypatch.setattr(maximum, "CORRECTIONS", 0)
    kelvin = 40.0
    result = fitted(star, taught(emulator, kelvin))
    n = len(result.names)
    true = kelvin * np.sqrt(np.linalg.inv(result.covariance)[0, 0] / n)
    # a standard deviation from 16 draws is good to 18%
    assert result.diagnostics["teacher_shift"] == pytest.approx(true, rel=0.45)
    assert true > 0.6
    assert Flag.TEACHER_DIFFERS in result.flags
    assert any("would shift the labels" in message for message in result.messages)


def test_without_a_teacher_nothing_is_told(star, emulator):
    assert "teacher_shift" not in fitted(star, emulator).diagnostics

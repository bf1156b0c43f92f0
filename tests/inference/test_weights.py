"""Importance weights."""

import numpy as np
import pytest

from bayne.inference.weights import NOTHING, tempered


def test_tempered_weights_leave_half_of_the_draws_effective():
    log_weight = np.random.default_rng(2).normal(0, 20, 1000)
    weight = tempered(log_weight, 0.5)
    assert weight.sum() ** 2 / np.sum(weight**2) == pytest.approx(500, rel=0.01)
    assert np.all(np.diff(weight[np.argsort(log_weight)]) >= 0)
    assert tempered(np.zeros(10), 0.5) == pytest.approx(1)
    dead = np.where(np.arange(1000) < 700, NOTHING, log_weight)
    weight = tempered(dead, 0.5)
    assert not weight[:700].any()
    assert weight.sum() ** 2 / np.sum(weight**2) == pytest.approx(150, rel=0.02)

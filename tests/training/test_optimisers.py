"""Steps have the size and the direction that their sources state."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from bayne.emulators.payne_large import PayneLarge
from bayne.training.config import Training
from bayne.training.optimisers import learning_rate, optimiser


def test_learning_rate_rises_and_falls() -> None:
    settings = Training(learning_rate=0.3, warm_up=0.1)
    rates = np.array([learning_rate(settings, jnp.asarray(i), jnp.asarray(100)) for i in range(101)])
    np.testing.assert_allclose(rates[:10], 0.3 * np.arange(1, 11) / 10, rtol=1e-6)
    assert rates[10] == pytest.approx(0.3)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[55] == pytest.approx(0.15, rel=1e-5), "half-way down"
    assert rates[100] == pytest.approx(0.0, abs=1e-7)
    flat = Training(learning_rate=0.3, warm_up=0.0)
    assert learning_rate(flat, jnp.asarray(0), jnp.asarray(1)) == pytest.approx(0.3)


def first_step(name: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    shapes = {"w_0": (6, 8), "many": (3, 8, 8), "b_0": (8,), "b_1": (3, 1, 8), "mix_bias": (3, 8), "w_out": (8, 40)}
    gradient = {key: jnp.asarray(rng.normal(0, 1, shape), jnp.float32) for key, shape in shapes.items()}
    weights = {key: jnp.zeros(shape) for key, shape in shapes.items()}
    rule = optimiser(Training(optimiser=name), PayneLarge())
    step, _ = rule.update(gradient, rule.init(weights), weights)
    return {key: np.asarray(value) for key, value in step.items()}


def test_first_step_of_adamw_is_a_sign() -> None:
    for step in first_step("adamw").values():
        np.testing.assert_allclose(np.abs(step), 1.0, rtol=1e-4)


def test_muon_orthogonalises_what_lies_before_the_head() -> None:
    steps, plain = first_step("muon"), first_step("adamw")
    for matrix in (steps["w_0"], *steps["many"]):
        singular = np.linalg.svd(matrix, compute_uv=False)
        # five Newton-Schulz iterations bring singular values to between about 0.7 and 1.2 (Jordan et al. 2024);
        # 0.2 sqrt(8) is the scale of Liu et al. (2025)
        assert np.all((singular > 0.6 * 0.2 * 8**0.5) & (singular < 1.25 * 0.2 * 8**0.5))
    for name in ("w_out", "b_0", "b_1", "mix_bias"):
        np.testing.assert_allclose(np.sign(steps[name]), np.sign(plain[name]))
        assert np.abs(steps[name]).min() > 0.9


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_biases_do_not_decay(name: str) -> None:
    """Also where a network has one for each of its parts."""
    weights = {"w_0": jnp.ones((6, 8)), "b_0": jnp.ones((3, 1, 8)), "tokens/first/bias": jnp.ones((3, 8))}
    rule = optimiser(Training(optimiser=name, weight_decay=0.1), PayneLarge())
    step, _ = rule.update({key: jnp.zeros_like(value) for key, value in weights.items()}, rule.init(weights), weights)
    assert np.all(np.asarray(step["w_0"]) < 0)
    for key in ("b_0", "tokens/first/bias"):
        np.testing.assert_array_equal(step[key], 0)

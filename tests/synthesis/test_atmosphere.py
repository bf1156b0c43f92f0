"""An atmosphere is checked when it is made, files are recognised by their content, integrals over depth are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.errors import BayneError, ReadError
from bayne.synthesis.atmosphere import Atmosphere, formats, integrate, read_atmosphere, register

LOG_TAU = np.linspace(-4, 1, 6)


def atmosphere(**changes: Any) -> Atmosphere:
    fields: dict[str, Any] = {
        "log_tau": LOG_TAU,
        "temperature": 5777 * (0.75 * (10**LOG_TAU + 2 / 3)) ** 0.25,
        "pressure": 1e5 * 10 ** (0.6 * LOG_TAU),
        "teff": 5777.0,
        "logg": 4.44,
        "fe_h": 0.0,
        "name": "sun",
    }
    return Atmosphere(**(fields | changes))


def test_what_is_not_known_is_nan_in_every_layer() -> None:
    made = atmosphere()
    for name in ("electron_pressure", "density", "column"):
        assert getattr(made, name).shape == (6,)
        assert np.isnan(getattr(made, name)).all()


def test_arrays_of_the_caller_are_not_kept() -> None:
    given = LOG_TAU.copy()
    made = atmosphere(log_tau=given)
    given[0] = 99.0
    assert made.log_tau[0] == -4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temperature": np.full(6, np.nan)}, "temperature is nan in layer 1 of 6"),
        ({"pressure": np.array([1.0, 2, 3, -4, 5, 6])}, "pressure is -4 in layer 4 of 6"),
        ({"pressure": np.ones(5)}, r"pressure has shape \(5,\), log_tau has \(6,\)"),
        ({"log_tau": LOG_TAU[::-1]}, "log_tau goes from 1 in layer 1 to 0 in layer 2.*top inwards"),
        ({"log_tau": np.array([-4, -3, -3, -1, 0, 1.0])}, "log_tau goes from -3 in layer 2 to -3"),
        ({"log_tau": np.array([-4, -3, np.nan, -1, 0, 1.0])}, "log_tau is nan in layer 3"),
        ({"log_tau": np.array([0.0])}, "at least 3 layers"),
        ({"density": np.array([1, 2, np.nan, 4, 5, 6.0])}, "density is nan in layer 3"),
        ({"electron_pressure": np.zeros(6)}, "electron_pressure is 0 in layer 1"),
        ({"column": np.ones(6)}, "column goes from 1"),
        ({"teff": np.nan}, "teff is nan"),
        ({"teff": -1.0}, "teff is -1 K"),
        ({"scale": "roseland"}, "Did you mean 'rosseland'"),
        ({"scale": "rosseland"}, "column mass is needed"),
    ],
)
def test_bad_atmospheres_are_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BayneError, match=f"sun: .*{words}"):
        atmosphere(**changes)


def test_resampling_follows_the_model_and_makes_nothing_up() -> None:
    fine = np.linspace(-4, 1, 101)
    made = atmosphere(column=3.0 * 10 ** (0.6 * LOG_TAU)).resampled(fine)
    np.testing.assert_allclose(made.pressure, 1e5 * 10 ** (0.6 * fine), rtol=1e-12)
    np.testing.assert_allclose(made.column, 3 * 10 ** (0.6 * fine), rtol=1e-12)
    assert np.isnan(made.density).all()
    with pytest.raises(BayneError, match="log_tau -4 to 2 was asked for, and the model has -4 to 1"):
        atmosphere().resampled(np.array([-4.0, 0.0, 2.0]))


@pytest.mark.parametrize("power", [-2.5, -1.0, -1.0 + 1e-6, 0.0, 0.7, 3.0])
def test_integral_of_a_power_law_is_exact(power: float) -> None:
    x = np.geomspace(1e-4, 1e2, 30)
    with jax.enable_x64(True):
        got = np.asarray(integrate(jnp.log(x), 2 * x**power, jnp.asarray(0.0)))
    if power == -1:
        exact = 2 * np.log(x / x[0])
    else:
        exact = 2 * x[0] ** (power + 1) * np.expm1((power + 1) * np.log(x / x[0])) / (power + 1)
    np.testing.assert_allclose(got, exact, rtol=1e-9, atol=1e-15)


def test_gradient_of_the_integral_is_finite_where_the_power_is_minus_one() -> None:
    x = np.geomspace(1e-4, 1e2, 30)
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(lambda y: integrate(jnp.log(x), y, jnp.asarray(0.0))[-1]))(1 / jnp.asarray(x))
        step = 1e-6 / x[5]
        two = [
            integrate(jnp.log(x), (1 / jnp.asarray(x)).at[5].add(sign * step), jnp.asarray(0.0))[-1] for sign in (1, -1)
        ]
    assert np.isfinite(slope).all()
    assert float(slope[5]) == pytest.approx(float(two[0] - two[1]) / (2 * step), rel=1e-6)


def test_unknown_files_and_formats_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    with pytest.raises(ReadError, match=r"model.txt: there is no such file"):
        read_atmosphere(path)
    path.write_text("5777 4.44 0.0\n")
    with pytest.raises(ReadError, match=r"model.txt is no model atmosphere that is known \(.*ATLAS9.*MARCS"):
        read_atmosphere(path)
    with pytest.raises(ReadError, match="Did you mean 'marcs'"):
        read_atmosphere(path, format="Marcs2")
    with pytest.raises(ReadError, match=r"model.txt is not what format='atlas9' reads"):
        read_atmosphere(path, format="atlas9")


def test_a_grid_file_is_pointed_to_its_reader(tmp_path: Path) -> None:
    np.savez(tmp_path / "grid.npz", labels=np.ones(3))
    with pytest.raises(ReadError, match="read_stagger"):
        read_atmosphere(tmp_path / "grid.npz")


def test_formats_have_names_of_their_own() -> None:
    assert set(formats()) == {"marcs", "atlas9"}
    with pytest.raises(ValueError, match="'marcs' is registered already"):
        register("marcs", "another", lambda text: False)(lambda text, name: [])

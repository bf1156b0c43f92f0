"""The synthesiser in JAX: solar lines, and derivatives."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.errors import BayneError
from bayne.precision import double
from bayne.synthesis import lte as module
from bayne.synthesis.abundances import abundances
from bayne.synthesis.atmosphere_grid import AtmosphereGrid
from bayne.synthesis.grey import grey_atmosphere
from bayne.synthesis.lte import LTE, log_tau_5000, radiation
from bayne.synthesis.models import Grey, _opacity
from bayne.synthesis.stagger import read_stagger
from bayne.synthesis.synthesiser import fine_windows
from solar_lines import WIDTHS, solar_lines, widths


@pytest.fixture(scope="module")
def windows():
    return fine_windows([(4785, 4815)], 50_000)


@pytest.fixture(scope="module")
def lte(windows):
    return LTE(solar_lines(), windows)


@pytest.fixture(scope="module")
def solar():
    return abundances({"fe_h": 0.0}, "asplund2009")


def test_solar_equivalent_widths(lte, windows, solar, shared):
    path = shared / "physics" / "stagger_3d_mean_optical.npz"
    if not path.exists():
        pytest.skip("needs the model atmospheres")
    sun = read_stagger(path).at(5772, 4.44, 0.0)
    flux, continuum = lte.synthesise(sun, solar, 1.0)
    for line, found in widths(np.concatenate(windows), flux / continuum).items():
        assert found == pytest.approx(WIDTHS[line], rel=0.15), line
    # PySME 1.2.0, the same atmosphere, 4800 Å
    assert continuum[np.argmin(np.abs(np.concatenate(windows) - 4800))] == pytest.approx(1.041e7, rel=0.02)


def test_solar_equivalent_widths_without_models(lte, windows, solar):
    """With the temperatures of the Sun's photosphere by Krishna Swamy, for those who have no grid of models."""
    share = jnp.asarray(solar)
    sun = grey_atmosphere(5772, 4.44, 0.0, lambda t, p: _opacity(t, p, share), relation="krishna-swamy")
    flux, continuum = lte.synthesise(sun, solar, 1.0)
    for line, found in widths(np.concatenate(windows), flux / continuum).items():
        assert found == pytest.approx(WIDTHS[line], rel=0.2), line


@double
def test_derivatives_are_those_of_finite_differences(lte, windows, solar):
    sun = Grey().at(5772, 4.44, 0.0)
    window = lte.laid[0]
    fixed = [jnp.asarray(v) for v in (sun.log_tau, sun.temperature, sun.pressure, solar)]

    def normalised(x):
        """Temperature scale, iron, microturbulence."""
        log_tau, temperature, pressure, share = fixed
        flux, continuum = radiation(
            *window, log_tau, temperature * x[0], pressure, share.at[26].multiply(jnp.exp(x[1])), x[2]
        )
        return flux / continuum

    at, step = jnp.array([1.0, 0.0, 1.0]), jnp.array([1e-4, 1e-3, 1e-3])
    derivatives = jax.jacfwd(normalised)(at)
    for i in range(3):
        move = jnp.zeros(3).at[i].set(step[i])
        numeric = (normalised(at + move) - normalised(at - move)) / (2 * step[i])
        scale = jnp.max(jnp.abs(numeric))
        np.testing.assert_allclose(derivatives[:, i] / scale, numeric / scale, atol=1e-4)


def test_what_is_left_out_does_not_show(lte, windows, solar, monkeypatch):
    """Layers that are dense or deep, lines that are weak, a continuum at every pixel: less than 0.001 each and all."""
    sun = Grey().at(5772, 4.44, 0.0)
    assert sun.log_tau.size > 1.4 * module._layers(sun.log_tau).size
    quick = np.divide(*lte.synthesise(sun, solar, 1.0))
    monkeypatch.setattr(module, "_layers", lambda log_tau, multiple=1: np.arange(log_tau.size))
    monkeypatch.setattr(module, "THRESHOLD", 0.0)
    monkeypatch.setattr(module, "SMOOTH", 1)
    module.radiation.clear_cache()
    whole = np.divide(*lte.synthesise(sun, solar, 1.0))
    module.radiation.clear_cache()
    assert 1 - whole.min() > 0.5
    assert 0 < np.max(np.abs(quick - whole)) < 1e-3
    monkeypatch.setattr(module, "_layers", lambda log_tau, multiple=1: np.arange(0, log_tau.size, 6))
    rough = np.divide(*lte.synthesise(sun, solar, 1.0))
    module.radiation.clear_cache()
    assert np.max(np.abs(rough - whole)) > 1e-3


def test_derivatives_by_labels_are_those_of_finite_differences(lte, windows):
    """The structure of the atmosphere moves with its labels, all metals with [Fe/H], one element with its own."""
    grey = Grey()
    models = AtmosphereGrid.of(
        [grey.at(t, g, z) for t in (5000, 5500, 6000) for g in (4.0, 4.7) for z in (-0.5, 0.2)], name="grey"
    )
    labels = {"teff": 5600.0, "logg": 4.4, "fe_h": -0.2, "vmic": 1.1, "ni_fe": 0.1}

    def normalised(labels):
        star = models.at(*list(labels.values())[:3])
        flux, continuum = lte.synthesise(star, abundances(labels, "asplund2009"), labels["vmic"])
        return flux / continuum

    flux, slopes = lte.derivatives(models, labels, "asplund2009")
    np.testing.assert_allclose(flux, normalised(labels), rtol=1e-9)
    for (name, step), slope in zip(
        {"teff": 2.0, "logg": 0.01, "fe_h": 0.01, "vmic": 0.01, "ni_fe": 0.01}.items(), slopes, strict=True
    ):
        up, down = (normalised(labels | {name: labels[name] + move}) for move in (step, -step))
        numeric = (up - down) / (2 * step)
        np.testing.assert_allclose(
            slope / np.abs(numeric).max(), numeric / np.abs(numeric).max(), atol=1e-3, err_msg=name
        )
    with pytest.raises(BayneError, match="networks, or a grid interpolated by splines"):
        lte.derivatives(replace(models, method="local"), labels, "asplund2009")


@double
def test_many_stars_at_once_are_each_what_one_is(lte, solar):
    sun, dwarf = Grey().at(5772, 4.44, 0.0), Grey().at(5000, 4.6, 0.0)
    window = lte.laid[0]
    columns = [
        jnp.stack([jnp.asarray(getattr(s, n)) for s in (sun, dwarf)]) for n in ("log_tau", "temperature", "pressure")
    ]
    share = jnp.asarray(solar)
    many = jax.vmap(lambda *column: radiation(*window, *column, share, jnp.asarray(1.0))[0])(*columns)
    one = radiation(*window, *(column[1] for column in columns), share, jnp.asarray(1.0))[0]
    np.testing.assert_allclose(many[1], one, rtol=1e-8)


def test_lines_that_show_nowhere_are_left_out(windows):
    strong = solar_lines()
    weak = type(strong)(**{**vars(strong), "log_gf": strong.log_gf - 8.0})
    _, lines, _ = LTE(weak, windows).laid[0]
    assert lines.data.energy.size == 1  # what fills up the tasks


@double
def test_models_on_another_scale_of_depth_get_that_at_5000(solar):
    """A grey atmosphere in hydrostatic equilibrium has the column mass P / g, which leads back to its optical depth."""
    sun = Grey().at(5772, 4.44, 0.0)
    other = replace(sun, scale="rosseland", log_tau=sun.log_tau + 0.3, column=sun.pressure / 10**4.44)
    np.testing.assert_allclose(log_tau_5000(other, jnp.asarray(solar))[10:], sun.log_tau[10:], atol=0.02)
    np.testing.assert_array_equal(log_tau_5000(sun, jnp.asarray(solar)), sun.log_tau)


def test_layers_are_a_multiple_so_that_stars_share_a_compiled_function():
    for top in (-6.8, -6.5, -5.9):
        log_tau = np.linspace(top, 1.8, 72)
        kept, plain = module._layers(log_tau, module.MULTIPLE), module._layers(log_tau)
        assert kept.size % module.MULTIPLE == 0
        assert np.all(np.diff(kept) > 0)
        assert set(plain) <= set(kept)
    assert module._layers(np.linspace(-4, 1, 10), module.MULTIPLE).size == 10

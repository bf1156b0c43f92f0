"""Atmospheres from networks: small ones that give a structure known in closed form, and those of the C3K models."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.errors import BayneError, ReadError
from bayne.precision import double
from bayne.synthesis.abundances import abundances, alpha_of
from bayne.synthesis.atmosphere import Atmosphere
from bayne.synthesis.atmosphere_grid import AtmosphereGrid
from bayne.synthesis.atmosphere_network import FIRST, LAYERS, STEP, NetworkModels, read_network, structure
from bayne.synthesis.constants import BOLTZMANN
from bayne.synthesis.lte import LTE
from bayne.synthesis.models import Grey, place_of, read_models
from bayne.synthesis.synthesiser import fine_windows
from solar_lines import solar_lines

DEPTHS = FIRST + STEP * np.arange(80)
LOW, HIGH = np.array([4000.0, 3.0, -2.0, -0.2]), np.array([7000.0, 5.0, 0.5, 0.6])


def arrays(**changes: np.ndarray) -> dict[str, np.ndarray]:
    """Networks linear in the labels, so that log10 of each column is `zero` plus `slope` times the scaled labels.

    The column mass is the Rosseland optical depth, the opacity is one, the pressure g times the column mass.
    """
    temperature = np.log10(5500 * (0.75 * (10**DEPTHS + 2 / 3)) ** 0.25)
    one = np.ones(80)
    spread = np.outer(one, [0.24, 0.0, -0.02, 0.01])
    pressure = np.outer(one, [0.0, 2.0, 0.0, 0.0])
    columns = [
        (DEPTHS, 0 * spread),
        (temperature, spread),
        (DEPTHS + 4, pressure),
        (DEPTHS + 4 - temperature - np.log10(BOLTZMANN) - 3, pressure - spread),
        (0 * one, 0 * spread),
        (-3 * one, 0 * spread),
    ]
    made: dict[str, np.ndarray] = {
        "labels": np.array(["TEFF", "LOGG", "FE_H", "ALPHA_FE"]),
        "c0_ranges": np.stack([LOW, HIGH], axis=1),
    }
    for i, (zero, slope) in enumerate(columns):
        # hidden values stay positive, so that the leaky ReLU does nothing
        made |= {
            f"c{i}_w_array_0": np.eye(4),
            f"c{i}_b_array_0": np.full(4, 2.0),
            f"c{i}_w_array_1": np.eye(4),
            f"c{i}_b_array_1": np.full(4, 1.0),
            f"c{i}_w_array_2": slope,
            f"c{i}_b_array_2": zero - slope.sum(axis=1) * 3,
            f"c{i}_x_min": LOW,
            f"c{i}_x_max": HIGH,
        }
    return made | changes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.npz"
    np.savez(path, **arrays())
    return path


def test_columns_become_an_atmosphere_on_the_rosseland_scale(file: Path) -> None:
    models = read_models(str(file), "asplund2009")
    assert isinstance(models, NetworkModels)
    assert models.label_names == ("teff", "logg", "fe_h", "alpha_fe")
    assert models.alpha_range == (-0.2, 0.6)
    star = models.at(5500.0, 4.4, -0.75, 0.2)
    assert star.scale == "rosseland"
    np.testing.assert_allclose(star.log_tau, DEPTHS[:LAYERS], atol=0.01)
    np.testing.assert_allclose(np.log10(star.column), DEPTHS[:LAYERS], atol=1e-6)
    np.testing.assert_allclose(star.pressure, (10**4.4 - 1e-3) * star.column, rtol=1e-6)
    np.testing.assert_allclose(star.electron_pressure, 1e-3 * 10**4.4 * star.column, rtol=1e-3)
    tau = 10 ** DEPTHS[:LAYERS]
    np.testing.assert_allclose(star.temperature, 5500 * (0.75 * (tau + 2 / 3)) ** 0.25, rtol=1e-6)
    # warmer by its share of the range of alpha
    np.testing.assert_allclose(models.at(5500.0, 4.4, -0.75, 0.6).temperature / star.temperature, 10**0.005)


def test_what_is_outside_is_refused_in_words(file: Path) -> None:
    models = read_network(file)
    inside = models.contains([[[5000, 4.0, -1.0, 0.0], [5000, 4.0, -1.0, 0.7]], [[5000, 4.0, np.nan, 0.0], HIGH]])
    np.testing.assert_array_equal(inside, [[True, False], [False, True]])
    assert models.contains(LOW).shape == ()
    with pytest.raises(BayneError, match=r"alpha/Fe\] 0.7 is outside the models of small.*\[alpha/Fe\] -0.2 to 0.6"):
        models.at(5000, 4.0, -1.0, 0.7)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("c0_b_array_2", DEPTHS[::-1], "column mass does not increase inwards"),
        ("c5_b_array_2", np.full(80, 6.0), "radiation pressure carries more than the gas weighs"),
        ("c2_b_array_2", DEPTHS, "gas pressure is not what the column mass needs"),
        ("c4_b_array_2", np.ones(80), "do not give the optical depth"),
        ("c3_b_array_2", np.full(80, 25.0), "more electrons than hydrogen can give"),
        ("c1_b_array_2", np.full(80, np.nan), "more electrons"),
    ],
)
def test_impossible_structures_are_refused_in_words(tmp_path: Path, name: str, value: np.ndarray, words: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays(**{name: value}))
    models = read_network(tmp_path / "bad.npz")
    assert not models.contains([5500, 4.4, 0.0, 0.0])
    with pytest.raises(BayneError, match=f"bad gives no possible atmosphere here, for .*{words}"):
        models.at(5500, 4.4, 0.0, 0.0)


def test_files_that_are_none_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="there is no such file"):
        read_network(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not arrays")
    with pytest.raises(ReadError, match="cannot be read"):
        read_network(tmp_path / "text.npz")
    kept = {name: value for name, value in arrays().items() if name != "c4_w_array_1"}
    for what, words in (
        (kept, "no array 'c4_w_array_1'"),
        (arrays(labels=np.array(["TEFF", "LOGG", "ALPHA_FE", "FE_H"])), "labels are TEFF, LOGG, ALPHA_FE, FE_H; they"),
        (arrays(c0_w_array_1=np.eye(5)), "do not fit together"),
        (arrays(c4_x_min=np.array([{}], dtype=object)), "cannot be read"),
    ):
        np.savez(tmp_path / "bad.npz", **what)  # type: ignore[arg-type]
        with pytest.raises(ReadError, match=words):
            read_network(tmp_path / "bad.npz")


def test_alpha_of_the_atmosphere_is_that_of_the_star(file: Path) -> None:
    assert alpha_of({"teff": 5000.0, "ca_fe": 0.4}) == 0
    assert alpha_of({"mg_fe": 0.4}) == 0.4
    assert alpha_of({"mg_fe": 0.4, "si_fe": 0.1, "ti_fe": 9.0}) == pytest.approx(0.25)
    many = {"mg_fe": np.array([0.1, 0.9]), "si_fe": np.array([0.3, 0.9])}
    np.testing.assert_allclose(alpha_of(many), [0.2, 0.9])
    models = read_network(file)
    star = {"vmic": 1.0, "fe_h": -1.0, "logg": 4.0, "teff": 5000.0, "mg_fe": 0.4}
    assert place_of(models, star) == [5000.0, 4.0, -1.0, 0.4]
    assert place_of(models, star | {"mg_fe": 0.9})[3] == 0.6
    assert place_of(Grey(), star) == [5000.0, 4.0, -1.0]
    np.testing.assert_array_equal(
        place_of(models, {"teff": np.full(2, 5e3), "logg": np.full(2, 4.0), "fe_h": np.zeros(2)})[3], [0, 0]
    )


def test_grids_without_alpha_give_the_same_whatever_it_is() -> None:
    grey = Grey()
    np.testing.assert_array_equal(grey.at(5500, 4.4, -0.5, 0.4).temperature, grey.at(5500, 4.4, -0.5).temperature)
    assert grey.label_names == AtmosphereGrid.label_names == ("teff", "logg", "fe_h")


@double
def test_structure_is_differentiable(file: Path) -> None:
    models, place = read_network(file), jnp.array([5500.0, 4.4, -0.3, 0.1])
    slope = jax.jacfwd(structure, argnums=1)(models.network, place)
    star = models.at(*map(float, place))
    np.testing.assert_allclose(slope.temperature[:, 0] / star.temperature, 0.24 / 3000 * np.log(10), rtol=1e-6)
    np.testing.assert_allclose(slope.pressure[:, 1] / star.pressure, np.log(10), rtol=1e-5)
    np.testing.assert_allclose(slope.temperature[:, 3] / star.temperature, 0.01 / 0.8 * np.log(10), rtol=1e-6)


def on_rosseland_depths() -> AtmosphereGrid:
    """Grey atmospheres with a column mass, so that the optical depth at 5000 Å has to be found."""
    models = []
    for teff in (5000, 5500, 6000):
        for logg in (4.0, 4.7):
            for fe_h in (-0.5, 0.2):
                a = Grey().at(teff, logg, fe_h)
                column = a.pressure / 10**logg
                models.append(
                    Atmosphere(
                        log_tau=a.log_tau,
                        temperature=a.temperature,
                        pressure=a.pressure,
                        column=column,
                        scale="rosseland",
                        teff=teff,
                        logg=logg,
                        fe_h=fe_h,
                    )
                )
    return AtmosphereGrid.of(models, name="rosseland")


@pytest.mark.parametrize("kind", ["network", "spline"])
def test_derivatives_by_labels_are_those_of_finite_differences(file: Path, kind: str) -> None:
    """Depths at 5000 Å move with the labels; [Mg/Fe] changes lines, electrons and the network's structure."""
    models = read_network(file) if kind == "network" else on_rosseland_depths()
    lte = LTE(solar_lines(), fine_windows([(4800, 4810)], 50_000))
    labels = {"teff": 5600.0, "logg": 4.4, "fe_h": -0.2, "vmic": 1.1, "mg_fe": 0.1, "si_fe": 0.3}

    def normalised(labels: dict[str, float]) -> np.ndarray:
        star = models.at(*map(float, place_of(models, labels)))
        return np.divide(*lte.synthesise(star, abundances(labels, "asplund2009"), labels["vmic"]))

    flux, slopes = lte.derivatives(models, labels, "asplund2009")
    np.testing.assert_allclose(flux, normalised(labels), rtol=1e-9)
    for name, slope in zip(labels, slopes, strict=True):
        step = 1.0 if name == "teff" else 1e-3
        up, down = (normalised(labels | {name: labels[name] + move}) for move in (step, -step))
        numeric = (up - down) / (2 * step)
        scale = np.abs(numeric).max()
        np.testing.assert_allclose(slope / scale, numeric / scale, atol=1e-3, err_msg=name)
    with pytest.raises(BayneError, match="networks, or a grid interpolated by splines"):
        lte.derivatives(Grey(), labels, "asplund2009")


@pytest.fixture(scope="module")
def c3k(shared: Path) -> NetworkModels:
    path = shared / "atmospheres" / "atmosnet_c3k_cool.npz"
    if not path.exists():
        pytest.skip("needs the networks of model atmospheres")
    return read_network(path)


def test_networks_of_c3k_are_like_other_models(c3k: NetworkModels, shared: Path) -> None:
    grid = read_models(str(shared / "physics" / "stagger_3d_mean_optical.npz"), "asplund2009")
    assert grid.label_names == ("teff", "logg", "fe_h")
    sun, other = c3k.at(5772, 4.44, 0.0), grid.at(5772, 4.44, 0.0)
    inner = np.linspace(-3, -1, 20)
    temperature = [np.interp(inner, star.log_tau, star.temperature) for star in (sun, other)]
    assert np.max(np.abs(temperature[0] - temperature[1])) < 90
    assert np.interp(-0.18, sun.log_tau, sun.temperature) == pytest.approx(5900, abs=120)
    rich = c3k.at(5772, 4.44, 0.0, 0.4)
    assert 0 < np.interp(0, rich.log_tau, rich.temperature) - np.interp(0, sun.log_tau, sun.temperature) < 50


def test_networks_of_c3k_give_structures_where_stars_are(c3k: NetworkModels) -> None:
    dwarfs = [(4000, 4.7), (4500, 4.6), (5777, 4.44), (6500, 4.2), (7500, 4.1)]
    giants = [(4000, 1.0), (4300, 1.5), (4800, 2.5), (5000, 3.0)]
    places = [(*star, fe_h, alpha) for star in dwarfs + giants for fe_h, alpha in ((-2.5, 0.4), (-1, 0.3), (0.3, 0.0))]
    assert c3k.contains(places).all()
    assert not c3k.contains([7500, 0.2, -1.0, 0.0])

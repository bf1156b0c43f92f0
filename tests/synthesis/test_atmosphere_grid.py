"""Between models an atmosphere is interpolated well, outside of them not at all, and the error is measured."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.errors import BayneError, ReadError
from bayne.synthesis.atmosphere import Atmosphere
from bayne.synthesis.atmosphere_grid import SCALES, AtmosphereGrid, leave_one_out, read_grid, structure

LOG_TAU = np.linspace(-4, 1, 21)


def analytic(labels: np.ndarray, log_tau: np.ndarray = LOG_TAU) -> dict[str, np.ndarray]:
    """(n, d) temperature and pressure that are smooth, not linear, in labels (n, 3)."""
    teff, logg, fe_h = (labels[:, i : i + 1] for i in range(3))
    temperature = teff * (0.75 * (10**log_tau + 2 / 3)) ** 0.25 * (1 + 0.01 * fe_h * np.exp(-((log_tau + 3) ** 2)))
    log_p = 5 + 0.6 * (log_tau + logg - 4.4) - 0.3 * fe_h + 0.05 * fe_h**2 - 4 * np.log10(teff / 5800)
    return {"temperature": temperature, "pressure": 10**log_p}


def places() -> np.ndarray:
    """Labels of models on no regular mesh, as those of 3D models."""
    mesh = np.meshgrid(np.arange(4500, 6600, 500), np.arange(3.0, 5.1, 0.5), np.arange(-2, 0.6, 0.5), indexing="ij")
    labels = np.stack(mesh, axis=-1).reshape(-1, 3).astype(float)
    labels[:, 0] += np.random.default_rng(0).uniform(-60, 60, len(labels))
    return labels


def grid(**changes: Any) -> AtmosphereGrid:
    labels = places()
    return AtmosphereGrid(**({"labels": labels, "log_tau": LOG_TAU, "name": "toy"} | analytic(labels) | changes))


@pytest.mark.parametrize("method", ["spline", "local"])
def test_models_themselves_come_back(method: Any) -> None:
    toy = grid(method=method)
    for i in (0, 17, 80):
        made = toy.at(*toy.labels[i])
        np.testing.assert_allclose(made.temperature, toy.temperature[i], rtol=1e-8)
        np.testing.assert_allclose(made.pressure, toy.pressure[i], rtol=1e-8)
        assert np.isnan(made.density).all()


@pytest.mark.parametrize(("method", "kelvin", "dex"), [("spline", 3.0, 0.002), ("local", 5.0, 0.005)])
def test_between_models(method: Any, kelvin: float, dex: float) -> None:
    toy = grid(method=method)
    for labels in ([5777.0, 4.44, 0.0], [4820.0, 3.3, -1.7], [6100.0, 4.1, -0.6]):
        made, truth = toy.at(*labels), analytic(np.array([labels]))
        assert (made.teff, made.logg, made.fe_h) == tuple(labels)
        assert np.max(np.abs(made.temperature - truth["temperature"][0])) < kelvin
        assert np.max(np.abs(np.log10(made.pressure / truth["pressure"][0]))) < dex


def test_all_that_the_models_state_is_interpolated() -> None:
    values = analytic(places())
    toy = grid(density=values["pressure"] * 2e-12, column=values["pressure"] / 1e4, scale="rosseland")
    made = toy.at(5777, 4.44, 0.0)
    assert toy.quantities == ("temperature", "pressure", "density", "column")
    assert made.scale == "rosseland"
    np.testing.assert_allclose(made.column, made.pressure / 1e4, rtol=1e-10)
    np.testing.assert_allclose(made.density, made.pressure * 2e-12, rtol=1e-10)
    assert np.isnan(made.electron_pressure).all()


@pytest.mark.parametrize("labels", [(7500.0, 4.0, 0.0), (5000.0, 2.0, 0.0), (5000.0, 4.0, 0.8), (4300.0, 4.9, -1.9)])
def test_outside_the_hull_is_refused_and_the_nearest_model_named(labels: tuple[float, float, float]) -> None:
    toy = grid()
    nearest = toy.labels[np.argmin(np.sum(((toy.labels - np.array(labels)) / SCALES) ** 2, axis=1))]
    words = rf"Teff {labels[0]:g} K.* is outside the models of toy.*nearest model is Teff {nearest[0]:g} K, log g"
    with pytest.raises(BayneError, match=words + r".*within Teff \d+\.?\d* to .* K, log g 3 to 5, \[Fe/H\] -2 to 0.5"):
        toy.at(*labels)
    assert not toy.contains(labels)


def test_hull_is_closed_and_takes_many_labels_at_once() -> None:
    toy = grid()
    assert toy.contains(toy.labels).all()
    inside = toy.contains([[[5500, 4.0, -1.0], [9000, 4.0, -1.0]], [[5500, 4.0, np.nan], [5500, 4.9, -1.0]]])
    np.testing.assert_array_equal(inside, [[True, False], [False, True]])
    with pytest.raises(BayneError, match="no model can be made for Teff nan"):
        toy.at(np.nan, 4.0, 0.0)


def test_spline_in_jax_is_the_same_and_can_be_differentiated() -> None:
    toy = grid()
    with jax.enable_x64(True):
        made = jax.jit(structure)(toy.spline, jnp.array([5777.0, 4.44, -0.3]))
        reference = toy.at(5777.0, 4.44, -0.3)
        np.testing.assert_allclose(made[0], reference.temperature, rtol=1e-10)
        np.testing.assert_allclose(made[1], reference.pressure, rtol=1e-10)
        for labels in ([5777.0, 4.44, -0.3], list(toy.labels[17])):  # and at a model, where the distance is 0
            slope = jax.jit(jax.jacrev(structure, argnums=1))(toy.spline, jnp.array(labels))
            for i, step in enumerate((1.0, 1e-3, 1e-3)):
                shift = jnp.zeros(3).at[i].set(step)
                up, down = (structure(toy.spline, jnp.array(labels) + sign * shift) for sign in (1, -1))
                scale = np.max(np.abs(slope[..., i]), axis=1, keepdims=True)
                np.testing.assert_allclose(slope[..., i] / scale, (up - down) / (2 * step) / scale, atol=2e-3)


def test_errors_are_those_of_grids_without_the_model() -> None:
    for method in ("spline", "local"):
        toy = grid(method=method)  # type: ignore[arg-type]
        found = leave_one_out(toy)
        assert found.temperature.shape == found.log_pressure.shape == (len(toy) - len(toy.corners), 21)
        for k in (0, 30, len(found.models) - 1):
            i = found.models[k]
            keep = np.arange(len(toy)) != i
            rest = grid(
                labels=toy.labels[keep], temperature=toy.temperature[keep], pressure=toy.pressure[keep], method=method
            )
            made = rest.at(*toy.labels[i])
            np.testing.assert_allclose(found.temperature[k], made.temperature - toy.temperature[i], atol=1e-6)
            np.testing.assert_allclose(found.log_pressure[k], np.log10(made.pressure / toy.pressure[i]), atol=1e-9)


def test_all_corners_leave_nothing_to_be_left_out() -> None:
    labels = np.array([[5000, 4.0, 0.0], [6000, 4.0, 0.0], [5000, 5.0, 0.0], [5000, 4.0, -1.0]])
    toy = AtmosphereGrid(labels=labels, log_tau=LOG_TAU, **analytic(labels))
    with pytest.raises(BayneError, match="all 4 models are corners"):
        leave_one_out(toy)


def spoiled(index: tuple[int, int], value: float) -> dict[str, np.ndarray]:
    values = analytic(places())
    values["temperature"][index] = value
    return values


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (lambda: spoiled((40, 3), np.nan), r"toy .*/.*/.*: temperature is nan in layer 4 of 21"),
        (lambda: {"log_tau": LOG_TAU[::-1]}, "log_tau goes from 1 in layer 1.*top inwards"),
        (lambda: {"log_tau": LOG_TAU[1:]}, r"temperature has shape \(150, 21\), it should be \(150, 20\)"),
        (lambda: {"labels": places()[:, :2]}, r"labels have shape \(150, 2\)"),
        (lambda: {"labels": np.concatenate([places()[:-1], places()[:1]])}, "several models are at Teff"),
        (lambda: {"labels": places() * [1, 1, 0] + [0, 0, 0.1]}, "several models|span no volume"),
        (lambda: {"method": "cubic"}, "unknown method 'cubic'.*Known: local, spline"),
    ],
)
def test_bad_grids_are_refused_in_words(changes: Callable[[], dict[str, Any]], words: str) -> None:
    with pytest.raises(BayneError, match=words):
        grid(**changes())


def test_flat_grids_are_refused_in_words() -> None:
    labels = np.unique(places() * [1, 1, 0], axis=0)
    with pytest.raises(BayneError, match="span no volume"):
        AtmosphereGrid(labels=labels, log_tau=LOG_TAU, **analytic(labels))


def test_single_models_on_depths_of_their_own_make_a_grid() -> None:
    labels, shift = places(), np.random.default_rng(1).uniform(-0.2, 0.2, 150)
    models = []
    for place, own in zip(labels, shift, strict=True):
        depths = np.linspace(-4 + own, 1 + own, 51)
        values = {name: value[0] for name, value in analytic(place[None], depths).items()}
        models.append(Atmosphere(log_tau=depths, teff=place[0], logg=place[1], fe_h=place[2], **values))
    toy = AtmosphereGrid.of(models, name="folder")
    assert (toy.log_tau[0], toy.log_tau[-1]) == (pytest.approx(-4 + shift.max()), pytest.approx(1 + shift.min()))
    made, truth = toy.at(5777, 4.44, 0.0), analytic(np.array([[5777, 4.44, 0.0]]), toy.log_tau)
    assert np.max(np.abs(made.temperature - truth["temperature"][0])) < 3.0
    with pytest.raises(BayneError, match="there are no models"):
        AtmosphereGrid.of([])
    far = Atmosphere(log_tau=LOG_TAU + 9, temperature=LOG_TAU + 9e3, pressure=LOG_TAU + 9e3, teff=5e3, logg=4, fe_h=0)
    with pytest.raises(BayneError, match="no depths in common"):
        AtmosphereGrid.of([*models, far])
    other = Atmosphere(
        log_tau=LOG_TAU,
        temperature=LOG_TAU + 9e3,
        pressure=LOG_TAU + 9e3,
        column=LOG_TAU + 5,
        scale="rosseland",
        teff=5e3,
        logg=4,
        fe_h=0,
    )
    with pytest.raises(BayneError, match="some on Rosseland's"):
        AtmosphereGrid.of([*models, other])


def deck(labels: np.ndarray) -> str:
    """An ATLAS9 deck of the analytic models, with a constant opacity of 1 cm²/g."""
    teff, logg, fe_h = labels
    values = analytic(labels[None])
    rows = zip(10**LOG_TAU, values["temperature"][0], values["pressure"][0], strict=True)
    lines = [f"{x:15.8E}{t:9.1f} {p:9.3E} 1.000E+10 1.000E+00 1.000E-01 1.000E+05" for x, t, p in rows]
    return (
        f"TEFF {teff:7.1f}  GRAVITY {logg:.5f} LTE\nTITLE  [{fe_h:.1f}]\n"
        f"ABUNDANCE SCALE {10**fe_h:9.5f} ABUNDANCE CHANGE 1 0.92040 2 0.07834\n"
        "READ DECK6 21 RHOX,T,P,XNE,ABROSS,ACCRAD,VTURB\n" + "\n".join(lines) + "\nPRADK 1.0E+00\n"
    )


def test_a_folder_and_a_file_of_many_models_are_grids(tmp_path: Path) -> None:
    labels = places()
    (tmp_path / "models").mkdir()
    for i, place in enumerate(labels):
        (tmp_path / "models" / f"{i}.dat").write_text(deck(place))
    (tmp_path / "models" / ".hidden").write_text("not a model")
    (tmp_path / "all.dat").write_text("".join(map(deck, labels)))
    for toy in (read_grid(tmp_path / "models"), read_grid(tmp_path / "all.dat", format="atlas9")):
        assert len(toy) == 150
        assert toy.scale == "rosseland"
        made, truth = toy.at(5777, 4.44, 0.0), analytic(np.array([[5777, 4.44, 0.0]]), toy.log_tau)
        assert np.max(np.abs(made.temperature - truth["temperature"][0])) < 3.0
        np.testing.assert_allclose(np.log10(made.column), made.log_tau, atol=1e-3)


def test_places_without_a_grid_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="the folder has no files"):
        read_grid(tmp_path)
    with pytest.raises(ReadError, match="there is no such file"):
        read_grid(tmp_path / "models.dat")
    with pytest.raises(ReadError, match="Did you mean 'stagger'"):
        read_grid(tmp_path, format="staggr")


def test_packed_files_and_files_of_other_kinds_in_a_folder(tmp_path: Path) -> None:
    labels = places()
    text = "".join(map(deck, labels))
    lost = "".join(line[1:] for line in text.splitlines(keepends=True)).replace("READ", "EAD")
    np.savez(tmp_path / "other.npz", labels=labels)
    (tmp_path / "README.md").write_text("about the models")
    with pytest.raises(ReadError, match=r"no file of model atmospheres \(atlas9, marcs\)"):
        read_grid(tmp_path)
    (tmp_path / "all.dat.gz").write_bytes(gzip.compress(text.encode()))
    toy = read_grid(tmp_path)
    assert len(toy) == 150
    assert toy.method == "spline"
    (tmp_path / "all.dat.gz").write_bytes(gzip.compress(text.encode())[:-500])
    with pytest.raises(ReadError, match=r"all.dat.gz: "):
        read_grid(tmp_path)
    (tmp_path / "all.dat.gz").write_bytes(gzip.compress(lost.encode()))
    np.testing.assert_allclose(read_grid(tmp_path).labels, toy.labels, atol=1e-3)


def test_local_splines_are_like_those_of_all_models_and_see_gaps() -> None:
    rng = np.random.default_rng(2)
    labels = np.array([(t, g, z) for t in range(4000, 9001, 250) for g in np.arange(0, 5.1, 0.5) for z in (-2, -1, 0)])
    labels = labels[labels[:, 1] >= (labels[:, 0] - 6000) / 2000 * 2]  # no hot giants
    labels = labels[(labels[:, 0] < 6500) | (labels[:, 0] > 7500)]  # and a gap
    toy = AtmosphereGrid(labels=labels, log_tau=LOG_TAU, method="local", **analytic(labels))
    assert toy.contains(labels).all()
    for place in labels[rng.choice(len(labels), 5)]:
        np.testing.assert_allclose(toy.at(*place).temperature, analytic(place[None])["temperature"][0], rtol=1e-7)
    for place in ([5777, 4.44, -0.4], [4300, 1.5, -1.3], [7900, 4.2, -0.2]):
        truth = analytic(np.array([place]))["temperature"][0]
        np.testing.assert_allclose(toy.at(*place).temperature, truth, rtol=2e-3)
    assert not toy.contains([7000, 4.5, -0.5])
    assert not toy.contains([8000, 0.5, -0.5])
    with pytest.raises(BayneError, match="is outside the models"):
        toy.at(7000, 4.5, -0.5)
    found = leave_one_out(toy)
    assert np.median(np.abs(found.temperature)) < 20


def test_grids_of_kurucz(shared: Path) -> None:
    folder = shared / "atmospheres"
    if not list(folder.glob("*k2.dat.gz")):
        pytest.skip("needs the ATLAS9 grids")
    grid = read_grid(folder)
    assert grid.method == "local"
    assert grid.scale == "rosseland"
    sun = grid.at(5777, 4.44, 0.0)
    np.testing.assert_allclose(np.interp([-3, -2, -1], sun.log_tau, sun.temperature), [4491, 4735, 5106], atol=15)
    np.testing.assert_allclose(sun.pressure / sun.column / 10**4.44, 1.0, atol=0.02)

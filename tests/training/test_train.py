"""Training learns, is repeatable bit for bit, and says what is wrong with its input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np
import pytest

import bayne
from bayne import BayneError
from bayne.emulators import Emulator, load_emulator
from bayne.training import Grid, read_config, train
from bayne.training.errors import with_error_model
from grids import wavelength, write_grid
from toy import UPPER
from toy_grid import toy_grid, write_toy_grid

PIXELS = wavelength().size

SMALL: dict[str, Any] = {
    "network": "payne-large",
    "architecture": {"width": 24, "depth": 2},
    "training": {"steps": 40, "batch": 16, "checks": 4, "learning_rate": 0.01},
}


def config(**changes: object) -> dict[str, Any]:
    return SMALL | {"training": SMALL["training"] | changes}


def trained(emulator: Emulator) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in emulator.params.items() if name not in emulator.network.derived}


def assert_same(one: Emulator, other: Emulator) -> None:
    assert trained(one).keys() == trained(other).keys()
    for name, value in trained(one).items():
        np.testing.assert_array_equal(value, trained(other)[name], err_msg=name)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    return toy_grid(tmp_path_factory.mktemp("grid"))


@pytest.mark.parametrize(
    ("network", "architecture", "optimiser"),
    [
        ("payne", {"hidden": [24, 24]}, "adamw"),
        ("payne-large", {"width": 24, "depth": 2}, "muon"),
        ("convolutional", {"width": 24, "channels": [16, 8, 8]}, "adamw"),
        ("patch-transformer", {"width": 32, "layers": 1, "tokens": 4, "patch": 16}, "muon"),
    ],
)
def test_error_falls_far_below_that_of_the_mean(
    network: str, architecture: dict[str, object], optimiser: str, grid: Grid
) -> None:
    own = config(steps=200, blocks=6, optimiser=optimiser, loss="mse")
    settings = own | {"network": network, "architecture": architecture}
    errors = train(grid, config=settings).card.held_out_error
    assert errors["mae"] < 0.4 * errors["mae_of_mean"]


@pytest.mark.parametrize("loss", ["l1", "huber"])
def test_other_losses_learn_too(loss: str, grid: Grid) -> None:
    errors = train(grid, config=config(steps=200, loss=loss)).card.held_out_error
    assert errors["mae"] < 0.4 * errors["mae_of_mean"]


@pytest.mark.parametrize("network", ["payne-large", "species"])
def test_a_few_pixels_a_step_suffice(network: str, grid: Grid) -> None:
    own = config(steps=200, pixels=60, batch=48, learning_rate=1e-2)
    errors = train(grid, config=own | {"network": network, "architecture": {"width": 24}}).card.held_out_error
    assert errors["mae"] < 0.4 * errors["mae_of_mean"]


def test_seed_decides(grid: Grid) -> None:
    first = train(grid, config=SMALL, seed=3)
    assert_same(first, train(grid, config=SMALL | {"seed": 3}))
    with jax.enable_x64(True):
        assert_same(first, train(grid, config=SMALL, seed=3))
    other = train(grid, config=SMALL, seed=4)
    assert np.abs(trained(first)["w_0"] - trained(other)["w_0"]).max() > 0.01


class Stopped(KeyboardInterrupt):
    """What Ctrl-C would raise."""


def stop_at(step: int) -> Any:
    def tell(done: float, text: str) -> None:
        if text.startswith(f"step {step} "):
            raise Stopped

    return tell


def test_interrupted_run_goes_on_bit_for_bit(grid: Grid, tmp_path: Path) -> None:
    straight = train(grid, config=SMALL, output=tmp_path / "straight")
    with pytest.raises(Stopped):
        train(grid, config=SMALL, output=tmp_path / "other", tell=stop_at(20))
    assert sorted(p.name for p in (tmp_path / "other").iterdir()) == ["checkpoint.safetensors", "log.jsonl"]
    assert_same(straight, train(grid, config=SMALL, output=tmp_path / "other", resume=True))
    names = ["card.json", "config.toml", "log.jsonl", "weights.safetensors"]
    for folder in ("straight", "other"):
        assert sorted(p.name for p in (tmp_path / folder).iterdir()) == names
    assert_same(straight, load_emulator(tmp_path / "other"))
    logs = [(tmp_path / folder / "log.jsonl").read_text().splitlines() for folder in ("straight", "other")]
    lines = [[json.loads(line) | {"seconds": 0} for line in log] for log in logs]
    assert lines[0] == lines[1]
    assert [line["step"] for line in lines[0]] == [10, 20, 30, 40]


def test_finished_run_is_not_done_again(grid: Grid, tmp_path: Path) -> None:
    first = train(grid, config=SMALL, output=tmp_path)

    def never(done: float, text: str) -> None:
        raise AssertionError

    assert_same(first, train(grid, config=SMALL, output=tmp_path, resume=True, tell=never))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "payne", "architecture": {}}, "its network is 'payne-large', now it is 'payne'"),
        ({"architecture": {"width": 16, "depth": 2}}, "architecture"),
        ({"training": SMALL["training"] | {"batch": 8}}, "its batch is 16, now it is 8"),
        ({"seed": 5}, "its seed is 0, now it is 5"),
    ],
)
def test_checkpoint_of_another_run_is_refused(
    changes: dict[str, Any], words: str, grid: Grid, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        train(grid, config=SMALL, output=tmp_path, tell=stop_at(10))
    with pytest.raises(BayneError, match=words):
        train(grid, config=SMALL | changes, output=tmp_path, resume=True)
    with pytest.raises(BayneError, match="its grid is"):
        train(replace(grid, hash="other"), config=SMALL, output=tmp_path, resume=True)


def test_test_rows_touch_nothing(grid: Grid) -> None:
    flux = grid.flux.copy()
    flux[grid.test] = 0.5
    other = train(replace(grid, flux=flux), config=SMALL)
    first = train(grid, config=SMALL)
    assert_same(first, other)
    assert first.error is not None
    assert other.error is not None
    np.testing.assert_array_equal(first.error.basis, other.error.basis)
    np.testing.assert_array_equal(first.error.sigma, other.error.sigma)


def test_validation_rows_only_choose_among_the_checks(grid: Grid, tmp_path: Path) -> None:
    flux = grid.flux.copy()
    flux[grid.validation] = 1.0
    settings = config(patience=0)
    for folder, which in (("a", grid), ("b", replace(grid, flux=flux))):
        train(which, config=settings, output=tmp_path / folder)
    logs = [[json.loads(x) for x in (tmp_path / k / "log.jsonl").read_text().splitlines()] for k in "ab"]
    assert [x["loss"] for x in logs[0]] == [x["loss"] for x in logs[1]]
    assert [x["validation_mae"] for x in logs[0]] != [x["validation_mae"] for x in logs[1]]


def test_training_stops_when_the_validation_rows_say_so(grid: Grid, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = replace(grid, flux=(0.5 + 0.1 * rng.normal(size=grid.flux.shape)).astype(np.float32))
    train(noise, config=config(steps=2000, checks=100, patience=5), output=tmp_path)
    log = [json.loads(x) for x in (tmp_path / "log.jsonl").read_text().splitlines()]
    errors = [x["validation_mae"] for x in log]
    assert len(log) < 100
    assert int(np.argmin(errors)) == len(log) - 6


def test_few_spectra(grid: Grid) -> None:
    few = train(grid, config=config(spectra=12))
    flux = grid.flux.copy()
    flux[np.flatnonzero(grid.train)[12:]] = 0.5
    assert_same(few, train(replace(grid, flux=flux), config=config(spectra=12)))


def test_minutes_decide_the_number_of_steps(grid: Grid) -> None:
    told: list[str] = []
    train(grid, config=config(steps=0, minutes=0.1), tell=lambda done, text: told.append(text))
    last = told[-1].split()
    assert int(last[1]) > 20
    assert last[3].startswith(told[0].split()[3])


def test_card_says_where_it_comes_from(grid: Grid, tmp_path: Path) -> None:
    emulator = train(grid, config=SMALL | {"name": "mine"}, output=tmp_path)
    card = load_emulator(tmp_path).card
    assert card == emulator.card
    assert (card.name, card.network, card.grid_hash) == ("mine", "payne-large", grid.hash)
    assert card.architecture == {"abundances": "h", "output": "absorbance", "width": 24, "depth": 2}
    assert card.labels == grid.names
    assert card.resolution == 30_000
    assert emulator.contains(grid.labels).all(), "the corners of the domain are its own"
    assert emulator.error is not None
    again = with_error_model(emulator, grid).error
    assert again is not None
    np.testing.assert_allclose(emulator.error.sigma, again.sigma, rtol=1e-5)
    settings = read_config(tmp_path / "config.toml")
    assert settings == read_config(SMALL | {"name": "mine"})


def test_kernel_network_goes_through_the_same_door(tmp_path: Path) -> None:
    emulator = bayne.train(
        write_toy_grid(tmp_path / "a.h5", rows=30), "kernel-payne", config={"kernel": {"rank": 10}}, output=tmp_path
    )
    assert emulator.card.network == "kernel-payne"
    assert load_emulator(tmp_path).card == emulator.card
    assert read_config(tmp_path / "config.toml").kernel == {"rank": 10}


def test_kernel_network_can_be_limited_to_the_first_training_rows(grid: Grid) -> None:
    beyond = np.arange(len(grid.flux)) > np.flatnonzero(grid.train)[9]
    other = replace(grid, flux=np.where(beyond[:, None], 1.0, grid.flux).astype(np.float32))
    few = {"kernel": {"rank": 5, "steps": 5, "spectra": 10}}
    one, two = (train(g, "kernel-payne", config=few).evaluate(grid.labels[:3]) for g in (grid, other))
    np.testing.assert_array_equal(one, two)


def test_loss_that_explodes_stops_the_run(grid: Grid) -> None:
    with pytest.raises(BayneError, match=r"loss became .* between steps 0 and 10.*learning_rate below 1e\+30"):
        train(grid, config=config(learning_rate=1e30))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flux": None}, "lacks the dataset 'flux'"),
        ({"names": None}, "attribute 'names' of 'labels' is missing"),
        ({"rows": 9}, "of the 9 spectra of the grid 1 are test rows"),
        ({"rows": 11}, "of the 11 spectra of the grid 1 are validation rows"),
        ({"wavelength": np.full(PIXELS, np.nan)}, "finite and increase"),
        ({"wavelength": np.linspace(6000, 5000, PIXELS)}, "finite and increase"),
        ({"wavelength": np.linspace(5000, 6000, 9)}, r"'wavelength' has shape \(9,\), expected"),
        ({"labels": np.zeros((9, 5))}, r"'labels' has shape \(9, 5\), expected"),
        ({"labels": np.zeros(9)}, r"'labels' has shape \(9,\), expected"),
        ({"flux": np.zeros(9)}, "not \\(spectra, pixels\\)"),
        ({"units": ("K",)}, "5 names of labels, but 1 units"),
        ({"resolution": "high"}, "'resolution' is 'high', not a number"),
        ({"segment": np.zeros(PIXELS, int)}, "windows of 'segment' are not those of the wavelengths"),
    ],
)
def test_grids_that_are_not_fit(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(BayneError, match=words):
        train(write_grid(tmp_path / "grid.h5", **changes), "payne")


def test_values_that_cannot_be_learned(grid: Grid, tmp_path: Path) -> None:
    labels = grid.labels.copy()
    path = write_toy_grid(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["flux"][7, 3] = np.nan
    with pytest.raises(BayneError, match="flux of 1 rows are not finite, the first is row 7"):
        train(path, "payne")
    labels[grid.train, 1] = 4.0
    with pytest.raises(BayneError, match=r"'logg' is the same in all 48 training spectra"):
        train(replace(grid, labels=labels), "payne")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"network": "pane"}, "Did you mean 'payne'"),
        ({"network": "pixel-payne"}, "not trained here"),
        ({"network": "payne", "config": {"architecture": {"widht": 3}}}, "no setting 'widht'"),
        ({"network": "payne", "config": {"architecture": {"hidden": [300]}}}, "give two widths"),
        ({"network": "payne", "config": {"architecture": {"hidden": [300, 0]}}}, "h2 = 0; give a positive whole"),
        ({"network": "species", "config": {"architecture": {"abundances": "fe"}}}, "give 'h'"),
        ({"network": "convolutional", "config": {"training": {"pixels": 8}}}, "network learns at all pixels"),
        ({"network": "payne", "config": {"training": {"minutes": 1e-4}}}, "leave no time to train"),
        ({"network": "payne", "config": {"stage": [{"grid": "a.h5"}]}}, "leave the grid out"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], words: str, grid: Grid) -> None:
    with pytest.raises(BayneError, match=words):
        train(grid, **arguments)


def test_resuming_does_not_replace_what_is_finished(grid: Grid, tmp_path: Path) -> None:
    train(grid, config=config(steps=2), output=tmp_path)
    with pytest.raises(BayneError, match="finished emulator of another configuration or grid"):
        train(grid, config=config(steps=3), output=tmp_path, resume=True)


def test_no_grid_at_all() -> None:
    with pytest.raises(BayneError, match="name the grid"):
        train(network="payne")


def test_recipe_trains_and_fine_tunes(tmp_path: Path) -> None:
    write_toy_grid(tmp_path / "a.h5", strength=0.8)
    write_toy_grid(tmp_path / "b.h5", upper=UPPER + np.array([200.0, 0, 0, 0]))
    recipe = config() | {"stage": [{"grid": str(tmp_path / "a.h5")}, {"grid": str(tmp_path / "b.h5"), "spectra": 12}]}
    emulator = train(config=recipe, output=tmp_path / "out")
    first = load_emulator(tmp_path / "out" / "stage1")
    by_hand = bayne.finetune(first, tmp_path / "b.h5", config=config(spectra=12))
    assert_same(emulator, by_hand)
    assert emulator.upper[0] > 6600 > first.upper[0]
    np.testing.assert_array_equal(emulator.params["x_max"], first.params["x_max"])
    # an interrupted recipe does not repeat what is finished
    with pytest.raises(Stopped):
        train(config=recipe, output=tmp_path / "other", tell=stop_in_second)
    assert_same(emulator, train(config=recipe, output=tmp_path / "other", resume=True, tell=only_second))


def stop_in_second(done: float, text: str) -> None:
    if text.startswith("stage 2: step 20 "):
        raise Stopped


def only_second(done: float, text: str) -> None:
    assert text.startswith("stage 2: step ")
    assert 0.5 < done <= 1


def test_held_out_rows_unlike_the_others_are_said(grid, caplog):
    train(grid, config=SMALL)
    assert "not spread" not in caplog.text
    order = np.argsort(grid.labels[:, 1]).reshape(10, -1).T.ravel()  # every tenth row is a giant
    train(replace(grid, labels=grid.labels[order], flux=grid.flux[order]), config=SMALL)
    assert "logg of the test rows" in caplog.text
    assert "not distributed like the others" in caplog.text

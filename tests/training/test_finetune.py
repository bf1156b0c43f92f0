"""Fine-tuning keeps what it should, and needs fewer spectra."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bayne
from bayne import BayneError
from bayne.emulators import Emulator
from bayne.training import Grid, finetune, train
from toy import UPPER, toy_emulator
from toy_grid import toy_grid

ARCHITECTURE = {"width": 24, "depth": 2}


def settings(**changes: object) -> dict[str, Any]:
    return {"training": {"steps": 200, "batch": 16, "checks": 10, "learning_rate": 0.01} | changes}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """The better physics."""
    return toy_grid(tmp_path_factory.mktemp("grid"), rows=80)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """Trained on many spectra of another physics, in part of the domain."""
    other = toy_grid(tmp_path_factory.mktemp("base"), rows=200, strength=0.9, upper=UPPER - [300, 0, 0, 0])
    return train(other, "payne-large", config=settings(steps=600) | {"architecture": ARCHITECTURE})


def test_few_spectra_go_further_than_from_scratch(base: Emulator, grid: Grid) -> None:
    few = settings(spectra=12)
    tuned = finetune(base, grid, config=few).card.held_out_error["mae"]
    scratch = train(grid, "payne-large", config=few | {"architecture": ARCHITECTURE}).card.held_out_error["mae"]
    untouched = finetune(base, grid, config=settings(steps=1, learning_rate=1e-9)).card.held_out_error["mae"]
    assert tuned < 0.7 * scratch
    assert tuned < 0.7 * untouched


def test_frozen_trunk_stays_bitwise(base: Emulator, grid: Grid) -> None:
    tuned = finetune(base, grid, config=settings(freeze="trunk", steps=20))
    for name, value in base.params.items():
        same = np.array_equal(tuned.params[name], np.asarray(value))
        assert same != name.startswith(("w_out", "b_out")), name
    free = finetune(base, grid, config=settings(steps=20))
    assert not np.array_equal(free.params["w_0"], np.asarray(base.params["w_0"]))


def test_scalings_stay_and_the_domain_moves(base: Emulator, grid: Grid, tmp_path: Path) -> None:
    bayne.finetune(base, grid, config=settings(steps=5) | {"name": "new"}, output=tmp_path)
    tuned = bayne.load_emulator(tmp_path)
    for name in ("x_min", "x_max", "mean"):
        np.testing.assert_array_equal(tuned.params[name], np.asarray(base.params[name]))
    assert tuned.upper[0] == pytest.approx(grid.labels[:, 0].max())
    assert tuned.upper[0] > base.upper[0] + 200
    assert (tuned.card.name, tuned.card.grid_hash) == ("new", grid.hash)
    again = finetune(tmp_path, grid, config=settings(steps=5))
    assert again.card.labels == base.card.labels


def test_what_is_left_out_of_fits_stays_so(base: Emulator, grid: Grid) -> None:
    old = replace(base.card, excluded=((5005.0, 5006.0),), absorbs=("vsini",), citations=("A paper.",))
    card = finetune(replace(base, card=old), grid, config=settings(steps=2)).card
    assert (card.excluded, card.absorbs) == (old.excluded, old.absorbs)
    assert "A paper." in card.citations


def test_seed_decides(base: Emulator, grid: Grid) -> None:
    one, two, other = (finetune(base, grid, config=settings(steps=10), seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.params["w_0"], two.params["w_0"])
    assert not np.array_equal(one.params["w_0"], other.params["w_0"])


def test_published_payne_can_learn_a_wider_domain(grid: Grid, tmp_path: Path) -> None:
    inside = toy_grid(tmp_path, rows=60, upper=UPPER - [300, 0, 0, 0])
    small = settings(steps=5) | {"architecture": {"hidden": [8, 8]}}
    finetune(train(inside, "payne", config=small), grid, config=settings(steps=5), output=tmp_path / "out")
    assert bayne.load_emulator(tmp_path / "out").upper[0] > 6400


def test_what_does_not_fit_is_refused(base: Emulator, grid: Grid) -> None:
    def refuse(words: str, other: Grid, config: dict[str, Any], emulator: Emulator = base) -> None:
        with pytest.raises(BayneError, match=words):
            finetune(emulator, other, config=config)

    refuse("it lacks mg_fe; the emulator does not know ca_fe", renamed(grid), settings())
    refuse("units are K, dex, dex, dex; the grid's are", replace(grid, units=("K", "cgs", "dex", "dex")), settings())
    refuse("its wavelengths .* are not those", replace(grid, wavelength=grid.wavelength * 1.001), settings())
    refuse(
        "its wavelengths .* are not those",
        replace(grid, wavelength=grid.wavelength[:-1], flux=grid.flux[:, :-1]),
        settings(),
    )
    refuse("for a 'payne' network, not for 'payne-large'", grid, settings() | {"network": "payne"})
    refuse("width is 24, the configuration says 30", grid, settings() | {"architecture": {"width": 30}})
    refuse("give it to 'train'", grid, settings() | {"stage": [{"grid": "a.h5"}]})
    refuse("not trained by gradient descent", grid, settings(), toy_emulator())


def renamed(grid: Grid) -> Grid:
    return replace(grid, names=("teff", "logg", "fe_h", "ca_fe"))

"""Configurations say what they mean, come back from TOML unchanged, and name what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayne import BayneError
from bayne.emulators import NETWORKS
from bayne.training import Training, read_config

RECIPE = """
network = "payne"
seed = 4
[architecture]
hidden = [20, 10]
[training]
steps = 200
loss = "huber"
[[stage]]
grid = "a.h5"
[[stage]]
grid = "sub/b.h5"
spectra = 30
freeze = "trunk"
learning_rate = 1
"""


def test_recipe_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    config = read_config(path)
    assert (config.network, config.seed, config.architecture) == ("payne", 4, {"hidden": [20, 10]})
    first, second = config.stage
    assert (first.grid, second.grid) == (str(tmp_path / "a.h5"), str(tmp_path / "sub" / "b.h5"))
    assert first.training == config.training == Training(steps=200, loss="huber", learning_rate=5e-3)
    assert second.training == Training(steps=200, loss="huber", spectra=30, freeze="trunk", learning_rate=1.0)


def test_round_trip(tmp_path: Path) -> None:
    (tmp_path / "in.toml").write_text(RECIPE)
    config = read_config(tmp_path / "in.toml")
    (tmp_path / "out.toml").write_text(config.to_toml())
    assert read_config(tmp_path / "out.toml") == config
    kernel = {"network": "kernel-payne", "kernel": {"rank": 40, "steps": 7}}
    odd = {"network": "payne", "name": 'a "b" \\ é', "architecture": {"rank": 40, "name 2": [1.5, True]}}
    for config in map(read_config, (kernel, odd)):
        (tmp_path / "again.toml").write_text(config.to_toml(), encoding="utf-8")
        assert read_config(tmp_path / "again.toml") == config


def test_nothing_but_a_network_is_a_configuration() -> None:
    own = NETWORKS["payne"].defaults  # type: ignore[attr-defined]
    assert own["loss"] == "l1", "as published"
    assert read_config(None, "payne").training == Training(**own)
    assert read_config({"training": {"loss": "mse"}}, "payne").training == Training(**own | {"loss": "mse"})
    assert read_config(None, "convolutional").training == Training()
    assert read_config({"network": "payne"}, "payne").network == "payne"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"netwrk": "payne"}, "name the network"),
        ({"network": "pane"}, "Did you mean 'payne'"),
        ({"network": "transformer"}, "for a 'transformer' network, not for 'payne'"),
        ({"trainig": {}}, "unknown key 'trainig'. Did you mean 'training'"),
        ({"training": {"step": 3}}, r"\[training\]: unknown key 'step'. Did you mean 'steps'"),
        ({"training": {"steps": "many"}}, "steps = 'many'; expected a whole number"),
        ({"training": {"steps": 1.5}}, "expected a whole number"),
        ({"training": {"steps": True}}, "expected a whole number"),
        ({"training": {"learning_rate": "low"}}, "expected a number"),
        ({"training": {"learning_rate": 0}}, "give a positive number"),
        ({"training": {"warm_up": 1.0}}, "from 0 to below 1"),
        ({"training": {"minutes": 0}}, "steps, or minutes"),
        ({"training": {"loss": "l2"}}, "Did you mean 'l1'"),
        ({"training": {"optimiser": "adam"}}, "Did you mean 'adamw'"),
        ({"training": {"freeze": "head"}}, "Known: none, trunk"),
        ({"training": 3}, "must be a table"),
        ({"stage": {"grid": "a.h5"}}, "two brackets"),
        ({"kernel": {"rank": 3}}, "the network is 'payne'"),
        ({"network": "kernel-payne", "kernel": {"ranks": 3}}, "unknown key 'ranks'. Did you mean 'rank'"),
        ({"network": "kernel-payne", "kernel": {"rank": "40"}}, "rank = '40'; give a whole number from 1"),
        ({"network": "kernel-payne", "kernel": {"steps": 0}}, "steps = 0; give a whole number from 1"),
        ({"network": "kernel-payne", "training": {"spectra": 10}}, r"its settings go into \[kernel\]"),
        ({"seed": "one"}, "seed = 'one'; expected a whole number"),
        ({"stage": [{"spectra": 3}]}, "stage 1 needs a grid"),
        ({"stage": [3]}, "stage 1 needs a grid"),
        ({"stage": [{"grid": "a.h5", "spectr": 3}]}, "stage 1: unknown key 'spectr'"),
    ],
)
def test_what_is_wrong_is_named(table: dict[str, object], words: str) -> None:
    with pytest.raises(BayneError, match=words):
        read_config(table, None if "netwrk" in table or table.get("network") in ("pane", "kernel-payne") else "payne")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(BayneError, match="no such configuration"):
        read_config(tmp_path / "x.toml")
    with pytest.raises(BayneError, match="not TOML"):
        read_config(tmp_path)
    (tmp_path / "x.toml").write_text("steps = = 3")
    with pytest.raises(BayneError, match="not TOML"):
        read_config(tmp_path / "x.toml")

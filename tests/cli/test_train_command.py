"""``bayne train`` and ``bayne finetune``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import bayne
from toy_grid import write_toy_grid

Run = Callable[..., Result]

CONFIG = """
network = "payne-large"
[architecture]
width = 16
depth = 1
[training]
steps = 20
batch = 16
checks = 2
"""


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    return write_toy_grid(tmp_path / "grid.h5", rows=30)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def test_train_then_finetune(run: Run, grid: Path, config: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    result = run("train", grid, "--network", "payne-large", "--config", config, "--output", first, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert result.stderr == "", "no terminal, no progress"
    assert result.stdout.splitlines()[-1] == str(first)
    shown = bayne.load_emulator(first).card.held_out_error["mae"]
    assert f"{shown:.5f}" in result.stdout
    assert "seed = 3" in (first / "config.toml").read_text()

    refused = run("train", grid, "--config", config, "--output", first)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    again = run("train", grid, "--config", config, "--output", first, "--overwrite")
    assert again.exit_code == 0, again.output
    assert "seed = 0" in (first / "config.toml").read_text()
    assert run("train", grid, "--config", config, "--output", first, "--resume").exit_code == 0

    tuned = run("finetune", first, grid, "--config", config, "--output", tmp_path / "second")
    assert tuned.exit_code == 0, tuned.output
    assert bayne.load_emulator(tmp_path / "second").card.network == "payne-large"


def test_recipe(run: Run, grid: Path, config: Path, tmp_path: Path) -> None:
    config.write_text(CONFIG + '[[stage]]\ngrid = "grid.h5"\n[[stage]]\ngrid = "grid.h5"\nfreeze = "trunk"\n')
    result = run("train", "--config", config, "--output", tmp_path / "out", "--log-level", "info")
    assert result.exit_code == 0, result.output
    assert "stage 2: step 20 of 20" in " ".join(result.stderr.split())
    assert (tmp_path / "out" / "stage1" / "card.json").exists()


def test_what_is_wrong_is_one_line(run: Run, grid: Path, config: Path, tmp_path: Path) -> None:
    for words, said in (
        (("train", grid, "--output", tmp_path / "x"), "name the network"),
        (("train", grid, "-n", "pane", "-o", tmp_path / "x"), "Did you mean 'payne'"),
        (("train", tmp_path / "no.h5", "-n", "payne", "-o", tmp_path / "x"), "no such grid"),
        (("train", grid, "-c", tmp_path / "no.toml", "-o", tmp_path / "x"), "no such configuration"),
        (("finetune", "galax", grid, "-o", tmp_path / "x"), "no such emulator"),
    ):
        result = run(*words)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        assert said in result.stderr
    assert not (tmp_path / "x").exists()
    assert run("train", grid, "-n", "payne").exit_code == 2

"""Checkpoints come back bit for bit, and only to the run that wrote them."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from bayne import ReadError
from bayne.emulators.payne import Payne
from bayne.training.checkpoint import load_checkpoint, save_checkpoint
from bayne.training.config import Training
from bayne.training.optimisers import optimiser

IDENTITY = {"network": "payne", "batch": 64, "start": "0123"}


def state(size: int = 3) -> dict[str, object]:
    weights = {"w_array_0": jnp.linspace(0, 1, 4 * size).reshape(4, size), "b_array_0": jnp.ones(size)}
    rule = optimiser(Training(optimiser="muon"), Payne())
    _, moments = rule.update(weights, rule.init(weights), weights)
    return {"weights": weights, "optimiser": moments}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "run.safetensors", state(), IDENTITY, {"step": 20, "best": float("inf")})
    return tmp_path / "run.safetensors"


def test_round_trip(path: Path) -> None:
    again, notes = load_checkpoint(path, jax.tree.map(jnp.zeros_like, state()), IDENTITY)
    jax.tree.map(np.testing.assert_array_equal, again, state())
    assert notes == {"step": 20, "best": float("inf")}
    assert [p.name for p in path.parent.iterdir()] == [path.name], "nothing is left beside it"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": "payne-large"}, "its network is 'payne', now it is 'payne-large'"),
        ({"batch": 32}, "its batch is 64, now it is 32"),
        ({"start": "0456"}, "its start is '0123'"),
    ],
)
def test_another_run_is_refused(path: Path, change: dict[str, object], words: str) -> None:
    with pytest.raises(ReadError, match=words):
        load_checkpoint(path, state(), IDENTITY | change)


def test_another_architecture_is_refused(path: Path) -> None:
    with pytest.raises(ReadError, match=r"another architecture.*array"):
        load_checkpoint(path, state(size=5), IDENTITY)


def test_files_that_are_none(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ReadError, match="not a readable checkpoint"):
        load_checkpoint(path, state(), IDENTITY)
    save_file({"a": np.ones(3)}, path)
    with pytest.raises(ReadError, match="not a checkpoint of this version"):
        load_checkpoint(path, state(), IDENTITY)

"""Checkpoints: the whole state of a training run, from which it goes on bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..errors import ReadError
from ..files import replacing

#: Raised when the content of the file changes.
FORMAT = 1


def save_checkpoint(path: Path, state: Any, identity: dict[str, Any], notes: dict[str, Any]) -> None:
    """Write a state (any tree of arrays) by rename.

    Parameters
    ----------
    path
        File (safetensors).
    state
        Tree of arrays.
    identity
        What must be the same for a run to go on from here, by name.
    notes
        Further numbers that the run needs.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    arrays = {jax.tree_util.keystr(where): np.asarray(value, order="C") for where, value in leaves}
    told = json.dumps({"format": FORMAT, "identity": identity, "notes": notes})
    with replacing(path) as part:
        part.write_bytes(save(arrays, metadata={"bayne": told}))


def load_checkpoint(path: Path, like: Any, identity: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """State in the form of `like`, and the notes.

    Raises
    ------
    ReadError
        The file is damaged, of another format, or of a run with another identity; what differs is named.
    """
    try:
        with safe_open(path, "numpy") as file:
            told = json.loads((file.metadata() or {}).get("bayne", "null"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ReadError(f"{path}: not a readable checkpoint ({error})") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise ReadError(f"{path}: not a checkpoint of this version of Bayne; start anew without resume")
    for name, value in identity.items():
        found = told["identity"].get(name)
        if found != value:
            raise ReadError(
                f"{path}: the checkpoint is of another run: its {name} is {_short(found)}, now it is {_short(value)}; "
                "go on with the same, or start anew without resume"
            )
    leaves, tree = jax.tree_util.tree_flatten_with_path(like)
    names = [jax.tree_util.keystr(where) for where, _ in leaves]
    for name, (_, value) in zip(names, leaves, strict=True):
        if name not in arrays or arrays[name].shape != np.shape(value):
            raise ReadError(f"{path}: the checkpoint is of another architecture: array {name} is missing or differs")
    return jax.tree.unflatten(tree, [arrays[name] for name in names]), told["notes"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

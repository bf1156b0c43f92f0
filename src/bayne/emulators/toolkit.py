"""Bundles of the astro-emulators-toolkit (0.1) that hold a TransformerPayne."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..spectrum import FloatArray
from .card import Card
from .intensities import TransformerPayneIntensities
from .patch import PatchTransformerPayne
from .payne import check_scaling
from .published import Released, trunk_arrays

#: Where the toolkit keeps the weight and the bias of each array of the trunk; {} is the layer.
_ROOT = "params/params/core_model"
_PLACES = {
    "tokens/first": (f"{_ROOT}/param_embedding/w0", f"{_ROOT}/param_embedding/b0"),
    "tokens/second": (f"{_ROOT}/param_embedding/w1", f"{_ROOT}/param_embedding/b1"),
    **{f"attention_{{}}/{k}": tuple(f"{_ROOT}/attn_layers/{{}}/{kind}{k}" for kind in "wb") for k in "qkvo"},
    "feed_forward_{}/first": tuple(f"{_ROOT}/ff_layers/{{}}/in_proj/{kind}" for kind in "wb"),
    "feed_forward_{}/second": tuple(f"{_ROOT}/ff_layers/{{}}/out_proj/{kind}" for kind in "wb"),
    "head/first": tuple(f"{_ROOT}/head/proj0/{kind}" for kind in "wb"),
    "head/second": tuple(f"{_ROOT}/head/proj1/{kind}" for kind in "wb"),
}

#: Outputs of a network of intensities.
_INTENSITIES = ["normalized_intensity", "log10_continuum_minmax"]


def read_bundle(
    path: Path, card: Card, weights: Mapping[str, np.ndarray], wavelength: FloatArray
) -> tuple[Card, dict[str, np.ndarray]]:
    """Card and arrays of a bundle's network, for wavelengths (Å) in the medium it was trained in.

    A network of one output is a patch network of single pixels whose queries are the codes of the wavelengths; its
    output is taken as normalised flux. One of two outputs is a network of intensities. The bundle's inputs are
    the card's labels in order, followed by mu for intensities; the scalings it records are applied.

    Raises
    ------
    ReadError
        The bundle is damaged, holds another network, or does not say how its inputs are scaled.
    """
    source = str(path)
    try:
        metadata = json.loads((path / "metadata.json").read_text(encoding="utf-8"))
        model, spec = metadata["resolved"]["model"], metadata["spec"]
        roles = metadata["runtime_contract"]["role_paths"]
        name, settings = model["name"], model["params"]
        if name != "transformer_payne":
            raise ReadError(f"{source}: holds a network {name!r}; only 'transformer_payne' bundles can be read")
        inputs, positions, outputs = (roles[key] for key in ("parameter_leaf", "wavelength_leaf", "output_leaf"))
        channels = settings["channels"]
        names = _leaf(spec["outputs"].get("channel_names_tree"), outputs)
    except FileNotFoundError:
        raise ReadError(f"{path / 'metadata.json'}: no such file; a toolkit bundle has one") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(f"{source}: metadata.json is not that of a TransformerPayne bundle ({error!r})") from None
    if channels != 1 and not (channels == 2 and names == _INTENSITIES):
        raise ReadError(
            f"{source}: a network of {channels} outputs {names or ''}; one flux or {_INTENSITIES} can be read"
        )
    kind = PatchTransformerPayne.name if channels == 1 else TransformerPayneIntensities.name
    if card.network != kind:
        raise ReadError(f"{source}: the bundle holds a network {kind!r}, the card says {card.network!r}")

    labels = card.labels if channels == 1 else (*card.labels, "mu")
    scaling = _range(spec, "reference_scaling_inputs", inputs, len(labels), source)
    if scaling is None:
        raise ReadError(f"{source}: the bundle does not say how its inputs are scaled (reference_scaling_inputs)")
    released = Released.of(settings, source)
    arrays = trunk_arrays(weights, _PLACES, released, released.scale(-1.0), source)
    arrays["x_min"], arrays["x_max"] = scaling
    arrays["queries"] = released.queries(_positions(spec, positions, wavelength, source))
    low, high = _range(spec, "reference_scaling_outputs", outputs, channels, source) or (0.0, 1.0)
    arrays["head/second/kernel"] = arrays["head/second/kernel"] * (high - low)
    arrays["head/second/bias"] = arrays["head/second/bias"] * (high - low) + low
    architecture: dict[str, Any] = {
        "width": released.dim,
        "layers": released.no_layers,
        "tokens": released.no_tokens,
    }
    if channels == 1:
        domain = _range(spec, "input_domain", inputs, len(labels), source) or scaling
        check_scaling(dict(zip(("x_min", "x_max"), domain, strict=True)), labels, card.lower, card.upper, source)
        arrays["mean"] = np.zeros(wavelength.size)
        architecture |= {"patch": 1, "biases": True, "abundances": "fe", "output": "flux"}
    else:
        arrays["solar"] = np.zeros(len(card.labels))
        architecture |= {"parameters": list(card.labels)}
    return replace(card, architecture=architecture), arrays


def _positions(spec: Mapping[str, Any], role: str, wavelength: FloatArray, source: str) -> FloatArray:
    """What the network calls wavelength: log10 λ, or λ (Å) where the ranges in the bundle say so, scaled."""
    scaling = _range(spec, "reference_scaling_inputs", role, 1, source)
    low, high = scaling or (0.0, 1.0)
    _, last = _range(spec, "input_domain", role, 1, source) or (low, high)
    x = wavelength if np.max(last) > 100 else np.log10(wavelength)
    return (x - low) / (high - low)


def _range(
    spec: Mapping[str, Any], block: str, role: str, size: int, source: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """(size,) lower and upper ends that a block of the bundle gives for one input or output; None without it."""
    table = spec.get(block)
    if table is None:
        return None
    try:
        ends = [np.asarray(_leaf(table[key], role), dtype=np.float64).ravel() for key in ("min_tree", "max_tree")]
        low, high = (np.broadcast_to(end, (size,)) for end in ends)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ReadError(f"{source}: {block} must give {role!r} numbers, one or {size}") from None
    return low, high


def _leaf(tree: Any, role: str) -> Any:
    """Value at a path such as ``inputs/parameters``, of which the tree holds what follows the first name."""
    for part in role.split("/")[1:] if tree is not None else ():
        tree = tree[part]
    return tree

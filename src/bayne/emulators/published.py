"""TransformerPayne as the ``transformer_payne`` package publishes it, and the arrays of its trunk in Bayne's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..spectrum import FloatArray
from .card import Card
from .intensities import TransformerPayneIntensities
from .pickles import read_joblib
from .transformer import EXPANSION, HEAD, check_sizes, sinusoids

_KEYS = (
    "emulator_weights architecture architecture_parameters spectral_parameters min_spectral_parameters "
    "max_spectral_parameters solar_parameters abundance_parameters tag"
)

#: Where the package keeps the weight and the bias of each array of the trunk; {} is the layer.
_PLACES = {
    "tokens/first": ("ParametersEmbedding_0/we0", "ParametersEmbedding_0/be0"),
    "tokens/second": ("ParametersEmbedding_0/we1", "ParametersEmbedding_0/be1"),
    "attention_{}/q": ("MHA_{}/w_q", "MHA_{}/b_q"),
    "attention_{}/k": ("MHA_{}/w_k", "MHA_{}/b_k"),
    "attention_{}/v": ("MHA_{}/w_v", "MHA_{}/b_v"),
    "attention_{}/o": ("MHA_{}/w_o", "MHA_{}/b_o"),
    "feed_forward_{}/first": ("FeedForward_{}/wfi", "FeedForward_{}/bfi"),
    "feed_forward_{}/second": ("FeedForward_{}/wfo", "FeedForward_{}/bfo"),
    "head/first": ("PredictionHead_0/wp0", "PredictionHead_0/bp0"),
    "head/second": ("PredictionHead_0/wp1", "PredictionHead_0/bp1"),
}


@dataclass(frozen=True)
class Released:
    """Settings of the released architecture, under the names and with the defaults of the package."""

    dim: int = 256
    no_layers: int = 16
    no_tokens: int = 16
    dim_head: int = HEAD
    dim_ff_multiplier: int = EXPANSION
    min_period: float = 1e-6
    max_period: float = 10.0
    activation: str = "gelu"
    output_activation: str = "linear"
    alpha_emb: float = 1.0
    alpha_att: float = 1.0
    reference_depth: float | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any], source: str) -> Released:
        """From settings by name; where one is missing, the packages' default.

        Raises
        ------
        ReadError
            A setting is of another kind than its default, or the trunk has no counterpart of it.
        """
        values = {field.name: settings.get(field.name, field.default) for field in fields(cls)}
        for field in fields(cls):
            value = values[field.name]
            kind = type(field.default) if isinstance(field.default, int | str) else int | float
            if not (isinstance(value, kind) or value is field.default):
                raise ReadError(f"{source}: setting {field.name} is a {type(value).__name__}")
        found = cls(**values)
        check_sizes(source, found.dim, no_layers=found.no_layers, no_tokens=found.no_tokens)
        for what, value, wanted in (
            ("activation", found.activation, "gelu"),
            ("output_activation", found.output_activation, "linear"),
            ("dim_head", found.dim_head, HEAD),
        ):
            if value != wanted:
                raise ReadError(f"{source}: {what} is {value!r}; only {wanted!r} can be read")
        if not 1 <= found.dim_ff_multiplier <= EXPANSION:
            raise ReadError(f"{source}: dim_ff_multiplier is {found.dim_ff_multiplier}; up to {EXPANSION} can be read")
        if not 0 < found.min_period <= found.max_period or (found.reference_depth or 1) <= 0:
            raise ReadError(f"{source}: the periods and reference_depth must be positive")
        return found

    def scale(self, exponent: float) -> float:
        """Factor of what each block adds: (L / reference_depth)^exponent."""
        return 1.0 if self.reference_depth is None else (self.no_layers / self.reference_depth) ** exponent

    def queries(self, x: FloatArray) -> np.ndarray:
        """(p, D) codes of positions."""
        return sinusoids(x, self.dim, (self.min_period, self.max_period))


def trunk_arrays(
    found: Mapping[str, np.ndarray],
    places: Mapping[str, tuple[str, ...]],
    released: Released,
    residual: float,
    source: str,
) -> dict[str, np.ndarray]:
    """Arrays of a trunk with biases from those of a released network.

    Biases that it lacks are zero, and hidden units that it has fewer of are filled up with zeros. The factors
    alpha_emb, alpha_att and of the residuals are multiplied into the weights: the network has none.

    Raises
    ------
    ReadError
        An array is missing, or does not have the dimensions that the settings say.
    """
    factors = {
        "tokens/second": released.alpha_emb,
        "attention_{}/k": released.alpha_att,
        "attention_{}/o": residual,
        "feed_forward_{}/second": residual,
    }
    arrays: dict[str, np.ndarray] = {}
    for ours, (kernel, bias) in places.items():
        for i in range(released.no_layers) if "{}" in ours else (0,):
            if kernel.format(i) not in found:
                raise ReadError(f"{source}: array {kernel.format(i)!r} is missing")
            w = np.asarray(found[kernel.format(i)], dtype=np.float64)
            if w.ndim < 2 or released.dim not in (w.shape[0], w.shape[-1]):
                raise ReadError(
                    f"{source}: array {kernel.format(i)!r} has shape {w.shape} in a network of dim {released.dim}"
                )
            # heads are an axis of their own in the files: (D, h, 32), and (h, 32, D) for the output
            w = w.reshape(-1, w.shape[-1]) if ours.endswith("o") else w.reshape(w.shape[0], -1)
            b = np.asarray(found.get(bias.format(i), np.zeros(w.shape[1])), dtype=np.float64).reshape(-1)
            if ours == "feed_forward_{}/first":
                lacking = max(0, EXPANSION * released.dim - w.shape[1])
                w, b = np.pad(w, ((0, 0), (0, lacking))), np.pad(b, (0, lacking))
            elif ours == "feed_forward_{}/second":
                w = np.pad(w, ((0, max(0, EXPANSION * released.dim - w.shape[0])), (0, 0)))
            dense = ours.endswith(("first", "second"))
            arrays[f"{ours}/kernel".format(i) if dense else ours.format(i)] = factors.get(ours, 1.0) * w
            arrays[f"{ours}/bias".format(i) if dense else f"{ours}_bias".format(i)] = factors.get(ours, 1.0) * b
    return arrays


def read_published(path: Path, card: Card, wavelength: FloatArray) -> tuple[Card, dict[str, np.ndarray]]:
    """Card and arrays of a network of intensities from a file of the ``transformer_payne`` package (0.10).

    Raises
    ------
    ReadError
        The file is not one, is of the first version, or its settings cannot be met.
    """
    source = str(path)
    if card.network != TransformerPayneIntensities.name or card.medium != "vacuum":
        raise ReadError(
            f"{source}: a published TransformerPayne is a network {TransformerPayneIntensities.name!r} of vacuum "
            f"wavelengths; the card says {card.network!r}, {card.medium!r}"
        )
    table = read_joblib(path)
    missing = [key for key in _KEYS.split() if not isinstance(table, dict) or key not in table]
    if missing:
        raise ReadError(f"{source}: not a file of the transformer_payne package: lacks {', '.join(missing)}")
    if not (isinstance(table["architecture"], str) and table["architecture"] == "TransformerPayneIntensities"):
        raise ReadError(f"{source}: its architecture is not 'TransformerPayneIntensities'")
    given, weights = table["architecture_parameters"], table["emulator_weights"]
    if not isinstance(given, dict) or not isinstance(weights, dict):
        raise ReadError(f"{source}: its settings and weights must be dictionaries")
    if "attention_emulator" in weights or "no_layer" in given:
        raise ReadError(
            f"{source}: a first version of TransformerPayneIntensities, of another architecture; only the second "
            "(TransformerPayneIntensities_v2, package 0.10) can be read"
        )
    released = Released.of({key.removesuffix("_fn"): value for key, value in given.items()}, source)
    names = table["spectral_parameters"]
    if not isinstance(names, list | tuple | np.ndarray) or not all(isinstance(name, str) for name in names):
        raise ReadError(f"{source}: spectral_parameters must be names")
    tree = weights.get("transformer_payne")
    found = {
        f"{module}/{name}": value
        for module, leaves in (tree if isinstance(tree, dict) else {}).items()
        for name, value in (leaves if isinstance(leaves, dict) else {}).items()
        if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "fiu"
    }
    arrays = trunk_arrays(found, _PLACES, released, released.scale(-0.5), source)
    for ours, key in (
        ("x_min", "min_spectral_parameters"),
        ("x_max", "max_spectral_parameters"),
        ("solar", "solar_parameters"),
    ):
        values = table[key]
        numbers = isinstance(values, np.ndarray) and values.dtype.kind in "fiu"
        if not numbers and not (isinstance(values, list | tuple) and all(isinstance(v, int | float) for v in values)):
            raise ReadError(f"{source}: {key} must be numbers")
        arrays[ours] = np.asarray(values, dtype=np.float64)
        if arrays[ours].shape != (len(names),):
            raise ReadError(f"{source}: {key} has shape {arrays[ours].shape}, expected ({len(names)},)")
    # the last of the parameters is mu
    arrays["solar"] = arrays["solar"][:-1]
    arrays["queries"] = released.queries(np.log10(wavelength))
    architecture = {
        "width": released.dim,
        "layers": released.no_layers,
        "tokens": released.no_tokens,
        "parameters": [str(name) for name in names[:-1]],
    }
    return replace(card, architecture=architecture), arrays

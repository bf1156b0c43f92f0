"""Corrections of the opacity behind an emulator: strengths of lines, and opacity that its line list lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import BayneError
from ..spectrum import FloatArray
from .emulator import Emulator
from .species import LIMIT, UNKNOWN, SpeciesPayne, atmosphere

#: Labels that corrections may depend on: where they are stated, and the unit of their slopes.
CORRECTED_BY = {"fe_h": (0.0, 1.0), "teff": (5772.0, 1000.0), "logg": (4.44, 1.0)}


@dataclass(frozen=True)
class Corrections:
    """Corrections on an emulator's pixels.

    Parameters
    ----------
    strength
        (p,) change of the ln of depth over flux of the species in `absorber`: for weak lines that of gf.
    absorber
        (p,) position of the species that dominates each pixel.
    missing
        (p,) depth over flux that the line list lacks, for a star like the Sun.
    growth
        (2,) how its ln grows, per dex of [Fe/H] and per 1000 K of Teff.
    slopes
        (3, p) how `strength`, which is the Sun's, changes with the labels of `CORRECTED_BY`; (0, p) where it does not.
    """

    strength: FloatArray
    absorber: np.ndarray
    missing: FloatArray
    growth: FloatArray
    slopes: FloatArray


def corrected(emulator: Emulator, corrections: Corrections) -> Emulator:
    """The emulator with its lines corrected, and one more species for the missing opacity.

    Raises
    ------
    BayneError
        As `correctable` does.
    """
    network, more = correctable(emulator), len(corrections.slopes)
    arrays = {k: np.asarray(v) for k, v in emulator.params.items() if k not in network.derived}
    unknown, every = len(arrays["level"]), np.arange(emulator.wavelength.size)
    for name in ("slope", "basis", "w_0", "b_0", "w_1", "b_1", "w_2", "b_2", "skip"):
        arrays[name] = np.concatenate([arrays[name], np.zeros_like(arrays[name][:1])])
    for name, axis in (("basis", 1), ("w_2", 2), ("b_2", 2), ("skip", 2)):
        shape = list(arrays[name].shape)
        shape[axis] = more
        arrays[name] = np.concatenate([arrays[name], np.zeros(shape, np.float32)], axis)
    inputs = list(atmosphere(emulator.label_names))
    for k, (label, (zero, unit)) in enumerate(CORRECTED_BY.items()):
        i = emulator.label_names.index(label)
        low, high = float(arrays["x_min"][i]), float(arrays["x_max"][i])
        # the network sees labels from -1 to 1
        start, slope = (0.5 * (low + high) - zero) / unit, 0.5 * (high - low) / unit
        if k < len(corrections.growth):
            arrays["b_2"][unknown, 0, 0] += corrections.growth[k] * start
            arrays["skip"][unknown, inputs.index(i), 0] = corrections.growth[k] * slope
        if more:
            arrays["b_2"][:, 0, network.rank + k] = start
            arrays["skip"][:, inputs.index(i), network.rank + k] = slope
            arrays["basis"][corrections.absorber, network.rank + k, every] = corrections.slopes[k]
    arrays["basis"][unknown, 0] = 1.0
    level = np.log(np.maximum(corrections.missing, 1e-30)) - arrays["mean"]
    arrays["level"] = np.concatenate([arrays["level"], np.maximum(level, -LIMIT)[None].astype(np.float32)])
    arrays["level"][corrections.absorber, every] += corrections.strength.astype(np.float32)
    changes = {"molecules": [*network.molecules, UNKNOWN], "rank": network.rank + more}
    card = replace(
        emulator.card,
        architecture=emulator.card.architecture | changes,
        original=emulator.card.name,
        original_hash=emulator.hash,
    )
    made, params = SpeciesPayne.decode(arrays | {"wavelength": emulator.wavelength}, card)
    return replace(emulator, network=made, params=params, card=card, corrections=corrections)


def corrected_by(emulator: Emulator, labels: FloatArray) -> FloatArray:
    """(3,) what the slopes of corrections multiply for a star of labels (l,); the first two, growths too."""
    return np.array([(labels[emulator.label_names.index(n)] - zero) / unit for n, (zero, unit) in CORRECTED_BY.items()])


def correctable(emulator: Emulator) -> SpeciesPayne:
    """The network of an emulator whose lines can be corrected.

    Raises
    ------
    BayneError
        It does not add up the absorption of species, was corrected already, or lacks a label of `CORRECTED_BY`.
    """
    network, name = emulator.network, emulator.card.name
    if not isinstance(network, SpeciesPayne):
        raise BayneError(f"{name}: a {network.name!r} network has no opacity by species to correct")
    if UNKNOWN in network.molecules:
        raise BayneError(f"{name} was corrected already: correct the emulator that it came from")
    missing = [label for label in CORRECTED_BY if label not in emulator.label_names]
    if missing:
        raise BayneError(f"{name} has no label {', '.join(missing)}, which corrections depend on")
    return network

"""Mock stars that several benchmarks fit."""

from __future__ import annotations

import numpy as np

from bayne.emulators import Emulator
from bayne.information.mock import mock_star
from bayne.labels import over_hydrogen
from bayne.spectrum import Spectrum

#: Signal-to-noise ratios of the first and the last star, and scatter of abundances about solar ratios (dex).
SNR, SCATTER = (20.0, 300.0), 0.15


def stars(emulator: Emulator, arms: list[str] | None, number: int, instrument: str = "hermes") -> list[Spectrum]:
    """Mock observations of stars from all over the domain, through the emulator itself."""
    rng = np.random.default_rng(11)
    ratios = {over for over, _ in over_hydrogen(emulator.label_names).values()}
    lower, upper, made = emulator.lower, emulator.upper, []
    for i, snr in enumerate(np.geomspace(*SNR, number)):
        inside = False
        while not inside:
            labels = rng.uniform(0.95 * lower + 0.05 * upper, 0.05 * lower + 0.95 * upper)
            for k, name in enumerate(emulator.label_names):
                if name in ratios:
                    labels[k] = np.clip(rng.normal(0, SCATTER), lower[k], upper[k])
            inside = bool(emulator.contains(labels))
        rest = emulator.flux(labels)
        made.append(mock_star(emulator, rest, instrument, arms=arms, rv=rng.normal(0, 30), vsini=8.0, snr=snr, seed=i))
    return made

"""A species emulator with known opacities, and the physics of stars whose lines have other strengths."""

from __future__ import annotations

import numpy as np

from bayne.calibration.calibrate import KINDS, OFFSET, Calibration
from bayne.calibration.linear import length_of
from bayne.emulators import Card, Emulator
from bayne.emulators.corrections import Corrections, corrected
from bayne.emulators.species import SpeciesPayne, species
from toy import RESOLUTION, toy_wavelength

LABELS = ("teff", "logg", "fe_h", "mg_fe")
LOWER, UPPER = (4500.0, 3.0, -1.0, -0.4), (6500.0, 5.0, 0.4, 0.4)


def species_emulator(span: float = 35.0) -> Emulator:
    """Lines of iron and magnesium in two windows, which answer to their abundances, to Teff and to log g."""
    rng = np.random.default_rng(3)
    card = Card(
        name="toy-species", network="species", architecture=dict(SpeciesPayne.small) | {"molecules": []},
        labels=LABELS, units=("K", "dex", "dex", "dex"), lower=LOWER, upper=UPPER, medium="vacuum",
        resolution=RESOLUTION,
    )  # fmt: skip
    wavelength = toy_wavelength(span)
    arrays = SpeciesPayne.example(card, wavelength.size, 0) | {"wavelength": wavelength}
    for name in ("w_0", "b_0", "w_1", "b_1", "w_2", "b_2", "skip", "mix_0", "mix_bias", "mix_1", "mean", "basis"):
        arrays[name] = np.zeros_like(arrays[name])
    arrays["skip"][:, 0, 0] = arrays["skip"][:, 1, 1] = 1.0  # Teff and log g, from -1 to 1
    names, odds = list(species(LABELS, ())), np.full(arrays["level"].shape, 1e-6)
    for start in (5000.0, 5100.0):
        for centre in rng.uniform(start + 1, start + span - 1, round(0.8 * span)):
            kind = names.index("mg" if rng.random() < 0.25 else "fe")
            width = 5050 / RESOLUTION / 2.355 * 1.3
            shape = np.exp(rng.uniform(-3.5, 0.3)) * np.exp(-0.5 * ((wavelength - centre) / width) ** 2)
            odds[kind] += shape
            share = shape / odds[kind]
            arrays["basis"][kind, 0] += share * rng.uniform(-1.2, -0.2)
            arrays["basis"][kind, 1] += share * rng.uniform(-0.4, 0.4)
    network, params = SpeciesPayne.decode(arrays | {"level": np.log(odds), "slope": np.ones_like(odds)}, card)
    return Emulator(network, params, wavelength, card)


def plain(emulator: Emulator, strength: np.ndarray, **changes: np.ndarray) -> Corrections:
    """Corrections (p,) of line strengths alone, unless changes say more."""
    zero = np.zeros(strength.size)
    absorber = np.argmax(np.asarray(emulator.params["level"]), axis=0)
    found = {"missing": zero, "growth": np.array([1.8, -1.0]), "slopes": np.zeros((0, zero.size))} | changes
    return Corrections(strength, absorber, **found)


def drawn_strengths(
    calibration: Calibration, rng: np.random.Generator, sigma: float, offset: float = OFFSET
) -> np.ndarray:
    """(q,) ln of line strengths from a prior of standard deviation sigma, and of the offsets of species."""
    nodes, prior = calibration.nodes, calibration.prior
    white = nodes.whitening(np.full(nodes.log_wave.size, sigma), length_of(nodes)).toarray()
    lines = np.linalg.solve(white, rng.normal(size=len(white)))
    member = prior.member.toarray()[::KINDS]
    return lines + member @ (offset * rng.normal(size=member.shape[1]))


def with_strengths(emulator: Emulator, calibration: Calibration, strength: np.ndarray) -> Emulator:
    """The emulator with other line strengths (q,) at the nodes of a calibration."""
    found = plain(emulator, calibration.nodes.hats @ strength)
    return corrected(emulator, found)

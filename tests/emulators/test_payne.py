"""The Payne's networks against the published formulas, written out again in plain numpy."""

from __future__ import annotations

import json
from importlib.resources import files
from math import exp
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from bayne.emulators import NETWORKS, Card, Emulator, load_emulator
from toy import atmosphere_card

CARD = Path(str(files("bayne"))) / "emulators" / "cards" / "binspec_apogee.json"
SUN_LIKE = np.array([5777.0, 4.44, 0.0, 0.0, 6.0])


def scaled(arrays: dict[str, np.ndarray], labels: np.ndarray) -> list[float]:
    low, high = arrays["x_min"], arrays["x_max"]
    return [(float(labels[i]) - float(low[i])) / (float(high[i]) - float(low[i])) - 0.5 for i in range(len(labels))]


def payne_by_hand(arrays: dict[str, np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Ting et al. 2019: two hidden layers with leaky ReLU of slope 0.01, then a linear one."""
    x = scaled(arrays, labels)
    for i in (0, 1):
        w, b = arrays[f"w_array_{i}"], arrays[f"b_array_{i}"]
        z = [sum(float(w[j, k]) * x[k] for k in range(len(x))) + float(b[j]) for j in range(len(b))]
        x = [v if v > 0 else 0.01 * v for v in z]
    w, b = arrays["w_array_2"], arrays["b_array_2"]
    return np.array([sum(float(w[j, k]) * x[k] for k in range(len(x))) + float(b[j]) for j in range(len(b))])


def binspec_by_hand(arrays: dict[str, np.ndarray], labels: np.ndarray, pixels: range) -> np.ndarray:
    """El-Badry et al. 2018: for every pixel, one hidden layer of sigmoids."""
    x = scaled(arrays, labels)
    flux = []
    for p in pixels:
        total = float(arrays["b_array_1"][p])
        for j in range(arrays["w_array_0"].shape[1]):
            z = float(arrays["b_array_0"][p, j])
            for k in range(len(x)):
                z += float(arrays["w_array_0"][p, j, k]) * x[k]
            total += float(arrays["w_array_1"][p, j]) / (1.0 + exp(-z))
        flux.append(total)
    return np.array(flux)


def flux_of(name: str, arrays: dict[str, np.ndarray], card: Card, labels: np.ndarray) -> np.ndarray:
    network, params = NETWORKS[name].decode(arrays, card)
    return np.asarray(network({k: jnp.asarray(v) for k, v in params.items()}, jnp.asarray(labels)))


def test_payne_follows_the_published_formula() -> None:
    card = atmosphere_card("payne")
    arrays = NETWORKS["payne"].example(card, 21, seed=1)
    labels = np.array([4800.0, 2.3, -1.1])
    np.testing.assert_allclose(flux_of("payne", arrays, card, labels), payne_by_hand(arrays, labels), rtol=0, atol=3e-6)


def test_payne_uses_the_leaky_side_of_its_units() -> None:
    """With every hidden unit negative, only the slope of 0.01 carries the labels to the flux."""
    card = atmosphere_card("payne")
    arrays = NETWORKS["payne"].example(card, 21, seed=1)
    arrays["b_array_0"] = np.full_like(arrays["b_array_0"], -20.0)
    labels = np.array([4800.0, 2.3, -1.1])
    flux = flux_of("payne", arrays, card, labels)
    np.testing.assert_allclose(flux, payne_by_hand(arrays, labels), rtol=0, atol=3e-6)
    relu = arrays | {"w_array_0": 0 * arrays["w_array_0"], "b_array_0": 0 * arrays["b_array_0"]}
    assert np.max(np.abs(flux - payne_by_hand(relu, labels))) > 1e-3


def test_pixel_payne_follows_the_published_formula() -> None:
    card = atmosphere_card("pixel-payne")
    arrays = NETWORKS["pixel-payne"].example(card, 21, seed=1)
    labels = np.array([4800.0, 2.3, -1.1])
    expected = binspec_by_hand(arrays, labels, range(21))
    np.testing.assert_allclose(flux_of("pixel-payne", arrays, card, labels), expected, rtol=0, atol=3e-6)


@pytest.fixture(scope="module")
def binspec(shared: Path) -> Emulator:
    return load_emulator(shared / "networks" / "binspec_NN_normalized_spectra.npz", card=CARD)


def test_published_binspec_network_follows_the_formula(binspec: Emulator, shared: Path) -> None:
    with np.load(shared / "networks" / "binspec_NN_normalized_spectra.npz") as file:
        arrays = dict(file)
    flux = binspec.flux(SUN_LIKE)
    assert flux.shape == (7214,)
    for pixels in (range(0, 60), range(3500, 3560), range(7154, 7214)):
        np.testing.assert_allclose(
            flux[pixels.start : pixels.stop], binspec_by_hand(arrays, SUN_LIKE, pixels), rtol=0, atol=3e-6
        )


def test_published_binspec_network_has_the_three_apogee_chips(binspec: Emulator) -> None:
    # Wilson et al. 2019: the detectors cover 1.51-1.58, 1.59-1.64 and 1.65-1.70 µm in vacuum
    (a, b), (c, d), (e, f) = binspec.windows()
    assert 15100 < a < b < 15850 < c < d < 16450 < e < f < 17000


def test_published_binspec_network_resembles_an_apogee_spectrum(binspec: Emulator, shared: Path) -> None:
    """A cool dwarf at rest: alike where the wavelengths meet, less when they are one pixel off."""
    with np.load(shared / "spectra" / "apogee_2M13012770.npz") as file:
        observed, error = file["spectrum"], file["spec_err"]
    good = error < 0.1
    model = binspec.flux([5000.0, 4.6, -0.2, 0.05, 20.0])

    def likeness(flux: np.ndarray) -> float:
        return float(np.corrcoef(flux[good], observed[good])[0, 1])

    assert likeness(model) > 0.97
    assert likeness(np.roll(model, 2)) < 0.95
    assert likeness(np.roll(model, -2)) < 0.95
    assert likeness(binspec.flux([6800.0, 4.1, -0.6, 0.05, 20.0])) < 0.9


def test_card_of_binspec_matches_the_file(shared: Path) -> None:
    table = json.loads(CARD.read_text())
    with np.load(shared / "networks" / "binspec_NN_normalized_spectra.npz") as file:
        low, high = file["x_min"], file["x_max"]
    np.testing.assert_allclose(table["upper"], high, rtol=1e-8)
    np.testing.assert_allclose(table["lower"][:4], low[:4], rtol=1e-8)
    assert low[4] < 0 == table["lower"][4], "a negative macroturbulence was scaled for, but means nothing"


def test_labels_in_another_order_are_refused(shared: Path) -> None:
    table = json.loads(CARD.read_text())
    for key in ("labels", "units", "lower", "upper"):
        table[key][0], table[key][1] = table[key][1], table[key][0]
    with pytest.raises(ValueError, match=r"logg.*4200.*order and units"):
        load_emulator(shared / "networks" / "binspec_NN_normalized_spectra.npz", card=table)

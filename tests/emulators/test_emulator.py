"""What a user meets: the domain, flux at wavelengths of their own, and words when something is wrong."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from bayne import BayneError
from bayne.emulators import NETWORKS, Emulator
from toy import atmosphere_card

HULL = ((4000.0, 1.0, -2.0), (7000.0, 1.0, -2.0), (4000.0, 5.0, -2.0), (4000.0, 1.0, 0.5))


def emulator_with(hull: tuple[tuple[float, float, float], ...] = ()) -> Emulator:
    card = atmosphere_card("payne", name="two windows", hull=hull)
    wavelength = np.concatenate([np.linspace(5000.0, 5010.0, 101), np.linspace(6000.0, 6010.0, 101)])
    network, params = NETWORKS["payne"].decode(NETWORKS["payne"].example(card, 202, seed=2), card)
    # a smooth spectrum: weights of the last layer vary slowly with wavelength
    x = np.linspace(0, 2 * np.pi, 101)
    wave = np.tile(np.stack([np.sin((k + 1) * x) for k in range(8)], axis=1), (2, 1)) * 0.02
    params["w_array_2"], params["b_array_2"] = wave.astype(np.float32), np.full(202, 0.8, np.float32)
    return Emulator(network, {k: jnp.asarray(v) for k, v in params.items()}, wavelength, card)


def test_shapes_follow_the_labels() -> None:
    emulator = emulator_with()
    labels = np.array([5000.0, 4.0, 0.0])
    assert emulator.flux(labels).shape == (202,)
    assert emulator.flux(labels).dtype == np.float32
    many = np.tile(labels, (2, 3, 1))
    assert emulator.flux(many).shape == (2, 3, 202)
    assert emulator.flux(many, [5001.0, 6001.0]).shape == (2, 3, 2)
    np.testing.assert_array_equal(emulator.flux(many)[1, 2], emulator.flux(many)[0, 0])


def test_input_is_not_modified() -> None:
    labels = np.array([5000.0, 4.0, 0.0])
    wavelength = np.array([5001.0, 6001.0])
    emulator_with().flux(labels, wavelength)
    np.testing.assert_array_equal(labels, [5000.0, 4.0, 0.0])
    np.testing.assert_array_equal(wavelength, [5001.0, 6001.0])


def test_flux_between_pixels_follows_the_curve() -> None:
    """Every second pixel left out and asked for: a sine is recovered."""
    emulator = emulator_with()
    labels = [5000.0, 4.0, 0.0]
    full = emulator.flux(labels)
    keep = np.concatenate([np.arange(0, 101, 2), np.arange(101, 202, 2)])
    arrays = {k: np.asarray(v) for k, v in emulator.params.items()}
    arrays |= {k: arrays[k][keep] for k in ("w_array_2", "b_array_2", "mean")}
    network, params = NETWORKS["payne"].decode(arrays, emulator.card)
    coarse = Emulator(network, params, emulator.wavelength[keep], emulator.card)
    np.testing.assert_allclose(coarse.flux(labels, emulator.wavelength), full, rtol=0, atol=2e-4)
    np.testing.assert_array_equal(emulator.flux(labels, emulator.wavelength), full)


def test_nothing_is_interpolated_across_a_gap() -> None:
    with pytest.raises(BayneError, match=r"outside the windows of 'two windows': 5000\.0-5010\.0, 6000\.0-6010\.0"):
        emulator_with().flux([5000.0, 4.0, 0.0], [5005.0, 5500.0])


def test_scalar_wavelength_is_refused() -> None:
    with pytest.raises(BayneError, match="one-dimensional"):
        emulator_with().flux([5000.0, 4.0, 0.0], 5005.0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([8000.0, 4.0, 0.0], r"outside the domain of 'two windows': teff = 8000 \(domain 4000 to 7000\)"),
        ([8000.0, 4.0, -3.0], r"teff = 8000 .*fe_h = -3 \(domain -2 to 0\.5\)"),
        ([float("nan"), 4.0, 0.0], "teff = nan"),
        ([[5000.0, 4.0, 0.0], [5000.0, 9.0, 0.0]], r"logg = 9 \(domain 1 to 5\)"),
        ([5000.0, 4.0], "3 labels teff, logg, fe_h"),
        (5000.0, "3 labels teff, logg, fe_h"),
    ],
)
def test_labels_outside_the_domain_are_named(labels: list[float], message: str) -> None:
    with pytest.raises(BayneError, match=message):
        emulator_with().flux(labels)


def test_domain_is_the_hull_where_the_card_has_one() -> None:
    box, hull = emulator_with(), emulator_with(HULL)
    corner, inside, vertex = [6900.0, 4.9, 0.4], [4500.0, 1.5, -1.5], [4000.0, 1.0, -2.0]
    assert box.contains(corner)
    assert not hull.contains(corner)
    np.testing.assert_array_equal(hull.contains([corner, inside, vertex]), [False, True, True])
    with pytest.raises(BayneError, match="outside the hull"):
        hull.flux(corner)

"""What every registered network must do. A new network is covered as soon as it is registered."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.emulators import NETWORKS, Card, Emulator, ErrorModel, load_emulator, save_emulator

PIXELS = 37
INSIDE = np.array([[5000.0, 3.0, -0.5, 0.1], [6200.0, 4.4, 0.2, -0.1], [4321.0, 1.7, -1.9, 0.4]])

every_network = pytest.mark.parametrize("name", sorted(NETWORKS))


def card_of(name: str) -> Card:
    return Card(
        name="example",
        network=name,
        architecture=dict(NETWORKS[name].small),
        labels=("teff", "logg", "fe_h", "mg_fe"),
        units=("K", "dex", "dex", "dex"),
        lower=(4000.0, 1.0, -2.5, -0.2),
        upper=(7000.0, 5.0, 0.5, 0.6),
        medium="vacuum",
        resolution=30_000.0,
        held_out_error={"mae": 0.0125},
        citations=("Nobody et al.",),
    )


def example(name: str, seed: int = 3, error: bool = False) -> Emulator:
    card = card_of(name)
    arrays = NETWORKS[name].example(card, PIXELS, seed)
    network, params = NETWORKS[name].decode(arrays, card)
    rng = np.random.default_rng(seed)
    sizes = rng.normal(0, 0.01, (2, PIXELS)), rng.uniform(0.001, 0.01, PIXELS), rng.uniform(0, 0.1, len(card.labels))
    model = ErrorModel(*sizes) if error else None
    wavelength = arrays.get("wavelength", np.linspace(5000.0, 5010.0, PIXELS))
    return Emulator(network, params, wavelength, card, model)


@every_network
def test_spectrum_is_finite_float32_and_depends_on_every_label(name: str) -> None:
    emulator = example(name)
    network = jax.jit(emulator.network)  # operation by operation takes ten times as long
    flux = network(emulator.params, jnp.asarray(INSIDE[0], jnp.float32))
    assert flux.shape == (PIXELS,)
    assert flux.dtype == jnp.float32
    assert np.all(np.isfinite(flux))
    for i in range(INSIDE.shape[1]):
        moved = INSIDE[0].copy()
        moved[i] += 0.1 * (emulator.upper[i] - emulator.lower[i])
        other = network(emulator.params, jnp.asarray(moved, jnp.float32))
        assert np.max(np.abs(other - flux)) > 1e-4, emulator.label_names[i]


@every_network
def test_parameters_are_numbers_and_the_network_hashes(name: str) -> None:
    emulator = example(name)
    assert {np.asarray(value).dtype.kind for value in emulator.params.values()} <= {"f", "i"}
    assert hash(emulator.network) == hash(example(name, seed=4).network), "settings only: weights are arguments"
    assert emulator.network == example(name, seed=4).network


@every_network
def test_jit_and_vmap_give_the_same_spectrum(name: str) -> None:
    emulator = example(name)
    labels = jnp.asarray(INSIDE, jnp.float32)
    one_by_one = np.stack([emulator.network(emulator.params, row) for row in labels])
    compiled = jax.jit(emulator.network)(emulator.params, labels[0])
    batched = jax.vmap(partial(emulator.network, emulator.params))(labels)
    np.testing.assert_allclose(compiled, one_by_one[0], rtol=0, atol=2e-6)
    np.testing.assert_allclose(batched, one_by_one, rtol=0, atol=2e-6)
    side_by_side = jax.jit(emulator.network.spectra)(emulator.params, labels)
    np.testing.assert_allclose(side_by_side, one_by_one, rtol=0, atol=2e-6)


@every_network
def test_gradient_agrees_with_differences(name: str) -> None:
    emulator = example(name)
    width = emulator.upper - emulator.lower

    def flux(params: Any, u: jax.Array) -> jax.Array:
        return emulator.network(params, jnp.asarray(emulator.lower) + u * jnp.asarray(width))

    with jax.enable_x64(True):
        u = jnp.asarray((INSIDE[0] - emulator.lower) / width)
        jacobian = np.asarray(jax.jit(jax.jacfwd(flux, argnums=1))(emulator.params, u))
        reverse = np.asarray(jax.jit(jax.jacrev(flux, argnums=1))(emulator.params, u))
        moved = partial(jax.jit(flux), emulator.params)
        step = 1e-3
        for i in range(len(width)):
            difference = (np.asarray(moved(u.at[i].add(step))) - np.asarray(moved(u.at[i].add(-step)))) / (2 * step)
            # float32 output: 1e-7 of rounding over 2e-3 is 1e-4; curvature adds little
            np.testing.assert_allclose(jacobian[:, i], difference, rtol=0.01, atol=2e-3)
    assert jacobian.shape == (PIXELS, len(width))
    np.testing.assert_allclose(reverse, jacobian, rtol=1e-4, atol=1e-5)


@every_network
@pytest.mark.parametrize("free", [0, 1, 4])
def test_jacobian_is_that_of_the_flux(name: str, free: int) -> None:
    """With as many directions as a fit has free labels, none where it measures a velocity alone."""
    emulator = example(name)
    with jax.enable_x64(True):
        labels = jnp.asarray(INSIDE[0])
        directions = jnp.diag(jnp.asarray(emulator.upper - emulator.lower))[::-1][:free]
        flux, derivatives = jax.jit(emulator.network.jacobian)(emulator.params, labels, directions)
        np.testing.assert_allclose(flux, jax.jit(emulator.network)(emulator.params, labels), rtol=0, atol=2e-6)
        exact = directions @ jax.jit(jax.jacfwd(emulator.network, argnums=1))(emulator.params, labels).T
        np.testing.assert_allclose(derivatives, exact, rtol=1e-4, atol=1e-5)
    assert derivatives.shape == (free, PIXELS)


@every_network
def test_same_spectrum_with_64_bit_jax(name: str) -> None:
    emulator = example(name)
    plain = emulator.flux(INSIDE)
    with jax.enable_x64(True):
        assert jax.eval_shape(emulator.network, emulator.params, jnp.asarray(INSIDE[0])).dtype == jnp.float32
        wide = emulator.flux(INSIDE)
    assert wide.dtype == np.float32
    np.testing.assert_allclose(wide, plain, rtol=0, atol=5e-6)


@every_network
@pytest.mark.parametrize("error", [False, True])
def test_saved_and_loaded_emulator_is_bitwise_the_same(name: str, error: bool, tmp_path: Path) -> None:
    emulator = example(name, error=error)
    again = load_emulator(save_emulator(emulator, tmp_path / "network"))
    assert again.card == emulator.card
    np.testing.assert_array_equal(again.wavelength, emulator.wavelength)
    np.testing.assert_array_equal(again.flux(INSIDE), emulator.flux(INSIDE))
    assert (again.error is None) == (not error)
    if again.error is not None and emulator.error is not None:
        for part, value in vars(emulator.error).items():
            np.testing.assert_array_equal(getattr(again.error, part), value)
    assert sorted(p.name for p in (tmp_path / "network").iterdir()) == ["card.json", "weights.safetensors"]


@every_network
def test_a_missing_array_is_named(name: str) -> None:
    card = card_of(name)
    arrays = NETWORKS[name].example(card, PIXELS, 0)
    for key in arrays:
        with pytest.raises(ValueError, match=key):
            NETWORKS[name].decode({k: v for k, v in arrays.items() if k != key}, card)


@every_network
def test_values_that_are_not_finite_are_refused(name: str) -> None:
    card = card_of(name)
    for key, value in NETWORKS[name].example(card, PIXELS, 0).items():
        bad = value.copy()
        bad.flat[0] = np.nan
        with pytest.raises(ValueError, match=f"{key}.*not finite"):
            NETWORKS[name].decode(NETWORKS[name].example(card, PIXELS, 0) | {key: bad}, card)


@every_network
def test_a_network_that_can_be_cut_keeps_its_spectrum_on_the_pixels_left(name: str) -> None:
    emulator = example(name, error=True)
    keep = np.arange(PIXELS) % 37 > 10
    less = emulator.cut(keep)
    if not emulator.network.per_pixel:
        assert less is emulator
        return
    np.testing.assert_array_equal(less.wavelength, emulator.wavelength[keep])
    np.testing.assert_allclose(less.flux(INSIDE), emulator.flux(INSIDE)[:, keep], rtol=0, atol=1e-6)
    assert less.error is not None
    assert less.error.basis.shape == (2, keep.sum())

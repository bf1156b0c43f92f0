"""The patch network: which pixels a query decodes, and that it is the wavelength-wise network where P is 1."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne import ReadError
from bayne.emulators import Card
from bayne.emulators.patch import PatchTransformerPayne
from bayne.emulators.transformer import TransformerPayne
from toy import atmosphere_card


def card(network: str, **architecture: Any) -> Card:
    return atmosphere_card(network, architecture={"width": 32, "layers": 2, "tokens": 3, **architecture})


def test_patches_cover_each_window_once_and_never_cross_a_gap() -> None:
    layout = PatchTransformerPayne(patch=4).layout(np.array([0] * 10 + [1] * 3 + [2] * 4))
    assert layout.tolist() == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, -1, -1],
        [10, 11, 12, -1],
        [13, 14, 15, 16],
    ]


def test_pixels_come_out_in_order_across_windows() -> None:
    """A constant network: the flux is that of the mean spectrum, pixel by pixel."""
    the_card = card("patch-transformer", patch=4, output="flux")
    arrays = PatchTransformerPayne.example(the_card, 13, seed=0)
    steps = np.ones(12)
    steps[6] = 50
    arrays["wavelength"] = 5000 * np.exp(np.concatenate([[0], np.cumsum(steps)]) * 1e-5)
    arrays["queries"] = np.resize(arrays["queries"], (4, 32))
    arrays["head/second/kernel"] = np.zeros((32, 4))
    arrays["mean"] = np.linspace(0.1, 0.9, 13)
    network, params = PatchTransformerPayne.decode(arrays, the_card)
    np.testing.assert_allclose(jax.jit(network)(params, jnp.array([5000.0, 3.0, 0.0])), arrays["mean"], atol=1e-6)


def test_patches_of_one_pixel_with_codes_for_queries_are_the_wavelength_wise_network() -> None:
    arrays = TransformerPayne.example(card("transformer"), 11, seed=3)
    wise, params = TransformerPayne.decode(arrays, card("transformer"))
    patch, other = PatchTransformerPayne.decode(
        arrays | {"queries": params["code"]}, card("patch-transformer", patch=1)
    )
    labels = jnp.array([5300.0, 2.2, -1.0])
    np.testing.assert_allclose(jax.jit(patch)(other, labels), jax.jit(wise)(params, labels), rtol=0, atol=1e-6)


def test_maps_of_the_patches_own_turn_outputs_into_pixels() -> None:
    """With unit matrices nothing changes; with the second patch's reversed, its pixels are."""
    shared, own = card("patch-transformer", patch=4), card("patch-transformer", patch=4, rank=4)
    arrays = PatchTransformerPayne.example(shared, 12, seed=0)
    arrays["queries"] = np.random.default_rng(1).normal(size=(3, 32))
    arrays["head/second/kernel"] = np.random.default_rng(2).normal(size=(32, 4))
    plain, params = PatchTransformerPayne.decode(arrays, shared)
    labels = jnp.array([5300.0, 2.2, -1.0])
    expected = np.asarray(jax.jit(plain)(params, labels))
    for turned, order in ((False, slice(4, 8)), (True, slice(7, 3, -1))):
        decoder = np.stack([np.eye(4)] * 3)
        decoder[1] = decoder[1][::-1] if turned else decoder[1]
        network, params = PatchTransformerPayne.decode(arrays | {"decoder": decoder}, own)
        found = np.asarray(jax.jit(network)(params, labels))
        np.testing.assert_allclose(found, np.concatenate([expected[:4], expected[order], expected[8:]]), atol=1e-6)
    assert np.ptp(expected[4:8]) > 1e-3


def test_attention_is_by_patch() -> None:
    the_card = card("patch-transformer", patch=8)
    arrays = PatchTransformerPayne.example(the_card, 13, seed=0)
    network, params = PatchTransformerPayne.decode(arrays, the_card)
    weights = jax.jit(network.attention)(params, jnp.array([5000.0, 3.0, 0.0]), jnp.arange(2))
    assert weights.shape == (2, 1, 2, 3)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
    assert np.ptp(np.asarray(weights), axis=2).max() > 1e-3, "queries differ"


@pytest.mark.parametrize("patch", [0, -3, 1.5])
def test_wrong_patches_are_refused(patch: float) -> None:
    with pytest.raises(ReadError, match=r"patch = .* give a positive whole number"):
        PatchTransformerPayne.of({"patch": patch}, "card")


@pytest.mark.parametrize("rank", [-1, 2.5])
def test_wrong_ranks_are_refused(rank: float) -> None:
    with pytest.raises(ReadError, match=r"rank = .* give a whole number, 0 for one map for all patches"):
        PatchTransformerPayne.of({"rank": rank}, "card")


def test_queries_for_another_number_of_patches_are_refused() -> None:
    arrays = PatchTransformerPayne.example(card("patch-transformer", patch=8), 13, seed=0)
    longer = {"mean": np.zeros(26), "wavelength": 5000 * np.exp(np.arange(26) * 1e-5)}
    with pytest.raises(ReadError, match=r"'queries' has shape \(2, 32\), expected \(4, 32\)"):
        PatchTransformerPayne.decode(arrays | longer, card("patch-transformer", patch=8))

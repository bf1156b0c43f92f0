"""Maps of labels and tokens find the lines of elements, and a map of another element does not."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np

from bayne.emulators import Emulator
from bayne.emulators.networks import NETWORKS
from bayne.training.attention import LineMap, attention_map, gradient_map, line_tests, lines_of, sun_of
from grids import BARIUM, IRON, LABELS, MAGNESIUM, linear_emulator, profile, slopes, wavelength


def transformer(name: str, **architecture: object) -> Emulator:
    """A random network on the wavelengths of the linear emulator."""
    kind = NETWORKS[name]
    base = linear_emulator(network=name, architecture=dict(kind.small) | architecture)
    network = kind.of(base.card.architecture, name)  # type: ignore[attr-defined]
    blocks, width = network.layout(base.segment).shape
    made = jax.jit(network.initial, static_argnums=(1, 2, 3))(jax.random.key(0), LABELS, blocks, width)
    arrays = {k: np.asarray(v) for k, v in made.items()} | {
        "x_min": np.array(base.card.lower),
        "x_max": np.array(base.card.upper),
        "mean": np.full(base.wavelength.size, -2.0),
        "wavelength": base.wavelength,
    }
    network, params = kind.decode(arrays, base.card)
    return replace(base, network=network, params=params)


def test_the_sun_or_what_is_nearest() -> None:
    assert list(sun_of(linear_emulator())) == [5772.0, 4.44, 0.0, 0.0, 0.0]
    cool = linear_emulator(lower=(4000.0, 0.0, -3.0, 0.2, -1.0), upper=(5000.0, 3.0, -1.0, 0.8, 1.0))
    assert list(sun_of(cool)) == [5000.0, 3.0, -1.0, 0.2, 0.0]


def test_gradients_are_by_element_over_hydrogen() -> None:
    found = gradient_map(linear_emulator())
    assert found.names == ("teff", "logg", "Fe", "Mg", "Ba")
    for element, lines in {"Fe": IRON, "Mg": MAGNESIUM, "Ba": BARIUM}.items():
        own = found.values[found.names.index(element)]
        # 0.3 per dex at its own lines; those of other elements, which follow fe_h at fixed [X/Fe], are gone
        np.testing.assert_allclose(own, 0.3 * profile(lines, wavelength()), atol=1e-6)


def test_every_element_finds_its_lines() -> None:
    emulator = linear_emulator()
    tests = line_tests(gradient_map(emulator), emulator.wavelength, emulator.segment)
    assert {test.element for test in tests} == {"Fe", "Mg", "Ba"}
    for test in tests:
        assert test.passed
        assert test.share > 10 * test.expected
        assert test.control > 0.05
    assert tests == line_tests(gradient_map(emulator), emulator.wavelength, emulator.segment)


def test_shuffled_labels_do_not() -> None:
    shuffled = slopes()
    shuffled[3:] = shuffled[:2:-1]  # Mg answers at the lines of Ba, and Ba at those of Mg
    emulator = linear_emulator(slope=shuffled)
    tests = {t.element: t for t in line_tests(gradient_map(emulator), emulator.wavelength, emulator.segment)}
    for element in ("Mg", "Ba"):
        assert not tests[element].passed
        assert tests[element].p > 0.05


def test_p_values_of_noise_are_uniform() -> None:
    emulator, rng = linear_emulator(), np.random.default_rng(1)
    pixels = emulator.wavelength.size
    p = []
    for seed in range(40):
        smooth = np.stack([np.convolve(rng.standard_normal(pixels), np.ones(5), "same") for _ in range(3)])
        noise = LineMap("gradient", ("Fe", "Mg", "Ba"), smooth, np.arange(pixels))
        p += [test.p for test in line_tests(noise, emulator.wavelength, emulator.segment, seed)]
    # 120 values; the share below 0.3 is at most 0.3 (ties make it smaller), binomial sd 0.042
    assert np.mean(np.array(p) < 0.3) < 0.3 + 3 * 0.042
    assert np.mean(np.array(p) <= 0.01) < 0.01 + 3 * 0.0091 + 1e-9
    assert np.mean(np.array(p) < 0.3) > 0.1


def test_elements_that_cannot_be_tested_are_not() -> None:
    """Pixels so wide that none lies near a line, and a map of one element, which has no other for control."""
    emulator = linear_emulator()
    coarse = LineMap("gradient", ("Fe", "Mg", "Ba"), np.ones((3, 8)), np.arange(8))
    wave = np.array([4725.0, 4727.0, 5708.0, 5709.5, 5850.0, 5853.0, 6494.0, 6496.0])
    assert line_tests(coarse, wave, np.repeat(np.arange(4), 2)) == ()
    alone = LineMap("gradient", ("Mg",), slopes()[3:4], np.arange(emulator.wavelength.size))
    assert line_tests(alone, emulator.wavelength, emulator.segment) == ()


def test_lines_come_from_the_windows() -> None:
    emulator = linear_emulator()
    found = lines_of("Mg", emulator.wavelength, emulator.segment)
    np.testing.assert_allclose(found, MAGNESIUM, atol=0.01)
    assert lines_of("teff", emulator.wavelength, emulator.segment).size == 0


def test_attention_of_a_pixel_is_the_mean_over_layers_and_heads() -> None:
    emulator = transformer("transformer", token_kind="element", width=64)
    found = attention_map(emulator)
    assert found is not None
    assert found.names == ("atmosphere", "Mg", "Ba")
    np.testing.assert_array_equal(found.cell, np.arange(emulator.wavelength.size))
    np.testing.assert_allclose(found.values.sum(0), 1, rtol=1e-5)
    with jax.enable_x64(True):
        attend = jax.jit(emulator.network.attention)  # type: ignore[attr-defined]
        raw = attend(emulator.params, sun_of(emulator), np.array([17]))
    np.testing.assert_allclose(found.values[:, 17], np.asarray(raw)[:, :, 0].mean((0, 1)), rtol=1e-5)


def test_patches_are_cells() -> None:
    emulator = transformer("patch-transformer", token_kind="element", patch=4)
    found = attention_map(emulator)
    assert found is not None
    sizes = [np.sum(emulator.segment == k) for k in range(4)]
    assert found.values.shape == (3, sum(-(-size // 4) for size in sizes))
    assert list(np.bincount(found.cell)[:3]) == [4, 4, 4]
    assert len(set(found.cell[emulator.segment == 1]) & set(found.cell[emulator.segment == 0])) == 0
    # a map that is high in the patches of magnesium's lines passes, one that is high elsewhere does not
    lit = np.zeros_like(found.values)
    for line in MAGNESIUM:
        lit[1, found.cell[np.abs(emulator.wavelength - line) < 0.15]] = 1.0
    for values, passed in ((lit, True), (np.roll(lit, 5, axis=1), False)):
        tests = line_tests(replace(found, values=values), emulator.wavelength, emulator.segment)
        assert {t.element: t.passed for t in tests}["Mg"] is passed


def test_tokens_without_names_are_not_tested() -> None:
    emulator = transformer("transformer")
    found = attention_map(emulator)
    assert found is not None
    assert found.names == ("token 1", "token 2", "token 3")
    assert line_tests(found, emulator.wavelength, emulator.segment) == ()


def test_other_networks_have_no_attention() -> None:
    assert attention_map(linear_emulator()) is None


def test_gradients_of_a_transformer_are_finite() -> None:
    assert np.isfinite(gradient_map(transformer("patch-transformer")).values).all()

"""The transformer: its formula written out again, its code of wavelengths, its tokens and attention."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, getcontext
from math import exp, pi, sin, sqrt, tanh
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne import ReadError
from bayne.emulators import NETWORKS, Card, Emulator
from bayne.emulators.transformer import TransformerPayne, sinusoids

LABELS = ("teff", "logg", "fe_h", "vmic", "mg_fe", "ba_fe")
LOWER = np.array([4000.0, 1.0, -2.0, 0.5, -0.4, -0.6])
UPPER = np.array([7000.0, 5.0, 0.5, 3.0, 0.6, 0.8])
STAR = np.array([5200.0, 3.1, -0.7, 1.4, 0.3, 0.1])


def emulator(pixels: int = 9, **settings: Any) -> Emulator:
    architecture = dict(TransformerPayne.small) | settings
    card = Card(
        name="small",
        network="transformer",
        architecture=architecture,
        labels=LABELS,
        units=("K", "dex", "dex", "km/s", "dex", "dex"),
        lower=tuple(LOWER),
        upper=tuple(UPPER),
        medium="vacuum",
        resolution=30_000.0,
    )
    network = TransformerPayne.of(architecture, "small")
    wavelength = 5000 * np.exp(np.arange(pixels) * 1e-5)
    rng = np.random.default_rng(2)
    made = jax.jit(network.initial, static_argnums=(1, 2, 3))(jax.random.key(1), LABELS, pixels, 1)
    scale = np.abs(UPPER) + 1
    arrays = {
        "x_min": LOWER - scale,
        "x_max": UPPER + scale,
        "mean": rng.normal(-2, 0.3, pixels),
        "wavelength": wavelength,
        **{k: np.asarray(v) + (0.1 * rng.normal(size=v.shape) if "bias" in k else 0) for k, v in made.items()},
    }
    _, params = TransformerPayne.decode(arrays, card)
    return Emulator(network, params, wavelength, card)


def gelu(v: float) -> float:
    """Hendrycks & Gimpel 2016, tanh form."""
    return 0.5 * v * (1 + tanh(sqrt(2 / pi) * (v + 0.044715 * v**3)))


def dense(params: dict[str, Any], name: str, x: list[float]) -> list[float]:
    """One dense layer, number by number."""
    w = np.asarray(params[f"{name}/kernel"], dtype=float)
    b = np.asarray(params.get(f"{name}/bias", np.zeros(w.shape[1])), dtype=float)
    return [sum(x[i] * w[i, j] for i in range(len(x))) + b[j] for j in range(w.shape[1])]


def mlp(params: dict[str, Any], name: str, x: list[float]) -> list[float]:
    return dense(params, f"{name}/second", [gelu(v) for v in dense(params, f"{name}/first", x)])


def norm(x: list[float]) -> list[float]:
    root = sqrt(sum(v * v for v in x) / len(x) + 1e-6)
    return [v / root for v in x]


def by_hand(made: Emulator, labels: np.ndarray, pixel: int, scale: float) -> tuple[float, list[Any]]:
    """Flux of one pixel as the notes on the released form say, in plain Python; attention weights per layer."""
    p = {k: np.asarray(v, dtype=float) for k, v in made.params.items()}
    width, layers = 64, 2
    hydrogen = labels.copy()
    hydrogen[4:] += hydrogen[2]
    x = list((hydrogen - p["x_min"]) / (p["x_max"] - p["x_min"]))
    flat = mlp(p, "tokens", x)
    tokens = [norm(flat[i : i + width]) for i in range(0, len(flat), width)]
    log = np.log10(made.wavelength[pixel])
    periods = [10 ** (-6 + 7 * i / (width - 1)) for i in range(width)]
    h = [sin(2 * pi * log / period) for period in periods]
    seen = []
    for layer in range(layers):
        name = f"attention_{layer}"

        def project(v: list[float], which: str, name: str = name) -> np.ndarray:
            return np.array(v) @ p[f"{name}/{which}"] + p[f"{name}/{which}_bias"]

        q = project(norm(h), "q")
        out, weights = [], []
        for head in range(width // 32):
            own = slice(32 * head, 32 * head + 32)
            logits = [float(q[own] @ project(t, "k")[own]) / 32 for t in tokens]
            top = [exp(v - max(logits)) for v in logits]
            weights.append([v / sum(top) for v in top])
            out.append(sum(w * project(t, "v")[own] for w, t in zip(weights[-1], tokens, strict=True)))
        seen.append(weights)
        mixed = project(list(np.concatenate(out)), "o")
        h = [a + scale * b for a, b in zip(h, mixed, strict=True)]
        fed = mlp(p, f"feed_forward_{layer}", norm(h))
        h = [a + scale * b for a, b in zip(h, fed, strict=True)]
    (y,) = mlp(p, "head", norm(h))
    return 1 / (1 + exp(y + p["mean"][pixel])), seen


@pytest.fixture(scope="module")
def full() -> Emulator:
    return emulator(width=64, biases=True, reference_depth=0.5)


def test_flux_and_attention_follow_the_formula(full: Emulator) -> None:
    assert isinstance(full.network, TransformerPayne)
    flux = full.flux(STAR)
    weights = jax.jit(full.network.attention)(full.params, jnp.asarray(STAR), jnp.array([0, 4, 8]))
    assert weights.shape == (2, 2, 3, 3)
    np.testing.assert_allclose(np.sum(weights, axis=-1), 1, atol=1e-6)
    for k, pixel in enumerate((0, 4, 8)):
        expected, seen = by_hand(full, STAR, pixel, scale=(2 / 0.5) ** -0.5)
        assert flux[pixel] == pytest.approx(expected, abs=2e-6)
        np.testing.assert_allclose(weights[:, :, k], np.array(seen), atol=2e-6)


def test_any_choice_of_blocks_gives_the_pixels_of_the_whole(full: Emulator) -> None:
    blocks = jnp.array([7, 0, 7, 3])
    network = full.network
    assert isinstance(network, TransformerPayne)
    some = jax.jit(network.at)(full.params, jnp.asarray(STAR), blocks)
    assert some.shape == (4, 1)
    np.testing.assert_allclose(some[:, 0], full.flux(STAR)[np.asarray(blocks)], atol=2e-6)


def test_code_of_wavelengths_is_exact() -> None:
    """Against 50 digits: the phase of the shortest period is 2e7, of which float32 keeps nothing."""
    getcontext().prec = 50
    wavelength = np.array([4718.123, 6562.79, 16999.5])
    code = sinusoids(np.log10(wavelength), 128, (1e-6, 10.0))
    assert code.dtype == np.float32
    for i, value in enumerate(wavelength):
        for j in (0, 1, 40, 127):
            period = Decimal(10) ** (Decimal(-6) + Decimal(7 * j) / Decimal(127))
            turns = Decimal(float(value)).log10() / period
            assert code[i, j] == pytest.approx(sin(2 * pi * float(turns % 1)), abs=1e-6)


def test_code_is_the_same_with_64_bit_jax(full: Emulator) -> None:
    assert isinstance(full.network, TransformerPayne)
    with jax.enable_x64(True):
        again = full.network.prepare(LABELS, full.wavelength)
    np.testing.assert_array_equal(again["code"], full.params["code"])


def test_element_tokens_see_their_own_element_and_the_atmosphere_only() -> None:
    made = emulator(token_kind="element")
    network = made.network
    assert isinstance(network, TransformerPayne)
    assert network.token_names(LABELS) == ("atmosphere", "Mg", "Ba")
    blocks, attention = jnp.arange(9), jax.jit(network.attention)

    def logits(star: np.ndarray) -> np.ndarray:
        weights = attention(made.params, jnp.asarray(star), blocks)[0]
        return np.log(np.asarray(weights))

    def moved(label: str) -> list[bool]:
        """Tokens whose logit in the first layer, relative to that of the atmosphere or of Ba, answers to a label."""
        star = STAR.copy()
        star[LABELS.index(label)] += 0.1
        change = logits(star) - logits(STAR)
        quiet = change - change[..., [2 if label != "ba_fe" else 1]]
        return [bool(np.max(np.abs(quiet[..., t])) > 1e-5) for t in range(3)]

    assert moved("mg_fe") == [False, True, False]
    assert moved("ba_fe") == [False, False, True]
    assert moved("logg")[:2] == [True, True]


def test_mixed_tokens_have_numbers_for_names() -> None:
    assert TransformerPayne(tokens=3).token_names(LABELS) == ("token 1", "token 2", "token 3")
    assert TransformerPayne(token_kind="element").token_names(("mg_fe", "fe_fe")) == ("Mg", "Fe")


def test_training_starts_near_the_mean_spectrum() -> None:
    network = TransformerPayne()
    made = jax.jit(network.initial, static_argnums=(1, 2, 3))(jax.random.key(0), LABELS, 50, 1)
    wavelength = 5000 * np.exp(np.arange(50) * 1e-5)
    ends = {"x_min": LOWER - 3, "x_max": UPPER + 1, "mean": np.full(50, -2.0)}
    params = network.add_derived({**ends, **{k: np.asarray(v) for k, v in made.items()}}, LABELS, wavelength)
    raw = jax.jit(network.body)(params, jnp.zeros(6), jnp.arange(50))
    assert 0.001 < float(np.std(raw)) < 0.2
    # variance 1 / fan-in everywhere else (He et al. 2015)
    assert float(np.std(made["feed_forward_2/second/kernel"])) == pytest.approx(512**-0.5, rel=0.05)
    assert float(np.std(made["attention_1/q"])) == pytest.approx(128**-0.5, rel=0.05)
    assert float(np.std(made["tokens/first/kernel"])) == pytest.approx(6**-0.5, rel=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 48}, "width = 48; give a multiple of 32"),
        ({"width": 0}, "width = 0; give a positive whole number"),
        ({"layers": 2.5}, "layers = 2.5; give a positive whole number"),
        ({"tokens": "many"}, "tokens = 'many'; give a positive"),
        ({"token_kind": "elements"}, "token_kind = 'elements'. Did you mean 'element'"),
        ({"reference_depth": -1.0}, "reference_depth = -1.0; give a positive number or none"),
        ({"periods": [10.0, 1e-6]}, "give the shortest and the longest"),
        ({"periods": [1.0]}, "give the shortest and the longest"),
        ({"depth": 3}, "no setting 'depth'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ReadError, match=message):
        emulator(**settings)


def test_weights_of_other_settings_are_refused() -> None:
    arrays = TransformerPayne.example(emulator().card, 5, seed=0)
    other = replace(emulator().card, architecture={"width": 64, "layers": 2, "tokens": 3})
    with pytest.raises(ReadError, match=r"attention_0/k' has shape \(32, 32\), expected \(64, 64\)"):
        NETWORKS["transformer"].decode(arrays, other)

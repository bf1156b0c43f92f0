"""Networks of the transformer_payne package, against what the package itself computes with them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne import ReadError, load_emulator
from bayne.emulators import Card, Emulator, published, save_emulator
from bayne.emulators.intensities import TransformerPayneIntensities, label_matrix
from bayne.emulators.pickles import read_joblib

NETWORKS = ("plain", "biases", "deep", "narrow")
TABLE: dict[str, Any] = {
    "name": "golden",
    "network": "transformer-payne-intensities",
    "labels": ["teff", "logg", "vmic", "fe_h", "mg_fe"],
    "units": ["K", "dex", "km/s", "dex", "dex"],
    "lower": [4100.0, 2.1, 0.1, -1.0, -0.4],
    "upper": [7900.0, 4.9, 4.9, 0.4, 0.4],
    "medium": "vacuum",
    "resolution": 300_000,
}
WINDOWS = {"windows": [[4700.0, 4701.0], [15000.0, 15002.0]], "step_kms": 2.0}


@pytest.fixture(scope="module")
def golden(root: Path) -> Path:
    return root / "tests" / "golden"


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "released.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def card(expected: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("grid") / "grid.npz"
    np.savez(path, wavelength=expected["wavelength"])
    return TABLE | {"wavelength": {"file": str(path)}}


@pytest.fixture(scope="module")
def plain(golden: Path) -> Emulator:
    return load_emulator(golden / "released_plain.pkl", card=TABLE | {"wavelength": WINDOWS})


def assert_close(value: np.ndarray, reference: np.ndarray) -> None:
    """To 1e-5 of the value, or of the largest where the outputs pass through zero (float32 in another order)."""
    np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-5 * np.abs(reference).max())


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_intensities_and_flux_are_those_of_the_package(
    golden: Path, expected: dict[str, np.ndarray], card: dict[str, Any], name: str, double: bool
) -> None:
    emulator = load_emulator(golden / f"released_{name}.pkl", card=card)
    assert isinstance(emulator.network, TransformerPayneIntensities)
    disc = jax.jit(emulator.network.disc)
    with jax.enable_x64(double):
        y = np.array(
            [[disc(emulator.params, jnp.asarray(row), mu) for mu in expected["mu"]] for row in expected["labels"]],
            dtype=np.float64,
        )
        flux = emulator.flux(expected["labels"])
    continuum = 10 ** y[..., 1]
    assert_close(continuum, expected[f"{name}_intensity"][..., 1])
    assert_close(y[..., 0] * continuum, expected[f"{name}_intensity"][..., 0])
    assert_close(flux, expected[f"{name}_flux"])
    assert np.ptp(flux) > 0.3, "random networks, but not flat ones"


def test_a_published_network_can_be_saved_as_one_of_our_own(plain: Emulator, tmp_path: Path) -> None:
    again = load_emulator(save_emulator(plain, tmp_path / "saved"))
    star = [5000.0, 3.0, 1.0, -0.2, 0.1]
    np.testing.assert_array_equal(again.flux(star), plain.flux(star))
    assert again.card.architecture["parameters"] == ["logteff", "logg", "vmic", "He", "Mg", "Fe"]


def test_the_card_gives_the_wavelengths(plain: Emulator) -> None:
    assert [(round(a, 6), round(b, 1)) for a, b in plain.windows()] == [(4700.0, 4701.0), (15000.0, 15001.9)]
    step = np.diff(np.log(plain.wavelength[plain.segment == 0]))
    np.testing.assert_allclose(step, 2.0 / 299792.458, rtol=1e-6)


def test_labels_become_absolute_abundances() -> None:
    labels = ("teff", "logg", "fe_h", "mg_fe", "ba_h", "he_fe")
    parameters = ("logteff", "logg", "vmic", "He", "Mg", "Fe", "Ba", "U")
    matrix, at_solar = label_matrix(labels, parameters, "card")
    assert matrix.tolist() == [
        [1, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],  # vmic: as the Sun
        [0, 0, 0, 0, 0, 1],  # helium does not follow iron
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0, 0],
    ]
    assert at_solar.tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    with pytest.raises(ReadError, match=r"no input for the label 'mn_fe'. Did you mean 'mg_fe'"):
        label_matrix(("teff", "mn_fe"), parameters, "card")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wavelength": {}}, "the card does not say where the wavelengths are"),
        ({"wavelength": {"windows": [[4700, 4800]]}}, "wavelength must be"),
        ({"wavelength": WINDOWS | {"windows": [[4800, 4700]]}}, "pairs of wavelengths .* in increasing order"),
        ({"wavelength": WINDOWS | {"windows": [4700, 4800]}}, "pairs of wavelengths"),
        ({"wavelength": WINDOWS | {"windows": "4700-4800"}}, "pairs of wavelengths"),
        ({"wavelength": WINDOWS | {"step_kms": 0}}, "step_kms a positive number"),
        ({"network": "transformer"}, "network 'transformer-payne-intensities' of vacuum.*card says 'transformer'"),
        ({"medium": "air"}, "of vacuum wavelengths; the card says .*'air'"),
        ({"lower": [3900.0, 2.1, 0.1, -1.0, -0.4]}, "lets logteff run from 3.59.* trained on 3.60"),
        (
            {"upper": [7900.0, 4.9, 4.9, 1.2, 0.4]},
            r"lets Mg run from 6\.15 to 9\.15, the network was trained on 4 to 9",
        ),
        ({"labels": ["teff", "logg", "vmic", "fe_h", "mm_fe"]}, "no input for the label 'mm_fe'. Did you mean"),
    ],
)
def test_cards_that_do_not_fit_are_refused(golden: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_emulator(golden / "released_plain.pkl", card=TABLE | {"wavelength": WINDOWS} | changes)


def test_a_card_is_needed(golden: Path) -> None:
    with pytest.raises(ReadError, match=r"needs a card.*load_emulator\(path, card="):
        load_emulator(golden / "released_plain.pkl")


def changed(table: dict[str, Any], where: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The table with one entry set, or removed for None."""
    if not where:
        return value
    rest = {k: v for k, v in table.items() if k != where[0]}
    if len(where) == 1 and value is None:
        return rest
    return rest | {where[0]: changed(table.get(where[0], {}), where[1:], value)}


W = ("emulator_weights", "transformer_payne")
S = ("architecture_parameters",)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("tag",), None, "not a file of the transformer_payne package: lacks tag"),
        (("architecture",), "Payne", "its architecture is not 'TransformerPayneIntensities'"),
        ((*S, "no_layer"), 8, "a first version of TransformerPayneIntensities.*only the second"),
        (("emulator_weights",), {"attention_emulator": {}}, "a first version of TransformerPayneIntensities"),
        ((*S, "activation_fn"), "relu", "activation is 'relu'; only 'gelu' can be read"),
        ((*S, "dim_head"), 16, "dim_head is 16; only 32"),
        ((*S, "dim_ff_multiplier"), 8, "dim_ff_multiplier is 8; up to 4"),
        ((*S, "dim"), 2**40, "shape .* in a network of dim 1099511627776"),
        ((*S, "dim"), 48, "width = 48; give a multiple of 32"),
        ((*S, "dim"), "64", "setting dim is a str"),
        ((*S, "no_layers"), 2, "array 'MHA_1/w_q' is missing"),
        ((*S, "no_tokens"), 4, r"tokens/second/bias' has shape \(192,\), expected \(256,\)"),
        ((*S, "min_period"), 0.0, "must be positive"),
        (("spectral_parameters",), 7, "spectral_parameters must be names"),
        (("solar_parameters",), [1.0], r"solar_parameters has shape \(1,\), expected \(7,\)"),
        (("solar_parameters",), ["a"] * 7, "solar_parameters must be numbers"),
        (("solar_parameters",), [[1.0]] * 7, "solar_parameters must be numbers"),
        (("max_spectral_parameters",), [float("nan")] * 7, "x_max' holds values that are not finite"),
        (W, [], "array 'ParametersEmbedding_0/we0' is missing"),
        ((*W, "MHA_0", "w_k"), None, "array 'MHA_0/w_k' is missing"),
        ((*W, "MHA_0", "w_k"), "k", "array 'MHA_0/w_k' is missing"),
        ((*W, "MHA_0", "w_k"), np.zeros((64, 3)), r"attention_0/k' has shape \(64, 3\), expected \(64, 64\)"),
        (
            (*W, "FeedForward_0", "wfi"),
            np.zeros((64, 300)),
            r"feed_forward_0/first/bias' has shape \(300,\), expected \(256,\)",
        ),
        ((*W, "PredictionHead_0", "wp1"), np.full((64, 2), np.inf), "head/second/kernel' holds values that are not"),
        (("emulator_weights",), [], "settings and weights must be dictionaries"),
    ],
)
def test_files_that_are_not_what_they_should_be_are_refused(
    golden: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...], value: Any, message: str
) -> None:
    table = changed(read_joblib(golden / "released_plain.pkl"), where, value)
    monkeypatch.setattr(published, "read_joblib", lambda path: table)
    with pytest.raises(ReadError, match=message):
        load_emulator(golden / "released_plain.pkl", card=TABLE | {"wavelength": WINDOWS})


@pytest.mark.parametrize("value", [[1, 2], 3, {"emulator_weights": {}}, None])
def test_other_joblib_files_are_refused(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "other.joblib"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(ReadError, match=r"other\.joblib: not a file of the transformer_payne package: lacks"):
        load_emulator(path, card=TABLE | {"wavelength": WINDOWS})


def test_a_hostile_file_is_refused_through_the_front_door(tmp_path: Path) -> None:
    trap, path = tmp_path / "sprung", tmp_path / "network.pkl"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trap,)

    path.write_bytes(pickle.dumps({"emulator_weights": Trap()}))
    with pytest.raises(ReadError, match="never executed"):
        load_emulator(path, card=TABLE | {"wavelength": WINDOWS})
    assert not trap.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 33}, "width = 33; give a multiple of 32"),
        ({"parameters": "logteff"}, "parameters must be a list of names"),
        ({"depth": 3}, "depth"),
    ],
)
def test_wrong_architectures_are_refused(plain: Emulator, changes: dict[str, Any], message: str) -> None:
    wrong: Card = replace(plain.card, architecture=plain.card.architecture | changes)
    with pytest.raises(ReadError, match=message):
        TransformerPayneIntensities.decode({}, wrong)

"""Bundles of the astro-emulators-toolkit, against what the toolkit itself computes with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne import ReadError, load_emulator
from bayne.emulators import save_emulator
from bayne.emulators.intensities import TransformerPayneIntensities

TABLE: dict[str, Any] = {
    "name": "golden",
    "network": "patch-transformer",
    "labels": ["teff", "logg", "fe_h"],
    "units": ["K", "dex", "dex"],
    "lower": [4000.0, 1.0, -2.0],
    "upper": [7000.0, 5.0, 0.5],
    "medium": "vacuum",
    "resolution": 300_000,
}
INTENSITIES = TABLE | {
    "network": "transformer-payne-intensities",
    "wavelength": {"windows": [[4700, 4703]], "step_kms": 5},
}


@pytest.fixture(scope="module")
def golden(root: Path) -> Path:
    return root / "tests" / "golden"


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "toolkit.npz") as file:
        return dict(file)


@pytest.fixture
def bundle(golden: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a golden bundle whose metadata a function has changed."""

    def make(name: str, change: Callable[[dict[str, Any]], object] = lambda table: None) -> Path:
        folder = tmp_path / name
        shutil.copytree(golden / name, folder)
        table = json.loads((folder / "metadata.json").read_text())
        change(table)
        (folder / "metadata.json").write_text(json.dumps(table))
        return folder

    return make


def test_flux_is_that_of_the_toolkit(golden: Path, expected: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Biases, residual scaling to the power -1, logit factor; wavelengths from the bundle."""
    emulator = load_emulator(golden / "toolkit_flux", card=TABLE)
    np.testing.assert_array_equal(emulator.wavelength, expected["wavelength"])
    flux = emulator.flux(expected["labels"])
    scale = np.abs(expected["flux"]).max()
    np.testing.assert_allclose(flux, expected["flux"], rtol=1e-5, atol=1e-6 * scale)
    assert np.ptp(flux) > 0.3
    again = load_emulator(save_emulator(emulator, tmp_path / "saved"))
    np.testing.assert_array_equal(again.flux(expected["labels"]), flux)


def test_intensities_are_those_of_the_toolkit(golden: Path, expected: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Scaled wavelengths in Å, scaled outputs, feed-forward layers of twice the width."""
    np.savez(tmp_path / "grid.npz", wavelength=expected["wavelength"])
    card = INTENSITIES | {"wavelength": {"file": str(tmp_path / "grid.npz")}}
    emulator = load_emulator(golden / "toolkit_intensity", card=card)
    assert isinstance(emulator.network, TransformerPayneIntensities)
    disc = jax.jit(emulator.network.disc)
    y = np.array([[disc(emulator.params, jnp.asarray(row), mu) for mu in expected["mu"]] for row in expected["labels"]])
    for channel in (0, 1):
        reference = expected["intensity"][..., channel]
        np.testing.assert_allclose(y[..., channel], reference, rtol=1e-5, atol=2e-6 * np.abs(reference).max())
    assert emulator.flux(expected["labels"]).shape == (2, 40)


def set_in(*where: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        for key in where[:-1]:
            table = table[key]
        table[where[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("resolved", "model", "name", value="mlp"), "holds a network 'mlp'; only 'transformer_payne' bundles"),
        (set_in("resolved", "model", "params", "dim_head", value=8), "dim_head is 8; only 32 can be read"),
        (set_in("resolved", "model", "params", "activation", value="silu"), "activation is 'silu'"),
        (set_in("resolved", "model", "params", "channels", value=3), "a network of 3 outputs"),
        (set_in("resolved", "model", "params", "channels", value=2), "a network of 2 outputs"),
        (set_in("resolved", "model", "params", "no_layers", value=4), "core_model/attn_layers/3/wq' is missing"),
        (set_in("resolved", "model", value=None), r"metadata\.json is not that of a TransformerPayne bundle"),
        (set_in("spec", value=[]), r"metadata\.json is not that of a TransformerPayne bundle"),
        (set_in("spec", "reference_scaling_inputs", value=None), "does not say how its inputs are scaled"),
        (
            set_in("spec", "reference_scaling_inputs", "min_tree", "parameters", value=[1.0, 2.0]),
            "reference_scaling_inputs must give 'inputs/parameters' numbers, one or 3",
        ),
        (set_in("spec", "reference_scaling_outputs", value={"min_tree": 3}), "reference_scaling_outputs must give"),
        (
            set_in(
                "spec",
                "input_domain",
                value={
                    "min_tree": {"parameters": [4500.0, 1.0, -2.0], "wavelengths": 3.0},
                    "max_tree": {"parameters": [7000.0, 5.0, 0.5], "wavelengths": 4.0},
                },
            ),
            "lets teff run from 4000 to 7000, the network was trained on 4500 to 7000",
        ),
    ],
)
def test_bundles_that_cannot_be_read_are_refused(
    bundle: Callable[..., Path], change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(ReadError, match=message):
        load_emulator(bundle("toolkit_flux", change), card=TABLE)


def test_cards_that_do_not_fit_are_refused(golden: Path) -> None:
    with pytest.raises(ReadError, match="needs a card"):
        load_emulator(golden / "toolkit_flux")
    with pytest.raises(ReadError, match="holds a network 'patch-transformer', the card says 'transformer'"):
        load_emulator(golden / "toolkit_flux", card=TABLE | {"network": "transformer"})
    with pytest.raises(ReadError, match="teff run from 3000"):
        load_emulator(golden / "toolkit_flux", card=TABLE | {"lower": [3000.0, 1.0, -2.0]})
    with pytest.raises(ReadError, match="the card does not say where the wavelengths are"):
        load_emulator(golden / "toolkit_intensity", card=INTENSITIES | {"wavelength": {}})


def test_damaged_bundles_are_refused(bundle: Callable[..., Path]) -> None:
    folder = bundle("toolkit_flux")
    (folder / "metadata.json").write_text("{")
    with pytest.raises(ReadError, match=r"metadata\.json is not that of"):
        load_emulator(folder, card=TABLE)
    (folder / "metadata.json").unlink()
    with pytest.raises(ReadError, match=r"metadata\.json: no such file"):
        load_emulator(folder, card=TABLE)
    (folder / "weights" / "weights.safetensors").write_bytes(b"12345678")
    with pytest.raises(ReadError, match="not a readable safetensors"):
        load_emulator(folder, card=TABLE)

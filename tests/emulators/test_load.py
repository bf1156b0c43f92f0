"""Files that are not what they should be: every refusal says what was wrong and what would be right."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayne import BayneError, Emulator, ReadError, load_emulator
from bayne.emulators import NETWORKS, Card, save_emulator
from bayne.emulators.load import shipped

PIXELS = 12
TABLE: dict[str, Any] = {
    "name": "small",
    "network": "pixel-payne",
    "labels": ["teff", "logg", "fe_h"],
    "units": ["K", "dex", "dex"],
    "lower": [4000.0, 1.0, -2.5],
    "upper": [7000.0, 5.0, 0.5],
    "medium": "vacuum",
    "resolution": 30000,
}


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def arrays() -> dict[str, np.ndarray]:
    card = Card.from_dict(TABLE, "test")
    wavelength = np.linspace(6000.0, 6010.0, PIXELS)
    return NETWORKS["pixel-payne"].example(card, PIXELS, seed=0) | {"wavelength": wavelength}


def write(path: Path, **changes: Any) -> Path:
    np.savez(path, **{k: v for k, v in (arrays() | changes).items() if v is not None})
    return path


def test_a_good_file_loads(tmp_path: Path) -> None:
    emulator = load_emulator(write(tmp_path / "net.npz"), card=TABLE)
    assert emulator.flux([5000.0, 4.0, 0.0]).shape == (PIXELS,)
    assert emulator.label_units == ("K", "dex", "dex")


def test_card_from_a_file_and_from_python_agree(tmp_path: Path) -> None:
    path = write(tmp_path / "net.npz")
    (tmp_path / "card.json").write_text(json.dumps(TABLE))
    a = load_emulator(path, card=tmp_path / "card.json")
    b = load_emulator(path, card=Card.from_dict(TABLE, "test"))
    assert a.card == b.card


@pytest.mark.parametrize("beside", ["card", "network"])
def test_wavelengths_in_a_file_of_their_own(tmp_path: Path, beside: str) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / "network").mkdir()
    np.savez(tmp_path / beside / "pixels.npz", wave=np.linspace(6000.0, 6010.0, PIXELS))
    table = TABLE | {"wavelength": {"file": "pixels.npz", "key": "wave"}}
    (tmp_path / "card" / "card.json").write_text(json.dumps(table))
    path = write(tmp_path / "network" / "net.npz", wavelength=None)
    emulator = load_emulator(path, card=tmp_path / "card" / "card.json")
    assert emulator.windows() == [(6000.0, 6010.0)]
    table["wavelength"]["key"] = "lambda"
    (tmp_path / "card" / "card.json").write_text(json.dumps(table))
    with pytest.raises(ReadError, match="no array 'lambda'; found wave"):
        load_emulator(path, card=tmp_path / "card" / "card.json")


def test_air_wavelengths_become_vacuum(tmp_path: Path) -> None:
    # H alpha: 6562.79 Å in air, 6564.61 Å in vacuum (NIST Atomic Spectra Database)
    wavelength = 6562.79 + 0.1 * np.arange(PIXELS)
    path = write(tmp_path / "net.npz", wavelength=wavelength)
    emulator = load_emulator(path, card=TABLE | {"medium": "air"})
    assert emulator.wavelength[0] == pytest.approx(6564.61, abs=0.01)
    again = load_emulator(save_emulator(emulator, tmp_path / "saved"))
    np.testing.assert_array_equal(again.wavelength, emulator.wavelength)
    assert again.card.medium == "vacuum"


@pytest.mark.parametrize("key", ["w_array_0", "extra"])
def test_pickled_objects_are_refused_and_not_executed(tmp_path: Path, key: str) -> None:
    trap = tmp_path / "sprung"
    path = write(tmp_path / "net.npz", **{key: np.array([Trap(trap)], dtype=object)})
    with pytest.raises(ReadError, match="pickled objects, which are never executed"):
        load_emulator(path, card=TABLE)
    assert not trap.exists()


def test_a_pickle_named_npz_is_refused_and_not_executed(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    path = tmp_path / "net.npz"
    path.write_bytes(pickle.dumps(Trap(trap)))
    with pytest.raises(ReadError, match="pickled objects"):
        load_emulator(path, card=TABLE)
    assert not trap.exists()


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.npz").read_bytes()
    np.save(tmp_path / "array.npy", np.zeros(3))
    damaged = {
        "empty.npz": b"",
        "cut.npz": whole[: len(whole) // 2],
        "noise.npz": bytes(range(256)) * 4,
        "one_array.npz": (tmp_path / "array.npy").read_bytes(),
        "flipped.npz": whole[:200] + bytes([whole[200] ^ 255]) + whole[201:],
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ReadError, match=name):
            load_emulator(tmp_path / name, card=TABLE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b_array_0": None}, "array 'b_array_0' is missing; found b_array_1, w_array_0"),
        ({"w_array_0": None}, "w_array_0"),
        ({"w_array_0": np.zeros((PIXELS, 3))}, r"w_array_0 of shape \(pixels, hidden, labels\)"),
        ({"w_array_0": np.zeros((PIXELS, 3, 4))}, r"w_array_0.*has shape \(12, 3, 4\), expected \(12, 3, 3\)"),
        ({"b_array_1": np.zeros(PIXELS + 1)}, r"b_array_1.*has shape \(13,\), expected \(12,\)"),
        ({"x_max": np.array([7000.0, 5.0])}, r"x_max.*has shape \(2,\), expected \(3,\)"),
        ({"b_array_1": np.full(PIXELS, np.nan)}, "b_array_1.*not finite"),
        ({"b_array_1": np.full(PIXELS, "0.5")}, "b_array_1.*not numbers"),
        ({"wavelength": None}, "no array 'wavelength'"),
        ({"wavelength": np.linspace(6000.0, 6010.0, PIXELS + 1)}, "12 pixels but there are 13 wavelengths"),
        ({"wavelength": np.linspace(6010.0, 6000.0, PIXELS)}, "increasing"),
        ({"wavelength": np.full(PIXELS, np.nan)}, "increasing"),
        ({"wavelength": np.full(PIXELS, "6000")}, "must be numbers"),
        ({"x_min": np.array([3.6, 1.0, -2.5]), "x_max": np.array([3.85, 5.0, 0.5])}, "teff.*order and units"),
        ({"x_min": np.array([4500.0, 1.0, -2.5])}, "teff run from 4000 to 7000.*trained on 4500 to 7000"),
        ({"error_basis": np.zeros((2, PIXELS))}, "error_sigma.*missing"),
        ({"error_basis": np.zeros((2, 9)), "error_sigma": np.zeros(PIXELS)}, "error_basis.*has shape"),
        ({"error_labels": np.zeros(3)}, "error_basis.*missing"),
        (
            {"error_basis": np.zeros((2, PIXELS)), "error_sigma": np.zeros(PIXELS), "error_labels": np.zeros(2)},
            "error_labels.*has shape",
        ),
    ],
)
def test_weights_that_disagree_with_the_card_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ReadError, match=message):
        load_emulator(write(tmp_path / "net.npz", **changes), card=TABLE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolutoin": 1.0}, "unknown card field 'resolutoin'. Did you mean 'resolution'"),
        ({"network": "pixelpayne"}, "unknown network 'pixelpayne'. Did you mean 'pixel-payne'"),
        ({"medium": None}, "the card lacks medium"),
        ({"medium": "Vacuum"}, "medium is 'Vacuum'; say 'vacuum' or 'air'"),
        ({"resolution": -1}, "positive R"),
        ({"resolution": "high"}, "high"),
        ({"units": ["K", "dex"]}, "3 labels but 2 units"),
        ({"labels": "teff"}, "'labels' must be a list"),
        ({"labels": ["teff", "teff", "fe_h"]}, "must differ"),
        ({"lower": [7000.0, 1.0, -2.5]}, "teff has the domain 7000.0 to 7000.0"),
        ({"upper": [float("nan"), 5.0, 0.5]}, "teff has the domain"),
        ({"lower": 4000.0}, "not iterable"),
        ({"hull": [[1.0, 2.0, 3.0]], "labels": ["teff", "logg", "vmic"]}, "a hull needs the labels teff, logg, fe_h"),
        ({"absorbs": ["vsnii"]}, "unknown label 'vsnii'. Did you mean 'vsini'"),
        ({"wavelength": "pixels.npz"}, "wavelength must be"),
    ],
)
def test_wrong_cards_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    table = {k: v for k, v in (TABLE | changes).items() if v is not None}
    (tmp_path / "card.json").write_text(json.dumps(table))
    with pytest.raises(BayneError, match=message):
        load_emulator(write(tmp_path / "net.npz"), card=tmp_path / "card.json")


def test_missing_things_are_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"nowhere: no such emulator, folder or file"):
        load_emulator("nowhere")
    with pytest.raises(ReadError, match=r"needs a card.*load_emulator\(path, card="):
        load_emulator(write(tmp_path / "net.npz"))
    with pytest.raises(ReadError, match=r"card\.json: no such card"):
        load_emulator(write(tmp_path / "net.npz"), card=tmp_path / "card.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ReadError, match="a card is a JSON object"):
        load_emulator(tmp_path / "net.npz", card=tmp_path / "list.json")
    (tmp_path / "cut.json").write_text('{"name": ')
    with pytest.raises(ReadError, match="not a JSON card"):
        load_emulator(tmp_path / "net.npz", card=tmp_path / "cut.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ReadError, match=r"card\.json: no such card"):
        load_emulator(tmp_path / "folder")
    (tmp_path / "folder" / "card.json").write_text(json.dumps(TABLE))
    with pytest.raises(ReadError, match=r"weights\.safetensors: not a readable"):
        load_emulator(tmp_path / "folder")
    (tmp_path / "net.txt").write_text("")
    with pytest.raises(ReadError, match=r"give a folder.*or an \.npz with a card"):
        load_emulator(tmp_path / "net.txt")


def small(tmp_path: Path) -> Emulator:
    return load_emulator(write(tmp_path / "net.npz"), card=TABLE)


def test_half_an_emulator_is_no_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed while it saves leaves a folder without a card, or the weights of another card."""
    first = small(tmp_path)
    own = {name: np.asarray(value) * (1 if name.startswith("x_") else 2) for name, value in first.params.items()}
    second = replace(first, params=own)
    saved = save_emulator(first, tmp_path / "saved")

    def killed(self: Card) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Card, "to_json", killed)
        for folder in (saved, tmp_path / "new"):
            with pytest.raises(KeyboardInterrupt):
                save_emulator(second, folder)
    with pytest.raises(ReadError, match=r"weights\.safetensors: not the weights that card\.json is of"):
        load_emulator(saved)
    assert (tmp_path / "new" / "weights.safetensors").exists()
    with pytest.raises(ReadError, match="no such card"):
        load_emulator(tmp_path / "new")
    save_emulator(second, saved)
    assert load_emulator(saved).card == second.card
    assert sorted(path.name for path in saved.iterdir()) == ["card.json", "weights.safetensors"]


def test_emulators_of_the_package_name_their_weights() -> None:
    for name, folder in shipped().items():
        assert len(Card.read(folder / "card.json").weights) == 64, name
        assert load_emulator(name).card.weights == ""

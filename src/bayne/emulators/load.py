"""Emulators from files and to files."""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ..errors import ReadError, did_you_mean
from ..files import replacing
from ..instrument import load_instrument, with_lsf
from ..precision import double
from ..spectrum import FloatArray, Spectrum
from ..wavelength import log_pixels, to_vacuum
from .card import Card
from .choose import suitable
from .corrections import Corrections, corrected
from .emulator import Emulator, ErrorModel
from .networks import check_arrays, network
from .published import read_published
from .toolkit import read_bundle

log = logging.getLogger("bayne")

#: Arrays of corrections that half precision is not enough for.
WIDER = {"absorber": np.uint8, "growth": np.float32}

#: Endings of joblib files.
JOBLIB_SUFFIXES = (".pkl", ".pickle", ".joblib")


def shipped() -> dict[str, Path]:
    """Names and folders of the emulators that come with the package."""
    root = Path(str(files("bayne"))) / "emulators" / "weights"
    return {p.parent.name: p.parent for p in sorted(root.glob("*/card.json"))}


@double
def load_emulator(source: str | Path | Spectrum, card: str | Path | Mapping[str, Any] | Card | None = None) -> Emulator:
    """Load an emulator.

    Parameters
    ----------
    source
        Name of one that comes with the package; a spectrum, for the one among them that suits its wavelengths and
        resolution (the logger ``bayne`` says which); a folder with ``card.json`` and ``weights.safetensors``; a
        published ``.npz`` of The Payne or of binspec; a joblib file (``.pkl``, ``.joblib``) of the transformer_payne
        package, of which nothing is executed; or a bundle of the astro-emulators-toolkit (a folder with
        ``config.json``).
    card
        For published files: the card, as a JSON file, a mapping or a `Card`.

    Returns
    -------
    Emulator

    Raises
    ------
    ReadError
        Nothing is found, the card is missing or wrong, arrays hold objects or disagree with the card.
    """
    names = shipped()
    if isinstance(source, Spectrum):
        profile = load_instrument(source.instrument) if source.instrument else None
        source = suitable(with_lsf(source, profile, None), names)
        log.info("emulator %s, by the wavelengths and the resolution of the spectrum", source)
    path = names.get(str(source), Path(source))
    if not path.exists():
        raise ReadError(f"{source}: no such emulator, folder or file. {did_you_mean(str(source), names)}")
    if path.is_dir() and not (path / "config.json").exists():
        where = path / "card.json"
        the_card, file = Card.read(where), path / "weights.safetensors"
        arrays = _safetensors(file)
        if the_card.weights and the_card.weights != _sha256(file):
            raise ReadError(f"{file}: not the weights that {where.name} is of: one of the two was replaced or damaged")
        the_card = replace(the_card, weights="")
        return _corrected(the_card, arrays, path) if the_card.original else _assemble(the_card, arrays, where, path)
    if not path.is_dir() and path.suffix not in (".npz", *JOBLIB_SUFFIXES):
        raise ReadError(
            f"{path}: give a folder with card.json and weights.safetensors, or an .npz with a card, or a joblib file "
            f"({', '.join(JOBLIB_SUFFIXES)}) or toolkit bundle with a card"
        )
    if card is None:
        raise ReadError(
            f"{path}: a published network needs a card that names its labels, units, wavelengths, medium and "
            "resolution: load_emulator(path, card='card.json')"
        )
    where = Path(card) if isinstance(card, str | os.PathLike) else path
    the_card = _card(card, str(path))
    if path.suffix == ".npz":
        return _assemble(the_card, read_npz(path), where, path)
    if path.is_dir():
        extra = path / "extras" / "wavelength_angstrom.safetensors"
        stored = _safetensors(extra).values() if extra.exists() else ()
        wavelength = _wavelength(the_card, dict(zip(("wavelength",), stored, strict=False)), where, path)
        weights = _safetensors(path / "weights" / "weights.safetensors")
        the_card, arrays = read_bundle(path, the_card, weights, wavelength)
    else:
        wavelength = _wavelength(the_card, {}, where, path)
        the_card, arrays = read_published(path, the_card, wavelength)
    arrays |= {"wavelength": wavelength}
    return _assemble(the_card, arrays, where, path)


def _card(card: str | Path | Mapping[str, Any] | Card, source: str) -> Card:
    if isinstance(card, Card):
        return card
    if isinstance(card, Mapping):
        return Card.from_dict(dict(card), f"card given for {source}")
    return Card.read(card)


def _wavelength(card: Card, arrays: Mapping[str, np.ndarray], where: Path, path: Path) -> FloatArray:
    """Wavelengths (p,) in Å and the card's medium: as the card says, or among the arrays."""
    if "windows" in card.wavelength:
        raw = _windows(card)
    elif card.wavelength:
        other = Path(card.wavelength["file"])
        other = next((p for p in (where.parent / other, path.parent / other) if p.exists()), other)
        found = read_npz(other)
        key = card.wavelength.get("key", "wavelength")
        if key not in found:
            raise ReadError(f"{other}: no array {key!r}; found {', '.join(sorted(found))}")
        raw = found[key]
    elif "wavelength" in arrays:
        raw = arrays["wavelength"]
    else:
        raise ReadError(f"{path}: no array 'wavelength', and the card does not say where the wavelengths are")
    if raw.ndim != 1 or raw.dtype.kind not in "fiu" or not np.all(np.diff(raw) > 0):
        raise ReadError(f"{path}: wavelengths must be numbers, one-dimensional and increasing (Å)")
    return raw


def _windows(card: Card) -> FloatArray:
    """Wavelengths uniform in ln λ inside each window of the card."""
    try:
        ends, step = np.array(card.wavelength["windows"], dtype=float), float(card.wavelength["step_kms"])
    except (TypeError, ValueError):
        ends, step = np.zeros(0), 0.0
    pairs = ends.ndim == 2 and ends.shape[1] == 2
    if not (pairs and ends.flat[0] > 0 and np.all(np.diff(ends.ravel()) > 0) and 0 < step < np.inf):
        raise ReadError(
            f"card {card.name!r}: windows must be pairs of wavelengths (Å) in increasing order, such as "
            "[[4712, 4902], [5647, 5873]], and step_kms a positive number"
        )
    return np.concatenate(log_pixels(ends, step))


def _assemble(card: Card, arrays: dict[str, np.ndarray], where: Path, path: Path) -> Emulator:
    kind, params = network(card.network).decode(arrays, card)
    raw = _wavelength(card, arrays, where, path)
    wavelength = to_vacuum(raw, card.medium)
    emulator = Emulator(kind, params, wavelength, card, _error_model(arrays, wavelength.size, card))
    pixels = jax.eval_shape(emulator.network, emulator.params, jnp.zeros(len(card.labels))).shape[0]
    if pixels != wavelength.size:
        raise ReadError(f"{path}: the network gives {pixels} pixels but there are {wavelength.size} wavelengths")
    return emulator


def _error_model(arrays: Mapping[str, np.ndarray], pixels: int, card: Card) -> ErrorModel | None:
    """The error model among the arrays of a file, if there is one."""
    if not {"error_basis", "error_sigma", "error_labels"} & set(arrays):
        return None
    rank, near = len(arrays.get("error_basis", ())), len(arrays.get("error_near", ()))
    shapes: dict[str, tuple[int, ...]] = {"error_basis": (rank, pixels), "error_sigma": (pixels,)}
    shapes |= {"error_labels": (len(card.labels),)} if "error_labels" in arrays else {}
    shapes |= {"error_near": (near, 3)} if near else {}
    shapes |= {"error_floor": ()} if "error_floor" in arrays else {}
    check_arrays(arrays, shapes, card.name)
    return ErrorModel(**{name.removeprefix("error_"): arrays[name].astype(np.float64) for name in shapes})


def _corrected(card: Card, arrays: dict[str, np.ndarray], path: Path) -> Emulator:
    """An emulator of the package with the corrections in a file."""
    original = load_emulator(card.original) if card.original in shipped() else None
    if original is None or original.hash != card.original_hash:
        raise ReadError(
            f"{path}: corrects an emulator {card.original!r} that this version of the package does not have"
        )
    p = original.wavelength.size
    shapes: dict[str, tuple[int, ...]] = {"strength": (p,), "absorber": (p,), "missing": (p,), "growth": (2,)}
    shapes["slopes"] = (len(arrays.get("slopes", ())), p)
    check_arrays(arrays, shapes, card.name)
    wide = {name: arrays[name].astype(np.float64) for name in shapes}
    made = corrected(original, Corrections(**wide | {"absorber": arrays["absorber"].astype(int)}))
    error = _error_model(arrays, p, card)
    if error is not None and original.error is not None:
        error = replace(error, basis=np.concatenate([original.error.basis, error.basis]))
    return replace(made, card=card, error=error)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Numeric arrays of an ``.npz``; object arrays and pickles are refused, nothing is executed.

    Raises
    ------
    ReadError
        The file is missing, damaged, or holds objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise ReadError(f"{path}: no such file") from None
    except ValueError as error:
        if "pickle" in str(error):
            raise ReadError(f"{path}: holds pickled objects, which are never executed; save plain arrays") from None
        raise ReadError(f"{path}: not a readable .npz ({error})") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, TypeError) as error:
        raise ReadError(f"{path}: not a readable .npz ({error})") from None


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except (FileNotFoundError, SafetensorError) as error:
        raise ReadError(f"{path}: not a readable safetensors file ({error})") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_emulator(emulator: Emulator, folder: str | Path) -> Path:
    """Write an emulator that `load_emulator` reads.

    Parameters
    ----------
    emulator
        Any.
    folder
        Made here; ``weights.safetensors`` and then ``card.json`` are written into it, each by rename. The card has the
        SHA-256 of the weights: half of an emulator, or a mixture of two, is not loaded.

    Returns
    -------
    Path
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    small = emulator.corrections is not None and emulator.card.original in shipped()
    arrays: dict[str, Any]
    if small:  # the package has the rest
        arrays = {name: np.asarray(value, np.float16) for name, value in vars(emulator.corrections).items()}
        arrays |= {name: np.asarray(getattr(emulator.corrections, name), kind) for name, kind in WIDER.items()}
    else:
        kept = {k: np.asarray(v) for k, v in emulator.params.items() if k not in emulator.network.derived}
        arrays = kept | {"wavelength": emulator.wavelength}
    if emulator.error is not None:
        error, near = emulator.error, len(emulator.error.near)
        arrays |= {"error_basis": error.basis, "error_sigma": error.sigma}
        arrays |= {} if error.labels is None else {"error_labels": error.labels}
        arrays |= {"error_near": error.near} if near else {}
        arrays |= {"error_floor": error.floor} if error.floor else {}
        if small:  # rows before those of reference stars are the original's
            rows = error.basis[len(error.basis) - near :]
            arrays |= {"error_basis": rows.astype(np.float16), "error_sigma": error.sigma.astype(np.float16)}
    with replacing(folder / "weights.safetensors") as part:
        part.write_bytes(save({k: np.asarray(v, order="C") for k, v in arrays.items()}))
        card = replace(emulator.card, wavelength={}, medium="vacuum", weights=_sha256(part))
        card = card if small else replace(card, original="", original_hash="")
    with replacing(folder / "card.json") as part:
        part.write_text(card.to_json(), encoding="utf-8")
    return folder

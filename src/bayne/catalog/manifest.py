"""What a run is a run of: one JSON file that a later process compares with what it was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..emulators import Emulator
from ..errors import BayneError, ReadError
from ..inference.prepare import Settings
from ..likelihoods import described
from .catalogue import Catalogue
from .columns import Layout

#: Version of the folder of a run.
FORMAT = 2

#: Packages whose versions the numbers depend on.
PACKAGES = ("bayne", "jax", "jaxlib", "numpy", "scipy", "numpyro")

#: What may differ between processes that work on the same run.
LOOSE = ("created", "root")


def manifest(
    catalogue: Catalogue,
    emulator: Emulator,
    settings: Settings,
    *,
    reading: Mapping[str, Any],
    keep_spectra: bool,
    block: int,
) -> dict[str, Any]:
    """All that the results of a run depend on, and when and where it was begun."""
    layout = Layout.of(emulator, settings)
    configuration = {name: value for name, value in vars(settings).items() if name not in ("mask", "seed")}
    configuration["priors"] = {label: described(prior) for label, prior in settings.priors.items()}
    configuration["sampler"] = asdict(settings.sampler)
    content = {
        "format": FORMAT,
        "number": len(catalogue),
        "block": block,
        "catalogue": catalogue.hash,
        "emulator": {"name": emulator.card.name, "hash": emulator.hash},
        "configuration": configuration | {"reading": dict(reading), "keep_spectra": keep_spectra},
        "seed": settings.seed,
        "labels": layout.labels,
        "free": layout.free,
        "versions": {name: version(name) for name in PACKAGES},
        "root": str(catalogue.root),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    found: dict[str, Any] = json.loads(json.dumps(content, default=_json))
    return found


def _json(value: Any) -> Any:
    """Instruments and numbers of NumPy as JSON has them."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


def refuse_other(folder: Path, found: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise where the run in a folder is of other inputs or settings.

    Raises
    ------
    BayneError
        Says what differs.
    """
    theirs, ours = _flat(found), _flat(new)
    for key in (*ours, *theirs):
        if key not in LOOSE and theirs.get(key) != ours.get(key):
            raise BayneError(f"{folder} is another run: {key} was {theirs.get(key)}, now it is {ours.get(key)}")


def _flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, dict) and value else {above + key: value}
    return found


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the run in a folder.

    Raises
    ------
    ReadError
        There is none, it is damaged, or of another version.
    """
    path = folder / "manifest.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ReadError(f"{folder} is no folder of a run: it has no manifest.json") from None
    except (OSError, ValueError) as error:
        raise ReadError(f"{path} cannot be read: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ReadError(f"{path} is of another version of Bayne: this one reads format {FORMAT}")
    return found

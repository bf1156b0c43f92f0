"""The card of an emulator: what its labels, wavelengths, domain and errors are."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull

from ..errors import BayneError, ReadError, did_you_mean
from ..labels import MAX_BROADENING, check_known

#: Labels whose training domain is a convex hull rather than a box.
HULL_LABELS = ("teff", "logg", "fe_h")


@dataclass(frozen=True)
class Card:
    """Description of an emulator; stored as JSON beside the weights.

    Parameters
    ----------
    name
        Short name.
    network
        Registered name of the architecture, such as ``"payne"``.
    architecture
        Settings of the network that its array shapes do not determine, by name.
    labels, units
        Names and units of the inputs, in the network's order.
    lower, upper
        Training domain: a box, in the labels' units.
    medium
        Medium of the wavelengths as published: ``"vacuum"`` or ``"air"``.
    resolution
        R = λ/FWHM of the emulated spectra.
    includes_pixel
        Whether the emulated spectra are already averaged over the pixels of an instrument.
    absorbs
        Broadening operators of the forward model that a label replaces, besides the operator of the same name: a
        ``vmac`` trained to carry all broadening absorbs ``vsini``.
    hull
        Vertices (m, 3) of the training domain in (teff, logg, fe_h); empty where it is the box.
    excluded
        Windows (m, 2), vacuum Å at rest, that fits leave out because the physics behind the spectra fails there.
    wavelength
        How to find the wavelengths: ``{"file": ..., "key": ...}`` beside the card; for a published network that
        takes any, ``{"windows": [[4712, 4902], ...], "step_kms": 2}``, uniform in ln λ inside each window (Å);
        empty where they are stored with the weights.
    solar_scale, grid_hash, citations, license
        Solar abundances behind [X/H]; hash of the training grid; what to cite; terms of use.
    held_out_error
        Measured errors on held-out synthetic spectra, by name; empty for an emulator that was calibrated.
    discrepancy
        By label, the standard deviation of the error from the physics behind the emulator: the scatter of reference
        stars about their known labels, beyond the errors of their fits. Two numbers each: at [Fe/H] = 0 and above, and
        what each dex below adds, in quadrature, because metal-poor stars are further from LTE.
    reference_stars
        Names of those stars, and of those that a calibrated emulator learned from: no independent test of it.
    original, original_hash
        Name and hash of the emulator of the package that this one corrects: the file holds corrections alone. Empty for
        all others.
    weights
        In the file: SHA-256 of ``weights.safetensors``, checked on loading. Empty in memory.
    """

    name: str
    network: str
    labels: tuple[str, ...]
    units: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    medium: str
    resolution: float
    architecture: dict[str, Any] = field(default_factory=dict)
    includes_pixel: bool = False
    absorbs: tuple[str, ...] = ()
    hull: tuple[tuple[float, float, float], ...] = ()
    excluded: tuple[tuple[float, float], ...] = ()
    wavelength: dict[str, Any] = field(default_factory=dict)
    solar_scale: str = "not stated"
    grid_hash: str = ""
    citations: tuple[str, ...] = ()
    license: str = ""
    held_out_error: dict[str, float] = field(default_factory=dict)
    discrepancy: dict[str, tuple[float, float]] = field(default_factory=dict)
    reference_stars: tuple[str, ...] = ()
    original: str = ""
    original_hash: str = ""
    weights: str = ""

    def __post_init__(self) -> None:
        n = len(self.labels)
        for what in ("units", "lower", "upper"):
            if len(getattr(self, what)) != n:
                raise BayneError(f"card {self.name!r}: {n} labels but {len(getattr(self, what))} {what}")
        if len(set(self.labels)) != n:
            raise BayneError(f"card {self.name!r}: label names must differ, got {list(self.labels)}")
        for label, low, high in zip(self.labels, self.lower, self.upper, strict=True):
            if not -math.inf < low < high < math.inf:
                raise BayneError(f"card {self.name!r}: {label} has the domain {low} to {high}; give low < high")
        if self.medium not in ("vacuum", "air"):
            raise BayneError(f"card {self.name!r}: medium is {self.medium!r}; say 'vacuum' or 'air'")
        if not self.resolution > 0:
            raise BayneError(f"card {self.name!r}: resolution must be a positive R = λ/FWHM")
        if self.hull and not set(HULL_LABELS) <= set(self.labels):
            raise BayneError(f"card {self.name!r}: a hull needs the labels {', '.join(HULL_LABELS)}")
        if self.wavelength and not (
            isinstance(self.wavelength, dict)
            and ("file" in self.wavelength or {"windows", "step_kms"} == set(self.wavelength))
        ):
            raise BayneError(
                f'card {self.name!r}: wavelength must be {{"file": ..., "key": ...}} or '
                '{"windows": [[first, last], ...], "step_kms": ...}'
            )
        if any(len(window) != 2 or not window[0] < window[1] for window in self.excluded):
            raise BayneError(f"card {self.name!r}: excluded holds windows of two wavelengths, low < high")
        if not isinstance(self.architecture, dict):
            raise BayneError(f"card {self.name!r}: architecture must hold settings by name")
        check_known(self.absorbs, MAX_BROADENING, f"card {self.name!r}, absorbs")
        check_known(self.discrepancy, self.labels, f"card {self.name!r}, discrepancy")
        if any(len(value) != 2 or min(value) < 0 for value in self.discrepancy.values()):
            raise BayneError(f"card {self.name!r}: discrepancy holds two numbers by label, neither negative")

    @cached_property
    def halfspaces(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Half-spaces of the hull: ``A @ labels <= b`` for all l labels, A (m, l), b (m,).

        Each row is scaled so that its violation reads in units of the hull's extent. Empty without a hull.
        """
        width = np.array(self.upper) - np.array(self.lower)
        if not self.hull:
            return np.zeros((0, len(self.labels))), np.zeros(0)
        where = [self.labels.index(name) for name in HULL_LABELS]
        unit = ConvexHull((np.array(self.hull) - np.array(self.lower)[where]) / width[where]).equations
        a = np.zeros((len(unit), len(self.labels)))
        a[:, where] = unit[:, :3] / width[where]
        return a, -unit[:, 3] + a @ np.array(self.lower)

    def contains(self, labels: ArrayLike) -> NDArray[np.bool_]:
        """Whether label vectors (..., l) lie in the training domain; shape (...)."""
        x = np.asarray(labels, dtype=np.float64)
        inside = np.all((x >= self.lower) & (x <= self.upper), axis=-1)
        a, b = self.halfspaces
        return np.asarray(inside & np.all(x @ a.T <= b + 1e-9, axis=-1))

    def discrepancies(self, fe_h: float) -> dict[str, float]:
        """`discrepancy` of every label that has one, for a star of this [Fe/H]."""
        poor = max(-fe_h, 0.0)
        return {label: math.hypot(base, poor * slope) for label, (base, slope) in self.discrepancy.items()}

    def to_json(self) -> str:
        """The card as JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_dict(cls, table: dict[str, Any], source: str) -> Card:
        """Card from decoded JSON.

        Raises
        ------
        ReadError
            A field is missing, unknown or wrong; the message names it and `source`.
        """
        known = {f.name: f for f in fields(cls)}
        for key in table:
            if key not in known:
                raise ReadError(f"{source}: unknown card field {key!r}. {did_you_mean(key, known)}")
        required = ("name", "network", "labels", "units", "lower", "upper", "medium", "resolution")
        missing = [key for key in required if key not in table]
        if missing:
            raise ReadError(f"{source}: the card lacks {', '.join(missing)}")
        values = dict(table)
        for key in ("labels", "units", "lower", "upper", "absorbs", "citations", "reference_stars", "hull", "excluded"):
            if isinstance(values.get(key, []), str):
                raise ReadError(f"{source}: card field {key!r} must be a list")
        try:
            for key in ("labels", "units", "absorbs", "citations", "reference_stars"):
                values[key] = tuple(values.get(key, ()))
            for key in ("lower", "upper"):
                values[key] = tuple(float(value) for value in values[key])
            values["resolution"] = float(values["resolution"])
            for key in ("hull", "excluded"):
                values[key] = tuple(tuple(float(value) for value in row) for row in values.get(key, ()))
            discrepancy = values.get("discrepancy", {})
            values["discrepancy"] = {key: tuple(float(v) for v in pair) for key, pair in discrepancy.items()}
            return cls(**values)
        except (AttributeError, TypeError, ValueError) as error:
            raise ReadError(f"{source}: {error}") from None

    @classmethod
    def read(cls, path: str | Path) -> Card:
        """Card from a JSON file.

        Raises
        ------
        ReadError
            The file is missing, is not JSON, or is not a card.
        """
        path = Path(path)
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ReadError(f"{path}: no such card") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ReadError(f"{path}: not a JSON card ({error})") from None
        if not isinstance(table, dict):
            raise ReadError(f"{path}: a card is a JSON object")
        return cls.from_dict(table, str(path))

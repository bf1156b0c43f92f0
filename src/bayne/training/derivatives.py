"""Derivatives of an emulator, and how far they follow those of a physical synthesis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from ..emulators import Emulator
from ..emulators.linear import Linear
from ..errors import ReadError
from ..spectrum import FloatArray
from ..wavelength import to_vacuum
from .grid import text

#: Share of a derivative's squared sum that its strongest pixels hold; they are the label's lines.
SHARE = 0.9

#: A label has a measurable line where all pixels together show a change of `STEP` (a factor of two in abundance,
#: 0.3 km/s, or 100 K) at 3 sigma, at S/N 100 per pixel, with all other labels known: sqrt(sum d²) * step * 100 > 3.
#: This is the Cramér-Rao bound of one label alone; below, the best of emulators would not measure it either.
SIGNAL_TO_NOISE, DETECTED = 100.0, 3.0
STEP = {"K": 100.0}
OTHER_STEP = 0.3


@dataclass(frozen=True)
class StarDerivatives:
    """Physical derivatives of the flux of one star beside the emulator's.

    Parameters
    ----------
    name
        Of the star.
    labels
        (l,) of the star.
    base
        (p,) physical spectrum.
    base_mae
        Mean absolute error of the emulator's.
    physical, emulated
        (l, p) derivatives, per unit of each label.
    correlation, cosine, slope
        (l,) over the pixels that hold 90% of the physical derivative's squared sum: Pearson's correlation; the
        same without subtracting means; slope of emulated against physical through the origin. NaN where the
        physical derivative is zero.
    relative_rms
        (l,) root of the squared error's sum over that of the physical derivative, over all pixels.
    significance
        (l,) sigma at which the physical spectrum shows a change of 100 K, 0.3 dex or 0.3 km/s at S/N 100 per pixel,
        all other labels known.
    """

    name: str
    labels: FloatArray
    base: FloatArray
    base_mae: float
    physical: FloatArray
    emulated: FloatArray
    correlation: FloatArray
    cosine: FloatArray
    slope: FloatArray
    relative_rms: FloatArray
    significance: FloatArray

    @property
    def measurable(self) -> np.ndarray:
        """(l,) whether the label has a measurable line: more than 3 sigma."""
        return self.significance > DETECTED

    def as_emulator(self, emulator: Emulator) -> Emulator:
        """The physical spectrum and derivatives as an emulator, right next to the star, with the domain of another."""
        card = replace(emulator.card, name=f"physical derivatives of {self.name}", network="linear", architecture={})
        arrays = {"base": self.base, "slope": self.physical, "origin": self.labels}
        network, params = Linear.decode(arrays, card)
        return Emulator(network, params, emulator.wavelength, card)


def compare_derivatives(emulator: Emulator, path: str | Path) -> tuple[StarDerivatives, ...]:
    """Compare an emulator with a file of physical derivatives.

    Parameters
    ----------
    emulator
        On the wavelengths of the file.
    path
        HDF5: ``wavelength`` (p,) with attribute ``medium``, root attribute ``label_names``, and a group for every star
        with ``base`` (p,), ``labels`` (l,) and ``derivative`` (l, p).

    Raises
    ------
    ReadError
        The file is missing or no HDF5, lacks something, or is of other labels or wavelengths.
    """
    path = Path(path)
    if not path.exists():
        raise ReadError(f"{path}: no such file of derivatives")
    try:
        with h5py.File(path) as file:
            return _compare(emulator, path, file)
    except OSError as error:
        raise ReadError(f"{path}: not a readable HDF5 file ({error})") from None


def _compare(emulator: Emulator, path: Path, file: h5py.File) -> tuple[StarDerivatives, ...]:
    if "label_names" not in file.attrs or "wavelength" not in file or "medium" not in file["wavelength"].attrs:
        raise ReadError(f"{path}: derivatives need the attribute 'label_names' and 'wavelength' with its 'medium'")
    check_labels(emulator, tuple(map(text, file.attrs["label_names"])), str(path))
    medium = text(file["wavelength"].attrs["medium"])
    check_wavelength(emulator, to_vacuum(file["wavelength"][:], medium), str(path))
    stars = {name: group for name, group in file.items() if isinstance(group, h5py.Group)}
    if not stars:
        raise ReadError(f"{path}: no star in it; each is a group with base, labels and derivative")
    count, pixels = len(emulator.label_names), emulator.wavelength.size
    found = []
    for name, group in stars.items():
        for key, shape in {"base": (pixels,), "labels": (count,), "derivative": (count, pixels)}.items():
            if key not in group or group[key].shape != shape:
                got = group[key].shape if key in group else "nothing"
                raise ReadError(f"{path}: {name}/{key} should have shape {shape}, found {got}")
        labels = group["labels"][:].astype(np.float64)
        base = group["base"][:].astype(np.float64)
        physical = group["derivative"][:].astype(np.float64)
        emulated = emulator.gradient(labels)
        correlation, cosine, slope, rms = np.array([_follow(e, d) for e, d in zip(emulated, physical, strict=True)]).T
        step = np.array([STEP.get(unit, OTHER_STEP) for unit in emulator.label_units])
        significance = np.sqrt(np.sum(physical**2, axis=1)) * step * SIGNAL_TO_NOISE
        found.append(
            StarDerivatives(
                name=name,
                labels=labels,
                base=base,
                base_mae=float(np.abs(emulator.evaluate(labels) - base).mean()),
                physical=physical,
                emulated=emulated,
                correlation=correlation,
                cosine=cosine,
                slope=slope,
                relative_rms=rms,
                significance=significance,
            )
        )
    return tuple(found)


def strongest(derivative: FloatArray) -> np.ndarray:
    """Fewest pixels of a derivative (p,) that hold 90% of its squared sum."""
    order = np.argsort(-np.abs(derivative), kind="stable")
    held = np.cumsum(derivative[order] ** 2)
    return np.sort(order[: np.searchsorted(held, SHARE * held[-1]) + 1])


def _follow(emulated: FloatArray, physical: FloatArray) -> tuple[float, float, float, float]:
    """Correlation, cosine, slope and relative RMS error of one label."""
    if not physical.any():
        return np.nan, np.nan, np.nan, np.nan
    where = strongest(physical)
    e, d = emulated[where], physical[where]
    correlation = np.corrcoef(e, d)[0, 1] if np.ptp(e) > 0 and np.ptp(d) > 0 else np.nan
    cosine = e @ d / np.sqrt((e @ e) * (d @ d)) if e.any() else np.nan
    error = np.sqrt(np.sum((emulated - physical) ** 2) / np.sum(physical**2))
    return float(correlation), float(cosine), float(e @ d / (d @ d)), float(error)


def check_labels(emulator: Emulator, names: tuple[str, ...], source: str) -> None:
    """Raise unless a file's labels are the emulator's, in its order.

    Raises
    ------
    ReadError
        Names what is missing, unknown or in another order.
    """
    own = emulator.label_names
    if names != own:
        said = [
            f"{what} {', '.join(found)}"
            for what, found in (
                ("it lacks", [n for n in own if n not in names]),
                ("the emulator does not know", [n for n in names if n not in own]),
            )
            if found
        ]
        told = "; ".join(said) or f"they come in another order: {', '.join(names)}"
        raise ReadError(f"{source}: its labels are not those of the emulator {emulator.card.name!r}: {told}")


def check_wavelength(emulator: Emulator, wavelength: FloatArray, source: str) -> None:
    """Raise unless a file's pixels are the emulator's, to a tenth of a km/s.

    Raises
    ------
    ReadError
        Gives the number and the range of both.
    """
    own = emulator.wavelength
    if own.shape != wavelength.shape or not np.allclose(own, wavelength, rtol=3e-7, atol=0):
        raise ReadError(
            f"{source}: its wavelengths ({_span(wavelength)}) are not those of the emulator {emulator.card.name!r} "
            f"({_span(own)})"
        )


def _span(wavelength: FloatArray) -> str:
    return f"{wavelength.size} pixels from {wavelength[0]:.3f} to {wavelength[-1]:.3f} vacuum Å"

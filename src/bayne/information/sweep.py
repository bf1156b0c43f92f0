"""Bounds against signal-to-noise, resolution or wavelength window, and the S/N at which a bound is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..emulators import Emulator
from ..errors import BayneError
from ..instrument import Instrument, load_instrument
from ..spectrum import FloatArray
from .cramer_rao import cramer_rao
from .exposure import SNR
from .result import Bounds

#: What is tried where nothing is said: S/N, and R as a share of the emulator's.
SIGNAL_TO_NOISE = (10.0, 20.0, 30.0, 50.0, 70.0, 100.0, 150.0, 200.0, 300.0, 500.0)
RESOLUTION_FRACTIONS = (0.04, 0.08, 0.16, 0.24, 0.4, 0.6, 0.8, 0.96)


@dataclass(frozen=True)
class Sweep:
    """Bounds of one star for several values of one thing: ``over`` is snr, resolution or window."""

    over: str
    values: tuple[Any, ...]
    bounds: tuple[Bounds, ...]

    def of(self, name: str) -> FloatArray:
        """(k,) bounds of one parameter; inf where it is not constrained."""
        return np.array([b.std[b.names.index(name)] for b in self.bounds])


def sweep(
    emulator: Emulator,
    instrument: str | Instrument,
    labels: Mapping[str, float] | str,
    snr: SNR,
    over: str,
    values: Sequence[Any] | None = None,
    **options: Any,
) -> Sweep:
    """Bounds of `cramer_rao` for several values of one thing.

    Parameters
    ----------
    emulator, instrument, labels, snr, options
        As for `cramer_rao`, for one star.
    over
        ``"snr"``; ``"resolution"``, with the same pixels and the same S/N in each of them; or ``"window"``.
    values
        S/N, R, or pairs of wavelengths (vacuum Å); None for usual S/N, shares of the emulator's R, or the emulator's
        windows that the instrument sees.

    Raises
    ------
    BayneError
        As for `cramer_rao`, or another kind of sweep.
    """
    key = {"snr": "snr", "resolution": "resolution", "window": "windows"}.get(over)
    if key is None:
        raise BayneError(f"sweep {over!r}: choose from snr, resolution, window")
    if values is None:
        profile = load_instrument(instrument) if isinstance(instrument, str) else instrument
        chosen = [arm for arm in profile.arms if arm.name in (options.get("arms") or [a.name for a in profile.arms])]
        values = {
            "snr": SIGNAL_TO_NOISE,
            "resolution": tuple(float(f"{share * emulator.resolution:.2g}") for share in RESOLUTION_FRACTIONS),
            "window": tuple(
                (float(low), float(high))
                for low, high in emulator.windows()
                if any(arm.wavelength[0] < high and arm.wavelength[1] > low for arm in chosen)
            ),
        }[over]
    if not len(values):
        raise BayneError(
            f"sweep over {over}: nothing to sweep; do the arms belong to the instrument and lie inside the windows?"
        )
    found = []
    for value in values:
        asked = dict(options) | {"snr": snr, key: [value] if over == "window" else value}
        answer = cramer_rao(emulator, instrument, labels, **asked)
        if not isinstance(answer, Bounds):
            raise BayneError("sweep: give the labels of one star, not arrays")
        found.append(answer)
    return Sweep(over, tuple(values), tuple(found))


def required_snr(swept: Sweep, target: float) -> dict[str, float]:
    """S/N at which each abundance has a bound of `target` dex, between those of a sweep over S/N.

    Interpolated in the logarithms of both. Below the first of them where that is enough; inf where the last is not.
    """
    if swept.over != "snr" or list(swept.values) != sorted(swept.values):
        raise BayneError("required_snr: give a sweep over S/N that increases")
    if not target > 0:
        raise BayneError(f"required_snr {target}: give a positive number of dex")
    snr, found = np.log(np.array(swept.values, dtype=float)), {}
    for name in swept.bounds[0].names:
        if not name.endswith(("_fe", "fe_h")):
            continue
        bound = np.log(swept.of(name))
        enough = np.flatnonzero(bound <= np.log(target))
        k = int(enough[0]) if enough.size else -1
        if k <= 0 or not np.isfinite(bound[k - 1]):
            found[name] = float(np.exp(snr[k])) if k >= 0 else np.inf
        else:
            share = (bound[k - 1] - np.log(target)) / (bound[k - 1] - bound[k])
            found[name] = float(np.exp(snr[k - 1] + share * (snr[k] - snr[k - 1])))
    return found

"""An observed spectrum cut to the windows of an emulator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..emulators import Emulator
from ..lsf import LSF, BandedLSF
from ..spectrum import Arm, Spectrum
from ..wavelength import C_KMS

#: Velocities that are searched, in the frame of the file (km/s).
MAX_VELOCITY = 1000.0


def reachable(emulator: Emulator) -> list[tuple[float, float]]:
    """Wavelengths (vacuum Å) at which each window of the emulator is seen, at any velocity that is searched.

    Where two of them overlap, they end in the middle between the windows.
    """
    stretch = 1 + MAX_VELOCITY / C_KMS
    ends = [[low / stretch, high * stretch] for low, high in emulator.windows()]
    for (_, high), (low, _), left, right in zip(
        emulator.windows()[:-1], emulator.windows()[1:], ends[:-1], ends[1:], strict=True
    ):
        if left[1] > right[0]:
            left[1] = right[0] = 0.5 * (high + low)
    return [(low, high) for low, high in ends]


def cut_to_windows(spectrum: Spectrum, emulator: Emulator) -> tuple[Spectrum, list[int]]:
    """The spectrum with one arm for each window of the emulator that an arm covers: each gets its own continuum.

    Parameters
    ----------
    spectrum, emulator
        See there.

    Returns
    -------
    tuple
        The spectrum, and for each of its arms the index of the arm that it was cut from. An arm that reaches several
        windows becomes ``<name>-1``, ``<name>-2``, ... by the number of the window. A spectrum that covers none is
        returned as it is.
    """
    pieces: list[Arm] = []
    source: list[int] = []
    for a, arm in enumerate(spectrum.arms):
        places = {w: slice(*np.searchsorted(arm.wavelength, ends)) for w, ends in enumerate(reachable(emulator), 1)}
        places = {w: inside for w, inside in places.items() if inside.stop - inside.start > 1}
        if len(places) == 1:
            found = [_piece(arm, inside, arm.name) for inside in places.values()]
        else:  # a window without a good pixel needs no continuum
            found = [_piece(arm, inside, f"{arm.name}-{w}") for w, inside in places.items() if arm.good[inside].any()]
        pieces += found
        source += [a] * len(found)
    if not pieces:
        return spectrum, list(range(len(spectrum.arms)))
    return replace(spectrum, arms=tuple(pieces)), source


def _piece(arm: Arm, inside: slice, name: str) -> Arm:
    ivar = None if arm.ivar is None else arm.ivar[inside]
    return Arm(
        arm.wavelength[inside], arm.flux[inside], ivar, arm.mask[inside], _lsf_of_piece(arm.lsf, inside), name
    )  # fmt: skip


def _lsf_of_piece(lsf: LSF | None, inside: slice) -> LSF | None:
    if isinstance(lsf, BandedLSF):
        return replace(lsf, bands=lsf.bands[:, inside])
    return None if lsf is None else replace(lsf, fwhm=lsf.fwhm[inside])

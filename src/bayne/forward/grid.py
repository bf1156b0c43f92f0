"""The wavelength grid on which broadening is done: uniform in ln λ inside every window of the emulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from ..emulators import Emulator
from ..spectrum import FloatArray
from ..wavelength import C_KMS

#: Padding is a multiple of so many samples: stars whose kernels differ a little share one compiled function.
SHARED_PAD = 128

#: Points of the Lagrange interpolation that takes a grid that is not uniform in ln λ onto one that is.
LAGRANGE = 6


@dataclass(frozen=True)
class ModelGrid:
    """Uniform ln λ grid over the windows of an emulator, padded for Fourier transforms.

    Parameters
    ----------
    first, step, size
        (s,) ln λ of the first sample, step in ln λ and number of samples of every window, before padding.
    pad
        Samples added at each end, by reflection.
    length
        Common padded length L of all windows.
    index, weight
        (s, L, k) the samples as weighted sums of the emulator's pixels; k is 1 where the emulator's grid is
        already uniform in ln λ.
    """

    first: FloatArray
    step: FloatArray
    size: NDArray[np.int64]
    pad: int
    length: int
    index: NDArray[np.int32]
    weight: FloatArray

    @property
    def frequency(self) -> FloatArray:
        """(s, L // 2 + 1) cycles per km/s; (1, L // 2 + 1) where all windows have the same step."""
        steps = self.step[:1] if np.allclose(self.step, self.step[0], rtol=1e-6) else self.step
        return np.stack([np.fft.rfftfreq(self.length, C_KMS * step) for step in steps])


def model_grid(emulator: Emulator, reach_kms: float) -> ModelGrid:
    """Plan the grid for kernels that reach `reach_kms` to either side."""
    windows = []
    for k in np.unique(emulator.segment):
        pixels = np.flatnonzero(emulator.segment == k)
        if pixels.size >= LAGRANGE:
            windows.append(_window(np.log(emulator.wavelength[pixels]), pixels))
    first = np.array([w[0] for w in windows])
    step = np.array([w[1] for w in windows])
    size = np.array([w[2].shape[0] for w in windows])
    pad = SHARED_PAD * int(np.ceil((reach_kms / C_KMS / step.min() + 16) / SHARED_PAD))
    length = int(next_fast_len(int(size.max()) + 2 * pad, real=True))
    length += length % 2
    reflected = [_reflect(w[2].shape[0], pad, length) for w in windows]
    points = 1 if all(np.all(w[3][:, 0] == 1) for w in windows) else LAGRANGE
    index = np.stack([w[2][r, :points] for w, r in zip(windows, reflected, strict=True)])
    weight = np.stack([w[3][r, :points] for w, r in zip(windows, reflected, strict=True)])
    return ModelGrid(first, step, size, pad, length, index.astype(np.int32), weight)


def _window(log_wave: FloatArray, pixels: NDArray[np.int64]) -> tuple[float, float, NDArray[np.int64], FloatArray]:
    """First ln λ, step, and indices and weights (n, k) of one window."""
    n = log_wave.size
    step = (log_wave[-1] - log_wave[0]) / (n - 1)
    if np.max(np.abs(log_wave - (log_wave[0] + step * np.arange(n)))) < 1e-3 * step:
        index, weight = np.repeat(pixels[:, None], LAGRANGE, 1), np.eye(1, LAGRANGE).repeat(n, 0)
        return float(log_wave[0]), float(step), index, weight
    fine = float(np.diff(log_wave).min()) / 1.5
    target = log_wave[0] + fine * np.arange(int((log_wave[-1] - log_wave[0]) / fine) + 1)
    left = np.clip(np.searchsorted(log_wave, target) - LAGRANGE // 2, 0, n - LAGRANGE)
    index = left[:, None] + np.arange(LAGRANGE)
    nodes = log_wave[index]
    weight = np.ones(nodes.shape)
    for i in range(LAGRANGE):
        for j in range(LAGRANGE):
            if i != j:
                weight[:, i] *= (target - nodes[:, j]) / (nodes[:, i] - nodes[:, j])
    return float(target[0]), fine, pixels[index], weight


def _reflect(n: int, pad: int, length: int) -> NDArray[np.int64]:
    """Sample of a window of n that stands at each place of the padded array: mirrored at both ends."""
    place = np.abs(np.arange(length) - pad)
    return np.clip(np.where(place > n - 1, 2 * (n - 1) - place, place), 0, n - 1)

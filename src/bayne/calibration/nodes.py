"""Where corrections live: nodes uniform in ln λ, between which they are linear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, diags_array

from ..emulators import Emulator
from ..spectrum import FloatArray
from ..wavelength import C_KMS


@dataclass(frozen=True)
class Nodes:
    """Nodes of an emulator's windows.

    Parameters
    ----------
    step
        Distance of neighbours in ln λ.
    window
        (q,) number of the emulator's window that each is in.
    log_wave
        (q,) ln of their vacuum Å.
    hats
        (p, q) weights that interpolate from the nodes to the emulator's pixels.
    """

    step: float
    window: np.ndarray
    log_wave: FloatArray
    hats: csr_array

    @classmethod
    def of(cls, emulator: Emulator, step_kms: float) -> Nodes:
        """Nodes about `step_kms` apart."""
        step, segment, log_pixel = step_kms / C_KMS, emulator.segment, np.log(emulator.wavelength)
        window, log_wave, rows, columns, weights, first = [], [], [], [], [], 0
        for k in np.unique(segment):
            pixels = np.flatnonzero(segment == k)
            own = log_pixel[pixels]
            count = max(int(np.ceil((own[-1] - own[0]) / step)), 1) + 1
            place = (own - own[0]) / step
            left = np.minimum(place.astype(int), count - 2)
            share = place - left
            rows += [pixels, pixels]
            columns += [first + left, first + left + 1]
            weights += [1 - share, share]
            window.append(np.full(count, k))
            log_wave.append(own[0] + step * np.arange(count))
            first += count
        where = np.concatenate(rows), np.concatenate(columns)
        hats = csr_array((np.concatenate(weights), where), shape=(log_pixel.size, first))
        return cls(step, np.concatenate(window), np.concatenate(log_wave), hats)

    def teeth(self, count: int) -> np.ndarray:
        """(count, p) sums of the hats of every `count`-th node: what they do to pixels far apart is told apart."""
        comb = np.zeros((self.log_wave.size, count))
        comb[np.arange(len(comb)), np.arange(len(comb)) % count] = 1.0
        return np.asarray(self.hats @ comb).T

    def nearest(self, log_rest: FloatArray, count: int) -> np.ndarray:
        """(n, count) for each tooth the node of it that is nearest to ln λ (n,); -1 where that is not in the window."""
        order = np.argsort(self.log_wave)
        after = np.clip(np.searchsorted(self.log_wave[order], log_rest), 1, order.size - 1)
        close = np.abs(self.log_wave[order[after]] - log_rest) < np.abs(self.log_wave[order[after - 1]] - log_rest)
        at = order[np.where(close, after, after - 1)]
        first = np.searchsorted(self.window, self.window[at])
        last = np.searchsorted(self.window, self.window[at], side="right")
        tooth = np.arange(count)
        half = count // 2
        node = at[:, None] - half + (tooth - (at[:, None] - half)) % count
        return np.where((node >= first[:, None]) & (node < last[:, None]), node, -1)

    def whitening(self, sigma: FloatArray, length_kms: float) -> csr_array:
        """(q, q) matrix R that makes a process at the nodes white, RᵀR being its precision.

        The process has standard deviations σ (q,) and exponential correlation inside each window (Ornstein-Uhlenbeck),
        so that R has two diagonals (Rybicki & Press 1995, PRL 74, 1060).
        """
        rho = np.where(np.diff(self.window) == 0, np.exp(-self.step * C_KMS / length_kms), 0.0)
        size = np.concatenate([[1.0], 1 / np.sqrt(1 - rho**2)])
        return csr_array(diags_array([size / sigma, -rho * size[1:] / sigma[:-1]], offsets=[0, -1]))

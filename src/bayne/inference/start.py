"""Where to start: radial velocity by cross-correlation with a few templates of the emulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.stats import qmc

from ..emulators import Emulator
from ..forward import VELOCITY_MARGIN
from ..labels import over_hydrogen
from ..likelihoods import MAX_VELOCITY
from ..lsf import FWHM_PER_SIGMA, resolving_power
from ..spectrum import Arm, FloatArray, Spectrum
from ..wavelength import C_KMS

#: The cross-correlation is done on bins of about this width (km/s), templates smoothed to twice of it.
BIN_KMS = 12.0

#: Stretches of an arm (ln λ; 120 Å at 6000 Å) whose mean flux does not count: a continuum that is wrong over a long arm
#: correlates all of its pixels.
STRETCH = 0.02

#: Templates, spread over the domain.
N_TEMPLATES = 16


@dataclass(frozen=True)
class Start:
    """Result of the cross-correlation.

    Parameters
    ----------
    velocity
        Of the highest peak (km/s, frame of the file).
    significance
        Square root of the gain in chi-square over the best velocity that is further than `VELOCITY_MARGIN`, and the
        width of a line, away, or over no lines at all; chi-square is scaled to one per independent bin at the peak.
    labels
        (t, l) templates in order of their peaks, best first.
    grid, ccf
        (v,) velocities (km/s) and the normalised cross-correlation of the best template.
    """

    velocity: float
    significance: float
    labels: FloatArray
    grid: FloatArray
    ccf: FloatArray

    @property
    def at_edge(self) -> bool:
        """Whether the peak lies within 1% of the ends of the range."""
        return abs(self.velocity) > 0.99 * MAX_VELOCITY


def template_labels(emulator: Emulator, fixed: dict[str, float], lower: FloatArray, upper: FloatArray) -> FloatArray:
    """(t, l) labels spread over the domain: stellar parameters by a Sobol sequence, [X/Fe] near zero.

    Parameters
    ----------
    emulator, fixed
        Fixed labels keep their values.
    lower, upper
        (l,) box to stay in, priors included.
    """
    centre = np.clip(0.0, lower + 0.1 * (upper - lower), upper - 0.1 * (upper - lower))
    abundances = {over for over, _ in over_hydrogen(emulator.label_names).values()}
    points = qmc.Sobol(len(lower), scramble=False).random_base2(8)[1:]
    labels = lower + (0.05 + 0.9 * points) * (upper - lower)
    for i, name in enumerate(emulator.label_names):
        if name in abundances:
            labels[:, i] = centre[i]
        if name in fixed:
            labels[:, i] = fixed[name]
    inside = labels[emulator.contains(labels)]
    return inside[:N_TEMPLATES] if len(inside) else labels[:N_TEMPLATES]


@dataclass(frozen=True)
class Binned:
    """Data for cross-correlation: ln λ (n,), flux over pilot (n,), weights (n,), number of the `STRETCH` (n,)."""

    log_wave: FloatArray
    value: FloatArray
    weight: FloatArray
    stretch: np.ndarray


def bin_data(spectrum: Spectrum, pilot: list[FloatArray]) -> Binned:
    """Average neighbouring pixels to about `BIN_KMS`, weighted by inverse variance."""
    parts, before = [], 0
    for arm, p in zip(spectrum.arms, pilot, strict=True):
        step = C_KMS * float(np.median(np.diff(np.log(arm.wavelength))))
        width = max(1, round(BIN_KMS / step))
        n = arm.wavelength.size // width * width
        if n == 0:
            continue
        weight = _weight(arm, p)[:n].reshape(-1, width)
        total = weight.sum(1)
        flux = np.where(weight > 0, arm.flux[:n].reshape(-1, width) / p[:n].reshape(-1, width), 0.0)
        value = np.divide((weight * flux).sum(1), total, out=np.zeros(len(total)), where=total > 0)
        keep = total > 0
        log_wave = np.log(arm.wavelength[:n]).reshape(-1, width).mean(1)
        stretch = before + ((log_wave - log_wave[0]) / STRETCH).astype(int)
        before = stretch[-1] + 1
        parts.append((log_wave[keep], value[keep], total[keep], stretch[keep]))
    if not parts:
        return Binned(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, int))
    return Binned(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _weight(arm: Arm, pilot: FloatArray) -> FloatArray:
    """Inverse variance of flux over pilot, each pixel's S/N capped at 100: no pixel decides alone."""
    assert arm.ivar is not None
    weight = np.where(arm.good, arm.ivar * pilot**2, 0.0)
    return np.minimum(weight, 1e4)


def fwhm_kms(arms: Sequence[Arm]) -> float:
    """Full width at half maximum of the line-spread function, km/s: that of the least sharp arm; 0 if none has one."""
    widths = [C_KMS / float(np.nanmedian(resolving_power(a.lsf, a.wavelength))) for a in arms if a.lsf is not None]
    return max(widths, default=0.0)


def smoothed(emulator: Emulator, flux: FloatArray, spectrum: Spectrum) -> FloatArray:
    """Spectra (t, p) of the emulator smoothed to the instrument, but to no less than twice the bin."""
    fwhm = max(2 * BIN_KMS, fwhm_kms(spectrum.arms))
    smooth = np.array(flux, dtype=np.float64)
    for k in np.unique(emulator.segment):
        here = emulator.segment == k
        step = C_KMS * float(np.median(np.diff(np.log(emulator.wavelength[here]))))
        smooth[:, here] = gaussian_filter1d(smooth[:, here], fwhm / FWHM_PER_SIGMA / step, mode="nearest")
    return smooth


def correlate(data: Binned, emulator: Emulator, templates: FloatArray, velocities: FloatArray) -> FloatArray:
    """Normalised cross-correlation (t, v) of the data with templates (t, p), between -1 and 1, 0 without overlap.

    Weighted correlation coefficient over the pixels that the shifted template covers; the weighted mean of
    each stretch is removed from both, so that levels do not count.
    """
    lines, out = _Lines.of(emulator, templates), np.zeros((len(templates), velocities.size))
    for i, velocity in enumerate(velocities):
        w, y, m = _aligned(data, lines, velocity)
        norm = np.sqrt(np.sum(w * y**2) * (m**2 @ w))
        out[:, i] = np.divide(m @ (w * y), norm, out=np.zeros(len(m)), where=norm > 0)
    return out


class _Lines(NamedTuple):
    """Templates: wavelengths (p,), their windows, fluxes (t, p)."""

    wavelength: FloatArray
    windows: list[tuple[float, float]]
    flux: FloatArray

    @classmethod
    def of(cls, emulator: Emulator, flux: FloatArray) -> _Lines:
        return cls(emulator.wavelength, emulator.windows(), flux)


def _aligned(data: Binned, lines: _Lines, velocity: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights and data (n,) and shifted templates (t, n) of the bins that these cover, each less its stretch's weighted
    mean."""
    wavelength = np.exp(data.log_wave - np.arctanh(velocity / C_KMS))
    covered = np.zeros(wavelength.size, bool)
    for low, high in lines.windows:
        covered |= (wavelength >= low) & (wavelength <= high)
    if covered.sum() < 10:
        return np.zeros(0), np.zeros(0), np.zeros((len(lines.flux), 0))
    w, y = data.weight[covered], data.value[covered]
    place = np.interp(wavelength[covered], lines.wavelength, np.arange(lines.wavelength.size))
    left = np.minimum(place.astype(int), lines.wavelength.size - 2)
    m = lines.flux[:, left] + (place - left) * (lines.flux[:, left + 1] - lines.flux[:, left])
    _, first, stretch = np.unique(data.stretch[covered], return_index=True, return_inverse=True)
    total = np.add.reduceat(w, first)
    total[total == 0] = 1.0
    y = y - (np.add.reduceat(w * y, first) / total)[stretch]
    m = m - (np.add.reduceat(w * m, first, axis=1) / total)[:, stretch]
    return w, y, m


def _independent(data: Binned, emulator: Emulator, template: FloatArray, velocity: float) -> float:
    """How many independent bins the residuals from a template are worth: continuum and misfit correlate neighbours.

    n / (1 + 2 Σ ρ_k), with the autocorrelations ρ_k up to the first that is not positive (Sokal 1997).
    """
    w, y, (m,) = _aligned(data, _Lines.of(emulator, template[None]), velocity)
    if w.size == 0:
        return 0.0
    square = np.sum(w * m**2)
    residual = np.sqrt(w) * (y - (np.sum(w * y * m) / square if square > 0 else 0.0) * m)
    power = np.abs(np.fft.rfft(residual, 2 * residual.size)) ** 2
    rho = np.fft.irfft(power)[: residual.size] / max(np.sum(residual**2), 1e-300)
    end = int(np.argmax(rho <= 0)) if np.any(rho <= 0) else rho.size
    return residual.size / (1 + 2 * float(rho[1:end].sum()))


def find_start(
    spectrum: Spectrum,
    emulator: Emulator,
    pilot: list[FloatArray],
    labels: FloatArray,
    around: tuple[float, float] = (-MAX_VELOCITY, MAX_VELOCITY),
) -> Start:
    """Velocity and labels to start from.

    Parameters
    ----------
    spectrum
        With inverse variances.
    emulator, labels
        Templates (t, l).
    pilot
        Pilot continuum of every arm.
    around
        Range in which to take the peak (km/s, frame of the file).
    """
    data = bin_data(spectrum, pilot)
    low, high = around
    grid = np.union1d(np.arange(-MAX_VELOCITY, MAX_VELOCITY + BIN_KMS, BIN_KMS), [low, 0.5 * (low + high), high])
    allowed = (grid >= low) & (grid <= high)
    templates = smoothed(emulator, emulator.evaluate(labels), spectrum)
    functions = correlate(data, emulator, templates, grid)
    order = np.argsort(-functions[:, allowed].max(1))
    best = int(order[0])
    near = grid[allowed][int(np.argmax(functions[best, allowed]))]
    fine = np.clip(near + np.linspace(-2 * BIN_KMS, 2 * BIN_KMS, 97), low, high)
    velocity = float(fine[int(np.argmax(correlate(data, emulator, templates[best : best + 1], fine)))])
    ccf = functions[best]
    elsewhere = allowed & (np.abs(grid - velocity) > max(VELOCITY_MARGIN, fwhm_kms(spectrum.arms)))
    other = ccf[elsewhere].max(initial=0.0)
    peak = min(ccf[allowed].max(), 1 - 1e-9)
    gain = max(peak**2 * np.sign(peak) - other**2, 0.0) / (1 - peak**2)
    significance = float(np.sqrt(_independent(data, emulator, templates[best], velocity) * gain))
    return Start(velocity, significance, labels[order], grid, ccf)

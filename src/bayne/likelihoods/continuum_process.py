"""The continuum as a Gaussian process beside the polynomial: its modes, and amplitude and scale by evidence."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ..batching import batchable
from ..lsf import resolving_power
from ..spectrum import FloatArray, Spectrum
from .marginal import Pixels

#: Scales (Å) over which a continuum may wander, the shortest of them at least so many widths of a line (FWHM), and
#: standard deviations of what it does, relative to the continuum.
SCALES, WIDTHS, AMPLITUDES = np.geomspace(10.0, 100.0, 5), 10.0, np.geomspace(1e-4, 0.03, 12)

#: Where the search begins, of all scales and amplitudes: half a percent over some 30 Å.
FIRST_GUESS = 2 * AMPLITUDES.size + 8

#: The modes vanish at this distance from the middle of an arm, in halves of its length.
DOMAIN_PADDING = 1.2

#: Frequencies up to this one, over the scale, are modes: the spectral density of a squared exponential is down by e⁻³.
MAX_FREQUENCY = 2.5


def modes(spectrum: Spectrum) -> tuple[list[FloatArray], FloatArray]:
    """Modes of the process on the pixels of every arm, and their standard deviations by scale and amplitude.

    A Gaussian process with the covariance σ² exp(-(λ - λ')²/(2ℓ²)) on an interval is a sum of sines of independent
    amplitudes, whose variances are its spectral density at their frequencies (Solin & Särkkä 2020, Statistics and
    Computing 30, 419).

    Returns
    -------
    tuple
        (n, m) modes for every arm, and (scales, amplitudes, a, m) standard deviations.
    """
    scales = SCALES * max(1.0, WIDTHS * _fwhm(spectrum) / SCALES[0])
    halves = np.array([0.5 * (arm.wavelength[-1] - arm.wavelength[0]) for arm in spectrum.arms])
    borders = DOMAIN_PADDING * halves
    count = int(np.ceil(MAX_FREQUENCY / scales[0] * 2 * borders.max() / np.pi))
    frequency = np.arange(1, count + 1) * np.pi / (2 * borders[:, None])
    waves = [
        np.sin((arm.wavelength[:, None] - arm.wavelength[0] - half + border) * own) / np.sqrt(border)
        for arm, half, border, own in zip(spectrum.arms, halves, borders, frequency, strict=True)
    ]
    density = np.sqrt(2 * np.pi) * scales[:, None, None] * np.exp(-0.5 * (scales[:, None, None] * frequency) ** 2)
    return waves, AMPLITUDES[:, None, None] * np.sqrt(density)[:, None]


def _fwhm(spectrum: Spectrum) -> float:
    """Å, of the arm with the widest line-spread function; 0 if none has one."""
    widths = [
        float(np.nanmedian(arm.wavelength / resolving_power(arm.lsf, arm.wavelength)))
        for arm in spectrum.arms
        if arm.lsf is not None
    ]
    return max(widths, default=0.0)


@batchable()
def best_spread(
    pixels: Pixels, spreads: jax.Array, model: jax.Array, extra: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """Standard deviations (a, c) of the continuum's columns with the amplitude and scale of most evidence in every arm.

    Parameters
    ----------
    pixels
        Data and noise.
    spreads
        (h, a, c) standard deviations that come into question.
    model
        (a, n) normalised flux.
    extra
        (a,) variance that jitter adds, in normalised flux²; None for none.

    Returns
    -------
    tuple
        The standard deviations, and (a,) which of the h they are. Evidence is that of the continuum alone, at this
        model and noise; amplitudes have a log-uniform prior.
    """
    variance = pixels.total_variance + (0.0 if extra is None else extra[:, None])
    weight = jnp.where(pixels.used, 1 / variance, 0.0)
    columns = model[..., None] * pixels.basis
    gram = jnp.einsum("anc,an,and->acd", columns, weight, columns)
    inner = jnp.einsum("anc,an->ac", columns, weight * (pixels.data - model))

    def evidence(spread: jax.Array, gram: jax.Array, inner: jax.Array) -> jax.Array:
        factor = jnp.linalg.cholesky(jnp.eye(spread.size) + gram * jnp.outer(spread, spread))
        p = jax.scipy.linalg.solve_triangular(factor, spread * inner, lower=True)
        return 0.5 * p @ p - jnp.sum(jnp.log(jnp.diagonal(factor)))

    values = jax.lax.map(lambda spread: jax.vmap(evidence)(spread, gram, inner), spreads)
    best = jnp.argmax(values, axis=0)
    return spreads[best, jnp.arange(len(best))], best

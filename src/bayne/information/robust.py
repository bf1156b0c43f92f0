"""Errors that hold where the model does not: what blocks of wavelength say about the labels, one against another."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..batching import batchable
from ..likelihoods import StarModel, factorise
from ..spectrum import FloatArray

#: Length of a block (Å), well above that of the residuals' correlation, and the least number of blocks. The result
#: hardly depends on it: from 5 to 40 Å errors of the reference stars change by a tenth.
BLOCK, FEWEST = 10.0, 20


class Misfit(NamedTuple):
    """What wavelength blocks say about the misfit of the model.

    ``shrink`` (m, m): see `with_robust_widths`; ``inflation`` the mean factor on variances; ``influence`` (b, m) what
    each block moves the m parameters of the mean by, so that without it they would be less by as much; ``blocks`` (b,
    2) arm and middle (Å) of each.
    """

    shrink: FloatArray
    inflation: float
    influence: FloatArray
    blocks: FloatArray


@batchable()
def scores(model: StarModel, theta: jax.Array, flux: jax.Array, derivatives: jax.Array) -> jax.Array:
    """(a, n, m) derivatives of the log likelihood by the parameters of the mean, pixel by pixel.

    Continuum and emulator error are taken out of the residual and of the derivatives of the model: a block of
    wavelength tells of the labels what is left then. `flux` and `derivatives` are what `PixelModel.jacobian` gives.
    """
    residual = jnp.where(model.pixels.used, model.pixels.data - flux, 0.0)
    both = jnp.concatenate([derivatives, residual[..., None]], axis=-1)
    factors = factorise(model.pixels, flux, model.jitter_variance(theta), both)
    solved, weight = factors.solved(both), factors.weight[..., None]
    return jnp.where(weight > 0, solved[..., :-1] / jnp.where(weight > 0, weight, 1.0), 0.0) * solved[..., -1:]


def blocks_of(wavelength: FloatArray, used: np.ndarray) -> np.ndarray:
    """(a, n) number of the block of each used pixel, -1 elsewhere: pieces of about `BLOCK`, none of them empty."""
    spans = [float(np.ptp(own[good])) if good.sum() > 1 else 0.0 for own, good in zip(wavelength, used, strict=True)]
    length = min(BLOCK, sum(spans) / FEWEST)
    number, first = np.full(used.shape, -1), 0
    for place, own, good, span in zip(number, wavelength, used, spans, strict=True):
        if span > 0:
            count = max(round(span / length), 1)
            edges = np.linspace(own[good][0], own[good][-1], count + 1)[1:-1]
            place[good] = first + np.searchsorted(edges, own[good])
            first += count
    filled = number >= 0
    number[filled] = np.unique(number[filled], return_inverse=True)[1]
    return number


def misfit(each: FloatArray, wavelength: FloatArray, used: np.ndarray, precision: FloatArray) -> Misfit:
    """How much wider the likelihood has to be where wavelength blocks disagree by more than the noise.

    Parameters
    ----------
    each
        (a, n, m) `scores` of the pixels.
    wavelength, used
        (a, n) Å, and True for pixels in use.
    precision
        (m, m) H, the Fisher matrix with the curvature of the priors.

    Notes
    -----
    The covariance of an estimate whose model is wrong is H⁻¹ J H⁻¹ (Huber 1967, Proc. 5th Berkeley Symp. 1, 221; White
    1982, Econometrica 50, 1), with J = Σ_b s_b s_bᵀ of the scores s_b of blocks that are independent of each other,
    times b/(b - 1) for b blocks. With L Lᵀ = H, J is estimated for L⁻¹ s_b, and shrunk towards a multiple of 1 as
    Ledoit & Wolf (2004, J. Multivariate Analysis 88, 365) find best: a label that rests on one line is not better known
    because nothing contradicts that line. No direction becomes better known than by the noise.
    """
    number = blocks_of(wavelength, used)
    inside, count = number >= 0, int(number.max()) + 1
    sums = np.stack([np.bincount(number[inside], own[inside], count) for own in np.moveaxis(each, -1, 0)], axis=-1)
    middle = np.bincount(number[inside], wavelength[inside]) / np.bincount(number[inside])
    arm = np.zeros(count)
    arm[number[inside]] = np.broadcast_to(np.arange(len(used))[:, None], used.shape)[inside]
    lower = np.linalg.cholesky(precision)
    white = np.linalg.solve(lower, sums.T).T
    values, axes = np.linalg.eigh(shrunk(white) * count**2 / max(count - 1, 1))
    values = np.maximum(values, 1.0)
    # in the coordinates of the white scores the covariance is 1 where the model is right
    shrink = np.linalg.solve(lower.T, (axes / np.sqrt(values)) @ axes.T @ lower.T)
    influence = np.linalg.solve(lower.T, white.T).T
    return Misfit(shrink, float(np.mean(values)), influence, np.stack([arm, middle], axis=-1))


def shrunk(rows: FloatArray) -> FloatArray:
    """(m, m) mean of the outer products of rows (b, m) of mean zero, shrunk towards a multiple of the unit matrix."""
    b, m = rows.shape
    sample = rows.T @ rows / b
    size = float(np.trace(sample)) / m
    apart = np.sum((sample - size * np.eye(m)) ** 2)
    scatter = (np.sum(np.sum(rows**2, axis=1) ** 2) / b - np.sum(sample**2)) / b
    weight = min(scatter / apart, 1.0) if apart > 0 else 1.0
    return (1 - weight) * sample + weight * size * np.eye(m)

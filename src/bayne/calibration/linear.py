"""What a star's pixels say of corrections, of its labels and of its continuum, to first order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array

from ..batching import batchable
from ..emulators import Emulator
from ..emulators.corrections import correctable
from ..likelihoods import StarModel
from ..spectrum import FloatArray
from ..wavelength import C_KMS
from .nodes import Nodes
from .stars import ReferenceStar

#: Corrections of neighbouring nodes go together over this length (km/s), about the width of a line in a sharp spectrum;
#: where an emulator's lines are wider, over the width of those.
LENGTH = 8.0

#: What single stars differ by beyond their photons: ln of the strength of each line, and flux relative to the continuum
#: everywhere; both over the length of a line.
SCATTER, FLOOR = 0.15, 0.004

#: Degrees of freedom of the Student's t that residuals follow: a cosmic ray or a telluric line teaches little.
FREEDOM = 8.0

#: Modes of the continuum with less than this share of the largest amplitude are left out.
LEAST_MODE = 0.01

#: Smaller derivatives count as zero.
LEAST = 1e-7

#: A pixel feels nodes within so many widths of its line-spread function (FWHM).
REACH = 2.2


@dataclass(frozen=True)
class Linear:
    """A star's residuals as a linear function of corrections and of the star's own parameters.

    Parameters
    ----------
    residual, variance
        (k,) data minus model on the pixels in use, and the variance of what no parameter explains.
    nodes
        (k, n q) derivatives of the model by the corrections at the nodes: see `Calibration.present`.
    own
        (k, m) derivatives by the star's parameters: those of its mean, then amplitudes of its continuum's columns.
    precision, pull
        (m,) precision of their priors, and the gradient of the log density.
    """

    residual: FloatArray
    variance: FloatArray
    nodes: csr_array
    own: FloatArray
    precision: FloatArray
    pull: FloatArray

    @property
    def weight(self) -> FloatArray:
        """(k,) precision of the residuals, less where they are large (Student's t)."""
        return (FREEDOM + 1) / (FREEDOM + self.residual**2 / self.variance) / self.variance


@batchable()
def _spectra(model: StarModel, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Flux (p,) and species' depth over flux (s, p) of a star at rest."""
    labels, _ = model.parameters(theta)
    odds = model.forward.network.odds(model.forward.params, labels)  # type: ignore[attr-defined]
    return 1 / (1 + odds.sum(axis=0)), odds


@batchable()
def _observed(model: StarModel, theta: jax.Array, rows: jax.Array) -> jax.Array:
    """(a, n, k) what rows (k, p) of the emulator's pixels make of the observed ones."""
    return model.observed(rows, model.parameters(theta)[1])


@batchable()
def _jacobian(model: StarModel, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    return model.jacobian(theta)


def depths(star: ReferenceStar) -> tuple[FloatArray, FloatArray]:
    """Flux (p,) and depth over flux (s, p) by species, on the emulator's pixels that the star meets."""
    flux, odds = _spectra(star.problem.model, jnp.asarray(star.theta))
    return np.asarray(flux, np.float64), np.asarray(odds, np.float64)


def dominant(emulator: Emulator, stars: Sequence[ReferenceStar]) -> np.ndarray:
    """(p,) species that absorbs most in all stars together, at each of the emulator's pixels."""
    network, total = correctable(emulator), np.zeros(0)
    for star in stars:
        odds = np.asarray(network.odds(emulator.on_device, jnp.asarray(star.labels)), np.float64)
        each = odds / (1 + odds.sum(axis=0)) ** 2
        total = total + each if total.size else each
    return np.argmax(total, axis=0)


def linear(
    star: ReferenceStar, nodes: Nodes, absorber: np.ndarray, slopes: FloatArray, missing: float, teach: bool
) -> Linear:
    """A star about its present parameters.

    Parameters
    ----------
    star
        Seen by the emulator as it is corrected now.
    nodes
        Of the corrections.
    absorber
        (p,) species whose lines are corrected.
    slopes
        What slopes of line strengths multiply for this star.
    missing
        Factor on the missing opacity for this star.
    teach
        False leaves ``nodes`` empty, where only the star's own parameters are wanted.
    """
    model, theta, used = star.problem.model, jnp.asarray(star.theta), star.used
    flux, odds = depths(star)
    by_strength = -(flux**2) * odds[absorber[star.met], np.arange(flux.size)]
    by_missing = -(flux**2) * missing
    rows = by_strength[None]
    count = 0
    if teach:
        reach = REACH * star_width(star) + nodes.step * C_KMS
        count = 2 * int(np.ceil(reach / C_KMS / nodes.step)) + 1
        teeth = nodes.teeth(count)[:, star.met]
        rows = np.concatenate([rows, teeth * by_strength, teeth * by_missing])
    seen = np.asarray(_observed(model, theta, jnp.asarray(rows, jnp.float32)))[used]
    line, by_tooth = seen[:, 0], [seen[:, 1 : 1 + count], seen[:, 1 + count :]]
    kinds = [by_tooth[0], *(slope * by_tooth[0] for slope in slopes), by_tooth[1]]
    size = (len(seen), len(kinds) * nodes.log_wave.size)
    matrix = csr_array(size)
    if teach:
        node = nodes.nearest(star.log_rest, count)
        place = np.concatenate([np.where(node >= 0, len(kinds) * node + i, -1) for i in range(len(kinds))], axis=1)
        values = np.concatenate(kinds, axis=1)
        kept = (place >= 0) & (np.abs(values) > LEAST)
        matrix = csr_array((values[kept], (np.nonzero(kept)[0], place[kept])), shape=size)
    predicted, jacobian = (np.asarray(v) for v in _jacobian(model, theta))
    columns = _continuum(model, predicted, used)
    m, prior = jacobian.shape[-1], star.problem.prior
    precision = np.asarray(prior.precision)[:m]
    pull = precision * (np.asarray(prior.mean)[:m] - star.theta[:m])
    weak = 1e-2 / np.asarray(prior.upper - prior.lower)[:m] ** 2
    none = np.zeros(columns.shape[1])
    variance, together = noise(star, nodes)
    return Linear(
        (np.asarray(model.pixels.data) - predicted)[used],
        variance + together * (SCATTER * line) ** 2,
        matrix,
        np.concatenate([jacobian[used], columns], axis=1),
        np.concatenate([precision + weak, none + 1]),
        np.concatenate([pull, none]),
    )


def star_width(star: ReferenceStar) -> float:
    """FWHM of the lines that the forward model makes of narrow ones (km/s): line-spread function and rotation."""
    model = star.problem.model
    other = model.parameters(jnp.asarray(star.theta))[1]
    forward = model.forward
    variance = float(np.max(np.asarray(forward.common))) + float(np.max(np.asarray(forward.floor)))
    return 2.355 * np.sqrt(variance) + float(other["vsini"]) + float(other["vmac"])


def length_of(nodes: Nodes) -> float:
    """Length over which corrections go together (km/s)."""
    return max(LENGTH, 2.5 * nodes.step * C_KMS)


def noise(star: ReferenceStar, nodes: Nodes) -> tuple[FloatArray, FloatArray]:
    """(k,) variance of photons, the emulator's own error and a floor, and how many pixels have one error in common."""
    spacing = np.abs(np.gradient(star.wavelength, axis=1) / star.wavelength)[star.used] * C_KMS
    together = np.maximum(length_of(nodes) / np.maximum(spacing, 1e-3), 1.0)
    return np.asarray(star.problem.model.pixels.total_variance)[star.used] + together * FLOOR**2, together


def _continuum(model: StarModel, predicted: FloatArray, used: np.ndarray) -> FloatArray:
    """(k, c) columns of the continuum of all arms, of unit prior variance."""
    found = []
    for a, (spread, basis) in enumerate(zip(*map(np.asarray, (model.pixels.spread, model.pixels.basis)), strict=True)):
        kept = spread > LEAST_MODE * spread.max()
        own = np.zeros((*used.shape, int(kept.sum())))
        own[a] = predicted[a, :, None] * basis[:, kept] * spread[kept]
        found.append(own[used])
    return np.concatenate(found, axis=1)

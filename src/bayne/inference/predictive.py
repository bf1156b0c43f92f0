"""What draws from a posterior say of the data: block by block, and of data to come."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from ..likelihoods import Problem, StarModel, best_continuum
from ..spectrum import FloatArray
from .chunks import predictions

#: Spectra that are computed at a time.
CHUNK = 200


@dataclass(frozen=True)
class Predictive:
    """Density of each block of pixels given the others, and replicated data.

    Parameters
    ----------
    log_likelihood
        (k, b) log density of the data of every block, given those of all others, for every draw.
    flux
        (s, a, n) replicated data over the pilot continuum, for some draws.
    """

    log_likelihood: FloatArray
    flux: FloatArray


def predict(
    problem: Problem, theta: FloatArray, x: FloatArray, chosen: np.ndarray, block: np.ndarray, rng: np.random.Generator
) -> Predictive:
    """Compare draws with the data.

    Parameters
    ----------
    problem, theta
        The star, and its maximum (n,): noise and continuum have the covariance that they have there.
    x
        (k, n) draws.
    chosen
        (s,) which of them replicated data come from.
    block
        (a, n) the block of every pixel, -1 for those that are not used.
    rng
        Random numbers of the replicated data.

    Notes
    -----
    Pixels share continuum and emulator error, so that the density of a block that leave-one-out cross-validation needs
    is p(y_b | y_others, θ), not p(y_b | θ) (Bürkner, Gabry & Vehtari 2021, Comput. Stat. 36, 1243). With the precision
    matrix Q = W - W U M⁻¹ Uᵀ W, M = 1 + Uᵀ W U, it is normal with precision Q_bb and residual Q_bb⁻¹ (Q r)_b.
    Replicated data have the continuum and the emulator error of the star: they are draws of the linear coefficients
    given the data, and new noise.
    """
    linear = LowRankCovariance.of(problem.model, theta, np.asarray(best_continuum(problem, jnp.asarray(theta))[0]))
    pieces = linear.pieces(block)
    used, data = np.asarray(problem.model.pixels.used), np.asarray(problem.model.pixels.data)
    # draws that were resampled come several times
    rows, where = np.unique(x, axis=0, return_inverse=True)
    like, flux = [], np.empty((len(chosen), *data.shape))
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        # always of one shape: what remains is filled up with the first
        full = np.concatenate([some, np.repeat(some[:1], CHUNK - len(some), axis=0)])
        models = np.moveaxis(np.asarray(predictions(problem.model, jnp.asarray(full))), -1, 0)[: len(some)]
        residual = np.where(used, data - models, 0.0)
        coefficients = linear.mean(residual)
        like.append(linear.log_densities(residual, coefficients, pieces))
        for place, i in enumerate(where[chosen] - start):
            if 0 <= i < len(some):
                flux[place] = linear.replicate(models[i], coefficients[i], rng)
    return Predictive(np.concatenate(like)[where], flux)


@dataclass(frozen=True)
class PixelBlock:
    """A block: its arm, its pixels, U (n, m) of them, W (n,), P (m, m) and the log determinant of Q_bb."""

    arm: int
    pixels: np.ndarray
    columns: FloatArray
    weight: FloatArray
    shared: FloatArray
    log_det: float


@dataclass(frozen=True)
class LowRankCovariance:
    """Covariance 1/W + U Uᵀ of the pixels: continuum per arm, then the emulator's error of all arms.

    ``weight`` (a, n); ``columns`` (a, n, c + r); ``places`` (a, c + r) of those columns among all K; ``matrix`` (K, K)
    is M, ``lower`` its Cholesky factor.
    """

    weight: FloatArray
    columns: FloatArray
    places: np.ndarray
    matrix: FloatArray
    lower: FloatArray

    @classmethod
    def of(cls, model: StarModel, theta: FloatArray, flux: FloatArray) -> LowRankCovariance:
        """At parameters (n,), where the spectrum is `flux` (a, n)."""
        x, pixels = jnp.asarray(theta), model.pixels
        extra = model.jitter_variance(x)
        variance = np.asarray(pixels.total_variance) + (0.0 if extra is None else np.asarray(extra)[:, None])
        weight = np.where(np.asarray(pixels.used), 1 / variance, 0.0)
        own = flux[..., None] * np.asarray(pixels.basis) * np.asarray(pixels.spread)[:, None]
        error = np.zeros((*own.shape[:2], 0)) if pixels.error is None else np.asarray(pixels.error.basis)
        arms, c, r = len(own), own.shape[-1], error.shape[-1]
        columns = np.concatenate([own, error], axis=-1)
        places = np.concatenate(
            [np.arange(arms * c).reshape(arms, c), np.tile(arms * c + np.arange(r), (arms, 1))], axis=1
        )
        matrix = np.eye(arms * c + r)
        for u, w, place in zip(columns, weight, places, strict=True):
            matrix[np.ix_(place, place)] += (u.T * w) @ u
        return cls(weight, columns, places, matrix, np.asarray(np.linalg.cholesky(matrix), dtype=np.float64))

    def mean(self, residual: FloatArray) -> FloatArray:
        """(k, K) coefficients given residuals (k, a, n)."""
        total = np.zeros((len(residual), len(self.matrix)))
        for a, place in enumerate(self.places):
            total[:, place] += (residual[:, a] * self.weight[a]) @ self.columns[a]
        return np.asarray(np.linalg.solve(self.matrix, total.T).T)

    def pieces(self, block: np.ndarray) -> list[PixelBlock]:
        """What every block (a, n) of pixels needs, computed once."""
        log_det = np.linalg.slogdet(self.matrix)[1]
        made = []
        for number in range(int(block.max()) + 1):
            arm = int(np.flatnonzero((block == number).any(axis=1))[0])
            pixels, place = np.flatnonzero(block[arm] == number), self.places[arm]
            u, w = self.columns[arm, pixels], self.weight[arm, pixels]
            rest = self.matrix.copy()
            rest[np.ix_(place, place)] -= (u.T * w) @ u
            shared = np.asarray(np.linalg.inv(rest), dtype=np.float64)[np.ix_(place, place)]
            own = float(np.sum(np.log(w)) + np.linalg.slogdet(rest)[1] - log_det)
            made.append(PixelBlock(arm, pixels, u, w, shared, own))
        return made

    def log_densities(self, residual: FloatArray, coefficients: FloatArray, pieces: list[PixelBlock]) -> FloatArray:
        """(k, b) of residuals (k, a, n) with their coefficients (k, K)."""
        out = np.empty((len(residual), len(pieces)))
        for b, piece in enumerate(pieces):
            left = residual[:, piece.arm, piece.pixels] - coefficients[:, self.places[piece.arm]] @ piece.columns.T
            pulled = left * piece.weight
            along = pulled @ piece.columns
            square = np.sum(left * pulled, axis=1) + np.sum((along @ piece.shared) * along, axis=1)
            out[:, b] = -0.5 * (square - piece.log_det + len(piece.pixels) * np.log(2 * np.pi))
        return out

    def replicate(self, model: FloatArray, coefficients: FloatArray, rng: np.random.Generator) -> FloatArray:
        """(a, n) data of a model (a, n), whose coefficients (K,) have the mean given."""
        drawn = coefficients + np.linalg.solve(self.lower.T, rng.standard_normal(len(coefficients)))
        noise = rng.standard_normal(model.shape) / np.sqrt(np.where(self.weight > 0, self.weight, np.inf))
        return model + np.einsum("anm,am->an", self.columns, drawn[self.places]) + noise

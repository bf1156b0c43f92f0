"""Exact draws from a Gaussian that is cut to a box and to half-spaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve
from scipy.optimize import root
from scipy.special import log_ndtr, ndtr, ndtri

from ..spectrum import FloatArray

#: Walls farther away than this (sigma) are met by less than one of a million draws.
NEAR = 5.0

#: Rounds of as many proposals as draws are wanted, before Gibbs sampling takes over; sweeps of that over its lines.
ROUNDS, SWEEPS = 30, 50


@dataclass(frozen=True)
class TruncatedGaussian:
    """A Gaussian cut to a box and to half-spaces.

    Parameters
    ----------
    precision, centre
        (n, n) and (n,) of the Gaussian; the centre lies inside the box.
    lower, upper, halfspaces
        The box, and ``a @ x <= b``; the centre may lie behind a wall by a hair.
    """

    precision: FloatArray
    centre: FloatArray
    lower: FloatArray
    upper: FloatArray
    halfspaces: tuple[FloatArray, FloatArray]

    def draws(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Independent draws (count, n).

        Parameters with a wall within `NEAR` sigma are proposed by minimax tilting (Botev 2017, J. R. Stat. Soc. B 79,
        125), all others given those; what lies outside is proposed again. Where hardly any proposal is inside, draws
        come from Gibbs sampling.
        """
        (a, b), lower, upper = self.halfspaces, self.lower - self.centre, self.upper - self.centre
        b = b - a @ self.centre
        covariance: FloatArray = np.linalg.inv(self.precision).astype(np.float64)
        sigma: FloatArray = np.sqrt(np.diag(covariance))
        low, high = lower / sigma, upper / sigma
        near, far = np.split(np.argsort(_log_mass(low, high)), [int(np.sum(np.minimum(-low, high) < NEAR))])
        cut = _Tilted(covariance[np.ix_(near, near)], lower[near], upper[near])
        block = np.linalg.cholesky(self.precision[np.ix_(far, far)])
        found: list[FloatArray] = []
        for _ in range(ROUNDS):
            own = cut.draws(count, rng)
            pull = block @ rng.normal(size=(far.size, len(own))) - self.precision[np.ix_(far, near)] @ own.T
            x = np.empty((len(own), lower.size))
            x[:, near], x[:, far] = own, cho_solve((block, True), pull).T
            found.append(x[np.all((x >= lower) & (x <= upper), axis=1) & np.all(x @ a.T <= b, axis=1)])
            if sum(map(len, found)) >= count:
                return np.clip(self.centre + np.concatenate(found)[:count], self.lower, self.upper)
        return self._gibbs(count, rng)

    def _gibbs(self, count: int, rng: np.random.Generator) -> FloatArray:
        """The same by Gibbs sampling: all draws advance side by side from the centre, each a chain of its own.

        Along any line a truncated Gaussian is a truncated Gaussian in one dimension (Geweke 1991). The lines are the
        axes, for parameters that the data leave to the box, and the principal axes, for correlated ones.
        """
        (a, b), lower, upper = self.halfspaces, self.lower, self.upper
        x = np.repeat(self.centre[None], count, axis=0)
        felt = np.flatnonzero(np.any(a != 0, axis=0))
        width = upper - lower
        _, axes = np.linalg.eigh(self.precision * np.outer(width, width))
        for _ in range(SWEEPS):
            for line in width * rng.permutation(np.concatenate([np.eye(width.size), axes.T])):
                slope = self.precision @ line
                scale = 1 / np.sqrt(line @ slope)
                moving = np.abs(line) > 1e-12 * width
                ends = np.stack([lower - x, upper - x])[..., moving] / line[moving]
                low, high = ends.min(0).max(-1), ends.max(0).min(-1)
                # walls give way to the optimiser by a hair: what lies behind one can only come back
                speed, room = a[:, felt] @ line[felt], np.maximum(b - x[:, felt] @ a[:, felt].T, 0.0)
                positive, negative = speed > 1e-12, speed < -1e-12
                high = np.minimum(high, np.min(room[:, positive] / speed[positive], axis=1, initial=np.inf))
                low = np.maximum(low, np.max(room[:, negative] / speed[negative], axis=1, initial=-np.inf))
                mean = -(x - self.centre) @ slope * scale**2
                x += truncated_normal(rng.random(count), mean, scale, low, np.maximum(low, high))[:, None] * line
        return np.asarray(np.clip(x, lower, upper))


class _Tilted:
    """Draws from a Gaussian about zero in a box, by minimax tilting: one coordinate after the other, then rejection."""

    def __init__(self, covariance: FloatArray, lower: FloatArray, upper: FloatArray) -> None:
        triangle = np.linalg.cholesky(covariance)
        self.scale = np.diag(triangle).copy()
        self.before = triangle / self.scale[:, None] - np.eye(self.scale.size)
        self.lower, self.upper = lower / self.scale, upper / self.scale
        n = self.scale.size
        self.tilt, self.most = np.zeros(n), 0.0
        if n > 1:  # the last coordinate needs neither a place nor a tilt
            found = root(self._slopes, np.zeros(2 * n - 2), jac=True)
            if found.success:  # else no tilt, with which no weight is larger than 1
                self.tilt = np.append(found.x[n - 1 :], 0.0)
                self.most = self._log_weight(np.append(found.x[: n - 1], 0.0))

    def _ends(self, shift: FloatArray, tilt: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self.lower - shift - tilt, self.upper - shift - tilt

    def _log_weight(self, x: FloatArray) -> float:
        """ψ of the paper at the tilt: log of target over proposal density."""
        mass = _log_mass(*self._ends(self.before @ x, self.tilt))
        return float(np.sum(0.5 * self.tilt**2 - x * self.tilt + mass))

    def _slopes(self, place: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivatives of ψ by place and tilt, which vanish at the saddle point, and their Jacobian."""
        n = self.scale.size
        x, tilt = np.append(place[: n - 1], 0.0), np.append(place[n - 1 :], 0.0)
        left, right = self._ends(self.before @ x, tilt)
        mass = _log_mass(left, right)
        at_left, at_right = (np.exp(-0.5 * end**2 - mass) / np.sqrt(2 * np.pi) for end in (left, right))
        slope = at_left - at_right
        bend = -(slope**2) + left * at_left - right * at_right
        chain = bend[:, None] * self.before
        by_place, by_tilt = self.before.T @ slope - tilt, tilt - x + slope
        mixed = (chain - np.eye(n))[:-1, :-1]
        jacobian = np.block([[(self.before.T @ chain)[:-1, :-1], mixed.T], [mixed, np.diag(1 + bend[:-1])]])
        return np.concatenate([by_place[:-1], by_tilt[:-1]]), jacobian

    def draws(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Those of `count` proposals (count, n) that are accepted."""
        z, log_weight = np.zeros((count, self.scale.size)), np.zeros(count)
        for k, tilt in enumerate(self.tilt):
            shift = z @ self.before[k]
            low, high = self.lower[k] - shift, self.upper[k] - shift
            z[:, k] = truncated_normal(rng.random(count), np.full(count, tilt), 1.0, low, high)
            log_weight += 0.5 * tilt**2 - z[:, k] * tilt + _log_mass(low - tilt, high - tilt)
        kept = rng.exponential(size=count) > self.most - log_weight
        return np.asarray((z[kept] @ (self.before + np.eye(self.scale.size)).T) * self.scale)


def _log_mass(low: FloatArray, high: FloatArray) -> FloatArray:
    """ln of a standard Gaussian's mass between two ends, exact in the tails too."""
    low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
    tail = log_ndtr(high)
    return np.asarray(tail + np.log1p(-np.exp(np.minimum(log_ndtr(low) - tail, -1e-300))))


def truncated_normal(
    u: FloatArray, mean: FloatArray, scale: float, low: FloatArray | float, high: FloatArray | float
) -> FloatArray:
    """Gaussian draws between two ends by inversion at u, mirrored so that a far interval is in the left tail."""
    left, right = (low - mean) / scale, (high - mean) / scale
    sign = np.where(left > 0, -1.0, 1.0)
    left, right = np.minimum(sign * left, sign * right), np.maximum(sign * left, sign * right)
    below, above = ndtr(left), ndtr(right)
    z = ndtri(below + u * (above - below))
    # more than 37 sigma out the tail underflows: all mass sits at the nearer end
    z = np.clip(np.where(above > 0, z, right), left, right)
    return np.clip(mean + scale * sign * z, low, high)

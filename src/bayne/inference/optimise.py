"""Posterior maxima by damped Fisher scoring from several starts."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit, log_expit, logit

from ..batching import batchable
from ..likelihoods import PixelModel, Prior, log_posterior
from ..spectrum import FloatArray
from .expansion import expand

#: Unconstrained coordinates stay within this: 0.03% of the domain from its edge; what is nearer to it than the second
#: number is at the end.
MAX_U, AT_END = 8.0, 0.1

#: Levenberg-Marquardt damping relative to the diagonal: of the first step, what a step that gains half of what was
#: expected and one that gains nothing multiply it by (to no less than the first), and where a climb that only fails is
#: given up.
DAMPING, LESS_DAMPING, MORE_DAMPING, MAX_DAMPING = 1e-2, 0.1, 10.0, 1e8

#: How much a climb to the maximum in label space counts of the curvature that comes from the logistic: with all of it,
#: a parameter whose maximum is its end would go there by a unit a step, or less where the data say little.
EDGE_CURVATURE = 0.1

#: Twice what a step could still gain in log density, at which a climb makes its last step (0.14 sigma), and below which
#: the curvature is corrected by what steps say of it.
ARRIVED, NEAR = 0.02, 2.0


def to_box(prior: Prior, u: jax.Array) -> jax.Array:
    """Parameters inside their box from unconstrained coordinates: lower + width * logistic(u)."""
    return prior.lower + (prior.upper - prior.lower) * jax.nn.sigmoid(u)


def from_box(prior: Prior, x: jax.Array) -> jax.Array:
    """Inverse of `to_box`, kept within ±`MAX_U`."""
    fraction = (x - prior.lower) / (prior.upper - prior.lower)
    edge = jax.nn.sigmoid(-MAX_U)
    fraction = jnp.clip(fraction, edge, 1 - edge)
    return jnp.log(fraction) - jnp.log1p(-fraction)


def log_volume(prior: Prior, u: jax.Array) -> jax.Array:
    """Log of the Jacobian of `to_box`."""
    width = jnp.log(prior.upper - prior.lower)
    return jnp.sum(width + jax.nn.log_sigmoid(u) + jax.nn.log_sigmoid(-u))


def density(model: PixelModel, prior: Prior, u: jax.Array) -> jax.Array:
    """Log posterior density of unconstrained coordinates u (n,)."""
    return log_posterior(model, prior, to_box(prior, u)) + log_volume(prior, u)


_log_posterior = batchable()(log_posterior)


class Climb:
    """A climb in a posterior, in unconstrained coordinates.

    Parameters
    ----------
    model, prior
        The posterior.
    volume
        Whether its maximum is sought as a density of the unconstrained coordinates rather than of the labels.
    x
        (n,) parameters to start from.

    Attributes
    ----------
    u, value
        (n,) coordinates, and the log density there.
    gradient, matrix, decrement
        Where it was last expanded: its gradient (n,), a positive definite curvature (n, n), and gradientᵀ curvature⁻¹
        gradient, twice what a step from there could gain, NaN where one of them is not finite.
    """

    def __init__(self, model: PixelModel, prior: Prior, volume: bool, x: FloatArray) -> None:
        self.model, self.prior, self.volume = model, prior, volume
        self.lower = np.asarray(prior.lower)
        self.width = np.asarray(prior.upper) - self.lower
        self._expand(self._coordinates(x))

    def labels(self, u: FloatArray) -> FloatArray:
        """(n,) parameters in their box."""
        return self.lower + self.width * expit(u)

    def _coordinates(self, x: FloatArray) -> FloatArray:
        edge = expit(-MAX_U)
        return np.asarray(logit(np.clip((x - self.lower) / self.width, edge, 1 - edge)))

    def _volume(self, u: FloatArray) -> float:
        return float(np.sum(np.log(self.width) + log_expit(u) + log_expit(-u))) if self.volume else 0.0

    def _density(self, u: FloatArray) -> float:
        return float(_log_posterior(self.model, self.prior, jnp.asarray(self.labels(u)))) + self._volume(u)

    def _expand(self, u: FloatArray) -> None:
        """Go to coordinates (n,) and expand the density there.

        The curvature is that of the Fisher matrix, the priors and the logistic, which bends a slope into a curvature,
        -u'' ∂lp/∂u: all there is for a parameter pressed against its end. Without `volume`: times `EDGE_CURVATURE`.
        """
        at = expand(self.model, self.prior, self.labels(u))
        s = expit(u)
        slope = self.width * s * (1 - s)
        gradient = slope * at.gradient
        # the second term is the curvature of the volume; without it some of that bounds steps where nothing is known
        bent = np.maximum(-(1 - 2 * s) * gradient, 0.0) + 2 * s * (1 - s)
        own_curvature = (1.0 if self.volume else EDGE_CURVATURE) * bent + 1e-6
        matrix = slope[:, None] * (at.fisher + at.prior_curvature) * slope + np.diag(own_curvature)
        if self.volume:
            gradient = gradient + 1 - 2 * s
        fixed = (np.abs(u) > MAX_U - AT_END) & (u * gradient > 0)  # what presses against an end has arrived
        gradient[fixed] = 0.0
        matrix[fixed], matrix[:, fixed] = 0.0, 0.0
        matrix[fixed, fixed] = 1.0
        m = self.model.n_mean
        by_excess, fisher = at.gradient[m:], np.diagonal(at.fisher)[m:]
        self._excess = np.divide(by_excess, fisher, out=np.zeros_like(fisher), where=fisher > 0)  # 0 without pixels
        self.u, self.value, self.gradient, self.matrix = u, at.value + self._volume(u), gradient, matrix
        self._judge()

    def _judge(self) -> None:
        finite = all(np.isfinite(v).all() for v in (self.value, self.gradient, self.matrix))
        self.decrement = float(self.gradient @ np.linalg.solve(self.matrix, self.gradient)) if finite else np.nan

    def up(self, steps: int, enough: float) -> None:
        """Levenberg-Marquardt steps: one that gains is kept, one that does not is taken again with more damping.

        The last one, from where `decrement` is `enough`, is not followed by an expansion.
        """
        damping = DAMPING
        for _ in range(steps):
            if not damping < MAX_DAMPING or np.isnan(self.decrement):
                return
            u, expected = self._step(damping)
            value = self._density(u)
            if self.decrement <= enough:
                if value > self.value:
                    self.u, self.value = u, value
                return
            gain = value - self.value
            if gain > 0:
                damping *= LESS_DAMPING if gain > 0.5 * expected else 3.0
                near, moved, gradient = self.decrement < NEAR, u - self.u, self.gradient
                self._expand(u)
                if near:
                    self._correct_curvature(moved, gradient - self.gradient)
            else:
                damping = max(damping * MORE_DAMPING, DAMPING)

    def _step(self, damping: float) -> tuple[FloatArray, float]:
        """Coordinates (n,) after a step, and what it should gain.

        An excess is the logarithm of a variance, for which a Newton step is short by far where that is not right. Of n
        pixels whose squared residuals are R times the variance the Fisher information is n/2 and the slope (R - 1) n/2:
        their ratio gives ln R, by which the excess is wrong.
        """
        move = np.linalg.solve(self.matrix + damping * np.diag(np.diagonal(self.matrix)), self.gradient)
        move = np.clip(move, -3.0, 3.0)  # one step crosses at most most of the domain
        expected = float(self.gradient @ move - 0.5 * move @ self.matrix @ move)
        m = self.model.n_mean
        x = self.labels(self.u)
        x[m:] += np.log1p(np.maximum(self._excess, -0.99)) / (1 + damping)
        move[m:] = np.clip(self._coordinates(x)[m:] - self.u[m:], -3.0, 3.0)
        return np.clip(self.u + move, -MAX_U, MAX_U), expected

    def _correct_curvature(self, moved: FloatArray, change: FloatArray) -> None:
        """The curvature along a step as the gradients at its ends say (BFGS; Nocedal & Wright 2006, eq. 6.19)."""
        if change @ moved > 0:
            along = self.matrix @ moved
            self.matrix += np.outer(change, change) / (change @ moved) - np.outer(along, along) / (moved @ along)
            self._judge()


def optimise(
    model: PixelModel, prior: Prior, starts: FloatArray, steps: int, volume: bool, enough: float = ARRIVED
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Climb from every start: Levenberg-Marquardt with the Fisher matrix as curvature.

    Parameters
    ----------
    model, prior
        The problem.
    starts
        (k, n) parameters.
    steps
        Most steps.
    volume
        Maximise the density of the unconstrained coordinates rather than that of the labels.
    enough
        Twice what a step could still gain in log density, at which a climb ends.

    Returns
    -------
    tuple
        (k, n) parameters, (k,) log densities, -inf where they are not finite, (k,) `Climb.decrement`.
    """
    climbs = [Climb(model, prior, volume, start) for start in starts]
    for climb in climbs:
        climb.up(steps, enough)
    values = np.array([climb.value for climb in climbs])
    x = np.stack([climb.labels(climb.u) for climb in climbs])
    return x, np.where(np.isfinite(values), values, -np.inf), np.array([climb.decrement for climb in climbs])

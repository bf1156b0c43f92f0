"""The error that an emulator's physics makes in labels, whatever the spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist

from ..emulators import Card
from ..likelihoods import Prior, Problem
from ..spectrum import FloatArray
from .truncated import truncated_normal

#: Quantiles that stand for a prior that is neither uniform nor Gaussian.
QUANTILES = 512


@dataclass(frozen=True)
class Discrepancy:
    """Labels of a star are those of its spectrum in the emulator's physics, plus Gaussian errors of that physics.

    Samplers sample the latter, "fitted labels", whose priors are the user's with the errors added. Draws of the true
    labels follow from them: each has the density of its prior times a Gaussian about the fitted one.

    Parameters
    ----------
    sigma
        (n,) standard deviation of the error of every free parameter; 0 for those that have none.
    prior
        Of the true labels.
    prior_std
        (n,) its standard deviations.
    """

    sigma: FloatArray
    prior: Prior
    prior_std: FloatArray

    @classmethod
    def of(cls, problem: Problem, card: Card | None, theta: jax.Array) -> Discrepancy:
        """What the emulator's card states for a star with these parameters (n,); without a card, none."""
        known = {}
        if card is not None:
            labels = dict(zip(card.labels, np.asarray(problem.model.parameters(theta)[0]), strict=True))
            known = card.discrepancies(float(labels.get("fe_h", 0.0)))
        sigma = np.array([known.get(name, 0.0) for name in problem.model.names])
        return cls(sigma, problem.prior, problem.prior_std)

    @property
    def index(self) -> np.ndarray:
        """(d,) parameters that have an error."""
        return np.flatnonzero(self.sigma)

    def priors(self, names: tuple[str, ...], given: Mapping[str, Any]) -> dict[str, Any]:
        """Priors of fitted labels, as `make_prior` takes them, where those of the true ones were given."""
        wider: dict[str, Any] = {}
        for i in self.index:
            if names[i] not in given:
                continue
            sigma, precision = self.sigma[i], float(self.prior.precision[i])
            if precision > 0:
                wider[names[i]] = (float(self.prior.mean[i]), float(np.hypot(precision**-0.5, sigma)))
            else:
                nodes = self._nodes(i)
                equal = dist.Categorical(probs=np.full(nodes.size, 1 / nodes.size))
                wider[names[i]] = dist.MixtureSameFamily(equal, dist.Normal(nodes, sigma))
        return wider

    def best(self, theta: FloatArray) -> FloatArray:
        """True parameters (n,) that have the highest density where the fitted ones are `theta`."""
        lower, upper = np.asarray(self.prior.lower), np.asarray(self.prior.upper)
        middle, _ = self._given(theta)
        return np.where(self.sigma > 0, np.clip(middle, lower, upper), theta)

    def covariance(self, fitted: FloatArray) -> FloatArray:
        """(n, n) covariance of the true parameters from that of the fitted ones."""
        share, variance = self._share()
        return share[:, None] * fitted * share + np.diag(variance)

    def draws(self, fitted: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draws (..., n) of true parameters, one for each of the fitted ones."""
        values = np.array(fitted)
        middle, variance = self._given(fitted)
        for i in self.index:
            # stratified: two thousand draws then add no noise of their own to means and widths
            k = values[..., i].size
            u = ((rng.permutation(k) + rng.random(k)) / k).reshape(values.shape[:-1])
            if i in self.prior.other:
                nodes = self._nodes(i)
                weight = -0.5 * ((fitted[..., i, None] - nodes) / self.sigma[i]) ** 2
                weight = np.exp(weight - weight.max(axis=-1, keepdims=True)).cumsum(axis=-1)
                chosen = (weight < u[..., None] * weight[..., -1:]).sum(axis=-1)
                values[..., i] = nodes[np.minimum(chosen, nodes.size - 1)]
            else:
                ends = float(self.prior.lower[i]), float(self.prior.upper[i])
                values[..., i] = truncated_normal(u, middle[..., i], float(np.sqrt(variance[i])), *ends)
        return values

    def _share(self) -> tuple[FloatArray, FloatArray]:
        """(n,) share of a fitted parameter beside its prior in the true one, and the variance (n,) of that."""
        precision = np.where(self.sigma > 0, np.asarray(self.prior.precision), 0.0)
        share = 1 / (1 + precision * self.sigma**2)
        return share, share * self.sigma**2

    def _given(self, fitted: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean (..., n) and variance (n,) of Gaussians of the true parameters given the fitted ones."""
        share, variance = self._share()
        return share * fitted + (1 - share) * np.asarray(self.prior.mean), variance

    def _nodes(self, i: int) -> FloatArray:
        """Quantiles of the prior of parameter i."""
        return np.asarray(self.prior.one(i).icdf((np.arange(QUANTILES) + 0.5) / QUANTILES))

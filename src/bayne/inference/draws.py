"""What samplers are given, and what they return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import jax

from ..errors import BayneError
from ..likelihoods import PixelModel, Prior
from ..spectrum import FloatArray


@dataclass(frozen=True)
class Sampler:
    """Settings of the samplers.

    Parameters
    ----------
    draws, chains, warmup
        Draws per chain, number of chains, and warm-up transitions per chain. Methods without chains return
        ``draws * chains`` draws.
    target_accept
        Target acceptance probability of ``"nuts"`` and ``"hmc"``, which sets the step size.
    max_tree_depth
        Maximum tree depth of ``"nuts"``: at most 2 to this power steps per transition.

    Raises
    ------
    BayneError
        A number is not positive, or `target_accept` not between 0 and 1.
    """

    draws: int = 500
    chains: int = 4
    warmup: int = 200
    target_accept: float = 0.8
    max_tree_depth: int = 8

    def __post_init__(self) -> None:
        for name in ("draws", "chains", "warmup", "max_tree_depth"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise BayneError(f"sampler: {name} = {value!r}; give a whole number of at least 1")
        if not 0 < self.target_accept < 1:
            raise BayneError(f"sampler: target_accept = {self.target_accept!r}; give a number between 0 and 1")

    @property
    def total(self) -> int:
        """Draws of all chains."""
        return self.draws * self.chains


DEFAULT = Sampler()


class Approximation(NamedTuple):
    """A Gaussian about the posterior maximum, where samplers start.

    ``centre`` (n,); ``precision`` (n, n) of the likelihood and of Gaussian priors, and ``covariance`` (n, n) for which
    uniform priors count as Gaussians, too.
    """

    centre: FloatArray
    precision: FloatArray
    covariance: FloatArray


@dataclass(frozen=True)
class Draws:
    """Draws from a posterior, all of the same weight.

    Parameters
    ----------
    values
        (chains, draws, n) parameters.
    stats
        (chains, draws) numbers of the sampler by their ArviZ names; with ``diverging`` the draws are those of Markov
        chains.
    numbers
        About the run: ``khat`` and ``ess_weights`` of importance sampling, ``log_evidence`` where it is known.
    """

    values: FloatArray
    stats: dict[str, FloatArray]
    numbers: dict[str, float] = field(default_factory=dict)


class Method(Protocol):
    """A sampler: draws from the posterior of a model and a prior."""

    def __call__(
        self, key: jax.Array, model: PixelModel, prior: Prior, start: Approximation, sampler: Sampler
    ) -> Draws:
        """Parameters: a JAX random key; log likelihood; log prior; where to start; how many draws."""

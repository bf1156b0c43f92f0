"""All stars together: corrections at the nodes, each star's labels and continuum, in one linear system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, diags_array

from ..errors import BayneError
from ..spectrum import FloatArray
from .banded import Banded
from .linear import Linear

#: Relative error, in sigma, at which conjugate gradients end, and their most steps.
TOLERANCE, MAX_STEPS = 1e-3, 500

#: Precision that keeps a node where it is.
HELD = 1e12


@dataclass(frozen=True)
class CorrectionPrior:
    """Gaussian prior of corrections.

    Parameters
    ----------
    root
        (n q, n q) matrix R with RᵀR the precision of corrections about the offsets of their species.
    member
        (n q, s) 1 for corrections of the lines of each species.
    offset
        (s,) standard deviations of the offsets, such as the ln by which all lines of a species are too strong.
    missing
        (n q,) True for missing opacity, which is not negative and has an exponential prior.
    missing_mean
        Mean of that.
    """

    root: csr_array
    member: csr_array
    offset: FloatArray
    missing: np.ndarray
    missing_mean: float

    @property
    def lines(self) -> csr_array:
        """(n q, n q) RᵀR."""
        return csr_array(self.root.T @ self.root)


class System:
    """Precision matrix of x = (corrections, offsets of species, parameters of every star), and its inverse."""

    def __init__(self, stars: Sequence[Linear], prior: CorrectionPrior, held: np.ndarray) -> None:
        self.stars, self.prior, self.held = stars, prior, held
        self.weights = [star.weight for star in stars]
        self.lines = csr_array(prior.lines + diags_array(np.where(held, HELD, 0.0)))
        self.across = csr_array(prior.lines @ prior.member)
        common = (prior.member.T @ self.across).toarray() + np.diag(prior.offset**-2.0)
        band = self.lines
        for star, weight in zip(stars, self.weights, strict=True):
            band = band + star.nodes.T.multiply(weight).tocsr() @ star.nodes
        self.band = Banded(csr_array(band))
        own = [
            (star.own * weight[:, None]).T @ star.own + np.diag(star.precision)
            for star, weight in zip(stars, self.weights, strict=True)
        ]
        self.common = common
        self.blocks = [cho_factor(block) for block in (common, *own)]
        self.ends = np.cumsum([len(held), *(len(block) for block in (common, *own))])

    @property
    def parts(self) -> list[slice]:
        """Where in x the offsets are, and the parameters of every star."""
        return [slice(low, high) for low, high in zip(self.ends[:-1], self.ends[1:], strict=True)]

    def times(self, x: FloatArray) -> FloatArray:
        """(n, m) the precision matrix times vectors."""
        nodes, (offsets, *own), out = x[: self.ends[0]], self.parts, np.empty_like(x)
        top = self.lines @ nodes - self.across @ x[offsets]
        out[offsets] = self.common @ x[offsets] - self.across.T @ nodes
        for star, weight, part in zip(self.stars, self.weights, own, strict=True):
            moved = weight[:, None] * (star.nodes @ nodes + star.own @ x[part])
            top += star.nodes.T @ moved
            out[part] = star.own.T @ moved + star.precision[:, None] * x[part]
        out[: self.ends[0]] = top
        return out

    def without_coupling(self, right: FloatArray) -> FloatArray:
        """(n, m) solutions if corrections, offsets and stars had nothing to do with each other."""
        out = np.empty_like(right)
        out[: self.ends[0]] = self.band.solve(right[: self.ends[0]])
        for block, part in zip(self.blocks, self.parts, strict=True):
            out[part] = cho_solve(block, right[part])
        return out

    def solve(self, right: FloatArray) -> FloatArray:
        """(n, m) solutions by conjugate gradients, preconditioned by `without_coupling`.

        Raises
        ------
        BayneError
            They do not converge.
        """
        x, left = np.zeros_like(right), right.copy()
        z = self.without_coupling(left)
        direction, size = z, np.sum(left * z, axis=0)
        enough = TOLERANCE**2 * size
        for _ in range(MAX_STEPS):
            if np.all(size <= enough):
                return x
            product = self.times(direction)
            length = size / np.maximum(np.sum(direction * product, axis=0), 1e-300)
            x, left = x + length * direction, left - length * product
            z = self.without_coupling(left)
            size, before = np.sum(left * z, axis=0), size
            direction = z + size / np.maximum(before, 1e-300) * direction
        raise BayneError("the corrections do not converge: the labels of the stars may contradict each other")

    def draws(self, rng: np.random.Generator, count: int) -> FloatArray:
        """(n, count) draws from the Gaussian of this precision and mean zero.

        Each solves for a right-hand side whose covariance is the precision (Papandreou & Yuille 2010, NIPS 23, 1858).
        """

        def normal(size: int) -> FloatArray:
            return rng.normal(size=(size, count))

        size, (offsets, *own) = int(self.ends[0]), self.parts
        right = np.zeros((int(self.ends[-1]), count))
        right[:size] = self.prior.root.T @ normal(size)
        right[offsets] = -self.prior.member.T @ right[:size] + normal(len(self.common)) / self.prior.offset[:, None]
        right[:size] += np.sqrt(HELD) * self.held[:, None] * normal(size)
        for star, weight, part in zip(self.stars, self.weights, own, strict=True):
            seen = np.sqrt(weight)[:, None] * normal(weight.size)
            right[:size] += star.nodes.T @ seen
            right[part] = star.own.T @ seen + np.sqrt(star.precision)[:, None] * normal(star.precision.size)
        return self.solve(right)


class Step(NamedTuple):
    """Of the corrections (n q,) and of every star's own parameters, and (n q,) missing opacity that is zero now."""

    nodes: FloatArray
    own: list[FloatArray]
    held: np.ndarray


def gauss_newton(
    stars: Sequence[Linear],
    prior: CorrectionPrior,
    present: FloatArray,
    away: FloatArray,
    held: np.ndarray,
) -> Step:
    """The step from the present corrections to the posterior maximum, to first order.

    Missing opacity stays at or above zero, by an active set that is brought up to date with every step (Hintermüller,
    Ito & Kunisch 2002, SIAM J. Optim. 13, 865).

    Parameters
    ----------
    stars
        About their present parameters.
    prior
        Of the corrections.
    present, away
        (n q,) corrections, and their distance from what is expected of them.
    held
        (n q,) missing opacity that is zero.
    """
    system = System(stars, prior, held)
    size, (offsets, *own) = present.size, system.parts
    right = np.zeros(system.ends[-1])
    right[:size] = -(prior.lines @ away) - prior.missing / prior.missing_mean
    right[offsets] = system.across.T @ away
    for star, weight, part in zip(stars, system.weights, own, strict=True):
        weighted = weight * star.residual
        right[:size] += star.nodes.T @ weighted
        right[part] = star.own.T @ weighted + star.pull
    slope = right[:size].copy()
    right[:size] -= np.where(held, HELD * present, 0.0)
    found = system.solve(right[:, None])[:, 0]
    nodes = found[:size]
    slope -= system.times(found[:, None])[:size, 0] - np.where(held, HELD * nodes, 0.0)
    held = prior.missing & np.where(held, slope < 0, present + nodes < 0)
    nodes = np.where(prior.missing, np.maximum(nodes, -present), nodes)
    return Step(nodes, [found[part] for part in own], held)

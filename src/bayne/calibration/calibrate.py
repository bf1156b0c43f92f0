"""Corrections of an emulator's opacities, from the spectra of all reference stars together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array, eye_array, kron

from ..emulators import Emulator
from ..emulators.corrections import Corrections, corrected, corrected_by
from ..spectrum import FloatArray
from ..wavelength import C_KMS
from .linear import Linear, dominant, length_of, linear, star_width
from .nodes import Nodes
from .solve import CorrectionPrior, System, gauss_newton
from .stars import ReferenceStar

#: Standard deviation of the offsets of species (ln): 0.15 dex.
OFFSET = 0.35

#: Mean depth over flux that the line list lacks (exponential prior), and how its ln grows per dex of [Fe/H] and per
#: 1000 K, with standard deviations: as lines of neutral iron do, which are most of what is unidentified.
MISSING, GROWTH = 0.005, ((1.8, 0.5), (-1.0, 0.7))

#: Standard deviations of the slopes of ln of line strengths with the labels of `CORRECTED_BY`, per dex of [Fe/H],
#: 1000 K and dex of log g, about those of their species, and of the latter.
SLOPES = (0.15, 0.1, 0.05)

#: The same where labels are not known, so that slopes say nothing.
NO_SLOPE = 1e-4

#: Corrections at each node: the line strength, its slopes, missing opacity.
KINDS = 2 + len(SLOPES)

#: Steps to the maximum, and the largest change of ln of a line's strength in one of them.
STEPS, LARGEST = 5, 0.4

#: Draws of the posterior from which errors are taken.
DRAWS = 32

#: Nodes to the width of a line of the sharpest star (FWHM).
PER_WIDTH = 2.0


@dataclass(frozen=True)
class Calibration:
    """Corrections of an emulator, as they stand, and the stars that they are learnt from.

    Parameters
    ----------
    original
        The emulator as it was.
    nodes
        Where corrections are.
    absorber
        (p,) which species' lines they change.
    stars
        With their present parameters.
    sigma
        (q,) standard deviations of ln of line strengths about their species' offsets.
    expected, present
        (q, 5) what corrections at the nodes are expected to be, and what they are: ln of line strengths for the Sun,
        how that changes with the three labels of `CORRECTED_BY`, missing depth over flux.
    growth
        See `Corrections`.
    held
        (q, 5) missing opacity that is zero.
    by_label
        Whether labels of stars are known; else line strengths are kept from doing what labels could.
    """

    original: Emulator
    nodes: Nodes
    absorber: np.ndarray
    stars: list[ReferenceStar]
    sigma: FloatArray
    expected: FloatArray
    present: FloatArray
    growth: FloatArray
    held: np.ndarray
    by_label: bool

    @classmethod
    def begun(cls, emulator: Emulator, stars: list[ReferenceStar], sigma: FloatArray, by_label: bool) -> Calibration:
        """Before the first step; `sigma` (p,) of ln of line strengths."""
        pixel = float(np.median(np.diff(np.log(emulator.wavelength)))) * C_KMS
        sharpest = min(star_width(star) for star in stars) / PER_WIDTH
        nodes = Nodes.of(emulator, max(sharpest, C_KMS / emulator.resolution / PER_WIDTH, pixel))
        q = nodes.log_wave.size
        growth = np.array([mean for mean, _ in GROWTH])
        none = np.zeros((q, KINDS))
        return cls(
            emulator, nodes, dominant(emulator, stars), stars,
            np.interp(nodes.log_wave, np.log(emulator.wavelength), sigma), none, none, growth,
            np.broadcast_to(np.arange(KINDS) == KINDS - 1, none.shape), by_label,
        )  # fmt: skip

    def expecting(self, strength: FloatArray, slopes: FloatArray) -> Calibration:
        """With line strengths (p,) and their slopes (3, p) as prior mean, before the first step."""
        log_pixel = np.log(self.original.wavelength)
        rows = [np.interp(self.nodes.log_wave, log_pixel, row) for row in (strength, *slopes)]
        expected = np.stack([*rows, np.zeros(self.nodes.log_wave.size)], axis=1)
        return replace(self, expected=expected, present=expected)

    @property
    def corrections(self) -> Corrections:
        """On the emulator's pixels."""
        strength, *slopes, missing = (self.nodes.hats @ self.present).T
        return Corrections(strength, self.absorber, missing, self.growth, np.array(slopes))

    @property
    def emulator(self) -> Emulator:
        """The emulator as it is corrected now."""
        return corrected(self.original, self.corrections)

    @property
    def prior(self) -> CorrectionPrior:
        """Of the corrections."""
        nodes, q = self.nodes, self.nodes.log_wave.size
        length, white = length_of(nodes), []
        slopes = [slope if self.by_label else NO_SLOPE for slope in SLOPES]
        for sigma in (self.sigma, *(np.full(q, slope) for slope in slopes)):
            white.append(nodes.whitening(sigma, length))
        # missing opacity has an exponential prior, with a little curvature where no star tells
        white.append(csr_array(0.1 / MISSING * eye_array(q)))
        root = sum(kron(own, _only(k)) for k, own in enumerate(white))
        pixel = np.clip(np.searchsorted(np.log(self.original.wavelength), nodes.log_wave), 0, self.absorber.size - 1)
        species = np.unique(self.absorber, return_inverse=True)[1][pixel]
        count, first = species.max() + 1, KINDS * np.arange(q)
        rows = np.concatenate([first + k for k in range(KINDS - 1)])
        columns = np.concatenate([species + count * k for k in range(KINDS - 1)])
        member = csr_array((np.ones(rows.size), (rows, columns)), shape=(KINDS * q, (KINDS - 1) * count))
        missing = np.tile(np.arange(KINDS) == KINDS - 1, q)
        return CorrectionPrior(csr_array(root), member, np.repeat([OFFSET, *slopes], count), missing, MISSING)

    def about(self, star: ReferenceStar, nodes: bool = True) -> Linear:
        """A star about its parameters and the present corrections, with derivatives by these or without."""
        seen = star.seen_by(self.emulator)
        by = corrected_by(self.original, star.labels)
        factor = float(np.exp(self.growth @ by[: self.growth.size]))
        return linear(seen, self.nodes, self.absorber, by, factor, nodes)

    def errors(self, seed: int = 0) -> FloatArray:
        """(q,) standard deviations of the posterior of ln of line strengths, as known as `DRAWS` draws tell."""
        stars = [self.about(star) for star in self.stars]
        draws = System(stars, self.prior, self.held.ravel()).draws(np.random.default_rng(seed), DRAWS)
        return np.std(draws[: self.held.size : KINDS], axis=1, ddof=1)

    def climbed(self) -> Calibration:
        """One step nearer to the posterior maximum of corrections and stars."""
        stars = [self.about(star) for star in self.stars]
        away = (self.present - self.expected).ravel()
        step = gauss_newton(stars, self.prior, self.present.ravel(), away, self.held.ravel())
        nodes = step.nodes.reshape(self.present.shape).copy()
        growth = self._grown(stars, nodes, step.own)
        nodes[:, :-1] = np.clip(nodes[:, :-1], -LARGEST, LARGEST)
        if not self.by_label:
            nodes[:, 0] = self._without_labels(nodes[:, 0])
        moved = [star.moved(own) for star, own in zip(self.stars, step.own, strict=True)]
        held = step.held.reshape(self.held.shape)
        return replace(self, present=self.present + nodes, held=held, stars=moved, growth=growth)

    def without(self, names: Collection[str]) -> Calibration:
        """What would have been learnt without some stars: one step from here, which is near."""
        return replace(self, stars=[star for star in self.stars if star.name not in names]).climbed()

    def _grown(self, stars: Sequence[Linear], nodes: FloatArray, own: Sequence[FloatArray]) -> FloatArray:
        """How missing opacity grows with labels, from what a step leaves of the residuals."""
        means, errors = np.array(GROWTH).T
        precision, right = np.diag(errors**-2.0), (means - self.growth) / errors**2
        missing = np.zeros(nodes.shape)
        missing[:, -1] = np.maximum(self.present[:, -1] + nodes[:, -1], 0.0)
        for star, about, parameters in zip(self.stars, stars, own, strict=True):
            by = corrected_by(self.original, star.labels)[: self.growth.size]
            slope, weight = about.nodes @ missing.ravel(), about.weight
            left = about.residual - about.nodes @ nodes.ravel() - about.own @ parameters
            precision += np.outer(by, by) * np.sum(weight * slope**2)
            right += by * np.sum(weight * slope * left)
        return self.growth + np.clip(np.linalg.solve(precision, right), -0.5, 0.5)

    def _without_labels(self, strength: FloatArray) -> FloatArray:
        """Line strengths (q,) less what a change of labels could do, for a star in the middle of all."""
        labels = np.mean([star.labels for star in self.stars], axis=0)
        flux, gradient = self.original.evaluate(labels).astype(float), self.original.gradient(labels)
        size = self.original.upper - self.original.lower
        log_pixel, depth = np.log(self.original.wavelength), np.maximum(flux * (1 - flux), 1e-3)
        rows = -gradient * size[:, None] / depth
        like = np.stack([np.interp(self.nodes.log_wave, log_pixel, row) for row in rows])
        weight = np.interp(self.nodes.log_wave, log_pixel, depth**2)
        seen = like * np.sqrt(weight)
        share = np.linalg.lstsq(seen.T, strength * np.sqrt(weight), rcond=1e-6)[0]
        return strength - share @ like


def _only(k: int) -> csr_array:
    """Matrix that is 1 for the k-th of a node's corrections, and 0 elsewhere."""
    return csr_array(np.diag((np.arange(KINDS) == k).astype(float)))

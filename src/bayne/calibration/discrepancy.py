"""What is left after a calibration: how wrong the corrected lines of a star are that taught nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from ..emulators import Emulator, ErrorModel
from ..spectrum import FloatArray
from ..wavelength import C_KMS
from .banded import Banded
from .calibrate import KINDS, Calibration
from .linear import FLOOR, length_of, noise
from .nodes import Nodes
from .stars import NEEDED, ReferenceStar

#: Stars that the usual scatter of a line's strength counts for, beside those that were seen.
PRIOR_STARS = 2.0

#: The same scatter where no star tells: ln of the strength.
USUAL = 0.2

#: Largest scatter that counts: where there is hardly a line, what is wrong is not its strength.
MOST = 1.0

#: Fewest stars that say how wrong labels are.
FEWEST_STARS = 3

#: Steps in which the scatter and the deviations of single stars are made to agree.
STEPS = 5


@dataclass(frozen=True)
class Seen:
    """A star's data as seen by line strengths of its own at the nodes: (k,) residual, (k, q) derivatives, (k,) weight;
    its name and (3,) Teff, log g and [Fe/H]."""

    name: str
    labels: FloatArray
    residual: FloatArray
    by_node: csr_array
    weight: FloatArray

    @classmethod
    def of(cls, without: Calibration, star: ReferenceStar) -> Seen:
        """Through what was learnt without it, at the labels that it then has: how wrong these are is another error."""
        about = without.about(star)
        own, weight = about.own, 1 / noise(star, without.nodes)[0]
        block = (own * weight[:, None]).T @ own + np.diag(about.precision)
        shift = np.linalg.solve(block, (own * weight[:, None]).T @ about.residual + about.pull)
        labels = np.array([star.known[name][0] for name in NEEDED])
        return cls(star.name, labels, about.residual - own @ shift, csr_array(about.nodes[:, ::KINDS]), weight)


@dataclass(frozen=True)
class Discrepancy:
    """How stars differ from what all others teach.

    Parameters
    ----------
    nodes
        Of the corrections.
    names, labels
        (n,) of the spectra, and (n, 3) Teff, log g and [Fe/H].
    scatter
        (q,) standard deviation of ln of line strengths from star to star.
    strengths
        (n, q) by how much those of each spectrum differ from all others'.
    """

    nodes: Nodes
    names: tuple[str, ...]
    labels: FloatArray
    scatter: FloatArray
    strengths: FloatArray

    @classmethod
    def among(cls, nodes: Nodes, seen: Sequence[Seen]) -> Discrepancy:
        """By expectation maximisation: strengths given the scatter, and the scatter given those.

        The scatter has an inverse-gamma prior worth `PRIOR_STARS` stars; spectra of one star count as one.
        """
        names = [star.name for star in seen]
        counts = np.array([1 / names.count(name) for name in names])
        variance, length = np.full(nodes.log_wave.size, USUAL**2), length_of(nodes)
        strengths: list[FloatArray] = []
        for _ in range(STEPS):
            white = nodes.whitening(np.sqrt(variance), length)
            strengths, squares = [], []
            for star in seen:
                weighted = star.by_node.T.multiply(star.weight).tocsr()
                band = Banded(csr_array(weighted @ star.by_node + white.T @ white))
                strengths.append(band.solve(weighted @ star.residual))
                squares.append(strengths[-1] ** 2 + band.inverse_diagonal())
            variance = (PRIOR_STARS * USUAL**2 + counts @ np.array(squares)) / (PRIOR_STARS + counts.sum())
        labels = np.array([star.labels for star in seen])
        scatter, own = np.minimum(np.sqrt(variance), MOST), np.clip(strengths, -MOST, MOST)
        return cls(nodes, tuple(names), labels, scatter, own)

    def of_stars(self, stars: Collection[str]) -> Discrepancy:
        """The same with the residuals of some of the stars alone."""
        kept = np.array([name in stars for name in self.names])
        names = tuple(name for name in self.names if name in stars)
        return replace(self, names=names, labels=self.labels[kept], strengths=self.strengths[kept])

    def added_to(self, emulator: Emulator) -> Emulator:
        """The corrected emulator with this error beside its own."""
        hats, spacing = self.nodes.hats, float(np.median(np.diff(np.log(emulator.wavelength)))) * C_KMS
        # pixels of a line have one error: it counts as much as independent ones of so many times the variance
        together = max(2 * length_of(self.nodes) / spacing, 1.0)
        added, floor = together * (hats @ self.scatter**2), np.sqrt(together) * FLOOR
        own = emulator.error
        if own is None or own.labels is None:
            own = ErrorModel(np.zeros((0, added.size)), np.zeros(added.size), np.zeros(len(emulator.label_names)))
        basis = np.concatenate([own.basis, (hats @ self.strengths.T).T])
        return replace(emulator, error=ErrorModel(basis, np.sqrt(own.sigma**2 + added), own.labels, self.labels, floor))


def label_discrepancy(
    deviation: FloatArray, sigma: FloatArray, fe_h: FloatArray, star: Sequence[str]
) -> tuple[float, float]:
    """What to add to the errors of a label, at [Fe/H] = 0 and per dex below it, for stars to deviate as they do.

    Means of the posterior for a uniform prior: a most likely value is often 0 for few stars.

    Parameters
    ----------
    deviation, sigma
        (n,) measured minus known, and its error.
    fe_h, star
        (n,) [Fe/H], and names: spectra of one star share a weight.
    """
    if len(set(star)) < FEWEST_STARS:
        return 0.0, 0.0
    weight = 1 / np.array([list(star).count(own) for own in star])
    size = np.linspace(0, 3, 61) * np.sqrt(np.mean(deviation**2))
    base, slope = np.meshgrid(size, size, indexing="ij")
    added = base[..., None] ** 2 + (slope[..., None] * np.maximum(-fe_h, 0.0)) ** 2
    variance = sigma**2 + added
    log_density = -0.5 * np.sum(weight * (np.log(variance) + deviation**2 / variance), axis=-1)
    density = np.exp(log_density - log_density.max())
    return float(np.average(base, weights=density)), float(np.average(slope, weights=density))

"""Reference stars: spectra of stars with known labels, prepared for an emulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator
from ..errors import BayneError
from ..inference.batch import bound_settings, identity
from ..inference.maximum import find_maximum, overlap
from ..inference.prepare import check_arguments
from ..labels import check_known
from ..likelihoods import Problem, padded
from ..spectrum import FloatArray
from ..wavelength import C_KMS

#: Value and error by label.
Known = Mapping[str, tuple[float, float]]

#: Labels that must be known of a star from which line strengths are to be learnt.
NEEDED = ("teff", "logg", "fe_h")

#: [X/Fe] that are not known: the solar mixture, give or take (dex).
ABUNDANCE = (0.0, 0.15)

#: Share of the errors of these labels within which they are held. Thousands of lines, each of them wrong in its own
#: way, would outvote what is known of a star, and move its labels to where the wrong lines agree.
HELD, TIGHT = 0.2, (*NEEDED, "vmic")

#: Where microturbulence is not known, the value that the uncorrected lines give holds, within this (km/s): what it
#: stands for differs between models, and left free it would take over from the strengths of strong lines.
MICRO, MICRO_ERROR = "vmic", 0.1

#: Parameters stay off the walls of their domain by this share of it.
EDGE = 1e-4


@dataclass(frozen=True)
class ReferenceStar:
    """A star with known labels, whose spectrum was prepared for an emulator.

    Parameters
    ----------
    name
        Spectra of one star share it.
    known
        What is known of it.
    problem
        Its model with all pixels. Its priors hold the labels where they are known.
    met
        (p,) True in windows of the emulator that the spectrum meets.
    wavelength
        (a, n) vacuum Å in the frame of the file.
    theta
        (n,) parameters that were found last.
    """

    name: str
    known: Known
    problem: Problem
    met: np.ndarray
    wavelength: FloatArray
    theta: FloatArray

    @property
    def labels(self) -> FloatArray:
        """(l,) label vector of the emulator."""
        return np.asarray(self.problem.model.parameters(jnp.asarray(self.theta))[0])

    @property
    def used(self) -> np.ndarray:
        """(a, n) pixels in use."""
        return np.asarray(self.problem.plan.used)

    @property
    def log_rest(self) -> FloatArray:
        """(k,) ln of the rest wavelengths of the pixels in use."""
        model = self.problem.model
        rapidity = np.arctanh(np.array([model.parameters(jnp.asarray(self.theta))[1]["rv"], model.bary]) / C_KMS)
        return np.asarray(np.log(self.wavelength[self.used]) - rapidity[0] + rapidity[1])

    def seen_by(self, emulator: Emulator) -> ReferenceStar:
        """The star with a model of another emulator, of the same labels and wavelengths."""
        own = emulator.cut(self.met)
        forward = replace(self.problem.model.forward, network=own.network, params=own.on_device)
        return replace(self, problem=self.problem.changed(forward=forward))

    def moved(self, step: FloatArray) -> ReferenceStar:
        """The star with the parameters of its mean changed, inside their domain."""
        prior, theta, m = self.problem.prior, self.theta.copy(), self.problem.model.n_mean
        lower, upper = np.asarray(prior.lower)[:m], np.asarray(prior.upper)[:m]
        edge = EDGE * (upper - lower)
        theta[:m] = np.clip(theta[:m] + step[:m], lower + edge, upper - edge)
        return replace(self, theta=theta)

    def held(self) -> ReferenceStar:
        """The star at its known labels, with Gaussian priors that hold it there."""
        star = self._with_priors({k: (v, e * HELD if k in TIGHT else e) for k, (v, e) in self.known.items()})
        prior, theta = star.problem.prior, self.theta.copy()
        for i, name in enumerate(self.problem.model.names):
            if name in self.known:
                lower, upper = float(prior.lower[i]), float(prior.upper[i])
                theta[i] = np.clip(self.known[name][0], lower + EDGE * (upper - lower), upper - EDGE * (upper - lower))
        return replace(star, theta=theta)

    def free(self) -> ReferenceStar:
        """The star with no priors on what is known of it."""
        return self._with_priors({})

    def _with_priors(self, known: Known) -> ReferenceStar:
        prior = self.problem.prior
        precision, mean = np.asarray(prior.precision).copy(), np.asarray(prior.mean).copy()
        for i, name in enumerate(self.problem.model.names):
            if name in self.known:
                mean[i], error = known.get(name, (mean[i], np.inf))
                precision[i] = error**-2.0
        prior = replace(prior, precision=jnp.asarray(precision), mean=jnp.asarray(mean))
        return replace(self, problem=replace(self.problem, prior=prior))


def prepare_stars(
    emulator: Emulator,
    spectra: Sequence[Any],
    labels: Sequence[Known] | None,
    options: Mapping[str, Any],
    tell: Callable[[int, str], None] = lambda done, name: None,
) -> list[ReferenceStar]:
    """Stars ready for a calibration; `tell` is called with the number that are, and the name of the next.

    Raises
    ------
    BayneError
        No star; labels that are missing, unknown or outside the domain; a spectrum that cannot be fitted, with reasons.
    """
    if not len(spectra):
        raise BayneError("no star to learn from: give at least one spectrum with known labels")
    if labels is not None and len(labels) != len(spectra):
        raise BayneError(f"{len(spectra)} spectra but labels of {len(labels)} stars: give as many")
    names = [identity(spectrum) or f"star {i + 1}" for i, spectrum in enumerate(spectra)]
    known = [{} if labels is None else _checked(labels[i], emulator, name) for i, name in enumerate(names)]
    bare = replace(emulator, card=replace(emulator.card, discrepancy={}))
    stars: list[ReferenceStar] = []
    for spectrum, name, own in zip(spectra, names, known, strict=True):
        tell(len(stars), name)
        stars.append(_prepared(bare, spectrum, name, own, options))
    return stars


def _prepared(
    emulator: Emulator, spectrum: Any, name: str, known: dict[str, tuple[float, float]], options: Mapping[str, Any]
) -> ReferenceStar:
    start = {label: known[label][0] for label in NEEDED if label in known}
    settings = bound_settings("map", {"priors": known, "start": start} | dict(options))
    check_arguments(settings, emulator)
    found = find_maximum(spectrum, emulator, settings, name)
    if found.whole is None:
        told = " ".join((*found.verdict.flags.bad.sentences(), *found.verdict.messages))
        raise BayneError(f"{name} teaches nothing: {told}")
    if known and MICRO in found.whole.model.names:
        known.setdefault(MICRO, (float(found.theta[found.whole.model.names.index(MICRO)]), MICRO_ERROR))
    arms = found.ready.spectrum.arms
    star = getattr(spectrum, "star_id", "") or name
    made = ReferenceStar(
        star, known, found.whole, overlap(found.ready.spectrum, emulator),
        padded(found.ready.spectrum, [arm.wavelength for arm in arms], 1.0), np.asarray(found.theta),
    )  # fmt: skip
    return made.held()


def _checked(given: Known, emulator: Emulator, name: str) -> dict[str, tuple[float, float]]:
    """Labels that can teach, with what is expected of abundances that are not given."""
    known = {label: (float(value), float(error)) for label, (value, error) in given.items()}
    check_known(known, emulator.label_names, f"labels of {name}")
    missing = [label for label in NEEDED if label in emulator.label_names and label not in known]
    if missing:
        raise BayneError(
            f"{name}: {', '.join(missing)} must be known, value and error, to learn line strengths from it"
        )
    for label, (value, error) in known.items():
        if not (np.isfinite(value) and 0 < error < np.inf):
            raise BayneError(f"{name}: {label} = {value} ± {error}; give a finite value and a positive error")
    middle = 0.5 * (emulator.lower + emulator.upper)
    full = [known.get(label, (x, 0.0))[0] for label, x in zip(emulator.label_names, middle, strict=True)]
    if not emulator.contains(full):
        told = ", ".join(f"{label} = {known[label][0]:g}" for label in NEEDED if label in known)
        raise BayneError(f"{name} ({told}) lies outside the domain of {emulator.card.name!r}: leave it out")
    return {label: ABUNDANCE for label in emulator.label_names if label.endswith("_fe")} | known

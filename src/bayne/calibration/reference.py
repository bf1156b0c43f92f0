"""`calibrate`: spectra of stars with known labels in, an emulator that has learnt from them out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike

from ..emulators import Emulator
from ..emulators.corrections import CORRECTED_BY, correctable
from ..emulators.species import species
from ..errors import BayneError, did_you_mean
from ..precision import double
from ..spectrum import FloatArray
from .calibrate import STEPS, Calibration
from .departures import read_departures, strengths
from .discrepancy import FEWEST_STARS, Discrepancy, Seen, label_discrepancy
from .stars import Known, ReferenceStar, prepare_stars

log = logging.getLogger("bayne")

#: Standard deviation of log gf where nothing else is said (dex).
STRENGTH = 0.15

#: Most groups of stars that are left out in turn: more than so many stars go several at a time.
FOLDS = 12

#: Steps to the labels of a star that was left out, from the known ones.
LABEL_STEPS = 6

#: A star whose labels differ from the known ones by so many times what is usual, in units of its errors, is doubtful;
#: fewest stars that say what is usual, and the least that it is taken to be.
DOUBTFUL, FEWEST, LEAST_USUAL = 2.5, 4, 0.5

#: What a model errs by in any star.
MODEL_ERRORS = {"teff": 50.0, "logg": 0.1, "fe_h": 0.05}

Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Calibrated:
    """What reference stars taught.

    Parameters
    ----------
    emulator
        The corrected emulator.
    stars
        One row for each star: known labels, those that the spectrum gives when the star itself teaches nothing, before
        and after, and ``pull``, the largest deviation after it in units of its error and of what is usual among the
        other stars. Empty with one star, or without known labels.
    lines
        One row for each node of the corrections: ``wavelength`` (vacuum Å), the species that absorbs most,
        ``strength`` (ln) and its ``error``, ``scatter`` (ln, from star to star), how the strength goes with labels
        (``by_fe_h`` per dex, ``by_teff`` per 1000 K, ``by_logg`` per dex), ``missing`` (depth over flux).
    without
        What was learnt without each star, by name; empty where `stars` is.
    discrepancy
        How stars differ from what all others teach; None where `stars` is empty.
    """

    emulator: Emulator
    stars: Table
    lines: Table
    without: dict[str, Calibration]
    discrepancy: Discrepancy | None

    def untaught_by(self, star: str) -> Emulator:
        """The emulator that a star has taught nothing, to test it with that star.

        Raises
        ------
        BayneError
            There is no such star, or no other.
        """
        if self.discrepancy is None or star not in self.without:
            raise BayneError(f"no star {star!r} was left out. {did_you_mean(star, self.without)}")
        taught = self.without[star]
        others = self.discrepancy.of_stars({one.name for one in taught.stars})
        return _named(others.added_to(taught.emulator), others.names, self.stars)

    @property
    def doubtful(self) -> list[str]:
        """Stars whose known labels disagree with what all others say."""
        return [str(row["star"]) for row in self.stars if row["pull"] > DOUBTFUL]


def calibrate(
    emulator: Emulator, stars: Sequence[Any], labels: Sequence[Known] | None = None, **options: Any
) -> Emulator:
    """An emulator that has learnt from reference stars: `learn` without its tables.

    Parameters
    ----------
    emulator, stars, labels, options
        See `learn`.

    Returns
    -------
    Emulator
        Corrected, with the discrepancy that is left. Its card names the stars.

    Raises
    ------
    BayneError
        As `learn` does.
    """
    return learn(emulator, stars, labels, **options).emulator


@double
def learn(
    emulator: Emulator,
    stars: Sequence[Any],
    labels: Sequence[Known] | None = None,
    *,
    strength: float | ArrayLike = STRENGTH,
    departures: str | Path | Table | None = None,
    tell: Tell = lambda done, text: None,
    **options: Any,
) -> Calibrated:
    """Learn from spectra of stars with known labels what the physics behind an emulator gets wrong.

    Corrections are of the opacity, so that they scale from star to star: the ln of the absorption of the species that
    dominates at each wavelength, a common offset for each species, and a non-negative opacity that the line list lacks,
    which grows with [Fe/H] and falls with Teff as learnt. All stars count together; continuum, broadening and velocity
    of each are free, and so are abundances within their errors. Teff, log g, [Fe/H] and v mic stay within a fifth of
    theirs. What one star alone supports is shrunk: single stars are taken to differ from all others, line by line.

    What is left is measured on each star by the corrections that the others teach, and becomes part of the emulator's
    error: the scatter of each line, and the residuals of the stars for stars like them.

    Parameters
    ----------
    emulator
        Whose network adds up the absorption of species; not yet corrected.
    stars
        Spectra (`Spectrum` or specutils). Those with the same ``star_id`` count as one star where stars are left out.
    labels
        For each spectrum, (value, error) by label: ``teff``, ``logg``, ``fe_h``, better ``vmic`` too. Abundances that
        are not given are solar, within 0.15 dex. None: nothing is known. Corrections are then kept from doing what a
        change of labels could do, so that they correct the spectrograph, the air and the interstellar medium, not the
        stars; the emulator's discrepancy stays as it is.
    strength
        Standard deviation of log gf (dex): a number, or (p,) for the emulator's pixels, as line lists grade them.
    departures
        Departures from LTE, a table or an ECSV file: see `bayne.calibration.read_departures`. What they predict is what
        corrections are expected to be.
    tell
        Called with the share that is done, and what is being done.
    options
        Those of `fit_star` that say how spectra are prepared, such as ``resolution``, ``windows`` or ``continuum``.

    Returns
    -------
    Calibrated

    Raises
    ------
    BayneError
        No star, labels missing or outside the domain, a spectrum that the emulator cannot fit, an emulator whose lines
        cannot be corrected.
    """
    correctable(emulator)
    p, dex = emulator.wavelength.size, np.asarray(strength, dtype=np.float64)
    if dex.shape not in ((), (p,)) or not (np.isfinite(dex).all() and np.all(dex > 0)):
        raise BayneError(f"strength: give a positive number of dex, or one for each of the {p} pixels of the emulator")
    prepared = prepare_stars(
        emulator, stars, labels, options, lambda done, name: tell(0.4 * done / len(stars), f"preparing {name}")
    )
    first = Calibration.begun(emulator, prepared, np.broadcast_to(np.log(10) * dex, (p,)), labels is not None)
    if departures is not None:
        first = first.expecting(*strengths(read_departures(departures), emulator, first.absorber))
    return taught(first, tell)


def taught(first: Calibration, tell: Tell) -> Calibrated:
    """What the stars of a calibration teach."""
    found, prepared = first, first.stars
    for k in range(STEPS):
        tell(0.4 + 0.2 * k / STEPS, "correcting lines")
        found = found.climbed()
    names = sorted({star.name for star in prepared})
    if not first.by_label or len(names) == 1:
        if first.by_label:
            log.warning("one star teaches what holds for stars like it; how well it does, only others can say")
        return Calibrated(_named(found.emulator, names), _table([]), _lines(found, None), {}, None)
    without: dict[str, Calibration] = {}
    folds = [names[k::FOLDS] for k in range(min(FOLDS, len(names)))]
    for k, fold in enumerate(folds):
        tell(0.6 + 0.4 * k / len(folds), f"leaving out {', '.join(fold)}")
        without |= dict.fromkeys(fold, found.without(fold))
    before = [fitted(first, star) for star in prepared]
    after = [fitted(without[star.name], star) for star in prepared]
    table = _table([_row(star, {"before": b, "after": a}) for star, b, a in zip(prepared, before, after, strict=True)])
    discrepancy = Discrepancy.among(found.nodes, [Seen.of(without[star.name], star) for star, _ in after])
    corrected = _named(discrepancy.added_to(found.emulator), names, table)
    made = Calibrated(corrected, table, _lines(found, discrepancy.scatter), without, discrepancy)
    for name in made.doubtful:
        log.warning("%s: its spectrum disagrees with its labels by more than those of other stars do", name)
    return made


def _named(emulator: Emulator, stars: Sequence[str], table: Table | None = None) -> Emulator:
    """A corrected emulator whose card says what taught it, and, by a table of several stars, how wrong labels are."""
    card = emulator.card
    changes: dict[str, Any] = {
        "reference_stars": tuple(dict.fromkeys((*card.reference_stars, *stars))),
        "held_out_error": {},  # those of the original, on synthetic spectra that this one is not to agree with
    }
    if table is not None and len(set(stars)) >= FEWEST_STARS:
        own = table[np.isin(table["star"], stars)]
        changes["discrepancy"] = {
            label: label_discrepancy(
                np.asarray(own[f"{label}_after"] - own[label]),
                np.hypot(own[f"{label}_error"], own[f"{label}_after_error"]),
                np.asarray(own["fe_h"]),
                list(own["star"]),
            )
            for label in MODEL_ERRORS
        }
    return replace(emulator, card=replace(card, name=f"{card.original}-calibrated", **changes))


def fitted(calibration: Calibration, star: ReferenceStar) -> tuple[ReferenceStar, FloatArray]:
    """A star at the labels that its spectrum alone gives through the corrected emulator, and errors of its mean."""
    star = star.free()
    for _ in range(LABEL_STEPS):
        about = calibration.about(star, nodes=False)
        weighted = about.own * about.weight[:, None]
        precision = weighted.T @ about.own + np.diag(about.precision)
        star = star.moved(np.asarray(np.linalg.solve(precision, weighted.T @ about.residual + about.pull)))
    errors = np.sqrt(np.diag(np.linalg.inv(precision)))
    return star, np.asarray(errors[: star.problem.model.n_mean], dtype=np.float64)


def _row(star: ReferenceStar, fits: Mapping[str, tuple[ReferenceStar, FloatArray]]) -> dict[str, Any]:
    """A row of the table of stars, from fits before and after."""
    row: dict[str, Any] = {"star": star.name}
    for when, (fit, errors) in fits.items():
        for label, (known, error) in star.known.items():
            if label in fit.problem.model.names:
                i = fit.problem.model.names.index(label)
                row |= {label: known, f"{label}_error": error, f"{label}_{when}": fit.theta[i]}
                row[f"{label}_{when}_error"] = errors[i]
    return row


def _table(rows: list[dict[str, Any]]) -> Table:
    """The table of stars; how far all stars deviate says how doubtful one is."""
    if not rows:
        return Table(names=("star", "pull"), dtype=(str, float))
    table = Table(rows)
    pull = np.zeros(len(table))
    for label, error in MODEL_ERRORS.items() if len(table) >= FEWEST else ():
        expected = np.hypot(np.hypot(table[f"{label}_error"], table[f"{label}_after_error"]), error)
        size = np.abs(table[f"{label}_after"] - table[label]) / expected
        usual = [1.4826 * np.median(np.delete(size, i)) for i in range(len(table))]
        pull = np.maximum(pull, size / np.maximum(usual, LEAST_USUAL))
    table["pull"] = pull
    return table


def _lines(calibration: Calibration, scatter: FloatArray | None) -> Table:
    """The table of corrections."""
    names = np.array(list(species(calibration.original.label_names, correctable(calibration.original).molecules)))
    strength, *slopes, missing = calibration.present.T
    wavelength = np.exp(calibration.nodes.log_wave)
    pixel = np.clip(np.searchsorted(calibration.original.wavelength, wavelength), 0, len(calibration.absorber) - 1)
    return Table(
        {
            "wavelength": wavelength,
            "species": names[calibration.absorber[pixel]],
            "strength": strength,
            "error": calibration.errors(),
            "scatter": np.full(strength.size, np.nan) if scatter is None else scatter,
            **{f"by_{label}": slope for label, slope in zip(CORRECTED_BY, slopes, strict=True)},
            "missing": missing,
        },
        units={"wavelength": "Angstrom"},
        meta={"medium": "vacuum", "growth": [float(v) for v in calibration.growth]},
    )

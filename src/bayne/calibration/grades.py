"""How well log gf are known, as a line list grades them."""

from __future__ import annotations

import gzip
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator
from ..emulators.corrections import correctable
from ..emulators.species import species
from ..errors import ReadError
from ..precision import double
from ..spectrum import FloatArray
from ..wavelength import C_KMS, to_vacuum

#: Standard deviation of log gf (dex) by the grade of the Gaia-ESO list (Heiter et al. 2021, A&A 645, A106): "Y", well
#: known; "U", undecided; "N", not recommended; "-", not examined. Where the list states an error, that is taken.
GRADES = {"Y": 0.05, "U": 0.15, "N": 0.3, "-": 0.2}

#: Least error of log gf: no list knows blends better.
LEAST = 0.03

#: Labels of the Sun; abundances are 0.
SUN = {"teff": 5772.0, "logg": 4.44, "vmic": 1.0}

#: Temperature at which lines of an element are compared (K).
TEMPERATURE = 5500.0

#: Standard deviation of a line's profile in the star (km/s): heat and turbulence.
WIDTH = 2.5

COLUMNS = ("Element", "lambda", "loggf", "e_loggf", "gfflag", "Elow")


@double
def graded_strengths(emulator: Emulator, path: str | Path) -> FloatArray:
    """Standard deviations of log gf for `bayne.calibration.learn`, from a graded line list.

    Parameters
    ----------
    emulator
        Whose lines they are.
    path
        Table of VizieR separated by "|" (may be gzipped), with the columns ``Element``, ``lambda`` (Å in air),
        ``loggf``, ``e_loggf``, ``gfflag`` (Y, U, N or -) and ``Elow`` (eV), such as J/A+A/645/A106/geslines.

    Returns
    -------
    array
        (p,) dex, for the lines of the element that absorbs most at each pixel in the Sun;
        0.2 where the list has no line of it.

    Raises
    ------
    ReadError
        The file cannot be read or lacks a column.
    BayneError
        As `bayne.calibration.learn` does for an emulator that cannot be corrected.
    """
    network = correctable(emulator)
    element, wavelength, log_gf, sigma, energy = _read(Path(path))
    names = list(species(emulator.label_names, network.molecules))
    sun = np.array([SUN.get(label, 0.0) for label in emulator.label_names])
    odds = network.odds(emulator.on_device, jnp.asarray(np.clip(sun, emulator.lower, emulator.upper)))
    absorber = np.argmax(np.asarray(odds), axis=0)
    # eV to 1/K: Boltzmann's constant
    weight = 10 ** (log_gf - energy * 5039.78 / TEMPERATURE)
    total, square = np.zeros(emulator.wavelength.size), np.zeros(emulator.wavelength.size)
    width = wavelength * np.hypot(1 / emulator.resolution / 2.355, WIDTH / C_KMS)
    for k in np.flatnonzero(np.isin(element, names)):
        low, high = np.searchsorted(emulator.wavelength, wavelength[k] + np.array([-4, 4]) * width[k])
        own = np.arange(low, high)[absorber[low:high] == names.index(element[k])]
        share = weight[k] * np.exp(-0.5 * ((emulator.wavelength[own] - wavelength[k]) / width[k]) ** 2)
        total[own] += share
        square[own] += share * sigma[k] ** 2
    return np.where(total > 0, np.sqrt(square / np.where(total > 0, total, 1.0)), GRADES["-"])


def _read(path: Path) -> tuple[np.ndarray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Elements in lower case, vacuum Å, log gf, its error (dex), energy of the lower level (eV)."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ReadError(f"{path}: not a readable list of lines ({error})") from None
    rows = [line.split("|") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    head = [name.strip() for name in rows[0]] if rows else []
    missing = [name for name in COLUMNS if name not in head]
    if missing:
        raise ReadError(f"{path}: no column {', '.join(missing)}; give a table of VizieR separated by '|'")
    place = [head.index(name) for name in COLUMNS]
    found = [[row[i].strip() for i in place] for row in rows[3:] if len(row) == len(head)]
    element, wavelength, log_gf, stated, grade, energy = (np.array(column) for column in zip(*found, strict=True))
    own = np.array([float(value) if value else np.nan for value in stated])
    by_grade = np.array([GRADES.get(value, GRADES["-"]) for value in grade])
    sigma = np.maximum(np.where(np.isfinite(own), own, by_grade), LEAST)
    return (
        np.char.lower(element),
        to_vacuum(wavelength.astype(float), "air"),
        log_gf.astype(float),
        sigma,
        energy.astype(float),
    )

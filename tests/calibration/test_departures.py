"""Departures from LTE, as a user supplies them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from bayne.calibration import learn, read_departures
from bayne.calibration.departures import strengths
from bayne.emulators.corrections import corrected
from bayne.emulators.species import species
from bayne.errors import ReadError
from species_toy import LABELS, plain, species_emulator
from toy import mock_star

SUN = np.array([5772.0, 4.44, 0.0, 0.0])


@pytest.fixture(scope="module")
def emulator():
    """Lines of two elements."""
    return species_emulator()


@pytest.fixture(scope="module")
def line(emulator):
    """Pixel of the strongest line of magnesium."""
    level = np.asarray(emulator.params["level"])
    own = list(species(LABELS, ())).index("mg")
    inside = (emulator.wavelength > 5010) & (emulator.wavelength < 5024) & (np.argmax(level, axis=0) == own)
    return int(np.argmax(np.where(inside, level[own], -99.0)))


def table(wavelength, **changes):
    """Corrections of one line in four stars, which fall by 0.1 dex per dex of [Fe/H]."""
    stars = np.array([[5772, 4.44, 0.0], [5772, 4.44, -0.5], [5000, 4.0, 0.0], [6200, 4.0, -0.2]])
    columns = {
        "element": ["Mg"] * 4,
        "wavelength": np.full(4, wavelength),
        **dict(zip(("teff", "logg", "fe_h"), stars.T, strict=True)),
        "correction": -0.2 + 0.1 * stars[:, 2],
    }
    return Table(columns | changes, meta={"medium": "vacuum"})


def test_a_line_becomes_as_strong_as_in_lte_at_the_abundance_that_it_seems_to_have(emulator, line):
    """A(NLTE) - A(LTE) = -0.2 dex: at the true abundance the line is that of 0.2 dex more in LTE."""
    start, slopes = strengths(table(emulator.wavelength[line]), emulator, plain(emulator, np.zeros(1)).absorber)
    made = corrected(emulator, replace(plain(emulator, start), slopes=slopes))
    for iron in (0.0, -0.5):
        star, more = SUN.copy(), SUN.copy()
        star[2] = more[2] = iron
        more[3] += 0.2 - 0.1 * iron
        change = emulator.flux(more)[line] - emulator.flux(star)[line]
        assert change < -0.05
        assert made.flux(star)[line] - emulator.flux(star)[line] == pytest.approx(change, rel=0.3)
    far = np.abs(emulator.wavelength - emulator.wavelength[line]) > 1.5
    np.testing.assert_allclose(made.flux(SUN)[far], emulator.flux(SUN)[far], atol=1e-6)


def test_calibration_begins_there(emulator, line):
    """A star that says nothing of the line (its pixels are masked) leaves it where departures put it."""
    star = mock_star(emulator, SUN, snr=200.0)
    near = [np.abs(arm.wavelength - emulator.wavelength[line]) < 1.2 for arm in star.arms]
    known = [
        {name: (float(value), error) for name, value, error in zip(LABELS, SUN, (40, 0.05, 0.05, 0.1), strict=True)}
    ]
    made = learn(
        emulator, [star.with_mask(near)], known, departures=table(emulator.wavelength[line]), free=("rv",)
    ).lines  # fmt: skip
    node = np.argmin(np.abs(made["wavelength"] - emulator.wavelength[line]))
    assert made["strength"][node] > 0.2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["element", "wavelength"], "no column 'teff'"),
        (lambda t: Table(t, meta={"medium": "water"}), "medium: air or vacuum"),
        (lambda t: Table({**{n: t[n] for n in t.colnames}, "correction": np.full(4, np.nan)}, meta=t.meta), "finite"),
    ],
)
def test_bad_tables(change, words):
    with pytest.raises(ReadError, match=words):
        read_departures(change(table(5020.0)))


def test_an_element_that_the_emulator_lacks(emulator):
    with pytest.raises(ReadError, match="no abundance of 'na'"):
        strengths(table(5020.0, element=["Na"] * 4), emulator, plain(emulator, np.zeros(1)).absorber)

"""Bad windows of the profiles: where the atmosphere absorbs, and nowhere for an instrument above it."""

from __future__ import annotations

import numpy as np
import pytest

from bayne import load_instrument
from bayne.instrument import instrument_names
from bayne.wavelength import air_to_vacuum

#: Inside the A and B bands of oxygen (air Å): Smette et al. 2015, A&A 576, A77.
OXYGEN = (6880.0, 7620.0)

#: Profiles of spectra whose telluric lines are flagged or divided out pixel by pixel, or that have none.
WITHOUT = ("apogee", "rvs")


@pytest.mark.parametrize("name", instrument_names())
def test_windows_are_in_order_and_apart(name: str) -> None:
    windows = np.array(load_instrument(name).telluric)
    assert np.all(np.diff(windows.ravel()) > 0)


@pytest.mark.parametrize("name", sorted(set(instrument_names()) - set(WITHOUT)))
def test_oxygen_is_masked_where_the_profile_covers_it(name: str) -> None:
    profile = load_instrument(name)
    for line in OXYGEN:
        if any(arm.wavelength[0] < line < arm.wavelength[1] for arm in profile.arms):
            assert profile.telluric_mask(air_to_vacuum([line])).all()


def test_nothing_is_masked_above_the_atmosphere() -> None:
    assert load_instrument("rvs").telluric == ()

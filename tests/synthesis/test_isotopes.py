"""Natural fractions of isotopes."""

from __future__ import annotations

from collections import defaultdict

import pytest

from bayne.errors import BayneError
from bayne.synthesis.isotopes import FRACTIONS, fraction
from bayne.synthesis.species import MASSES, SYMBOLS, parse_species


def test_fractions_add_up_to_the_elements() -> None:
    total: dict[int, float] = defaultdict(float)
    mean: dict[int, float] = defaultdict(float)
    for (z, mass), share in FRACTIONS.items():
        total[z] += share
        mean[z] += share * mass
    assert len(total) == 84
    for z in total:
        assert total[z] == pytest.approx(1.0, abs=2e-4), SYMBOLS[z]
        assert mean[z] == pytest.approx(MASSES[z], abs=0.11), SYMBOLS[z]  # mass defects are below 0.1 u


def test_fraction_of_a_molecule_is_the_product() -> None:
    assert fraction(parse_species("TiO"), (0, 48)) == pytest.approx(0.7372)
    assert fraction(parse_species("CN"), (13, 14)) == pytest.approx(0.0107 * 0.99636)
    assert fraction(parse_species("Fe 1"), (0,)) == 1.0


def test_isotope_that_does_not_occur() -> None:
    with pytest.raises(BayneError, match="Ti has no natural isotope 44; it has 46, 47, 48, 49, 50"):
        fraction(parse_species("TiO"), (0, 44))

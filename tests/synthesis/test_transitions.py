"""A line list refuses what it cannot be, and is cut to what is asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayne.errors import BayneError
from bayne.synthesis.species import parse_species
from bayne.synthesis.transitions import LineList, assemble


def example() -> LineList:
    """Fe I, TiO, H I and Fe I, not in order."""
    species = tuple(parse_species(name) for name in ("Fe 1", "TiO", "H 1"))
    return assemble(
        np.array([5010.0, 5000.0, 5005.0, 4990.0]),
        species,
        np.array([0, 1, 2, 0]),
        np.array([-1.0, -2.0, 0.0, -3.0]),
        np.array([1.0, 0.5, 10.2, 2.0]),
        *np.array([[8.0, 7.0, 8.0, 0.0], [-6.0, 0.0, 2.0, 0.0], [-7.5, 0.0, 3.0, 300.25]]),
    )


def test_lines_are_sorted_and_hydrogen_left_out() -> None:
    lines = example()
    assert len(lines) == 3
    assert lines.wavelength.tolist() == [4990.0, 5000.0, 5010.0]
    assert [lines.species[k].name for k in lines.kind] == ["Fe I", "TiO", "Fe I"]
    assert [lines.isotopes[i] for i in lines.isotope] == [(0,), (0, 0), (0,)]
    assert lines.log_gf.tolist() == [-3.0, -2.0, -1.0]
    assert lines.vdw_sigma.tolist() == [300.0, 0.0, 0.0]
    assert lines.gamma_stark[2] == pytest.approx(1e-6)


def test_selection_keeps_only_species_that_it_has() -> None:
    lines = example()
    assert lines.between(5000.0, 5005.0).wavelength.tolist() == [5000.0]
    assert [one.name for one in lines.between(4999.0, 5001.0).species] == ["TiO"]
    assert lines.between(4999.0, 5001.0).isotopes == ((0, 0),)
    assert lines.of([parse_species("Fe I")]).wavelength.tolist() == [4990.0, 5010.0]
    assert lines.select(np.array([0, 2])).kind.tolist() == [0, 0]
    assert len(lines.between(6000.0, 7000.0)) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"log_gf": np.zeros(2)}, r"log_gf has the shape \(2,\)"),
        ({"energy": np.zeros((3, 1))}, "energy has the shape"),
        ({"log_gf": np.array([0.0, np.nan, np.inf])}, "log_gf is not finite for 2 of 3"),
        ({"gamma_rad": np.array([1.0, -1.0, 1.0])}, "gamma_rad is negative for 1 of 3"),
        ({"wavelength": np.array([0.0, 1.0, 2.0])}, "wavelengths .* are positive"),
        ({"kind": np.array([0, 1, 2])}, "kind must hold indices below 2"),
        ({"isotope": np.array([0.0, 1.0, 0.0])}, "isotope must hold indices"),
    ],
)
def test_wrong_arrays_are_named(change: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(BayneError, match=words):
        replace(example(), **change)

"""Line marks sit where a moving star shows its lines."""

from __future__ import annotations

import numpy as np
import pytest

from bayne.synthesis.lines import known_lines, lines_between
from bayne.wavelength import C_KMS, air_to_vacuum


def test_table_is_sorted_and_in_the_two_regions() -> None:
    wave = np.array([line.wavelength for line in known_lines()])
    assert np.all(np.diff(wave) >= 0)
    assert np.all(((wave > 3900) & (wave < 8900)) | ((wave > 15100) & (wave < 17000)))
    assert {line.kind for line in known_lines()} == {"line", "band"}


@pytest.mark.parametrize(
    ("species", "air"),
    [
        ("Na I", 5889.951),  # NIST ASD
        ("Na I", 5895.924),
        ("Mg I", 5183.604),
        ("Ba II", 5853.668),
        ("Li I", 6707.81),
        ("K I", 7698.965),
        ("Fe I", 6301.500),
        ("Ca II", 8542.091),
        ("Al I", 16718.96),
        ("Mg I", 15740.71),
    ],
)
def test_known_lines_are_in_vacuum(species: str, air: float) -> None:
    vacuum = float(air_to_vacuum(air))
    found = [line.wavelength for line in known_lines() if line.species == species]
    assert min(abs(np.array(found) - vacuum)) < 0.03
    assert min(abs(np.array(found) - air)) > 1.0


@pytest.mark.parametrize(
    ("species", "lower", "upper"), [("H I", 2, 3), ("H I", 2, 4), ("Br 11", 4, 11), ("Br 14", 4, 14)]
)
def test_hydrogen_follows_rydberg(species: str, lower: int, upper: int) -> None:
    expected = 1e8 / 109677.5834 / (1 / lower**2 - 1 / upper**2)
    found = [line.wavelength for line in known_lines() if line.species == species]
    # fine structure moves the mean by 1e-5 at most
    assert min(abs(np.array(found) / expected - 1)) < 2e-5


@pytest.mark.parametrize("velocity", [-320.0, 0.0, 45.3])
def test_marks_move_with_the_star(velocity: float) -> None:
    rest = {line.species + f"{i}": line.wavelength for i, line in enumerate(lines_between(4600, 7000))}
    factor = np.sqrt((1 + velocity / C_KMS) / (1 - velocity / C_KMS))
    moved = [line.wavelength for line in lines_between(4600 * factor, 7000 * factor, velocity)]
    np.testing.assert_allclose(moved, np.array(list(rest.values())) * factor, rtol=1e-12)


def test_only_lines_inside_are_given() -> None:
    assert [line.species for line in lines_between(6563, 6566)] == ["H I"]
    assert lines_between(10000, 11000) == []

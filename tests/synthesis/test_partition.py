"""Partition functions against published tables and against sums over measured levels."""

import jax.numpy as jnp
import numpy as np
import pytest

from bayne.precision import double
from bayne.synthesis.partition import partition_functions, table
from bayne.synthesis.species import parse_species

CM = 1.438776877  # hc/k in cm K: CODATA 2018


@double
def partition(name: str, temperature: list[float]) -> np.ndarray:
    row = table().species.index(parse_species(name))
    return np.asarray(partition_functions(jnp.asarray(temperature, dtype=float))[row])


def rotator(t: float, w: float, wx: float, b: float, alpha: float, d: float, even: float, odd: float) -> float:
    """Sum over levels of a vibrating rotator in a 1Σ state; constants in cm^-1, weights of even and odd J."""
    v, j = np.arange(12)[:, None] + 0.5, np.arange(160)
    energy = w * v - wx * v**2 + (b - alpha * v) * j * (j + 1) - d * (j * (j + 1)) ** 2
    rising = np.cumprod(np.diff(energy, axis=1, prepend=-1.0) > 0, axis=1) > 0
    factors = np.exp(-CM * np.where(rising, energy - energy[0, 0], np.inf) / t)
    return float(np.sum((2 * j + 1) * np.where(j % 2, odd, even) * factors))


@pytest.mark.parametrize(
    ("name", "values"),
    [  # Barklem & Collet (2016, A&A 588, A96), Table 8: 2000, 4000, 6000 and 10,000 K
        ("H I", [2.0, 2.0, 2.0, 2.00015]),
        ("Na I", [2.00003, 2.01488, 2.21609, 7.0896]),
        ("Ti II", [37.3391, 49.789, 61.0536, 83.7248]),
        ("Fe I", [19.4564, 24.613, 31.7409, 59.6627]),
        ("Fe II", [28.1685, 39.1534, 47.5631, 66.9023]),
        ("Ba II", [2.22135, 3.47538, 4.81889, 6.97202]),
        ("Ce II", [40.3712, 133.517, 249.693, 491.152]),
    ],
)
def test_published_values(name: str, values: list[float]) -> None:
    np.testing.assert_allclose(partition(name, [2000, 4000, 6000, 10000]), values, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "levels"),
    [  # statistical weight and energy in cm^-1: NIST Atomic Spectra Database
        ("C I", [(1, 0), (3, 16.42), (5, 43.41), (5, 10192.66), (1, 21648.03), (5, 33735.12)]),
        ("Ca II", [(2, 0), (4, 13650.19), (6, 13710.88), (2, 25191.51), (4, 25414.40)]),
    ],
)
def test_sum_over_atomic_levels(name: str, levels: list[tuple[int, float]]) -> None:
    for temperature in (2000.0, 4000.0, 5777.0):
        direct = sum(g * np.exp(-CM * energy / temperature) for g, energy in levels)
        assert partition(name, [temperature])[0] == pytest.approx(direct, rel=3e-4)


@pytest.mark.parametrize(
    ("name", "constants", "weights"),
    [  # Huber & Herzberg (1979): ωe, ωexe, Be, αe, De; spin states: H2 1 and 3 of 4, N2 6 and 3 of 9
        ("CO", (2169.81358, 13.28831, 1.93128087, 0.01750441, 6.1215e-6), (1.0, 1.0)),
        ("H2", (4401.213, 121.336, 60.8530, 3.0622, 0.0471), (1 / 4, 3 / 4)),
        ("N2", (2358.57, 14.324, 1.998241, 0.017318, 5.76e-6), (6 / 9, 3 / 9)),
    ],
)
def test_sum_over_molecular_levels(name: str, constants: tuple[float, ...], weights: tuple[float, float]) -> None:
    for temperature in (1500.0, 3000.0):
        direct = rotator(temperature, *constants, *weights)
        assert partition(name, [temperature])[0] == pytest.approx(direct, rel=0.01)


@double
def test_all_rise_with_temperature_from_the_ground_level() -> None:
    values = np.asarray(partition_functions(jnp.geomspace(1000, 20000, 60)))
    assert np.all(values > 0.9)
    assert np.all(np.diff(values, axis=1) >= 0)


def test_energies_of_formation() -> None:
    energy = dict(zip(table().species, table().energy, strict=True))
    assert energy[parse_species("Fe I")] == 0
    # NIST: 7.9024681 and 16.19921 eV
    assert energy[parse_species("Fe II")] == pytest.approx(7.90247, abs=1e-5)
    assert energy[parse_species("Fe III")] == pytest.approx(24.10168, abs=1e-5)
    # H2+ = H2 less an electron, ionisation energy 15.425926 eV (NIST Chemistry WebBook)
    assert energy[parse_species("H2+")] - energy[parse_species("H2")] == pytest.approx(15.4259, abs=2e-4)

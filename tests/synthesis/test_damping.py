"""Conventions of damping constants, and the approximations for what lists leave out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bayne.synthesis.damping import Damping, classical_width, complete, cowley_width, unsold_width
from bayne.synthesis.species import parse_species


def one(
    species: str = "Fe 1",
    wavelength: float = 6302.0,
    energy: float = 3.686,
    rad: float = 8.0,
    stark: float = -6.0,
    vdw: float = -7.5,
) -> Damping:
    columns = (np.array([x], dtype=float) for x in (energy, rad, stark, vdw))
    return complete(np.array([wavelength]), (parse_species(species),), np.array([0]), *columns)


def test_logarithms_are_taken_as_they_are() -> None:
    line = one()
    assert line.gamma_rad[0] == pytest.approx(1e8)
    assert line.gamma_stark[0] == pytest.approx(1e-6)
    assert line.gamma_vdw[0] == pytest.approx(10**-7.5)
    assert line.vdw_sigma[0] == line.vdw_alpha[0] == 0


def test_packed_pair() -> None:
    line = one(vdw=854.232)  # Fe I 6302.49: Barklem, Piskunov & O'Mara (2000)
    assert line.vdw_sigma[0] == 854
    assert line.vdw_alpha[0] == pytest.approx(0.232)
    assert line.gamma_vdw[0] == 0


def test_factor_multiplies_unsold() -> None:
    given = one(vdw=2.5)
    assert given.gamma_vdw[0] == pytest.approx(2.5 * one(vdw=0.0).gamma_vdw[0])
    assert given.vdw_sigma[0] == 0


def test_classical_radiative_width() -> None:
    # 0.2223 / λ² with λ in cm: Kurucz's programmes have 2.223e13 / λ² with λ in nm.
    assert one(rad=0.0).gamma_rad[0] == pytest.approx(2.223e13 / 630.2**2, rel=1e-3)
    assert classical_width(np.array([5000.0]))[0] == pytest.approx(8.89e7, rel=1e-3)


def test_stark_width_of_cowley() -> None:
    # 2.26e-7 n*^4 with n*² = 13.6 eV / (7.9025 - E_up).
    upper = 3.686 + 12398.42 / 6302.0
    assert one(stark=0.0).gamma_stark[0] == pytest.approx(2.26e-7 * (13.6057 / (7.9025 - upper)) ** 2, rel=1e-3)


def test_unsold_width_against_other_writings() -> None:
    upper = 3.686 + 12398.42 / 6302.0
    radii = 2.5 * 13.6057**2 * ((7.9025 - upper) ** -2 - (7.9025 - 3.686) ** -2)
    width = one(vdw=0.0).gamma_vdw[0]
    # Kurucz's programmes: 4.5e-9 <r²>^0.4 per hydrogen atom at 10,000 K.
    assert width == pytest.approx(4.5e-9 * radii**0.4, rel=0.02)
    # Rutten (2003, Radiative Transfer in Stellar Atmospheres): log γ = 6.33 + 0.4 log r² + log P - 0.7 log T.
    assert width == pytest.approx(10**6.33 * radii**0.4 * 1.380649e-16 * 1e4**0.3, rel=0.06)
    assert 2 * math.pi * (3 * math.pi / 8) ** 0.4 * math.gamma(0.6) * math.cos(math.pi / 5) == pytest.approx(
        8.08, rel=1e-3
    )


def test_sodium_needs_the_known_enhancement() -> None:
    # Na I 5889.95: Anstee & O'Mara's 407.273 is 1.5 to 3 times Unsöld's width, as the solar wings require.
    width = one("Na 1", 5891.58, 0.0, vdw=0.0).gamma_vdw[0]
    velocity = math.sqrt(8 * 1.380649e-16 * 1e4 / math.pi * (1 / 1.008 + 1 / 22.99) / 1.66054e-24)
    alpha, sigma = 0.273, 407 * 5.29177e-9**2
    abo = 2 * (4 / math.pi) ** (alpha / 2) * math.gamma(2 - alpha / 2) * velocity * sigma * (velocity / 1e6) ** -alpha
    assert 1.5 < abo / width < 3


def test_ions_are_bound_tighter() -> None:
    assert one("Fe 2", vdw=0.0).gamma_vdw[0] < one("Fe 1", vdw=0.0).gamma_vdw[0]
    assert one("Fe 2", stark=0.0).gamma_stark[0] < one("Fe 1", stark=0.0).gamma_stark[0]


def test_molecules_have_natural_width_alone() -> None:
    line = one("TiO", rad=0.0, stark=0.0, vdw=0.0)
    assert line.gamma_rad[0] > 0
    assert line.gamma_stark[0] == line.gamma_vdw[0] == line.vdw_sigma[0] == 0


@pytest.mark.parametrize(
    ("species", "energy"), [("Fe 1", 7.0), ("Fe 1", 7.9), ("Fe 1", 9.0), ("Nd 3", 1.0), ("H 2", 1.0)]
)
def test_levels_near_and_above_the_limit_stay_finite(species: str, energy: float) -> None:
    arguments = np.array([5000.0]), (parse_species(species),), np.array([0]), np.array([energy])
    for width in (cowley_width, unsold_width):
        assert 0 < width(*arguments)[0] < 1e-2


def test_no_warnings_for_any_convention() -> None:
    with np.errstate(all="raise"):
        for vdw in (-9.99, -7.5, 0.0, 1.0, 19.9, 20.0, 2806.269):
            line = one(vdw=vdw)
            assert np.isfinite(line.gamma_vdw[0] + line.vdw_sigma[0])

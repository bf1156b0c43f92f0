"""Names of species are understood in all the ways in which line lists write them."""

from __future__ import annotations

import math

import pytest

from bayne.errors import BayneError
from bayne.synthesis.species import MASSES, SOLAR, SYMBOLS, Species, parse_species


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Fe 1", "Fe I"),
        ("Fe I", "Fe I"),
        ("FeI", "Fe I"),
        ("Fe", "Fe I"),
        ("26.00", "Fe I"),
        ("Fe 2", "Fe II"),
        ("Fe II", "Fe II"),
        ("Fe+", "Fe II"),
        ("26.01", "Fe II"),
        ("26.1", "Fe II"),
        ("La III", "La III"),
        ("VI", "V I"),
        ("Co 1", "Co I"),
        ("01.00", "H I"),
        ("H 2", "H II"),
        ("H-", "H-"),
        ("H2", "H2"),
        ("H2+", "H2+"),
        ("TiO", "TiO"),
        ("TiO 1", "TiO"),
        ("822.00", "TiO"),
        ("C2", "C2"),
        ("C2 1", "C2"),
        ("606.00", "C2"),
        ("0606", "C2"),
        ("CO 1", "CO"),
        ("CN", "CN"),
        ("CH", "CH"),
        ("CH 2", "CH+"),
        ("NH", "NH"),
        ("OH 1", "OH"),
        ("108.00", "OH"),
        ("MgH", "MgH"),
        ("SiH", "SiH"),
        ("H2O", "H2O"),
        ("10108", "H2O"),
        ("HCN", "HCN"),
    ],
)
def test_names_in_use(text: str, name: str) -> None:
    species = parse_species(text)
    assert species.name == name
    assert parse_species(species.name) == species


def test_every_ion_reads_its_own_name() -> None:
    for z in range(1, 93):
        for charge in range(min(z, 9) + 1):
            species = Species((z,), charge)
            assert parse_species(species.name) == species


def test_parts_of_a_molecule() -> None:
    assert parse_species("TiO") == Species((8, 22), 0)
    assert parse_species("TiO").mass == pytest.approx(47.867 + 15.999)
    assert parse_species("TiO").is_molecule
    assert not parse_species("Ti II").is_molecule


@pytest.mark.parametrize("text", ["Xx 1", "FE 1", "99.0", "26.001", "Fe IIX", "Ti0", "C1", "1.5.2", "", "-", "iron"])
def test_unknown_species_says_what_is_known(text: str) -> None:
    with pytest.raises(BayneError, match="Known: the elements H to U") as error:
        parse_species(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"), [("Fe 0", "begin with 1"), ("H 3", "charges are"), ("TiO 4", "charges are")]
)
def test_impossible_charge(text: str, words: str) -> None:
    with pytest.raises(BayneError, match=words) as error:
        parse_species(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("atoms", [(), (22, 8), (0,), (93,)])
def test_impossible_atoms(atoms: tuple[int, ...]) -> None:
    with pytest.raises(BayneError, match="atomic numbers"):
        Species(atoms)


def test_tables_have_one_entry_per_element() -> None:
    assert len(SYMBOLS) == len(MASSES) == len(SOLAR["asplund2009"]) == 93
    assert (SYMBOLS[26], SYMBOLS[92]) == ("Fe", "U")
    # The order of masses follows that of atomic numbers but for the known inversions Ar-K, Co-Ni, Te-I, Th-Pa.
    inversions = [SYMBOLS[z] for z in range(1, 92) if MASSES[z + 1] < MASSES[z]]
    assert inversions == ["Ar", "Co", "Te", "Th"]


def test_solar_abundances_of_asplund_2009() -> None:
    solar = SOLAR["asplund2009"]
    # The paper's table 1, and its mass fractions (section 3.12): X = 0.7381, Y = 0.2485, Z = 0.0134.
    assert [solar[SYMBOLS.index(x)] for x in ("C", "O", "Mg", "Fe", "Ba", "U")] == [8.43, 8.69, 7.60, 7.50, 2.18, -0.54]
    mass = [0.0 if math.isnan(a) else 10 ** (a - 12) * m for a, m in zip(solar, MASSES, strict=True)]
    assert mass[1] / sum(mass) == pytest.approx(0.7381, abs=1e-3)
    assert mass[2] / sum(mass) == pytest.approx(0.2485, abs=1e-3)
    assert sum(mass[3:]) / sum(mass) == pytest.approx(0.0134, abs=1e-4)
    assert math.isnan(solar[43])

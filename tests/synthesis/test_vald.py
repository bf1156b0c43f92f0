"""All forms of VALD's answers say the same; broken ones are refused with the place and the reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from bayne.errors import ReadError
from bayne.synthesis.linelist import LineList, read_linelist
from synthesis.vald_text import ROWS, SCALED, UNSCALED, Row, vald


def read(folder: Path, text: str, **options: str) -> LineList:
    path = folder / "list.vald"
    path.write_text(text, encoding="utf-8")
    return read_linelist(path, **options)


def vacuum(air: float) -> float:
    """VALD's own conversion: N. Piskunov, VALD wiki, Air-to-vacuum conversion."""
    s2 = (1e4 / air) ** 2
    index = 1.00008336624212083 + 0.02408926869968 / (130.1065924522 - s2) + 0.0001599740894897 / (38.92568793293 - s2)
    return air * index


FORMS: list[dict[str, bool | str]] = [
    {"long": long, "stellar": stellar, "wavenumbers": wavenumbers, "quoted_terms": quoted, "unit": unit}
    for long in (False, True)
    for stellar in (False, True)
    for wavenumbers, quoted, unit in ((False, True, "A"), (True, False, "nm"))
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_all_forms_give_the_same_lines(form: dict[str, bool | str], tmp_path: Path) -> None:
    lines = read(tmp_path, vald(**form))  # type: ignore[arg-type]
    assert [lines.species[k].name for k in lines.kind] == ["Fe I", "Mg I", "Fe I", "Nd II", "TiO", "CN"]
    assert [lines.isotopes[i] for i in lines.isotope] == [(0,), (0,), (0,), (0,), (0, 48), (12, 14)]
    np.testing.assert_allclose(lines.wavelength, [vacuum(row.wavelength) for row in ROWS], atol=2e-5)
    np.testing.assert_allclose(lines.log_gf, [row.log_gf for row in ROWS])
    np.testing.assert_allclose(lines.energy, [row.energy for row in ROWS], atol=1e-7)
    np.testing.assert_allclose(np.log10(lines.gamma_rad[:3]), [3.160, 7.990, 8.020])
    np.testing.assert_allclose(np.log10(lines.gamma_stark[:3]), [-6.280, -5.470, -6.060])
    assert lines.vdw_sigma.tolist() == [204, 729, 0, 0, 0, 0]
    np.testing.assert_allclose(lines.vdw_alpha, [0.253, 0.238, 0, 0, 0, 0], atol=1e-9)
    assert np.log10(lines.gamma_vdw[2]) == pytest.approx(-7.770)


def test_what_is_not_given_is_approximated_for_atoms(tmp_path: Path) -> None:
    lines = read(tmp_path, vald())
    neodymium, titanium_oxide = 3, 4
    assert lines.gamma_rad[neodymium] == pytest.approx(0.2223 / (lines.wavelength[neodymium] * 1e-8) ** 2, rel=1e-3)
    assert lines.gamma_stark[neodymium] > 0
    assert lines.gamma_vdw[neodymium] > 0
    assert lines.gamma_stark[titanium_oxide] == lines.gamma_vdw[titanium_oxide] == 0


def test_packed_and_commented_file(tmp_path: Path) -> None:
    path = tmp_path / "job.000088.gz"
    path.write_bytes(gzip.compress(("# begin request\n# extract all\n# end request\n" + vald()).encode()))
    assert len(read_linelist(path)) == len(ROWS)


def test_lists_of_the_far_ultraviolet_are_in_vacuum(tmp_path: Path) -> None:
    lines = read(tmp_path, vald((Row("Fe 2", 1900.0, 1.0, -1.0), Row("Fe 2", 2400.0, 1.0, -1.0))))
    assert lines.wavelength[0] == pytest.approx(1900.0)
    assert lines.wavelength[1] == pytest.approx(vacuum(2400.0), abs=1e-4)


def test_hydrogen_lines_are_left_out(tmp_path: Path) -> None:
    lines = read(tmp_path, vald((*ROWS, Row("H 1", 4861.3, 10.2, -0.02, 8.788, 2.0, 4.0))))
    assert len(lines) == len(ROWS)
    assert "H I" not in [one.name for one in lines.species]


def test_hyperfine_and_isotopic_components_stay_apart(tmp_path: Path) -> None:
    rows = tuple(
        Row("Ba 2", 6141.71 + 0.001 * i, 0.7036, -1.0 - i, isotopes=f"({a})Ba+") for i, a in enumerate((137, 137, 138))
    )
    lines = read(tmp_path, vald(rows))
    assert [lines.isotopes[i] for i in lines.isotope] == [(137,), (137,), (138,)]
    assert lines.log_gf.tolist() == [-1.0, -2.0, -3.0]


@pytest.mark.parametrize("long", [False, True])
def test_unscaled_strengths_are_scaled(long: bool, tmp_path: Path) -> None:
    scaled, unscaled = (read(tmp_path, vald(long=long, remark=remark)) for remark in (SCALED, UNSCALED))
    change = unscaled.log_gf - scaled.log_gf
    # Fractions of Ti 48, C 12, N 14: Berglund & Wieser (2011).
    np.testing.assert_allclose(change, [0, 0, 0, 0, np.log10(0.7372), np.log10(0.9893 * 0.99636)], atol=1e-12)


def test_answers_of_vald_to_two_requests_agree(tmp_path: Path) -> None:
    # One line of CN 3569.00751 Å asked for with and without isotopic scaling: -1.137 and -1.131.
    row = Row("CN 1", 3569.00751, 0.2895, -1.131, 7.180, isotopes="(12)C(14)N")
    assert read(tmp_path, vald((row,), medium="_vac", remark=UNSCALED)).log_gf[0] == pytest.approx(-1.137, abs=5e-4)
    # One line of Ti I in air with cm^-1, and in vacuum with eV.
    air = read(tmp_path, vald((Row("Ti 1", 4998.72899, 25102.875 / 8065.543937, -0.76),), wavenumbers=True))
    assert air.wavelength[0] == pytest.approx(5000.12350, abs=1e-5)
    assert air.energy[0] == pytest.approx(3.1124, abs=5e-5)


def test_isotopes_of_equal_atoms(tmp_path: Path) -> None:
    rows = tuple(
        Row("C2 1", 5165.0 + i, 0.1, 0.0, isotopes=text)
        for i, text in enumerate(("(12)C(13)C", "(13)C(12)C", "(12)C2"))
    )
    lines = read(tmp_path, vald(rows, remark=UNSCALED))
    assert [lines.isotopes[i] for i in lines.isotope] == [(12, 13), (12, 13), (12, 12)]
    np.testing.assert_allclose(10**lines.log_gf, [0.9893 * 0.0107, 0.9893 * 0.0107, 0.9893**2])


@pytest.mark.parametrize(("heading", "given"), [("_air", "vacuum"), ("_vac", "air")])
def test_medium_that_contradicts_the_file(heading: str, given: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=f"medium='{given}' was given, but the heading"):
        read(tmp_path, vald(medium=heading), medium=given)


def test_medium_that_agrees_with_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, vald(medium="_vac"), medium="vacuum").wavelength[0] == 5166.2816


def test_medium_that_nobody_states(tmp_path: Path) -> None:
    text = vald(medium="")
    with pytest.raises(ReadError, match="does not say whether wavelengths are in air or vacuum; give medium="):
        read(tmp_path, text)
    assert read(tmp_path, text, medium="vacuum").wavelength[0] == 5166.2816
    assert read(tmp_path, text, medium="air").wavelength[0] == pytest.approx(vacuum(5166.2816), abs=1e-4)


def test_list_that_vald_cut_short_warns(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="VALD left lines out"):
        lines = read(tmp_path, " WARNING: Output was truncated to 100000 lines\n" + vald())
    assert len(lines) == len(ROWS)


def test_shortened_by_hand_is_read(tmp_path: Path) -> None:
    assert len(read(tmp_path, vald(stellar=True, declared=129_389))) == len(ROWS)


@pytest.mark.parametrize("long", [False, True])
def test_empty_answer(long: bool, tmp_path: Path) -> None:
    assert len(read(tmp_path, vald((), long=long, stellar=True))) == 0


def cut(text: str, end: str) -> str:
    return text[: text.index(end)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (vald((Row("Xx 1", 5000.0, 0.0, 0.0),)), "line 3: unknown species 'Xx 1'. Known: the elements H to U"),
        (cut(vald(), "-0.931"), r"line 4: 2 numbers after the species, not 7 .*cut short"),
        (cut(vald(long=True), "J lo"), "the file ends after 0 of its lines"),
        (cut(vald(long=True), "2.7091"), "line 7: cut short; in the long format"),
        (vald(long=True).replace("'_          Kurucz", "", 1), "line 3: cut short; in the long format"),
        (cut(vald(stellar=True), "'Fe 1',     5167.7176"), "the file ends after 2 of 6 lines"),
        (cut(vald(stellar=True), "     5167.7176"), "line 6: 'Fe 1', is cut short"),
        (vald().replace("-0.931", "******"), r"line 4: '\*\*\*\*\*\*' in the column log_gf is not a number"),
        (vald().replace("2.7091", "   nan"), "line 4: 'nan' in the column energy is not a number"),
        (vald().replace("'Mg 1',", "Mg 1 ,"), "line 4: neither a line of the list nor its end"),
        (vald() + vald(), "line 14: the list goes on after its end"),
        (vald(remark=""), "has isotopes, but its end"),
        (vald((Row("TiO 1", 5000.0, 0.0, 0.0, isotopes="(44)TiO"),), remark=UNSCALED), "Ti has no natural isotope 44"),
        (vald(unit="um"), "wavelengths in 'um'"),
        (vald((Row("Fe 1", 5000.0, 0.0, 0.0, rad=400.0),)), "radiative damping 400 of the line at 5001"),
        (vald((Row("Fe 1", -5000.0, 0.0, 0.0),), medium="_vac"), "wavelengths .* are positive"),
    ],
)
def test_broken_lists_are_refused_in_words(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=words) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "list.vald"))

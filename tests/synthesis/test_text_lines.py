"""Line lists of MOOG, Turbospectrum and Kurucz: the same lines whatever the format; what is wrong is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from bayne.errors import ReadError
from bayne.synthesis.linelist import LineList, read_linelist
from bayne.synthesis.merge import merge
from bayne.wavelength import air_to_vacuum

MOOG = """Gaia-ESO, a few lines
  5001.863      26.0     3.882    -0.010    -7.273
  5005.000  26.10000     2.580    -1.500     2.500
  5183.604      12.0     2.717    -0.180     0.000
  5200.000 607.01214     0.250    -3.000     0.000     7.770
  5200.100  56.1137      0.000     0.100     0.000
"""

TURBOSPECTRUM = """'  26.000            '    1         2
'Fe I    LTE'
  5001.863  3.882 -0.010  725.240    7.0  1.51E+08  0.000  'p' 's'   0.0    1.0 'Fe I z3D3 - e3D3'
  5005.712  3.884 -0.120    2.500    7.0  1.00E+00 'p' 's'   0.0    1.0 'Fe I'
'0607.012014 '            1      1
'CN'
  5200.000  0.250  -3.000  0.00   48.0  1.00e+00  0.000  'x' 'x'  0.0  1.0
'  56.137            '    2         1
'Ba II'
  5200.100  0.000  0.100    3.000    6.0  1.00E+08 's' 'p'   0.0    1.0 'Ba II'
"""


def write(path: Path, text: str, packed: bool = False) -> Path:
    with gzip.open(path, "wt") if packed else path.open("w") as file:
        file.write(text)
    return path


def found(lines: LineList, name: str) -> tuple[int, LineList]:
    """How many lines a species has, and these."""
    some = lines.select(np.array([species.name == name for species in lines.species])[lines.kind])
    return len(some), some


@pytest.mark.parametrize("packed", [False, True])
def test_moog(tmp_path: Path, packed: bool) -> None:
    lines = read_linelist(write(tmp_path / "list", MOOG, packed), medium="air")
    assert [species.name for species in lines.species] == ["Fe I", "Fe II", "Mg I", "CN", "Ba II"]
    _, iron = found(lines, "Fe I")
    np.testing.assert_allclose(iron.wavelength, air_to_vacuum([5001.863]), rtol=1e-12)
    np.testing.assert_allclose(np.log10(iron.gamma_vdw), -7.273)
    assert iron.energy[0] == 3.882
    # a factor on Unsöld's width; nothing given is Unsöld's width itself
    _, ion = found(lines, "Fe II")
    twin = read_linelist(write(tmp_path / "twin", MOOG.replace("     2.500", "     0.000")), medium="air")
    np.testing.assert_allclose(ion.gamma_vdw / found(twin, "Fe II")[1].gamma_vdw, 2.5)
    np.testing.assert_allclose(found(lines, "Ba II")[1].log_gf, 0.1 + np.log10(0.11232))


def test_moog_isotopes_that_are_in_log_gf_already(tmp_path: Path) -> None:
    lines = read_linelist(write(tmp_path / "list", MOOG), medium="air", format="moog-scaled")
    np.testing.assert_allclose(found(lines, "Ba II")[1].log_gf, 0.1)


def test_moog_c6(tmp_path: Path) -> None:
    """Meléndez & Barbuy 1999 give C6; log10 of its width is near that of ABO theory for a line of neutral iron."""
    lines = read_linelist(write(tmp_path / "list", " 15534.260  26.0   5.6400  -0.400  8.30E-31\n"), medium="air")
    np.testing.assert_allclose(np.log10(lines.gamma_vdw), -7.2, atol=0.3)


def test_moog_in_fixed_columns(tmp_path: Path) -> None:
    """A dissociation energy after a blank van der Waals column is none of an atom's broadening."""
    row = f"{5200.0:10.3f}{607.0:10.1f}{0.25:10.3f}{-3.0:10.3f}{'':10}{7.77:10.2f}\n"
    assert found(read_linelist(write(tmp_path / "list", row), medium="air"), "CN")[1].gamma_vdw == 0


def test_turbospectrum(tmp_path: Path) -> None:
    lines = read_linelist(write(tmp_path / "list", TURBOSPECTRUM), medium="air")
    number, iron = found(lines, "Fe I")
    assert number == 2
    assert (iron.vdw_sigma[0], round(iron.vdw_alpha[0], 3)) == (725, 0.24)
    np.testing.assert_allclose(
        np.log10(iron.gamma_rad), [np.log10(1.51e8), np.log10(0.22234 / 5007.1e-8**2)], atol=1e-3
    )
    np.testing.assert_allclose(found(lines, "CN")[1].log_gf, -3 + np.log10(0.9893 * 0.99636))
    np.testing.assert_allclose(found(lines, "Ba II")[1].log_gf, 0.1 + np.log10(0.11232))


def atom(wavelength: float, isotope: int = 0, share: float = 0.0) -> str:
    """A line of gfall: Fe I 3.882 to 6.360 eV, the wavelength in nm."""
    levels = f"{31307.244:12.3f}{3.0:5.1f} {'z3D':<10}{51294.217:12.3f}{3.0:5.1f} {'e3D':<10}"
    tail = f"{8.18:6.2f}{-5.5:6.2f}{-7.28:6.2f}{'K14':<4}{0:2d}{0:2d}{isotope:3d}{0.0:6.3f}{0:3d}{share:6.3f}"
    return f"{wavelength:11.4f}{-0.01:7.3f}{26.0:6.2f}{levels}{tail}\n"


def test_kurucz(tmp_path: Path) -> None:
    lines = read_linelist(write(tmp_path / "list", atom(500.1863, 56, -0.037)))
    np.testing.assert_allclose(lines.wavelength, air_to_vacuum([5001.863]), rtol=1e-12)
    np.testing.assert_allclose(lines.energy, 3.8816, atol=1e-4)
    np.testing.assert_allclose(lines.log_gf, -0.047)  # the fraction of the file, not a natural one on top
    np.testing.assert_allclose(
        np.log10([lines.gamma_rad[0], lines.gamma_stark[0], lines.gamma_vdw[0]]), [8.18, -5.5, -7.28]
    )
    # the levels tell air from vacuum
    lines = read_linelist(write(tmp_path / "list", atom(air_to_vacuum(5001.863) / 10)))
    np.testing.assert_allclose(lines.wavelength, air_to_vacuum([5001.863]), rtol=1e-7)
    with pytest.raises(ReadError, match="the levels say that the wavelengths are in vacuum"):
        read_linelist(tmp_path / "list", medium="air")
    with pytest.raises(ReadError, match="do not agree, in air nor in vacuum"):
        read_linelist(write(tmp_path / "list", atom(510.0)))


def test_kurucz_molecule(tmp_path: Path) -> None:
    row = "  539.1437 -6.188 14.5  8040.535 14.5  26583.312 106                12 625\n"
    lines = read_linelist(write(tmp_path / "list", row))
    assert [species.name for species in lines.species] == ["CH"]
    np.testing.assert_allclose(lines.wavelength, air_to_vacuum([5391.437]))
    np.testing.assert_allclose(lines.log_gf, -6.188 + np.log10(0.9893))
    np.testing.assert_allclose(lines.gamma_rad, 10**6.25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MOOG + "  5300.0  26.0\n", "line 7: a list of MOOG has wavelength, species"),
        (MOOG + "  5300.0  826.0  1.0 what -1.0\n", "line 7: a list of MOOG has wavelength, species"),
        (MOOG + "  5300.0  26.1077  1.0 -1.0\n", "Fe has no natural isotope 77"),
        (MOOG + "  5300.0  607.012  1.0 -1.0\n", "2 atoms need 4 digits of isotopes"),
        (TURBOSPECTRUM.replace("1         2", "1         3", 1), "line 5: a line of Turbospectrum begins with"),
        (TURBOSPECTRUM.replace("1         2", "1         1", 1), "line 4: the block has more lines"),
        (TURBOSPECTRUM.rsplit("\n", 2)[0], "the file ends 1 lines before"),
        (atom(500.1863) + "cut short\n", "line 2: not the columns of Kurucz's lists"),
    ],
)
def test_damaged(tmp_path: Path, text: str, message: str) -> None:
    medium = None if text.startswith(" " * 3 + "5") and "z3D" in text else "air"
    with pytest.raises(ReadError, match=message):
        read_linelist(write(tmp_path / "list", text), medium=medium)


@pytest.mark.parametrize("text", [MOOG, TURBOSPECTRUM])
def test_medium_must_be_stated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReadError, match="does not say whether wavelengths are in air or vacuum; give medium="):
        read_linelist(write(tmp_path / "list", text))


def test_merge_takes_the_earlier_line(tmp_path: Path) -> None:
    first = read_linelist(write(tmp_path / "first", TURBOSPECTRUM), medium="air")
    second = read_linelist(
        write(
            tmp_path / "second",
            "  5001.860  26.0  3.883  4.000\n"  # the same line
            "  5001.860  26.0  1.000  4.000\n"  # another level
            "  5002.500  26.0  3.883  4.000\n"  # another place
            "  5200.000 607.0  2.000  4.000\n"  # where the first list has CN
            "  5300.000 607.0  0.250  4.000\n",
        ),
        medium="air",
    )
    merged = merge([first, second])
    assert np.all(np.diff(merged.lines.wavelength) >= 0)
    assert merged.kept == ({"Fe I": 2, "CN": 1, "Ba II": 1}, {"Fe I": 2, "CN": 1})
    assert merged.dropped == ({}, {"Fe I": 1, "CN": 1})
    assert len(merged.lines) == 7
    strong = merged.lines.log_gf > 3
    np.testing.assert_allclose(merged.lines.wavelength[strong], air_to_vacuum([5001.86, 5002.5, 5300.0]))

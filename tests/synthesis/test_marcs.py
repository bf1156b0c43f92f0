"""MARCS files are read as they are, spherical ones with a warning, damaged ones not at all.

The layout and the few layers are those of the published solar model (Gustafsson et al. 2008; ``sun.mod``).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from bayne.errors import ReadError
from bayne.synthesis.atmosphere import read_atmosphere

HEADER = """\
sun
  5777.      Teff [K].         Last iteration; yyyymmdd=20080519
  6.3157E+10 Flux [erg/cm2/s]
  2.7542E+04 Surface gravity [cm/s2]
  1.0        Microturbulence parameter [km/s]
  0.0        No mass for plane-parallel models
 +0.00 +0.00 Metallicity [Fe/H] and [alpha/Fe]
  1.0000E+00 1 cm radius for plane-parallel models
  2.0783E-22 Luminosity [Lsun] FOR A RADIUS OF 1 cm!
  1.50 8.00 0.076 0.00 are the convection parameters: alpha, nu, y and beta
  0.73826 0.24954 1.22E-02 are X, Y and Z, 12C/13C=89 (=solar)
Logarithmic chemical number abundances, H always 12.00
  12.00  10.93   1.05   1.38   2.70   8.39   7.78   8.66   4.56   7.84
   6.17   7.53   6.37   7.51   5.36   7.14   5.50   6.18   5.08   6.31
"""
TABLES = """\
   4 Number of depth points
Model structure
 k lgTauR  lgTau5    Depth     T        Pe          Pg         Prad       Pturb
  1 -5.00 -4.9174 -6.931E+07  4066.8  2.1166E-02  2.6699E+02  1.4884E+00  0.0000E+00
  2 -2.00 -2.0379 -2.871E+07  4729.9  9.2301E-01  1.1763E+04  1.5319E+00  0.0000E+00
  3 -0.00 -0.1071  0.000E+00  6235.2  4.0062E+01  1.1865E+05  3.7770E+00  0.0000E+00
  4  2.00  1.7707  1.234E+07  9934.3  8.8917E+03  2.1892E+05  2.4556E+01  0.0000E+00
 k lgTauR    KappaRoss   Density   Mu      Vconv   Fconv/F      RHOX
  1 -5.00  1.8399E-03  1.0006E-09 1.267  0.000E+00 0.00000  9.747804E-03
  2 -2.00  4.3442E-02  3.7917E-08 1.268  0.000E+00 0.00000  4.345910E-01
  3 -0.00  7.4540E-01  2.9001E-07 1.267  1.402E+03 0.00000  4.354890E+00
  4  2.00  7.8748E+01  3.2224E-07 1.216  2.182E+05 0.97743  8.066432E+00
Assorted logarithmic partial pressures
 k  lgPgas   H I    H-     H2     H2+    H2O    OH     CH     CO     CN     C2
  1  2.426   2.39  -7.50  -1.73  -9.53  -8.79  -4.89  -6.15  -1.77  -5.98  -7.44
  2  4.071   4.03  -4.51   0.73  -5.83  -5.58  -2.40  -3.44  -0.37  -4.00  -5.13
  3  5.074   5.04  -2.37   1.50  -2.34  -5.14  -1.58  -2.32  -1.22  -3.98  -4.64
  4  5.340   5.27  -0.54   0.50  -0.33  -7.49  -2.57  -3.18  -4.51  -6.21  -6.62
"""
SPHERICAL = (
    HEADER.replace(
        "  1.0000E+00 1 cm radius for plane-parallel models", "  3.6526E+11 Radius [cm] at Tau(Rosseland)=1.0"
    )
    .replace("  2.0783E-22 Luminosity [Lsun] FOR A RADIUS OF 1 cm!", "    15.56074 Luminosity [Lsun]")
    .replace("  2.7542E+04 Surface", "  1.0000E+03 Surface")
    .replace(" +0.00 +0.00 Metallicity", " -1.50 +0.40 Metallicity")
)


def written(folder: Path, text: str) -> Path:
    path = folder / "p5777.mod"
    path.write_text(text)
    return path


def test_plane_parallel_model(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sun = read_atmosphere(written(tmp_path, HEADER + TABLES))
    assert (sun.teff, sun.fe_h, sun.scale, sun.name) == (5777.0, 0.0, "5000", "sun")
    assert sun.logg == pytest.approx(4.44, abs=1e-4)
    np.testing.assert_array_equal(sun.log_tau, [-4.9174, -2.0379, -0.1071, 1.7707])
    np.testing.assert_array_equal(sun.temperature, [4066.8, 4729.9, 6235.2, 9934.3])
    np.testing.assert_array_equal(sun.pressure, [2.6699e2, 1.1763e4, 1.1865e5, 2.1892e5])
    np.testing.assert_array_equal(sun.electron_pressure, [2.1166e-2, 9.2301e-1, 4.0062e1, 8.8917e3])
    np.testing.assert_array_equal(sun.density, [1.0006e-9, 3.7917e-8, 2.9001e-7, 3.2224e-7])
    np.testing.assert_array_equal(sun.column, [9.747804e-3, 4.345910e-1, 4.354890, 8.066432])


def test_pressure_of_the_file_includes_the_electrons(tmp_path: Path) -> None:
    sun = read_atmosphere(written(tmp_path, HEADER + TABLES))
    weight = sun.density * 1.380649e-16 * sun.temperature / (sun.pressure * 1.66053907e-24)
    np.testing.assert_allclose(weight, [1.267, 1.268, 1.267, 1.216], atol=1e-3)  # column Mu


def test_spherical_model_is_read_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"spherical model of radius 3.65e\+11 cm.*is taken as plane-parallel"):
        giant = read_atmosphere(written(tmp_path, SPHERICAL + TABLES))
    assert (giant.logg, giant.fe_h) == (pytest.approx(3.0), -1.5)


def test_crlf_and_exponents_of_fortran_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.mod"
    path.write_bytes((HEADER.replace("2.7542E+04", "2.7542D+04") + TABLES).replace("\n", "\r\n").encode())
    assert read_atmosphere(path, format="marcs").logg == pytest.approx(4.44, abs=1e-4)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Teff [K].", "K", "states no effective temperature"),
        ("Surface gravity", "g", "states no surface gravity"),
        ("2.7542E+04 Surface", "0.0 Surface", "surface gravity is 0 cm/s2"),
        ("Metallicity", "M", "states no metallicity"),
        ("   4 Number of depth", "   5 Number of depth", "layer 5 with the 9 columns"),
        ("  4  2.00  1.7707  1.234E+07  9934.3  8.8917E+03  2.1892E+05  2.4556E+01  0.0000E+00\n", "", "layer 4"),
        (" 4729.9 ", " 4729.9 x ", "should be layer 2 with the 9 columns k lgTauR lgTau5"),
        (" 4729.9 ", " **.** ", "could not convert"),
        (" 4729.9 ", " NaN ", "temperature is nan in layer 2 of 4"),
        ("1.1763E+04", "-1.176E+04", "pressure is -11760 in layer 2"),
        (" -2.0379 ", " -5.0379 ", "log_tau goes from -4.9174 in layer 1 to -5.0379"),
        ("   Density   ", "   Dichte   ", "no column Density"),
    ],
)
def test_damaged_files_are_refused_in_words(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = HEADER + TABLES
    assert old in text
    with pytest.raises(ReadError, match=rf"p5777.mod: .*{words}"):
        read_atmosphere(written(tmp_path, text.replace(old, new, 1)))


@pytest.mark.parametrize("lines", [20, 22, 24])
def test_truncated_file_is_refused_in_words(tmp_path: Path, lines: int) -> None:
    text = "\n".join((HEADER + TABLES).splitlines()[:lines])
    with pytest.raises(ReadError, match=r"the file ends or breaks off after|there is no column"):
        read_atmosphere(written(tmp_path, text))

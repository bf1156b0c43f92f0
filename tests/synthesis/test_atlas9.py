"""ATLAS9 decks are read, and their own optical-depth scale comes out of column mass and opacity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bayne.errors import ReadError
from bayne.synthesis.atmosphere import read_atmosphere, read_atmospheres

HEADER = """\
TEFF   5777.  GRAVITY 4.43770 LTE
TITLE  [0.0] VTURB=1.5  L/H=1.25 NOVER NEW ODF
 OPACITY IFOP 1 1 1 1 1 1 1 1 1 1 1 1 1 0 1 0 0 0 0 0
 CONVECTION ON   1.25 TURBULENCE OFF  0.00  0.00  0.00  0.00
ABUNDANCE SCALE   1.00000 ABUNDANCE CHANGE 1 0.92040 2 0.07834
 ABUNDANCE CHANGE  3 -10.94  4 -10.64  5  -9.49  6  -3.52  7  -4.12  8  -3.21
 ABUNDANCE CHANGE 21  -8.87 22  -7.02 23  -8.04 24  -6.37 25  -6.65 26  -4.54
 ABUNDANCE CHANGE 99 -20.00
READ DECK6 72 RHOX,T,P,XNE,ABROSS,ACCRAD,VTURB, FLXCNV,VCONV,VELSND
"""
FOOTER = """\
PRADK 1.4828E+00
BEGIN                    ITERATION  15 COMPLETED
"""
#: RHOX, T, P, XNE, ABROSS of a published ATLAS9 model of the Sun: log tau(Rosseland) from -6.875 in steps of 0.125.
SUN = """\
 5.12838287E-04   3709.1 1.405E+01 2.797E+09 2.600E-04
 6.71148215E-04   3732.6 1.839E+01 3.602E+09 3.019E-04
 8.53583147E-04   3754.9 2.339E+01 4.517E+09 3.483E-04
 1.06469772E-03   3778.6 2.917E+01 5.568E+09 4.009E-04
 1.30968473E-03   3803.4 3.588E+01 6.782E+09 4.596E-04
 1.59577136E-03   3828.9 4.372E+01 8.192E+09 5.233E-04
 1.93076383E-03   3853.7 5.290E+01 9.828E+09 5.962E-04
 2.32272392E-03   3877.9 6.364E+01 1.173E+10 6.797E-04
 2.78100631E-03   3901.7 7.619E+01 1.392E+10 7.755E-04
 3.31641180E-03   3924.9 9.086E+01 1.647E+10 8.855E-04
 3.94186646E-03   3947.9 1.080E+02 1.941E+10 1.010E-03
 4.67302051E-03   3970.8 1.280E+02 2.283E+10 1.152E-03
 5.52856151E-03   3993.7 1.515E+02 2.679E+10 1.312E-03
 6.53054813E-03   4016.5 1.789E+02 3.139E+10 1.494E-03
 7.70352445E-03   4039.3 2.111E+02 3.673E+10 1.703E-03
 9.07514808E-03   4062.0 2.486E+02 4.292E+10 1.943E-03
 1.06774833E-02   4085.1 2.925E+02 5.010E+10 2.219E-03
 1.25488575E-02   4108.9 3.438E+02 5.843E+10 2.533E-03
 1.47351857E-02   4133.5 4.037E+02 6.811E+10 2.891E-03
 1.72881496E-02   4158.4 4.736E+02 7.934E+10 3.303E-03
 2.02692929E-02   4184.1 5.553E+02 9.239E+10 3.770E-03
 2.37530891E-02   4210.6 6.508E+02 1.076E+11 4.302E-03
 2.78229282E-02   4237.5 7.623E+02 1.252E+11 4.913E-03
 3.25736063E-02   4264.9 8.924E+02 1.456E+11 5.614E-03
 3.81169004E-02   4292.8 1.044E+03 1.694E+11 6.416E-03
 4.45872937E-02   4321.3 1.222E+03 1.970E+11 7.328E-03
 5.21389910E-02   4349.7 1.428E+03 2.289E+11 8.376E-03
 6.09518129E-02   4378.4 1.670E+03 2.660E+11 9.568E-03
 7.12439100E-02   4407.3 1.952E+03 3.090E+11 1.092E-02
 8.32644240E-02   4436.2 2.281E+03 3.588E+11 1.247E-02
 9.72971259E-02   4465.0 2.666E+03 4.165E+11 1.425E-02
 1.13672868E-01   4493.8 3.114E+03 4.834E+11 1.629E-02
 1.32786810E-01   4523.1 3.638E+03 5.610E+11 1.860E-02
 1.55098562E-01   4552.3 4.249E+03 6.509E+11 2.126E-02
 1.81139153E-01   4581.5 4.963E+03 7.549E+11 2.428E-02
 2.11544893E-01   4611.0 5.796E+03 8.755E+11 2.773E-02
 2.47052781E-01   4640.6 6.768E+03 1.015E+12 3.167E-02
 2.88507698E-01   4670.5 7.904E+03 1.177E+12 3.617E-02
 3.36895159E-01   4701.0 9.230E+03 1.365E+12 4.133E-02
 3.93366856E-01   4732.7 1.078E+04 1.584E+12 4.723E-02
 4.59259744E-01   4765.8 1.258E+04 1.839E+12 5.398E-02
 5.36129287E-01   4800.8 1.469E+04 2.136E+12 6.171E-02
 6.25814366E-01   4838.3 1.715E+04 2.484E+12 7.053E-02
 7.30438050E-01   4879.0 2.001E+04 2.893E+12 8.064E-02
 8.52425560E-01   4924.1 2.335E+04 3.376E+12 9.225E-02
 9.94567773E-01   4974.7 2.725E+04 3.951E+12 1.056E-01
 1.16008551E+00   5032.4 3.178E+04 4.641E+12 1.210E-01
 1.35274770E+00   5099.6 3.706E+04 5.480E+12 1.387E-01
 1.57666446E+00   5177.6 4.320E+04 6.515E+12 1.593E-01
 1.83606723E+00   5269.2 5.030E+04 7.829E+12 1.838E-01
 2.13471080E+00   5375.8 5.848E+04 9.551E+12 2.139E-01
 2.47332025E+00   5504.6 6.776E+04 1.198E+13 2.545E-01
 2.84881471E+00   5650.2 7.805E+04 1.554E+13 3.098E-01
 3.24852750E+00   5843.7 8.900E+04 2.190E+13 4.021E-01
 3.63863046E+00   6100.3 9.968E+04 3.491E+13 5.768E-01
 3.99186702E+00   6359.7 1.094E+05 5.674E+13 8.514E-01
 4.32516876E+00   6560.2 1.185E+05 8.310E+13 1.163E+00
 4.64876290E+00   6778.0 1.274E+05 1.237E+14 1.621E+00
 4.95288884E+00   7030.4 1.357E+05 1.908E+14 2.340E+00
 5.23070832E+00   7308.0 1.433E+05 2.979E+14 3.453E+00
 5.47879852E+00   7619.0 1.501E+05 4.727E+14 5.229E+00
 5.68988391E+00   7981.7 1.559E+05 7.723E+14 8.308E+00
 5.87591173E+00   8275.3 1.610E+05 1.118E+15 1.195E+01
 6.05637485E+00   8508.5 1.659E+05 1.478E+15 1.586E+01
 6.23957016E+00   8729.1 1.709E+05 1.901E+15 2.059E+01
 6.43191469E+00   8918.9 1.762E+05 2.343E+15 2.570E+01
 6.63749632E+00   9111.8 1.818E+05 2.874E+15 3.200E+01
 6.86094505E+00   9283.7 1.880E+05 3.433E+15 3.879E+01
 7.10613604E+00   9466.6 1.947E+05 4.118E+15 4.724E+01
 7.37808777E+00   9631.9 2.021E+05 4.840E+15 5.619E+01
 7.68129689E+00   9813.4 2.104E+05 5.740E+15 6.752E+01
 8.02184660E+00   9977.4 2.197E+05 6.688E+15 7.936E+01
"""
REST = " 7.028E-02 1.500E+05 0.000E+00-1.000E+00 5.086E+05\n"
DECK = HEADER + SUN.replace("\n", REST) + FOOTER


def written(folder: Path, text: str) -> Path:
    path = folder / "asun.dat"
    path.write_text(text)
    return path


def test_solar_deck(tmp_path: Path) -> None:
    sun = read_atmosphere(written(tmp_path, DECK))
    assert (sun.teff, sun.logg, sun.fe_h, sun.scale) == (5777.0, 4.4377, 0.0, "rosseland")
    assert sun.name.startswith("asun 5777/4.4377 [0.0] VTURB")
    assert sun.log_tau.size == 72
    assert (sun.column[0], sun.temperature[0], sun.pressure[-1]) == (5.12838287e-04, 3709.1, 2.197e5)
    assert sun.electron_pressure[0] == pytest.approx(2.797e9 * 1.380649e-16 * 3709.1)
    assert np.isnan(sun.density).all()


def test_optical_depth_is_the_scale_of_the_model(tmp_path: Path) -> None:
    sun = read_atmosphere(written(tmp_path, DECK))
    np.testing.assert_allclose(sun.log_tau, -6.875 + 0.125 * np.arange(72), atol=0.003)


def test_pressure_is_that_of_hydrostatic_equilibrium(tmp_path: Path) -> None:
    sun = read_atmosphere(written(tmp_path, DECK))
    np.testing.assert_allclose(sun.pressure, 10**sun.logg * sun.column, rtol=1e-3)


@pytest.mark.parametrize(("scale", "fe_h"), [("0.10000", -1.0), ("3.16228", 0.5)])
def test_metallicity_is_the_scale_of_abundances(tmp_path: Path, scale: str, fe_h: float) -> None:
    model = read_atmosphere(written(tmp_path, DECK.replace("SCALE   1.00000", f"SCALE   {scale}")))
    assert model.fe_h == pytest.approx(fe_h, abs=1e-5)


def test_iron_decides_where_the_scale_is_not_the_metallicity(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"says \[Fe/H\] = 0.00, the abundance of iron -2.00"):
        model = read_atmosphere(written(tmp_path, DECK.replace("26  -4.54", "26  -6.54")))
    assert model.fe_h == pytest.approx(-2.0, abs=0.01)


def test_old_header_and_seven_columns(tmp_path: Path) -> None:
    text = DECK.replace("TEFF   5777.  GRAVITY 4.43770 LTE", "T EFF= 5777.  GRAVITY= 4.43770 LTE")
    text = text.replace(", FLXCNV,VCONV,VELSND", "").replace(REST, " 7.028E-02 1.500E+05\n")
    assert read_atmosphere(written(tmp_path, text)).logg == 4.4377


def test_a_file_of_many_decks_gives_all_of_them(tmp_path: Path) -> None:
    path = written(tmp_path, DECK + DECK.replace("TEFF   5777.", "TEFF   6000."))
    assert [model.teff for model in read_atmospheres(path)] == [5777.0, 6000.0]
    with pytest.raises(ReadError, match=r"asun.dat holds 2 models; read_atmospheres"):
        read_atmosphere(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("READ DECK6 72", "READ DECK6 73", "layer 73 of 73 should have 10 numbers: 'PRADK"),
        (",ABROSS", "", "no column ABROSS"),
        ("ABUNDANCE SCALE   1.00000", "", "no line 'ABUNDANCE SCALE'"),
        (" 8.53583147E-04   3754.9 2.339E+01", " 8.53583147E-04   3754.9", "layer 3 of 72 should have 10 numbers"),
        (" 8.53583147E-04   3754.9", " 8.53583147E-04      NaN", "temperature is nan in layer 3 of 72"),
        (" 8.53583147E-04   3754.9", " 8.53583147E-04   ******", "layer 3 of 72: could not convert"),
        (" 8.53583147E-04   3754.9", "-8.53583147E-04   3754.9", "column RHOX has values that are not positive"),
        (" 8.53583147E-04   3754.9", " 6.53583147E-04   3754.9", "goes from .* in layer 2"),
    ],
)
def test_damaged_decks_are_refused_in_words(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in DECK
    with pytest.raises(ReadError, match=rf"asun.dat: asun 5777/4.4377.*({words})"):
        read_atmosphere(written(tmp_path, DECK.replace(old, new, 1)))


def test_truncated_deck_is_refused_in_words(tmp_path: Path) -> None:
    lines = DECK.splitlines()
    with pytest.raises(ReadError, match="the file ends after 31 of 72 layers"):
        read_atmosphere(written(tmp_path, "\n".join(lines[:40])))
    with pytest.raises(ReadError, match="layer 32 of 72 should have 10 numbers"):
        read_atmosphere(written(tmp_path, "\n".join([*lines[:40], lines[40][:20]])))

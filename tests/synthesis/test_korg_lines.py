"""Korg's HDF5 lists, and what is refused in them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from bayne.errors import ReadError
from bayne.synthesis.linelist import read_linelist
from bayne.synthesis.species import parse_species
from bayne.wavelength import air_to_vacuum

#: TiO, Fe II, Mg I with packed broadening, Hβ with quantum numbers for damping.
COLUMNS: dict[str, np.ndarray] = {
    "wl": np.array([4676.31, 4679.205, 5168.761, 4862.681], dtype=np.float32),
    "log_gf": np.array([-0.909, -6.169, -0.931, -0.02], dtype=np.float32),
    "E_lo": np.array([0.32, 4.837, 2.709, 10.199], dtype=np.float32),
    "gamma_rad": np.array([7.322, 8.47, 7.99, 8.788], dtype=np.float32),
    "gamma_stark": np.array([0.0, -6.49, -5.47, 2.0], dtype=np.float32),
    "vdW": np.array([0.0, -7.91, 729.238, 4.0], dtype=np.float32),
    "formula": np.array([[22, 8, 0], [26, 0, 0], [12, 0, 0], [1, 0, 0]], dtype=np.uint8),
    "ionization": np.array([1, 2, 1, 1], dtype=np.int16),
}


def write(folder: Path, **changes: np.ndarray | None) -> Path:
    path = folder / "list.h5"
    with h5py.File(path, "w") as file:
        for name, values in {**COLUMNS, **changes}.items():
            if values is not None:
                file[name] = values
    return path


def test_columns_are_read_and_hydrogen_left_out(tmp_path: Path) -> None:
    lines = read_linelist(write(tmp_path))
    assert [lines.species[k].name for k in lines.kind] == ["TiO", "Fe II", "Mg I"]
    assert [lines.isotopes[i] for i in lines.isotope] == [(0, 0), (0,), (0,)]
    np.testing.assert_allclose(lines.wavelength, COLUMNS["wl"][:3])
    np.testing.assert_allclose(np.log10(lines.gamma_rad), COLUMNS["gamma_rad"][:3], rtol=1e-6)
    np.testing.assert_allclose(np.log10(lines.gamma_stark[1:]), [-6.49, -5.47], rtol=1e-6)
    assert lines.gamma_stark[0] == lines.gamma_vdw[0] == 0
    assert np.log10(lines.gamma_vdw[1]) == pytest.approx(-7.91)
    assert lines.vdw_sigma[2] == 729
    assert lines.vdw_alpha[2] == pytest.approx(0.238, abs=1e-12)


def test_air_contradicts_the_format(tmp_path: Path) -> None:
    assert len(read_linelist(write(tmp_path), medium="vacuum")) == 3
    with pytest.raises(ReadError, match="medium='air' was given, but lists of Korg are in vacuum"):
        read_linelist(write(tmp_path), medium="air")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vdW": None}, "lacks vdW; a list of Korg has"),
        ({"E_lo": COLUMNS["E_lo"][:3]}, r"E_lo has the shape \(3,\); there are 4 wavelengths"),
        ({"formula": COLUMNS["formula"][:, 0]}, "formula has the shape"),
        ({"E_lo": np.array([b"a", b"b", b"c", b"d"])}, "E_lo is not numeric"),
        ({"log_gf": np.array([0.0, 0.0, np.nan, 0.0])}, "log_gf is not a number in entry 2"),
        ({"formula": np.array([[22, 8, 0], [99, 0, 0], [12, 0, 0], [1, 0, 0]])}, r"entry 1 \(formula \[99, 0, 0\]"),
        ({"formula": np.zeros((4, 3), dtype=np.uint8)}, "give atomic numbers|entry 0"),
        ({"ionization": np.array([1, 2, 99, 1])}, r"entry 2 .*charges are"),
    ],
)
def test_broken_lists_are_refused_in_words(changes: dict[str, np.ndarray | None], words: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=words):
        read_linelist(write(tmp_path, **changes))


def test_damaged_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ReadError, match="is damaged"):
        read_linelist(path, format="korg")
    with pytest.raises(ReadError, match="format of this line list is not known"):
        read_linelist(path)


def test_list_of_galah(shared: Path) -> None:
    path = shared / "physics" / "galah_dr3_linelist.h5"
    if not path.is_file():
        pytest.skip("needs the line list of GALAH DR3")
    lines = read_linelist(path)
    assert len(lines) == 307_002 - 2  # Hα and Hβ
    assert np.all(np.diff(lines.wavelength) >= 0)
    # Zn I 4810.53 Å (air) has ABO broadening of 676.238 (Heiter et al. 2021, A&A 645, A106).
    zinc = lines.of([parse_species("Zn I")]).between(*air_to_vacuum([4810.5, 4810.56]))
    assert len(zinc) == 1
    assert (zinc.vdw_sigma[0], zinc.vdw_alpha[0]) == pytest.approx((676, 0.238))
    assert {"TiO", "C2", "CN", "CH", "MgH"} < {one.name for one in lines.species}

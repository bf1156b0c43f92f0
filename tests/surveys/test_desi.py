"""DESI: one target out of many, masks, resolution matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import dia_matrix

from bayne import ReadError, read_spectrum
from bayne.lsf import BandedLSF
from surveys import damage, examples


def test_targets_are_chosen_by_id_or_row(tmp_path: Path) -> None:
    path = examples.desi_coadd(tmp_path)
    for options, level in (({"targetid": examples.TARGETS[1]}, 20.0), ({"row": 1}, 20.0), ({"row": 3}, 40.0)):
        spectrum = read_spectrum(path, **options)
        assert np.median(spectrum.arms[0].flux) == pytest.approx(level)
        assert [arm.name for arm in spectrum.arms] == ["b", "r", "z"]
        assert spectrum.frame == "barycentric"
    assert read_spectrum(path, row=1).id == f"coadd-main-bright-10016-{examples.TARGETS[1]}"


def test_rows_of_one_target_have_ids_of_their_own(tmp_path: Path) -> None:
    path = examples.desi_coadd(tmp_path)
    spectra = [read_spectrum(path, row=row) for row in range(4)]
    assert len({spectrum.id for spectrum in spectra}) == 4
    assert spectra[2].star_id == spectra[3].star_id


def test_exposures_of_a_target_are_rows(tmp_path: Path) -> None:
    path = damage.desi_spectra(tmp_path)
    levels = [float(np.median(read_spectrum(path, row=row).arms[0].flux)) for row in (2, 3)]
    assert levels == pytest.approx([30.0, 40.0])
    assert read_spectrum(path, row=3).provenance["header"]["EXPID"] == 68031
    with pytest.raises(ReadError, match=r"in rows \[2, 3\]; choose one with row="):
        read_spectrum(path, targetid=examples.TARGETS[3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "holds 4 spectra; say which with targetid= or row="),
        ({"targetid": 5}, "no TARGETID 5 among its 4"),
        ({"targetid": examples.TARGETS[3]}, r"in rows \[2, 3\]; choose one with row="),
        ({"row": 4}, "rows are 0 to 3"),
        ({"row": 0, "targetid": 5}, "row 0 is TARGETID"),
    ],
)
def test_what_cannot_be_chosen(tmp_path: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(ReadError, match=message):
        read_spectrum(examples.desi_coadd(tmp_path), **options)


def test_any_bit_masks(tmp_path: Path) -> None:
    mask = np.zeros((4, 300), np.int32)
    mask[0, 5], mask[0, 6], mask[1, 7] = 1, 1 << 9, 4
    spectrum = read_spectrum(examples.desi_coadd(tmp_path, mask=mask), row=0)
    assert [np.flatnonzero(arm.mask).tolist() for arm in spectrum.arms] == [[5, 6]] * 3
    assert spectrum.counts == {"SOMEBADPIX": 3, "BADFIBER": 3}


def test_the_matrix_is_that_of_scipy(tmp_path: Path) -> None:
    lsf = read_spectrum(examples.desi_coadd(tmp_path), row=0).arms[0].lsf
    assert isinstance(lsf, BandedLSF)
    assert lsf.offsets.tolist() == list(range(5, -6, -1))
    n = lsf.bands.shape[1]
    matrix = dia_matrix((lsf.bands, lsf.offsets), shape=(n, n)).toarray()
    for band, offset in enumerate(lsf.offsets):
        for column in (20, 150):
            assert matrix[column - offset, column] == lsf.bands[band, column]
    # the example leans: light of a column lands at rows above it, where the offset is positive
    assert matrix[145, 150] > matrix[155, 150]
    assert matrix[:, 150].sum() == pytest.approx(1, rel=1e-6)

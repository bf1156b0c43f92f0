"""Results on disk: numbers survive, damaged and foreign files are refused, nothing half-written stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from bayne import Flag, ReadError, load_result
from bayne.inference import FitResult
from fakes import fake_result


@pytest.fixture
def saved(tmp_path: Path) -> tuple[FitResult, Path]:
    result = fake_result(flags=Flag.NEAR_EDGE | Flag.DOUBLE_LINED, messages=("A second peak at −40 km/s.",))
    return result, result.save(tmp_path / "star.nc")


def test_everything_survives(saved: tuple[FitResult, Path]) -> None:
    result, path = saved
    again = load_result(path)
    for name in ("id", "method", "flags", "messages", "names", "label_names", "fixed", "label_flags"):
        assert getattr(again, name) == getattr(result, name)
    assert again.diagnostics == result.diagnostics
    assert again.provenance == result.provenance
    assert not again.ok
    for name in ("map", "prior_std", "crb", "fisher_covariance", "ccf_velocity", "ccf"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))
    for one, other in zip(again.arms, result.arms, strict=True):
        assert one.name == other.name
        for name in ("wavelength", "flux", "sigma", "model", "continuum", "total_sigma", "used"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert getattr(one, name).dtype == getattr(other, name).dtype
    for name in result.names:
        np.testing.assert_array_equal(again.draws(name), result.draws(name))
    assert set(again.idata.groups()) == set(result.idata.groups())
    np.testing.assert_array_equal(again.idata.sample_stats["diverging"], result.idata.sample_stats["diverging"])
    for column in result.table.colnames:
        np.testing.assert_array_equal(again.table[column], result.table[column])


@pytest.mark.parametrize("method", ["laplace", "map"])
def test_other_methods_survive(tmp_path: Path, method: str) -> None:
    result = fake_result(method=method)
    again = load_result(result.save(tmp_path / "star.nc"))
    np.testing.assert_array_equal(again.covariance, result.covariance)
    np.testing.assert_array_equal(again.table["std"], result.table["std"])


def test_failed_result_survives(tmp_path: Path) -> None:
    result = fake_result(failed=True, method="map", flags=Flag.NO_PIXELS)
    again = load_result(result.save(tmp_path / "star.nc"))
    assert again.flags == result.flags
    assert np.isnan(again.map).all()
    assert np.isnan(again.diagnostics["velocity_frame"])


def test_more_than_ten_arms_keep_their_order(tmp_path: Path) -> None:
    from fakes import fake_arm

    arms = [fake_arm(f"order {i}", 5000 + 50 * i, 5060 + 50 * i, 30 + i, 0.0) for i in range(12)]
    again = load_result(fake_result(arms=arms).save(tmp_path / "star.nc"))
    assert [arm.name for arm in again.arms] == [arm.name for arm in arms]
    assert [arm.flux.size for arm in again.arms] == [arm.flux.size for arm in arms]


def test_long_and_odd_provenance_survives(tmp_path: Path) -> None:
    # an HDF5 attribute holds 64 kB; numpy scalars and non-finite numbers come from readers
    from dataclasses import replace

    odd = {"history": ["ü" * 100] * 2000, "exposure": np.float32(1.5), "row": np.int64(7), "good": np.bool_(True)}
    result = replace(fake_result(), provenance=odd, diagnostics={"chi2": np.float32(3.0), "rv": float("inf")})
    again = load_result(result.save(tmp_path / "star.nc"))
    assert again.provenance == {"history": odd["history"], "exposure": 1.5, "row": 7, "good": True}
    assert again.diagnostics == {"chi2": 3.0, "rv": float("inf")}


def test_existing_file_is_kept_unless_asked(saved: tuple[FitResult, Path]) -> None:
    result, path = saved
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        result.save(path)
    assert path.read_bytes() == before
    fake_result(star="another").save(path, overwrite=True)
    assert load_result(path).id == "another"


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = fake_result()
    good = result.save(tmp_path / "good.nc").read_bytes()

    def full(*args: object, **kwargs: object) -> None:
        Path(str(args[1])).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    with pytest.raises(OSError, match="no space left"):
        result.save(tmp_path / "good.nc", overwrite=True)
    with pytest.raises(OSError, match="no space left"):
        result.save(tmp_path / "new.nc")
    assert [path.name for path in tmp_path.iterdir()] == ["good.nc"]
    assert (tmp_path / "good.nc").read_bytes() == good


def test_other_format_version_is_refused(saved: tuple[FitResult, Path]) -> None:
    _, path = saved
    with h5py.File(path, "a") as file:
        file["bayne"].attrs["format"] = 99
    with pytest.raises(ReadError, match="result format 99, this version reads 2"):
        load_result(path)


def test_files_that_are_no_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no such file"):
        load_result(tmp_path / "missing.nc")
    with pytest.raises(ReadError):
        load_result(tmp_path)
    (tmp_path / "text.nc").write_text("not a file of numbers")
    with pytest.raises(ReadError, match=r"text\.nc: not a Bayne result"):
        load_result(tmp_path / "text.nc")
    with h5py.File(tmp_path / "other.nc", "w") as file:
        file["x"] = [1.0]
    with pytest.raises(ReadError, match=r"other\.nc: not a Bayne result"):
        load_result(tmp_path / "other.nc")


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.7, 0.99])
def test_truncated_file_is_refused(saved: tuple[FitResult, Path], fraction: float) -> None:
    _, path = saved
    whole = path.read_bytes()
    path.write_bytes(whole[: int(fraction * len(whole))])
    with pytest.raises(ReadError, match=r"star\.nc"):
        load_result(path)


@pytest.mark.parametrize("group", ["arm_0", "arm_1", "posterior"])
def test_missing_group_is_refused(saved: tuple[FitResult, Path], group: str) -> None:
    _, path = saved
    with h5py.File(path, "a") as file:
        del file[group]
    with pytest.raises(ReadError, match="damaged"):
        load_result(path)


def test_table_has_a_row_and_a_unit_for_everything() -> None:
    result = fake_result()
    table = result.table
    assert list(table["label"]) == [*result.label_names, "mg_h", "si_h", "excess_blue", "excess_red"]
    row = {str(r["label"]): r for r in table}
    assert row["teff"]["unit"] == "K"
    assert row["mg_h"]["unit"] == "dex"
    assert row["vmac"]["std"] == 0
    together = result.draws("mg_fe") + result.draws("fe_h")
    assert row["mg_h"]["median"] == pytest.approx(np.median(together))
    assert row["mg_h"]["std"] == pytest.approx(together.std(ddof=1))
    assert Flag(int(row["vsini"]["flag"])) == Flag.NEAR_EDGE


def test_upper_limits_and_bounds_stand_in_the_table() -> None:
    labels = ("teff", "fe_h", "mg_fe")
    limit = {"mg_fe": Flag.UPPER_LIMIT, "mg_h": Flag.UPPER_LIMIT}
    result = replace(fake_result(labels), label_flags=limit)
    rows = {str(row["label"]): row for row in result.table}
    for name in limit:
        assert rows[name]["upper_95"] == np.quantile(result.draws(name), 0.95)
    assert np.isnan(rows["fe_h"]["upper_95"])
    assert rows["teff"]["std_over_crb"] == pytest.approx(rows["teff"]["std"] / rows["teff"]["crb"])
    unbounded = result.table[np.isinf(result.table["crb"])]
    assert len(unbounded) == 1
    assert np.all(np.isnan(unbounded["std_over_crb"]))
    i, j = (result.names.index(name) for name in ("fe_h", "mg_fe"))
    c = result.fisher_covariance
    assert rows["teff"]["crb_with_prior"] == pytest.approx(np.sqrt(c[0, 0]))
    assert rows["mg_h"]["crb_with_prior"] == pytest.approx(np.sqrt(c[i, i] + c[j, j] + 2 * c[i, j]))

"""The file of <3D> models is read, checked and interpolated; what its arrays mean is tested on the published one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayne.errors import ReadError
from bayne.synthesis.atmosphere_grid import AtmosphereGrid, leave_one_out, read_grid
from bayne.synthesis.stagger import read_stagger

LOG_TAU = np.linspace(-5, 2, 15)


def arrays() -> dict[str, Any]:
    mesh = np.meshgrid([4500.0, 5500, 6500], [3.0, 4.0, 5.0], [-2.0, -1.0, 0.0], indexing="ij")
    labels = np.stack(mesh, axis=-1).reshape(-1, 3)
    pressure = 10 ** (5 + 0.55 * LOG_TAU + 0.6 * (labels[:, 1:2] - 4.4) - 0.3 * labels[:, 2:])
    return {
        "labels": labels,
        "label_names": np.array(["teff_K", "logg_cgs", "fe_h"]),
        "log_tau_5000": LOG_TAU,
        "temperature_K": labels[:, :1] * (0.75 * (10**LOG_TAU + 2 / 3)) ** 0.25,
        "density_g_cm3": pressure * 2e-12,
        "gas_pressure_dyn_cm2": pressure,
        "turbulent_pressure_dyn_cm2": 0.1 * pressure,
        "electron_pressure_dyn_cm2": pressure * 1e-4,
    }


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "mean.npz"
    np.savez(path, **{name: value for name, value in (arrays() | changes).items() if value is not None})
    return path


def test_all_quantities_are_read(tmp_path: Path) -> None:
    for grid in (read_stagger(written(tmp_path)), read_grid(written(tmp_path))):
        assert (len(grid), grid.scale, grid.name) == (27, "5000", "mean")
        assert grid.quantities == ("temperature", "pressure", "electron_pressure", "density")
        made = grid.at(5500, 4.0, -1.0)
        truth = arrays()["gas_pressure_dyn_cm2"][13]
        np.testing.assert_allclose(made.pressure, truth, rtol=1e-9)
        np.testing.assert_allclose(made.electron_pressure, truth * 1e-4, rtol=1e-9)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temperature_K": None}, "has no array 'temperature_K'"),
        ({"label_names": np.array(["logg_cgs", "teff_K", "fe_h"])}, "they should be teff_K, logg_cgs, fe_h"),
        ({"gas_pressure_dyn_cm2": np.log10(arrays()["gas_pressure_dyn_cm2"])}, "is it a logarithm"),
        ({"log_tau_5000": LOG_TAU[::-1].copy()}, "log_tau goes from 2"),
        ({"temperature_K": arrays()["temperature_K"] * np.nan}, "temperature is nan in layer 1 of 15"),
        ({"density_g_cm3": arrays()["density_g_cm3"][:, 1:]}, r"density has shape \(27, 14\)"),
        ({"label_names": np.array(["teff_K", None], dtype=object)}, "has arrays that cannot be read"),
    ],
)
def test_damaged_files_are_refused_in_words(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ReadError, match=rf"mean.npz.*{words}"):
        read_stagger(written(tmp_path, **changes))


def test_other_files_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "mean.npz"
    with pytest.raises(ReadError, match="there is no such file"):
        read_stagger(path)
    path.write_text("not a zip file")
    with pytest.raises(ReadError, match=r"mean.npz is no .npz file, or only a part"):
        read_stagger(path)
    whole = written(tmp_path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError, match=r"mean.npz is no .npz file, or only a part"):
        read_stagger(path)
    np.save(tmp_path / "one.npy", np.ones(3))
    path.write_bytes((tmp_path / "one.npy").read_bytes())
    with pytest.raises(ReadError, match=r"mean.npz is no .npz file, or only a part"):
        read_stagger(path)


@pytest.fixture(scope="session")
def published(shared: Path) -> AtmosphereGrid:
    return read_stagger(shared / "physics" / "stagger_3d_mean_optical.npz")


def test_pressures_of_the_published_file_are_linear_and_include_electrons(published: AtmosphereGrid) -> None:
    sun = published.at(5769, 4.44, 0.0)
    layer = int(np.argmin(np.abs(sun.log_tau)))
    assert sun.pressure[layer] == pytest.approx(1.2e5, rel=0.2)  # MARCS: 1.2e5 (Gustafsson et al. 2008)
    weight = sun.density * 1.380649e-16 * sun.temperature / (sun.pressure * 1.66053907e-24)
    neutral = weight / (1 - sun.electron_pressure / sun.pressure)
    assert weight[-1] < 1.20  # falls as hydrogen is ionised, and is constant without the electrons
    np.testing.assert_allclose(neutral, 1.27, atol=0.03)  # means of the parts of a ratio


def test_errors_of_the_published_grid_are_those_that_are_stated(published: AtmosphereGrid) -> None:
    used = (published.log_tau > -4.01) & (published.log_tau < 1.01)
    found = leave_one_out(published)
    temperature, pressure = found.temperature[:, used], found.log_pressure[:, used]
    assert len(found.models) == 176
    assert np.sqrt(np.mean(temperature**2)) == pytest.approx(33, abs=0.5)
    assert np.median(np.abs(temperature)) == pytest.approx(11, abs=0.5)
    assert np.sqrt(np.mean(pressure**2)) == pytest.approx(0.023, abs=0.0005)
    assert np.median(np.abs(pressure)) == pytest.approx(0.004, abs=0.0005)
    sun = int(np.flatnonzero(np.all(published.labels[found.models] == [5769, 4.44, 0], axis=1))[0])
    assert np.sqrt(np.mean(temperature[sun] ** 2)) == pytest.approx(8, abs=0.5)

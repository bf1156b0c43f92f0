"""`make_grid`: every spectrum once, whatever happens on the way."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from unittest.mock import patch

import h5py
import numpy as np
import pytest

import bayne
from bayne import BayneError, ReadError
from bayne.synthesis import grids as module
from bayne.synthesis.synthesiser import _SYNTHESISERS, Synthesiser, register, synthesiser
from bayne.training import read_grid

LABELS = {"teff": [4500, 6500], "logg": [2.0, 5.0], "fe_h": [-2.0, 0.5], "vmic": [0.5, 2.0], "mg_fe": [-0.3, 0.5]}

#: A synthesiser whose flux tells the labels, on an atmosphere that is only its labels; in this process and in others.
TOY = textwrap.dedent(
    """
    import time
    from types import SimpleNamespace
    import numpy as np
    from bayne.errors import BayneError
    from bayne.synthesis import grids as module
    from bayne.synthesis.synthesiser import Synthesiser, register

    class Models:
        label_names = ("teff", "logg", "fe_h")
        alpha_range = (0.0, 0.0)
        def contains(self, labels):
            return labels[:, 0] < 6000
        def at(self, teff, logg, fe_h):
            return SimpleNamespace(teff=teff)

    class Lines:
        wavelength = np.array([5005.0])
        def select(self, which):
            return self

    @register
    class Toy(Synthesiser):
        name = "toy"
        pause = 0.0
        def synthesise(self, atmosphere, abundance, vmic):
            time.sleep(self.pause)
            wave = np.concatenate(self.windows)
            depth = (atmosphere.teff - 4000) / 4000
            if vmic > 1.9:
                raise BayneError("too turbulent")
            return 1 - depth * np.exp(-0.5 * ((wave - 5005) / 0.5) ** 2), np.ones(wave.size)

    module.read_models = lambda *given: Models()
    module.read_linelist = lambda *given, **options: Lines()
    """
)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    for name in ("read_models", "read_linelist"):
        monkeypatch.setattr(module, name, getattr(module, name))
    with patch.dict(_SYNTHESISERS):
        exec(TOY, {"__name__": "toy"})
        yield


@pytest.fixture
def config(tmp_path):
    return {
        "synthesiser": "toy",
        "linelist": str(tmp_path / "lines"),
        "windows": [[5000, 5010], [5050, 5060]],
        "number": 40,
        "labels": LABELS,
    }


def test_a_grid_is_one_that_can_be_trained_on(config, tmp_path):
    path = bayne.make_grid(config, tmp_path / "grid.h5")
    grid = read_grid(path)
    assert grid.names == tuple(LABELS)
    assert grid.units == ("K", "dex", "dex", "km/s", "dex")
    with h5py.File(path) as file:
        failed = module.failures(file)
        assert len(file["index"]) + len(failed) == 40
        places = [*file["index"][:].tolist(), *map(int, failed)]
        assert len(set(places)) == 40
        assert set(failed.values()) == {"BayneError: too turbulent"}
        assert file.attrs["resolution"] == 50_000
    depth = (grid.labels[:, 0] - 4000) / 4000
    line = np.argmin(abs(grid.wavelength - 5005))
    np.testing.assert_allclose(1 - grid.flux[:, line], depth, rtol=0.03)  # the line is wider than the kernel
    assert grid.labels[:, 0].max() < 6000
    assert not (tmp_path / "grid.h5.parts").exists()


def test_pixels_can_be_those_of_another_grid(config, tmp_path):
    """What fine-tuning on that other grid needs."""
    other = bayne.make_grid(config | {"step_kms": 3.1, "number": 30}, tmp_path / "other.h5")
    del config["windows"]
    grid = read_grid(bayne.make_grid(config | {"like": str(other)}, tmp_path / "grid.h5"))
    np.testing.assert_array_equal(grid.wavelength, read_grid(other).wavelength)
    line = np.argmin(abs(grid.wavelength - 5005))
    np.testing.assert_allclose(1 - grid.flux[:, line], (grid.labels[:, 0] - 4000) / 4000, rtol=0.03)
    with pytest.raises(BayneError, match="give windows, or like"):
        bayne.make_grid(config, tmp_path / "wrong.h5")
    (tmp_path / "text.h5").write_text("no grid")
    with pytest.raises(ReadError, match=r"text\.h5: no grid file"):
        bayne.make_grid(config | {"like": str(tmp_path / "text.h5")}, tmp_path / "wrong.h5")


def test_a_seed_takes_the_place_of_the_configurations(config, tmp_path):
    own = bayne.make_grid(config | {"seed": 5}, tmp_path / "own.h5")
    assert_same(bayne.make_grid(config, tmp_path / "given.h5", seed=5), own)


def contents(path):
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}


def assert_same(found, expected):
    for name, value in contents(expected).items():
        np.testing.assert_array_equal(contents(found)[name], value, err_msg=name)


def test_a_larger_number_goes_on_where_a_smaller_one_ended(config, tmp_path):
    whole = bayne.make_grid(config, tmp_path / "whole.h5")
    grown = bayne.make_grid(config | {"number": 17}, tmp_path / "grown.h5")
    bayne.make_grid(config, grown, append=True)
    assert_same(grown, whole)
    with pytest.raises(BayneError, match="more than number = 10"):
        bayne.make_grid(config | {"number": 10}, grown, append=True)
    with pytest.raises(BayneError, match=r"another configuration: resolution was 50000\.0, now it is 20000"):
        bayne.make_grid(config | {"resolution": 20_000, "number": 50}, grown, append=True)


def run(config, path, options="", pause=0.0, workers=1):
    """A process of its own that makes the grid."""
    code = TOY + textwrap.dedent(
        f"""
        Toy.pause = {pause}
        if __name__ == "__main__":
            module.make_grid({config!r}, {str(path)!r}, workers={workers}, {options})
        """
    )
    script = path.with_suffix(".py")
    script.write_text(code)
    return subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)


def wait_for_parts(path, count, process):
    parts = path.with_name(path.name + ".parts")
    while process.poll() is None and len(list(parts.glob("part-*.npz"))) < count:
        time.sleep(0.02)
    return len(list(parts.glob("part-*.npz")))


def test_a_killed_run_goes_on_without_a_spectrum_lost_or_doubled(config, tmp_path):
    path = tmp_path / "killed.h5"
    killed = run(config, path, pause=0.05)
    assert wait_for_parts(path, 2, killed) >= 2
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not path.exists()
    with pytest.raises(BayneError, match="unfinished run: go on with resume"):
        bayne.make_grid(config, path)
    with pytest.raises(BayneError, match="another configuration: seed was 0, now it is 5"):
        bayne.make_grid(config | {"seed": 5}, path, resume=True)
    bayne.make_grid(config, path, resume=True)
    assert_same(path, bayne.make_grid(config, tmp_path / "whole.h5"))


def test_a_folder_in_the_place_of_the_parts_is_not_removed(config, tmp_path):
    parts = tmp_path / "grid.h5.parts"
    parts.mkdir()
    (parts / "chapter.tex").write_text("ten years of work")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(BayneError, match=r"no folder of parts of a grid, it has chapter\.tex"):
            bayne.make_grid(config, tmp_path / "grid.h5", **options)
    assert (parts / "chapter.tex").read_text() == "ten years of work"


def test_a_killed_worker_loses_nothing_that_was_written(config, tmp_path):
    path = tmp_path / "workers.h5"
    process = run(config | {"number": 80}, path, pause=0.05, workers=2)
    assert wait_for_parts(path, 2, process) >= 2
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
    os.kill(int(children.split()[-1]), signal.SIGKILL)
    _, told = process.communicate(timeout=60)
    assert "a worker was killed" in told
    assert "go on with resume" in told
    bayne.make_grid(config | {"number": 80}, path, resume=True)
    assert_same(path, bayne.make_grid(config | {"number": 80}, tmp_path / "whole.h5"))


def test_a_full_disk_keeps_what_is_written(config, tmp_path, monkeypatch):
    path, real, written = tmp_path / "full.h5", module.np.savez, []

    def savez(*given, **arrays):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(True)
        real(*given, **arrays)

    monkeypatch.setattr(module.np, "savez", savez)
    with pytest.raises(BayneError, match="No space left on device; 16 spectra are kept"):
        bayne.make_grid(config, path)
    monkeypatch.setattr(module.np, "savez", real)
    bayne.make_grid(config, path, resume=True)
    assert_same(path, bayne.make_grid(config, tmp_path / "whole.h5"))


def test_what_is_no_spectrum_is_left_out_with_its_reason(config, tmp_path):
    class Broken(_SYNTHESISERS["toy"]):
        name = "broken"

        def synthesise(self, atmosphere, abundance, vmic):
            flux, continuum = super().synthesise(atmosphere, abundance, 1.0)
            return (np.full(flux.size, np.nan) if atmosphere.teff < 5000 else flux), continuum

    register(Broken)
    path = bayne.make_grid(config | {"synthesiser": "broken"}, tmp_path / "broken.h5")
    with h5py.File(path) as file:
        assert file["labels"][:, 0].min() > 5000
        assert "pixels are not finite" in next(iter(module.failures(file).values()))


def test_labels_can_be_about_an_observed_population(config, tmp_path):
    rows = ["teff,logg,fe_h,vmic,mg_fe", "4600,2.5,-1.0,1.5,0.3", "5700,4.4,0.0,1.0,0.0"]
    (tmp_path / "stars.csv").write_text("\n".join(rows) + "\n")
    offsets = {"teff": [-100, 100], "logg": [-0.2, 0.2], "fe_h": [-0.1, 0.1], "vmic": [-0.1, 0.1], "mg_fe": [-0.1, 0.1]}
    about = config | {"labels": offsets, "population": str(tmp_path / "stars.csv")}
    grid = read_grid(bayne.make_grid(about, tmp_path / "population.h5"))
    near = [np.abs(grid.labels[:, 0] - teff) <= 100 for teff in (4600, 5700)]
    assert all(0.3 < group.mean() < 0.7 for group in near)
    assert np.all(near[0] | near[1])
    (tmp_path / "stars.csv").write_text("teff,logg\n5000,4.0\n")
    with pytest.raises(ReadError, match="no column 'fe_h'"):
        bayne.make_grid(about, tmp_path / "none.h5")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"synthesiser": "lts"}, "lte"),
        ({"windows": []}, "windows"),
        ({"windows": [[5010, 5000]]}, "shorter wavelength first"),
        ({"windows": [[5000, 5020], [5010, 5030]]}, "in order and apart"),
        ({"windows": [5000, 5010]}, "pairs of numbers"),
        ({"labels": {"teff": [4000, 5000]}}, "lacks 'logg'"),
        ({"labels": LABELS | {"mgg_fe": [0, 1]}}, "mg_fe"),
        ({"labels": LABELS | {"mg_fe": [1, 0]}}, "lowest value"),
        ({"number": 0}, "positive"),
        ({"labels": {"teff": ["4000", "5000"]}}, "pairs of numbers"),
        ({"number": "many"}, "number = 'many'; expected a whole number"),
        ({"solar_scale": "asplund"}, "asplund2009"),
        ({"resolutoin": 1}, "resolution"),
    ],
)
def test_wrong_configurations_are_named(config, tmp_path, changes, words):
    with pytest.raises((BayneError, ReadError), match=words):
        bayne.make_grid(config | changes, tmp_path / "wrong.h5")
    assert not (tmp_path / "wrong.h5").exists()


def test_a_missing_key_or_file_is_named(config, tmp_path):
    del config["linelist"]
    with pytest.raises(ReadError, match="'linelist' is missing"):
        bayne.make_grid(config, tmp_path / "wrong.h5")
    with pytest.raises(ReadError, match="no such configuration"):
        bayne.make_grid(tmp_path / "none.toml", tmp_path / "wrong.h5")


def test_files_are_not_replaced_unasked(config, tmp_path):
    path = bayne.make_grid(config, tmp_path / "grid.h5")
    with pytest.raises(FileExistsError, match="append=True"):
        bayne.make_grid(config, path)
    bayne.make_grid(config | {"number": 10}, path, overwrite=True)
    with h5py.File(path) as file:
        assert len(file["index"]) <= 10


def test_a_synthesiser_can_be_added():
    assert issubclass(_SYNTHESISERS["toy"], Synthesiser)
    assert {"lte", "pysme"} <= set(_SYNTHESISERS)
    with pytest.raises(BayneError, match=r"unknown synthesiser 'toi'\. Did you mean 'toy'"):
        synthesiser("toi")

    class Other(_SYNTHESISERS["lte"]):
        name = "toy"

    with pytest.raises(BayneError, match="synthesiser 'toy' is registered already"):
        register(Other)

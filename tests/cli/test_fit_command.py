"""``bayne fit`` and ``bayne demo`` hand on what they are told, and write what they promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

import bayne.cli.demo
import bayne.emulators
import bayne.inference
import bayne.surveys
from bayne import Flag, load_result
from bayne.cli.fit import result_files
from bayne.cli.options import Method
from bayne.inference import Sampler
from bayne.inference.methods import SAMPLERS
from bayne.spectrum import Arm, Spectrum
from fakes import fake_result

Run = Callable[..., Result]


class Calls:
    """Stands in for the functions behind the commands and keeps what they were given."""

    def __init__(self) -> None:
        self.read: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}
        self.emulator: tuple[Any, ...] = ()
        self.settings: dict[str, Any] = {}
        self.fits = 0
        self.flags = Flag(0)
        self.id = "a star/1"

    def read_spectrum(
        self, path: Path, format: str | None = None, *, medium: str | None = None, frame: str | None = None,
        normalized: bool | None = None, row: int | None = None,
    ) -> Spectrum:  # fmt: skip
        self.read = (path, format)
        self.options = {"medium": medium, "frame": frame, "normalized": normalized, "row": row}
        wave = np.linspace(5000.0, 5010.0, 50)
        return Spectrum((Arm(wave, np.ones(50), np.ones(50), np.zeros(50, bool)),), id=self.id)

    def load_emulator(self, source: str, card: Path | None = None) -> str:
        self.emulator = (source, card)
        return "the emulator"

    def fit_star(self, spectrum: Spectrum, emulator: str, **settings: Any) -> Any:
        self.fits += 1
        self.settings = settings
        return fake_result(method="map", star=spectrum.id, flags=self.flags, messages=("Look at [Mg/Fe].",))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr(bayne.surveys, "read_spectrum", calls.read_spectrum)
    monkeypatch.setattr(bayne.emulators, "load_emulator", calls.load_emulator)
    monkeypatch.setattr(bayne.inference, "fit_star", calls.fit_star)
    return calls


def test_plain_fit_uses_the_defaults(run: Run, calls: Calls, tmp_path: Path) -> None:
    result = run("fit", "star.fits", "--emulator", "demo", "--output", tmp_path / "new" / "fits")
    assert result.exit_code == 0, result.output
    assert calls.read == (Path("star.fits"), None)
    assert calls.emulator == ("demo", None)
    assert calls.settings == {
        "method": "fast",
        "sampler": Sampler(),
        "instrument": None,
        "resolution": None,
        "snr": None,
        "priors": {},
        "fixed": {},
        "free": ("rv", "vsini"),
        "continuum": None,
        "emulator_error": True,
        "jitter": True,
        "robust": True,
        "seed": 0,
    }
    files = result_files(tmp_path / "new" / "fits", "a star/1")
    assert [path.name for path in files] == ["a_star_1.nc", "a_star_1.html"]
    assert load_result(files[0]).id == "a star/1"
    assert files[1].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert all(str(path) in result.stdout for path in files)


def test_without_an_emulator_the_command_says_which_it_took(run: Run, calls: Calls, tmp_path: Path) -> None:
    result = run("fit", "star.fits", "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert calls.emulator == ()
    assert "emulator demo, which suits the wavelengths and the resolution" in " ".join(result.stdout.split())


def test_options_reach_the_functions(run: Run, calls: Calls, tmp_path: Path) -> None:
    words = """--method map --format table --medium air --frame rest --read row=3 --read normalized=true
        --instrument hermes --resolution 28000 --snr 80,90 --free rv,vmac --fix logg=4.4 --fix vmic=1
        --prior teff=5000,100 --prior rv=-20,0.5 --continuum 6 --no-jitter --no-robust --no-emulator-error --seed 7
        --draws 100 --chains 2 --warmup 50 --target-accept 0.9 --max-tree-depth 6"""
    result = run("fit", "star.csv", "-e", "net.npz", "--card", "card.json", "-o", tmp_path, *words.split())
    assert result.exit_code == 0, result.output
    assert calls.read == (Path("star.csv"), "table")
    assert calls.options == {"medium": "air", "frame": "rest", "normalized": True, "row": 3}
    assert calls.emulator == ("net.npz", Path("card.json"))
    assert calls.settings == {
        "method": "map",
        "sampler": Sampler(draws=100, chains=2, warmup=50, target_accept=0.9, max_tree_depth=6),
        "instrument": "hermes",
        "resolution": 28000.0,
        "snr": [80.0, 90.0],
        "priors": {"teff": (5000.0, 100.0), "rv": (-20.0, 0.5)},
        "fixed": {"logg": 4.4, "vmic": 1.0},
        "free": ("rv", "vmac"),
        "continuum": 6,
        "emulator_error": False,
        "jitter": False,
        "robust": False,
        "seed": 7,
    }


def test_the_command_knows_the_methods() -> None:
    assert set(Method) == {*SAMPLERS, "map"}


def test_settings_that_cannot_be_are_refused(run: Run, calls: Calls, tmp_path: Path) -> None:
    result = run("fit", "star.fits", "-e", "demo", "-o", tmp_path, "--draws", "0")
    assert result.exit_code == 1
    assert "draws = 0; give a whole number of at least 1" in result.stderr
    assert calls.fits == 0


def test_none_means_none(run: Run, calls: Calls, tmp_path: Path) -> None:
    assert run("fit", "s.fits", "-e", "demo", "-o", tmp_path, "--continuum", "none", "--free", "none").exit_code == 0
    assert calls.settings["continuum"] is False
    assert calls.settings["free"] == ()


def test_summary_shows_labels_flags_and_times(run: Run, calls: Calls, tmp_path: Path) -> None:
    calls.flags = Flag.NEAR_EDGE
    output = run("fit", "star.fits", "-e", "demo", "-o", tmp_path).stdout
    for text in (
        "ok, with warnings",
        "Teff",
        "[Mg/Fe]",
        "[Mg/H]",
        "near edge",
        "near the edge of the emulator's domain",
    ):
        assert text in output
    assert "Look at [Mg/Fe]." in output
    assert "compiled and fitted" in output
    assert "excess" not in output


def test_bad_star_exits_with_3_after_writing(run: Run, calls: Calls, tmp_path: Path) -> None:
    calls.flags = Flag.DOUBLE_LINED
    result = run("fit", "star.fits", "-e", "demo", "-o", tmp_path)
    assert result.exit_code == 3
    assert "BAD" in result.stdout
    assert sorted(path.suffix for path in tmp_path.glob("a_star*")) == [".html", ".nc"]


@pytest.mark.parametrize("suffix", [".nc", ".html"])
def test_existing_files_are_refused_before_the_fit(run: Run, calls: Calls, tmp_path: Path, suffix: str) -> None:
    there = tmp_path / f"a_star_1{suffix}"
    there.write_text("precious")
    result = run("fit", "star.fits", "-e", "demo", "-o", tmp_path)
    assert result.exit_code == 1
    assert calls.fits == 0
    assert "--overwrite" in result.stderr
    assert str(there) in result.stderr
    assert there.read_text() == "precious"
    assert run("fit", "star.fits", "-e", "demo", "-o", tmp_path, "--overwrite").exit_code == 0
    assert calls.fits == 1
    assert there.read_bytes()[:8] != b"precious"


@pytest.mark.parametrize("id", ["../../etc/x", "a b", "ü", "..", "///"])
def test_file_names_stay_in_the_folder(tmp_path: Path, id: str) -> None:
    for path in result_files(tmp_path, id):
        assert path.resolve().parent == tmp_path.resolve()
        assert path.stem


def test_demo_compares_with_the_truth(run: Run, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    (package / "examples").mkdir(parents=True)
    (package / "examples" / "demo_star.ecsv").write_text("the star")
    (package / "examples" / "demo_truth.json").write_text(json.dumps({"teff": 5700.0, "mg_h": 0.1, "vmac": 0.0}))
    monkeypatch.setattr(bayne.cli.demo, "files", lambda _: package)
    calls.id = "demo"
    result = run("demo", "--output", tmp_path / "out", "--seed", "3")
    # the report asks for its own style sheet through the real package
    assert result.exit_code == 0, result.output
    assert calls.read[0].name == "demo_star.ecsv"
    assert calls.emulator == ("galah", None)
    assert calls.settings == {"method": "laplace", "seed": 3}
    assert "truth" in result.stdout
    assert "5700" in result.stdout
    assert "σ" in result.stdout
    assert str((tmp_path / "out" / "demo.html").resolve()) in result.stdout
    assert run("demo", "--output", tmp_path / "out").exit_code == 1
    assert calls.fits == 1

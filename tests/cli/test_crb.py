"""``bayne crb``: the numbers of `cramer_rao`, sweeps, and wrong questions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.table import Table
from typer.testing import Result

import bayne
import bayne.emulators
from toy import toy_emulator, toy_instrument

Run = Callable[..., Result]
STAR = {"teff": 5500.0, "logg": 4.2, "fe_h": -0.2}
WORDS = [word for name, value in STAR.items() for word in ("--label", f"{name}={value}")]
TOY = toy_instrument()


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small emulator and instrument by name."""
    emulator = toy_emulator()
    monkeypatch.setattr(bayne.emulators, "load_emulator", lambda name: emulator)
    for module in ("exposure", "cramer_rao", "sweep"):
        target = f"bayne.information.{module}.load_instrument"
        monkeypatch.setattr(_module(target), "load_instrument", lambda name: TOY)


def _module(target: str) -> Any:
    import sys

    return sys.modules[target.rpartition(".")[0]]


def test_table_and_page(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "new" / "star.html"
    words = ("--snr", "80", "--sweep", "window", "--target", "0.1")
    result = run("crb", *WORDS, "--instrument", "toy", *words, "-o", page)
    assert result.exit_code == 0, result.output
    bounds = bayne.cramer_rao(toy_emulator(), TOY, STAR, 80.0)
    written = Table.read(page.with_suffix(".ecsv"))
    np.testing.assert_allclose(written["bound"][:4], bounds.std[:4])
    assert "S/N for 0.1" in result.output
    assert page.read_text().count("<img") == 4
    assert run("crb", *WORDS, "--instrument", "toy", "-o", page).exit_code == 1
    table = tmp_path / "star.fits"
    assert run("crb", *WORDS, "--instrument", "toy", "--correlation", "0.3", "-o", table).exit_code == 0
    worse = Table.read(table, hdu="BOUNDS")["bound"][:4]
    np.testing.assert_allclose(worse, bayne.cramer_rao(toy_emulator(), TOY, STAR, 100.0, correlation=0.3).std[:4])


def test_bounds_of_physical_derivatives(run: Run, tmp_path: Path) -> None:
    """Derivatives twice as large as the emulator's at the same star: half its bounds."""
    path, page = tmp_path / "derivatives.h5", tmp_path / "star.csv"
    emulator, labels = toy_emulator(), np.array([*STAR.values(), 0.0])
    with h5py.File(path, "w") as file:
        file.attrs["label_names"] = emulator.label_names
        file["wavelength"] = emulator.wavelength
        file["wavelength"].attrs["medium"] = "vacuum"
        file["mine/base"] = emulator.evaluate(labels)
        file["mine/labels"] = labels
        file["mine/derivative"] = 2 * emulator.gradient(labels)
    words = ("crb", "--instrument", "toy", "--derivatives", path, "--no-emulator-error")
    result = run(*words, "--star", "mine", "-o", page)
    assert result.exit_code == 0, result.output
    row = next(line.split() for line in result.output.splitlines() if line.startswith("[Mg/Fe]"))
    assert float(row[3]) == pytest.approx(float(row[2]) / 2, rel=0.1)
    assert "mine" in run(*words, "--star", "sun").output
    assert run(*words, *WORDS).exit_code == 2


def test_a_table_of_signal_to_noise(run: Run, tmp_path: Path) -> None:
    """S/N per Å of 100 is 24.5 in pixels of 0.06 Å."""
    noise, page = tmp_path / "etc.csv", tmp_path / "star.html"
    noise.write_text("wave,snr\n5000,100\n5200,100\n")
    words = ["--instrument", "toy", "--snr-table", noise, "--per", "angstrom"]
    assert run("crb", *WORDS, *words, "-o", page).exit_code == 0
    bounds = bayne.cramer_rao(toy_emulator(), TOY, STAR, 100 * np.sqrt(0.06))
    np.testing.assert_allclose(Table.read(page.with_suffix(".ecsv"))["bound"][:4], bounds.std[:4], rtol=1e-4)
    noise.write_text("5000\n5100\n")
    assert "two columns" in run("crb", *WORDS, *words).output
    for bad in ("5000,100\n5100,\n5200,100", "5000,100\n5200,many"):
        noise.write_text(f"wave,snr\n{bad}\n")
        result = run("crb", *WORDS, *words)
        assert (result.exit_code, "etc.csv" in result.output) == (1, True)
    assert run("crb", *WORDS, *words, "--target", "0.1").exit_code == 2


def test_wrong_usage(run: Run) -> None:
    assert run("crb", "--instrument", "toy").exit_code == 2
    assert run("crb", *WORDS, "--instrument", "toy", "-o", "star.txt").exit_code == 2
    assert run("crb", "--instrument", "toy", "--star", "sun", *WORDS).exit_code == 2
    assert "teff=5000" in run("crb", "--instrument", "toy", "--label", "teff").output
    nobody = run("crb", "--instrument", "toy", "--star", "vega")
    assert (nobody.exit_code, "choose from sun" in nobody.output) == (1, True)
    assert "positive" in run("crb", *WORDS, "--instrument", "toy", "--snr", "-3").output

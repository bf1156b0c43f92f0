"""``bayne info`` and ``bayne report``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

import bayne
from bayne.catalog.catalogue import Catalogue
from bayne.catalog.columns import Layout
from bayne.emulators import NETWORKS, Card, Emulator, save_emulator
from fakes import fake_result

Run = Callable[..., Result]


@pytest.fixture
def emulator(tmp_path: Path) -> Path:
    """Folder of a small random network."""
    import jax.numpy as jnp

    card = Card(
        "tiny", "payne", ("teff", "logg"), ("K", "dex"), (4000.0, 1.0), (6000.0, 5.0), "vacuum", 30000.0,
        citations=("Somebody (2020)",),
    )  # fmt: skip
    arrays = NETWORKS["payne"].example(card, 20, 0)
    network, params = NETWORKS["payne"].decode(arrays, card)
    wave = np.linspace(5000.0, 5010.0, 20)
    return save_emulator(
        Emulator(network, {k: jnp.asarray(v) for k, v in params.items()}, wave, card), tmp_path / "net"
    )


def test_installation(run: Run) -> None:
    output = " ".join(run("info").stdout.split())
    for text in (f"bayne {bayne.__version__}", "jax", "numpyro", "cpu", "hermes", "galah:", "formats"):
        assert text in output


def test_instrument(run: Run) -> None:
    output = run("info", "hermes").stdout
    for text in ("4713", "28000", "infrared", "air", "order 8"):
        assert text in output


def test_emulator(run: Run, emulator: Path) -> None:
    output = run("info", emulator).stdout
    for text in ("tiny", "payne", "5000.0-5010.0 vacuum Å", "teff", "6000", "Somebody (2020)"):
        assert text in output


def test_spectrum(run: Run, tmp_path: Path) -> None:
    rows = "\n".join(f"{5000 + 0.1 * i:.1f} {1.0 if i else 'nan'} 0.02" for i in range(100))
    (tmp_path / "star.txt").write_text("wavelength flux error\n" + rows + "\n")
    options = ("--medium", "vacuum", "--frame", "rest", "--read", "unit=Angstrom")
    result = run("info", tmp_path / "star.txt", *options)
    assert result.exit_code == 0, result.output
    row = result.stdout.splitlines()[-1].split()
    assert row[1:] == ["5000.00", "5009.90", "100", "99", "50", "unknown"]
    assert "rest" in result.stdout


def test_result(run: Run, tmp_path: Path) -> None:
    path = fake_result(flags=bayne.Flag.BAD_FIT).save(tmp_path / "star.nc")
    output = run("info", path).stdout
    assert "BAD" in output
    assert "[Mg/H]" in output


def test_likely_typo_is_named(run: Run) -> None:
    result = run("info", "hermess")
    assert result.exit_code == 1
    assert "Did you mean 'hermes'?" in result.stderr


def replaces_only_when_asked(run: Run, path: Path) -> None:
    refused = run("report", path)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert run("report", path, "--overwrite").exit_code == 0


def test_report_beside_the_result(run: Run, tmp_path: Path) -> None:
    path = fake_result(method="map").save(tmp_path / "star.nc")
    result = run("report", path)
    assert result.exit_code == 0, result.output
    page = tmp_path / "star.html"
    assert result.stdout.strip() == str(page)
    assert "star-1" in page.read_text(encoding="utf-8")
    replaces_only_when_asked(run, path)
    assert run("report", path, "--output", tmp_path / "other.html").exit_code == 0


def test_report_of_something_else_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.nc").write_text("no result")
    result = run("report", tmp_path / "notes.nc")
    assert result.exit_code == 1
    assert "not a Bayne result" in result.stderr
    assert not (tmp_path / "notes.html").exists()


def test_report_of_a_run(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "galah-dr5"
    (folder / "rows").mkdir(parents=True)
    names = pa.array(["star-1"])
    catalogue = Catalogue(pa.table({"spectrum_id": names, "star_id": names, "path": names}), folder)
    layout = Layout(("teff", "rv"), ("teff", "rv"))
    about = {"format": 2, "number": 1, "block": 16, "catalogue": catalogue.hash, "root": str(folder)}
    about |= {"labels": layout.labels, "free": layout.free, "emulator": {"name": "tiny"}}
    about["configuration"] = {"keep_spectra": False}
    (folder / "manifest.json").write_text(json.dumps(about))
    pq.write_table(catalogue.table, folder / "catalogue.parquet")
    rows = [layout.row(catalogue[0], "star-1.fits: no such file", "fast")]
    pq.write_table(layout.table(rows), folder / "rows" / "block-000000.parquet")
    result = run("report", folder)
    assert result.exit_code == 0, result.output
    page = folder / "report.html"
    assert result.stdout.strip() == str(page)
    assert "star-1.fits: no such file" in page.read_text(encoding="utf-8")
    replaces_only_when_asked(run, folder)


def test_report_of_a_folder_that_is_no_run_is_refused(run: Run, tmp_path: Path) -> None:
    result = run("report", tmp_path)
    assert result.exit_code == 1
    assert "manifest.json" in result.stderr
    assert not (tmp_path / "report.html").exists()

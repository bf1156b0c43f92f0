"""``bayne calibrate``."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

import bayne
from species_toy import LABELS, species_emulator
from toy import mock_star

STARS = np.array([[5772, 4.44, 0.0, 0.0], [5100, 4.5, -0.2, 0.1]])


@pytest.fixture
def stars(tmp_path):
    """Two spectra and the table of their labels."""
    emulator = species_emulator()
    bayne.save_emulator(emulator, tmp_path / "toy")
    columns = {"spectrum_id": ["one", "two"], "path": ["one.ecsv", "two.ecsv"], "resolution": [20_000.0, 20_000.0]}
    for name, values, error in zip(LABELS, STARS.T, (40.0, 0.05, 0.05, 0.1), strict=True):
        columns |= {f"{name}_prior": values, f"{name}_prior_error": np.full(2, error)}
    for name, labels in zip(columns["spectrum_id"], STARS, strict=True):
        arms = mock_star(emulator, labels, snr=200.0).arms
        rows = {
            "wavelength": np.concatenate([arm.wavelength for arm in arms]),
            "flux": np.concatenate([arm.flux for arm in arms]),
            "error": np.concatenate([arm.ivar**-0.5 for arm in arms]),
            "arm": np.concatenate([np.full(arm.flux.size, arm.name) for arm in arms]),
        }
        table = Table(rows, units={"wavelength": "Angstrom"}, meta={"medium": "vacuum", "frame": "barycentric"})
        table.write(tmp_path / f"{name}.ecsv")
    Table(columns).write(tmp_path / "stars.ecsv")
    return tmp_path


def test_calibrate(run, stars):
    words = ("calibrate", stars / "toy", stars / "stars.ecsv", "--output", stars / "made")
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "before -> after" in result.stdout
    assert result.stdout.splitlines()[-1] == str(stars / "made")
    made = bayne.load_emulator(stars / "made")
    assert made.card.reference_stars == ("one", "two")
    assert set(Table.read(stars / "made" / "stars.ecsv")["star"]) == {"one", "two"}
    assert len(Table.read(stars / "made" / "lines.ecsv")) > 100
    again = run(*words)
    assert again.exit_code == 1
    assert "--overwrite" in again.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--window", "5880"), "4785-5880"),
        (("--window", "5880-4785"), "4785-5880"),
        (("--strength", "-1"), "positive number of dex"),
        (("--spectra", "{nothing}.ecsv"), "no column 'nothing'"),
        (("--departures", "none.ecsv"), "none.ecsv"),
    ],
)
def test_wrong_usage(run, stars, words, told):
    result = run("calibrate", stars / "toy", stars / "stars.ecsv", "--output", stars / "made", *words)
    assert result.exit_code in (1, 2)
    assert told in result.output

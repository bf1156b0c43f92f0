"""Graded line lists become errors of line strengths."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from bayne.calibration.grades import graded_strengths
from bayne.emulators.species import species
from bayne.errors import BayneError, ReadError
from bayne.wavelength import vacuum_to_air
from species_toy import LABELS, species_emulator
from toy import toy_emulator

HEAD = "Element|Ion|lambda|loggf|e_loggf|gfflag|Elow\n | |0.1nm|[-]|[-]| |eV\n--|-|---|---|---|-|---\n"


@pytest.fixture(scope="module")
def emulator():
    """Lines of two elements."""
    return species_emulator()


def test_each_pixel_has_the_error_of_the_line_that_is_strongest_there(emulator, tmp_path):
    level = np.asarray(emulator.params["level"])
    iron = list(species(LABELS, ())).index("fe")
    deepest = np.argsort(np.where(np.argmax(level, axis=0) == iron, level[iron], -99))[-60:]
    first = int(deepest[-1])
    other = next(int(i) for i in deepest[::-1] if abs(i - first) > 40)
    air = [float(vacuum_to_air(emulator.wavelength[i : i + 1])[0]) for i in (first, other)]
    rows = [
        f"Fe|1|{air[0]:.4f}| -1.0|      |Y|1.0",
        f"Fe|1|{air[0]:.4f}| -4.0|      |N|1.0",  # weak: does not count
        f"Fe|1|{air[1]:.4f}| -1.0| 0.11 |Y|1.0",  # an error is stated
        f"Na|1|{air[1]:.4f}|  1.0|      |N|0.0",  # no line of the emulator
    ]
    path = tmp_path / "lines.gz"
    path.write_bytes(gzip.compress(("# VizieR\n\n" + HEAD + "\n".join(rows)).encode()))
    found = graded_strengths(emulator, path)
    assert found[first] == pytest.approx(0.05, abs=0.01)
    assert found[other] == pytest.approx(0.11, abs=0.01)
    assert np.median(found) == 0.2


def test_bad_lists(emulator, tmp_path):
    (tmp_path / "short.tsv").write_text("Element|lambda\n")
    with pytest.raises(ReadError, match="no column loggf"):
        graded_strengths(emulator, tmp_path / "short.tsv")
    with pytest.raises(ReadError, match="not a readable list"):
        graded_strengths(emulator, tmp_path / "none.tsv")
    with pytest.raises(BayneError, match="no opacity by species"):
        graded_strengths(toy_emulator(), tmp_path / "short.tsv")

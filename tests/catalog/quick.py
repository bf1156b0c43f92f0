"""A catalogue of small files, a fit that takes no time, and a process of its own that does it and can be killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning

import bayne
from bayne import BayneError
from bayne.inference import FitResult
from fakes import fake_arm, fake_result

LABELS = ("teff", "logg", "fe_h", "mg_fe", "rv", "vsini")

#: What the files do not state.
READING = {"medium": "vacuum", "unit": "Angstrom"}


def write_stars(folder: Path, number: int) -> Path:
    """Files, of which number 3 is missing and 5 damaged, and their catalogue; star 6 does not let itself be fitted."""
    (folder / "spectra").mkdir(parents=True)
    lines = [f"{5000 + 0.1 * i:.1f},1.0,0.1" for i in range(20)]
    for i in range(number):
        text = "hello" if i == 5 else "\n".join(["wavelength,flux,error", *lines])
        if i != 3:
            (folder / "spectra" / f"{i}.csv").write_text(text)
    table = Table(
        {
            "spectrum_id": [f"hopeless-{i}" if i == 6 else f"star-{i}" for i in range(number)],
            "path": [f"spectra/{i}.csv" for i in range(number)],
            "logg_prior": [4.0 if i % 2 else np.nan for i in range(number)],
            "logg_prior_error": [0.1] * number,
        }
    )
    table.write(folder / "stars.ecsv", format="ascii.ecsv")
    return folder / "stars.ecsv"


def quick_fit(spectrum: Any, emulator: Any, settings: Any, name: str) -> FitResult:
    """Numbers that depend on the star, the seed and the priors."""
    if name.startswith("hopeless"):
        raise BayneError("this one is hopeless")
    arms = [fake_arm("blue", 5000, 5010, 40, 0.0)]
    result = fake_result(LABELS, arms, method="map", star=name)
    result.idata.posterior["teff"][:] = 5000 + zlib.crc32(f"{name} {settings.seed}".encode()) % 1000
    result.idata.posterior["logg"][:] = settings.priors.get("logg", (3.0, 1.0))[0]
    diagnostics = result.diagnostics | {"snr_blue": 60.0, "seconds": time.perf_counter()}
    return replace(result, diagnostics=diagnostics, provenance={"input": spectrum.provenance})


def kill_often(catalogue: Path, output: Path, emulator: Path, options: Mapping[str, Any], times: int) -> list[int]:
    """Begin to fit a catalogue, 20 ms a star, and kill it with kill -9 at random moments, in a process of its own.

    Returns how many blocks there were after each kill.
    """
    code = textwrap.dedent(
        f"""
        import os, random, signal, sys, time
        from pathlib import Path
        sys.path[:0] = [{str(Path(__file__).parents[1])!r}]
        from catalog import quick
        from bayne.catalog import fit_catalog, run

        def slow(*given):
            time.sleep(0.02)
            return quick.quick_fit(*given)

        run.fit_checked = slow
        random.seed(1)
        rows = Path({str(output)!r}) / "rows"

        def blocks():
            return len(list(rows.glob("block-*")))

        for _ in range({times}):
            enough, child = blocks() + random.randint(0, 2), os.fork()
            if not child:
                fit_catalog({str(catalogue)!r}, {str(emulator)!r}, {str(output)!r}, **{dict(options)!r})
                os._exit(0)
            while blocks() < enough:
                assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended by itself"
                time.sleep(0.002)
            time.sleep(random.uniform(0, 0.1))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            print(blocks())
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


def merged(folder: Path, output: Path) -> Table:
    """What `merge` writes of a run, as another program reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # dex is no unit of FITS; Parquet tells no widths of texts
        return Table.read(bayne.merge(folder, output), **{"mask_invalid": False} if output.suffix == ".fits" else {})


def assert_same(found: Table, expected: Table, except_for: Sequence[str] = ("seconds",)) -> None:
    """All columns agree to the last bit."""
    assert found.colnames == expected.colnames
    for name in found.colnames:
        if name not in except_for:
            np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(expected[name]), err_msg=name)

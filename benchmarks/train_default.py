"""Train the emulators that come with the package and make the star of ``bayne demo``.

    bayne grid lte.toml --output lte.h5 --workers 8
    bayne grid lte_cool.toml --output lte_cool.h5 --workers 8
    python benchmarks/corrected_grid.py --grid galah_pysme_stagger.h5 --simple lte.h5 lte_cool.h5 --config lte.toml \\
        --output corrected.h5
    python benchmarks/train_default.py --grid galah_pysme_stagger.h5 --corrected corrected.h5 [--output build/default]

with ``benchmarks/lte.toml``, which says how ``lte_cool.toml`` is made of it. Each configuration in
``benchmarks/default/`` is trained (a finished one in ``--output`` is taken as it is, an interrupted one goes on): on
the careful grid, or where it has stages on the corrected one first. Then it is judged on the test rows of the careful
grid and written into the package in half precision. The demo's star is a spectrum of the physical synthesis that the
emulators were not trained on, made into an observation: HERMES pixels and resolution, a velocity, rotation, a
continuum, noise. One arm keeps the demo short.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from astropy.table import Table, vstack

from bayne.emulators import Emulator, load_emulator, save_emulator
from bayne.information.mock import mock_star
from bayne.training import Grid, evaluate, read_grid, train
from bayne.wavelength import vacuum_to_air

PACKAGE = Path(__file__).parents[1] / "src" / "bayne"
CONFIGURATIONS = Path(__file__).parent / "default"

#: Where one-dimensional LTE fails in every star: the cores of H beta and H alpha (vacuum Å), which form in layers above
#: the photosphere (Barklem 2007, A&A 466, 327; Amarsi et al. 2018, A&A 615, A139).
BALMER_CORES = ((4857.7, 4867.7), (6559.6, 6569.6))

#: What their physics gets wrong, by benchmarks/reference_stars.py (2026-11-25), and the stars that say so.
DISCREPANCY = {"teff": (30.0, 120.0), "logg": (0.14, 0.4), "fe_h": (0.12, 0.19)}
REFERENCE_STARS = ("Sun", "eps Eri", "del Eri", "HD 106038", "HD 175305", "GALAH 2101150001010021", "WASP-14")

#: The demo's star: among the test rows the one nearest to these labels.
STAR = {"teff": 5800.0, "logg": 4.3, "fe_h": -0.1}
ARMS = ("blue",)
RV, VSINI, SNR = 23.4, 12.0, 80.0


def rounded(emulator: Emulator) -> Emulator:
    """The emulator with its large arrays rounded to half precision: to 0.0005 of each number."""

    def half(value: np.ndarray) -> np.ndarray:
        large = value.dtype == np.float32 and value.size > 100_000
        return value.astype(np.float16) if large else value

    params = {name: half(np.asarray(value)) for name, value in emulator.params.items()}
    error = emulator.error
    if error is not None:
        error = replace(error, basis=half(error.basis), sigma=half(error.sigma))
    return replace(emulator, params=params, error=error)


def ship(name: str, grid: Grid, files: dict[str, Path], output: Path) -> None:
    """Train one configuration, write it into the package, and say how good what was written is."""
    settings = tomllib.loads((CONFIGURATIONS / f"{name}.toml").read_text())
    for stage in settings.get("stage", []):
        stage["grid"] = str(files[stage["grid"]])
    start = time.perf_counter()
    emulator = train(
        None if "stage" in settings else grid,
        config=settings,
        output=output / name,
        resume=True,
        tell=lambda done, text: print(text),
    )
    print(f"{name}: {time.perf_counter() - start:.0f} s on {jax.devices()[0].platform}")
    card = replace(emulator.card, excluded=BALMER_CORES, discrepancy=DISCREPANCY, reference_stars=REFERENCE_STARS)
    emulator = rounded(replace(emulator, card=card))
    folder = save_emulator(emulator, PACKAGE / "emulators" / "weights" / name)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"{name}: {size / 1e6:.1f} MB; on {grid.test.sum()} test spectra: {evaluate(load_emulator(name), grid).errors}"
    )


def star(emulator: Emulator, flux: np.ndarray) -> Table:
    """The mock observation as a table: counts and errors at air wavelengths."""
    made = mock_star(emulator, flux, "hermes", arms=ARMS, rv=RV, vsini=VSINI, snr=SNR, seed=1)
    tables = []
    for arm in made.arms:
        error = np.where(arm.good, 1 / np.sqrt(np.where(arm.good, arm.ivar, 1.0)), 0.0)
        columns = {"arm": [arm.name] * error.size, "wavelength": vacuum_to_air(arm.wavelength)}
        tables.append(Table(columns | {"flux": arm.flux, "error": error}))
    table = vstack(tables)
    table["wavelength"].unit = "Angstrom"
    for name, digits in (("wavelength", 4), ("flux", 1), ("error", 2)):
        table[name].info.format = f".{digits}f"
    table.meta = {
        "id": "demo-star",
        "medium": "air",
        "frame": made.frame,
        "instrument": made.instrument,
        "origin": "mock observation of a physical spectrum, made by benchmarks/train_default.py",
    }
    return table


def nearest(grid: Grid) -> int:
    """The test row nearest to the demo's star, in units of the grid's extent."""
    where = [grid.names.index(name) for name in STAR]
    away = (grid.labels[:, where] - list(STAR.values())) / np.ptp(grid.labels[:, where], axis=0)
    return int(np.argmin(np.where(grid.test, np.sum(away**2, axis=1), np.inf)))


def main() -> None:
    """Train, ship, and make the star."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted(path.stem for path in CONFIGURATIONS.glob("*.toml"))
    parser.add_argument("names", nargs="*", default=known, help=f"which ones; all of {', '.join(known)}")
    parser.add_argument("--grid", type=Path, required=True, help="careful grid (HDF5)")
    parser.add_argument("--corrected", type=Path, required=True, help="corrected grid (HDF5), which galah learns first")
    parser.add_argument("--output", type=Path, default=Path("build/default"), help="folder of the trainings")
    arguments = parser.parse_args()
    grid = read_grid(arguments.grid)
    for name in arguments.names:
        ship(name, grid, {"careful": arguments.grid, "corrected": arguments.corrected}, arguments.output)
    row = nearest(grid)
    truth = dict(zip(grid.names, (float(v) for v in np.round(grid.labels[row], 4)), strict=True))
    examples = PACKAGE / "examples"
    star(load_emulator("galah"), grid.flux[row]).write(examples / "demo_star.ecsv", overwrite=True)
    (examples / "demo_truth.json").write_text(json.dumps(truth | {"rv": RV, "vsini": VSINI}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Wall time of one fit: first run of the command, second run, and what of it is compilation.

    python benchmarks/fit_time.py --spectrum apogee_2M13012770.npz --emulator binspec_NN_normalized_spectra.npz \\
        --card src/bayne/emulators/cards/binspec_apogee.json --free rv

The command runs twice with one compilation cache, empty at first. The same fit then runs three times inside this
process: the first pays for tracing and for reading the cache, the others are the work itself.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    """Time the command and the function, print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectrum", required=True)
    parser.add_argument("--emulator", required=True)
    parser.add_argument("--card")
    parser.add_argument("--free", default="rv,vsini")
    parser.add_argument("--methods", default="map,laplace,nuts")
    arguments = parser.parse_args()
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax", "numpyro"))
    print(
        f"{date.today()}; {os.cpu_count()} cores, {platform.machine()}; Python {platform.python_version()}, {versions}"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BAYNE_CACHE"] = folder
        for method in arguments.methods.split(","):
            for run in ("first", "second"):
                command = [sys.executable, "-m", "bayne", "fit", arguments.spectrum, "--emulator", arguments.emulator]
                command += ["--free", arguments.free, "--method", method, "--output", folder, "--overwrite"]
                command += ["--card", arguments.card] if arguments.card else []
                start = time.perf_counter()
                code = subprocess.run(command, capture_output=True, check=False).returncode
                print(
                    f"bayne fit --method {method}, {run} run: {time.perf_counter() - start:.1f} s (exit {code})",
                    flush=True,
                )
        in_process(arguments, Path(folder))


def in_process(arguments: argparse.Namespace, folder: Path) -> None:
    """Three fits in one process, with the times of their stages."""
    import jax

    import bayne

    jax.config.update("jax_compilation_cache_dir", str(folder / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    emulator = bayne.load_emulator(arguments.emulator, arguments.card)
    spectrum = bayne.read_spectrum(arguments.spectrum)
    for method in arguments.methods.split(","):
        for run in range(3):
            free = tuple(arguments.free.split(","))
            d = bayne.fit_star(spectrum, emulator, method=method, free=free, seed=run).diagnostics
            sampled = f", minimum bulk ESS {d['ess_bulk_min']:.0f}" if "ess_bulk_min" in d else ""
            print(
                f"fit_star {method}, run {run + 1}: {d['seconds']:.1f} s, of which maximum {d['seconds_map']:.1f} s, "
                f"posterior {d['seconds_posterior']:.1f} s; {d['n_pixels']:.0f} pixels{sampled}",
                flush=True,
            )


if __name__ == "__main__":
    main()

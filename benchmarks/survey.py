"""A survey in one command, measured: time, memory, disk, and what kills do to it.

    python benchmarks/survey.py --emulator galah-hermes --arm red --number 2000 --kills 20 --output survey

Mock stars of HERMES, from all over the emulator's domain and made by it, go through ``bayne fit-catalog`` as two
processes that have a core each (``--shard 0/2``, ``--shard 1/2``); ``--processes`` for more. Told are wall time, the
memory of the processes while the number of stars grows, the share of time that reading, fitting and writing take, disk,
and how the merged table agrees with the truth.

``--kills`` runs the first 300 stars again, by ``map``, once without and once with that many kills of all processes
(SIGKILL) at random moments, each followed by ``--resume``, and compares the merged tables.

An interrupted run goes on where it stopped: its times are then those of the last part.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.units import UnitsWarning

import bayne
from bayne.catalog.columns import SHIFT
from bayne.catalog.store import read_rows, status_path
from bayne.flags import Flag

#: Stars that are killed, and seconds within which each kill comes.
KILLED, WITHIN = 300, 30.0

#: Seconds between looks at the processes.
LOOK = 2.0


class Run:
    """Processes of ``bayne fit-catalog`` on one folder, each with cores of its own."""

    def __init__(self, catalogue: Path, folder: Path, processes: int, options: Sequence[str]) -> None:
        self.folder, self.number, self.cores = folder, processes, sorted(os.sched_getaffinity(0))
        self.memory: list[tuple[int, int]] = []
        self.begun = time.perf_counter()
        command = [sys.executable, "-m", "bayne", "fit-catalog", str(catalogue), "--output", str(folder), "--resume"]
        self.children = [
            subprocess.Popen([*command, "--shard", f"{i}/{processes}", *options], stdout=subprocess.DEVNULL)
            for i in range(processes)
        ]
        for i, child in enumerate(self.children):
            os.sched_setaffinity(child.pid, self.cores[i::processes])

    @property
    def going(self) -> bool:
        """Whether any process is."""
        return any(child.poll() is None for child in self.children)

    def finish(self) -> float:
        """Wait for the end, looking at the memory; the seconds that it took."""
        while self.going:
            time.sleep(LOOK)
            taken = [resident(child.pid) for child in self.children if child.poll() is None]
            done = sum(status.get("done", 0) for status in self.statuses())
            if taken:
                self.memory.append((done, max(taken)))
        if any(child.returncode not in (0, 3) for child in self.children):
            raise SystemExit(f"fit-catalog ended with {[child.returncode for child in self.children]}")
        return time.perf_counter() - self.begun

    def kill(self) -> None:
        """End all processes at once, without a warning."""
        for child in self.children:
            child.send_signal(signal.SIGKILL)
        for child in self.children:
            child.wait()

    def statuses(self) -> list[dict[str, Any]]:
        """What the processes have written of themselves."""
        paths = [status_path(self.folder, (i, self.number)) for i in range(self.number)]
        return [json.loads(path.read_text()) for path in paths if path.exists()]


def resident(process: int) -> int:
    """Memory of a process in MB."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))
    except (OSError, StopIteration):  # it has just ended
        return 0


def speed(run: Run, seconds: float) -> str:
    """Sentences on the time, the memory and the disk that a run took."""
    stars = len(read_rows(run.folder))
    statuses = run.statuses()
    took = {name: sum(status["seconds"][name] for status in statuses) for name in statuses[0]["seconds"]}
    shares = ", ".join(
        f"{name} {took[name] / took['all']:.1%}" for name in ("fitting", "reading", "waiting", "writing")
    )
    steps = [next(mb for done, mb in run.memory if done >= share * stars) for share in (0.1, 0.25, 0.5, 0.75, 0.99)]
    size = sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file())
    return (
        f"{stars} stars in {seconds:.0f} s by {run.number} processes: {seconds / stars:.2f} s per star. Of the time "
        f"of the processes: {shares}. Memory of the larger process after 10, 25, 50, 75 and 99% of the stars: "
        f"{', '.join(map(str, steps))} MB. The run has {size / stars / 1024:.1f} kB per star."
    )


def agreement(table: Table, truth: Table) -> str:
    """Sentences on flags, and on pulls of the labels of the stars that are ok."""
    seconds = np.asarray(table["seconds"])
    sampled = (np.asarray(table["flag_warn"]) & int(Flag.SAMPLED_INSTEAD)) != 0
    bad = [name for bits in table["flag_bad"] for name in Flag(int(bits) << SHIFT).names]
    flags = ", ".join(f"{bad.count(name)} {name}" for name in sorted(set(bad), key=bad.count, reverse=True))
    ok = np.asarray(table["ok"])
    labels = [name for name in truth.colnames if name in table.colnames and f"{name}_std" in table.colnames]
    pulls = np.array([(table[name] - truth[name])[ok] / table[f"{name}_std"][ok] for name in labels])
    inside = np.array(
        [((table[f"{name}_q16"] <= truth[name]) & (truth[name] <= table[f"{name}_q84"]))[ok] for name in labels]
    )
    return (
        f"{ok.sum()} are ok; bad flags: {flags or 'none'}. {sampled.sum()} went to HMC and took "
        f"{seconds[sampled].sum() / seconds.sum():.0%} of the time; seconds of a star: mean "
        f"{seconds.mean():.2f}, median {np.median(seconds):.2f}, 90% below {np.quantile(seconds, 0.9):.1f}, most "
        f"{seconds.max():.0f}. Of {inside.size} labels {inside.mean():.1%} lie in their 68% (worst labels "
        f"{inside.mean(axis=1).min():.1%}, {inside.mean(axis=1).max():.1%}); rms pull {np.sqrt(np.mean(pulls**2)):.3f}."
    )


def differences(one: Table, other: Table) -> list[str]:
    """Columns that differ between tables, but for the seconds."""
    if one.colnames != other.colnames or len(one) != len(other):
        return ["the columns or the rows"]
    same = {name: np.array_equal(np.asarray(one[name]), np.asarray(other[name]), equal_nan=one[name].dtype.kind == "f")
            for name in one.colnames}  # fmt: skip
    return [name for name, equal in same.items() if not equal and name != "seconds"]


def merged(folder: Path, output: Path) -> Table:
    """The table of a run, by way of its file."""
    path = bayne.merge(folder, output, overwrite=True)
    with warnings.catch_warnings(action="ignore", category=UnitsWarning):  # dex is no unit of the FITS standard
        return Table.read(path, mask_invalid=False)


def killed(catalogue: Path, folder: Path, processes: int, options: Sequence[str], kills: int) -> str:
    """Sentence on the tables of a run that was left alone, and of one that was killed."""
    whole = Run(catalogue, folder / "whole", processes, options)
    alone = whole.finish()
    rng, done = np.random.default_rng(1), []
    for _ in range(kills):
        run = Run(catalogue, folder / "killed", processes, options)
        time.sleep(rng.uniform(0, WITHIN))
        run.kill()
        rows = folder / "killed" / "rows"
        done.append(len(list(rows.glob("block-*"))) if rows.exists() else 0)
    Run(catalogue, folder / "killed", processes, options).finish()
    tables = [merged(folder / name, folder / f"{name}.fits") for name in ("whole", "killed")]
    differ = differences(*tables)
    return (
        f"{len(tables[0])} stars, {alone:.0f} s without a kill; after each of {kills} kills there were {done} blocks. "
        f"The merged tables {'differ in ' + ', '.join(differ) if differ else 'are identical but for the seconds'}."
    )


def main() -> None:
    """Make the mocks, run them, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emulator", required=True, help="name or folder; one that 'bayne compile' made for speed")
    parser.add_argument("--arm", nargs="*", help="arms of HERMES; all if none is given")
    parser.add_argument("--number", type=int, default=2000, help="stars")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    mocks, folder = options.output / "mocks", options.output / "run"
    if not mocks.exists():
        emulator = bayne.load_emulator(options.emulator)
        bayne.mock(emulator, "hermes", mocks, number=options.number, arms=options.arm, seed=7)
    truth = Table.read(mocks / "truth.ecsv")
    run = Run(mocks / "truth.ecsv", folder, options.processes, ["--emulator", options.emulator])
    print(speed(run, run.finish()), flush=True)
    begun = time.perf_counter()
    table = merged(folder, options.output / "merged.fits")
    seconds = time.perf_counter() - begun
    size = (options.output / "merged.fits").stat().st_size
    print(f"Merged in {seconds:.1f} s: {len(table.colnames)} columns, {size / len(table) / 1024:.1f} kB per star.")
    print(agreement(table, truth), flush=True)
    if options.kills:
        few = mocks / "few.ecsv"
        truth[:KILLED].write(few, overwrite=True)
        given = ["--emulator", options.emulator, "--method", "map"]
        print(killed(few, options.output / "kills", options.processes, given, options.kills))
    versions = ", ".join(f"{name} {version(name)}" for name in ("bayne", "jax"))
    print(f"{date.today()}, {versions}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()

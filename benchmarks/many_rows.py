"""What the table and the page of a large survey take: time, memory, disk.

    python benchmarks/many_rows.py survey/run --rows 10000 100000 --output many

The rows of a finished run (of ``benchmarks/survey.py``) are repeated until there are as many as asked for, in blocks of
256, two visits of each star. ``bayne merge`` to FITS and to Parquet, ``bayne validate`` and ``bayne report`` then run
as processes of their own, whose time and largest memory are told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bayne.catalog import Catalogue, Store, open_store

BLOCK = 256


def repeat(store: Store, number: int, folder: Path) -> None:
    """Write a run that has this many rows, those of another run again and again."""
    folder.mkdir(parents=True)
    rows = pa.concat_tables([pq.read_table(store.path("rows", n)) for n in store.done], promote_options="default")
    copies = range(-(-number // len(rows)))
    catalogue = Catalogue(pa.concat_tables([renamed(store.catalogue.table, k) for k in copies])[:number], Path())
    pq.write_table(catalogue.table, folder / "catalogue.parquet")
    about = {"number": number, "block": BLOCK, "catalogue": catalogue.hash, "root": "."}
    (folder / "manifest.json").write_text(json.dumps(store.manifest | about))
    new = open_store(folder)
    for kind in new.kinds:
        (folder / kind).mkdir()
    for n in new.blocks:
        which = np.arange(n * BLOCK, n * BLOCK + new.size(n))
        own = rows.take(which % len(rows))
        for name in ("spectrum_id", "star_id"):
            own = own.set_column(own.schema.get_field_index(name), name, catalogue.table[name].take(which))
        pq.write_table(own, new.path("rows", n), use_dictionary=False, write_statistics=False)
        os.link(store.path("residuals", n % len(store.done)), new.path("residuals", n))


def renamed(table: pa.Table, copy: int) -> pa.Table:
    """A catalogue with other names; the next one has other spectra of the same stars."""
    for name, label in (("spectrum_id", copy), ("star_id", copy // 2)):
        column = pa.array([f"{label}-{text}" for text in table["spectrum_id"].to_pylist()])
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def taken(*arguments: str | Path) -> str:
    """Seconds and largest memory of a command."""
    begun = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "bayne", *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"bayne {' '.join(map(str, arguments))} ended with {os.waitstatus_to_exitcode(status)}")
    return f"{time.perf_counter() - begun:.0f} s, {usage.ru_maxrss / 1024:.0f} MB"


def main() -> None:
    """Make the runs, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    for number in options.rows:
        folder = options.output / str(number)
        if not folder.exists():
            repeat(open_store(options.run), number, folder)
        print(f"{number} rows:")
        for ending in ("fits", "parquet"):
            table = options.output / f"{number}.{ending}"
            told = taken("merge", folder, "--output", table, "--overwrite")
            print(f"  merge to .{ending}: {told}; {table.stat().st_size / 1e6:.0f} MB", flush=True)
        print(f"  validate: {taken('validate', folder)}", flush=True)
        page = options.output / f"{number}.html"
        told = taken("report", folder, "--output", page, "--overwrite")
        print(f"  report: {told}; {page.stat().st_size / 1e6:.1f} MB", flush=True)
    print(f"{date.today()}, bayne {version('bayne')}, pyarrow {version('pyarrow')}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()

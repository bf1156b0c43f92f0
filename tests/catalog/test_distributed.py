"""`fit_catalog` on a Dask scheduler: the table of one process, whatever happens to workers and scheduler."""

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpyro.distributions as dist
import pytest
from distributed import LocalCluster

import bayne
from bayne import BayneError
from bayne.catalog import distributed as module
from bayne.catalog import read_rows
from bayne.catalog.run import FitJob
from bayne.emulators import load_emulator
from bayne.inference.batch import bound_settings
from catalog.quick import READING, assert_same, merged, write_stars

#: What workers run first: fits that take 20 ms, and with some seeds go wrong at a star.
PRELOAD = f"""
import os, sys, time
sys.path[:0] = [{str(Path(__file__).parents[1])!r}]
from bayne.catalog import run
from catalog.quick import quick_fit

def fit(spectrum, emulator, settings, name):
    time.sleep(0.02)
    if name == "star-7" and settings.seed == 13:
        raise ZeroDivisionError("oh")
    if name == "star-7" and settings.seed == 14:
        os._exit(1)
    return quick_fit(spectrum, emulator, settings, name)

run.fit_checked = fit
"""


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes of one thread."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", preload=[PRELOAD]
    ) as found:
        yield found


@pytest.fixture
def many(tmp_path):
    """Catalogue of 45 stars."""
    return write_stars(tmp_path / "stars", 45)


@pytest.fixture
def whole(quick, many, tmp_path):
    """Rows that one process makes."""
    return read_rows(quick(tmp_path / "whole", many))


@contextmanager
def once_there_are(blocks, folder, do):
    """Do something in another thread when a run has so many blocks."""

    def wait():
        while len(list((folder / "rows").glob("block-*"))) < blocks:
            time.sleep(0.002)
        do()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_workers_make_what_one_process_makes(quick, cluster, many, tmp_path):
    options = {"priors": {"teff": dist.Normal(5000.0, 100.0)}, "keep_spectra": True}
    for name, more in (("whole", {}), ("dask", {"scheduler": cluster.scheduler_address})):
        quick(tmp_path / name, many, **options, **more)
        assert bayne.validate(tmp_path / name) == []
    assert_same(*(merged(tmp_path / name, tmp_path / f"{name}.fits") for name in ("dask", "whole")))
    status = json.loads((tmp_path / "dask" / "status.json").read_text())
    assert (status["number"], status["done"], status["failures"]) == (45, 45, {"FAILED": 3})
    assert status["seconds"]["fitting"] >= 42 * 0.02, "of both workers together"
    assert not list((tmp_path / "dask").rglob("*.part"))


def test_a_worker_that_is_killed_loses_and_doubles_nothing(quick, cluster, many, whole, tmp_path):
    told = []
    pids = [worker.pid for worker in cluster.workers.values()]
    with once_there_are(5, tmp_path / "dask", lambda: os.kill(pids[0], signal.SIGKILL)):
        quick(tmp_path / "dask", many, scheduler=cluster.scheduler_address, tell=lambda share, text: told.append(share))
    assert_same(read_rows(tmp_path / "dask"), whole)
    assert bayne.validate(tmp_path / "dask") == []
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_defect_raised_for_debugging_names_the_star_and_the_rest_is_kept(quick, cluster, many, tmp_path):
    with pytest.raises(ZeroDivisionError, match="oh") as caught:
        quick(tmp_path / "run", many, scheduler=cluster.scheduler_address, seed=13, debug=True)
    assert caught.value.__notes__ == ["at 'star-7'"]
    assert_same(
        read_rows(quick(tmp_path / "run", many, seed=13, resume=True)), read_rows(quick(tmp_path / "b", many, seed=13))
    )


def test_what_workers_cannot_do_is_said(quick, cluster, many, tmp_path, monkeypatch):
    monkeypatch.setattr("bayne.catalog.manifest.version", lambda name: "0.0")
    with pytest.raises(BayneError, match=r"worker tcp://.* is another run: versions.bayne was 0\.0, now it is"):
        quick(tmp_path / "run", many, scheduler=cluster.scheduler_address)


def test_a_folder_that_workers_cannot_write_to_is_said(quick, cluster, many, tmp_path):
    def spoil():
        (tmp_path / "run" / "rows").rename(tmp_path / "run" / "elsewhere")

    words = r"No such file.*; whole blocks are kept in .* go on with resume"
    with once_there_are(3, tmp_path / "run", spoil), pytest.raises(BayneError, match=words):
        quick(tmp_path / "run", many, scheduler=cluster.scheduler_address)


def test_a_star_that_kills_its_workers_is_said(quick, cluster, many, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    words = r"block \d+, '(star|hopeless)-\d+' to '.*': 1 workers died that had it, .* go on with resume"
    with pytest.raises(BayneError, match=words):
        quick(tmp_path / "run", many, scheduler=cluster.scheduler_address, seed=14)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tpc://here:9", "nowhere"])
def test_a_scheduler_that_is_not_there_is_said_in_seconds(quick, many, tmp_path, monkeypatch, address):
    monkeypatch.setattr(module, "TIMEOUT", 1.0)
    clock = time.monotonic()
    with pytest.raises(BayneError, match=f"scheduler '{address}' cannot be reached: .* such as tcp://node:8786"):
        quick(tmp_path / "run", many, scheduler=address)
    assert time.monotonic() - clock < 10
    assert not (tmp_path / "run").exists()


def test_a_scheduler_that_goes_away_is_said_and_the_run_goes_on(quick, many, whole, tmp_path):
    code = PRELOAD + textwrap.dedent(
        """
        from distributed import LocalCluster

        with LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=":0"
        ) as cluster:
            print(cluster.scheduler_address, flush=True)
            time.sleep(100)
        """
    )
    words = "scheduler tcp.* went away; whole blocks are kept in .* go on with resume"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip()
            with once_there_are(4, tmp_path / "run", process.kill), pytest.raises(BayneError, match=words):
                quick(tmp_path / "run", many, scheduler=address)
        finally:
            process.kill()
    there = len(list((tmp_path / "run" / "rows").glob("block-*")))
    assert 4 <= there < 15
    assert_same(read_rows(quick(tmp_path / "run", many, resume=True)), whole)


def test_what_workers_are_sent_survives_the_way(toy):
    """Emulator and distributions, pickled."""
    settings = bound_settings("fast", {"priors": {"teff": dist.TruncatedNormal(5000.0, 100.0, low=4000.0)}})
    work = FitJob(load_emulator(toy), settings, READING)
    found = pickle.loads(pickle.dumps(work))  # noqa: S301
    labels = (work.emulator.lower + work.emulator.upper) / 2
    np.testing.assert_array_equal(found.emulator.flux(labels), work.emulator.flux(labels))
    prior, expected = found.settings.priors["teff"], settings.priors["teff"]
    assert prior.log_prob(4900.0) == expected.log_prob(4900.0)
    assert found.emulator.network == work.emulator.network, "what is compiled for one serves the other"


def test_without_dask_the_extra_is_named(quick, many, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "bayne.catalog.distributed")
    with pytest.raises(BayneError, match=r"pip install 'bayne\[distributed\]'"):
        quick(tmp_path / "run", many, scheduler="tcp://127.0.0.1:9")


def test_shard_and_scheduler_exclude_each_other(quick, many, tmp_path):
    with pytest.raises(BayneError, match="choose one"):
        quick(tmp_path / "run", many, scheduler="tcp://127.0.0.1:9", shard=(0, 2))
    assert not (tmp_path / "run").exists()

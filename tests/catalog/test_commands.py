"""``bayne fit-catalog``, ``merge`` and ``validate``: from a catalogue to a table, with the exit codes promised."""

import pytest
from typer.testing import CliRunner

import bayne.catalog
from bayne.catalog import run as module
from bayne.cli import app
from catalog.quick import LABELS, quick_fit

READ = ("--medium", "vacuum", "--read", "unit=Angstrom")


@pytest.fixture
def call(monkeypatch, tmp_path):
    monkeypatch.setenv("BAYNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "fit_checked", quick_fit)
    monkeypatch.setattr("bayne.cli.common.cache_compilations", lambda: None)

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


def test_from_a_catalogue_to_a_table(call, stars, toy, tmp_path):
    words = ("fit-catalog", stars / "stars.ecsv", "-e", toy, "-o", tmp_path / "run", "--block", 3, *READ)
    done = call(*words)
    assert done.exit_code == 3, done.output
    assert "10 stars, 3 must not be used: 3 FAILED" in done.stdout
    again = call(*words)
    assert again.exit_code == 1
    assert "has a run already: go on with resume" in again.stderr
    assert call(*words, "--resume").exit_code == 3
    assert call("validate", tmp_path / "run").stdout.strip() == "all is there"
    merged = call("merge", tmp_path / "run", "--output", tmp_path / "stars.fits")
    assert merged.exit_code == 0
    assert "10 rows" in merged.stdout
    assert "7 stars are ok" in merged.stdout
    refused = call("merge", tmp_path / "run", "--output", tmp_path / "stars.fits")
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr


def test_all_well_is_exit_0_and_something_missing_exit_1(call, stars, toy, tmp_path):
    pattern = stars / "spectra" / "[0-2].csv"
    assert call("fit-catalog", pattern, "-e", toy, "-o", tmp_path / "run", *READ).exit_code == 0
    (tmp_path / "run" / "rows" / "block-000000.parquet").unlink()
    wrong = call("validate", tmp_path / "run")
    assert wrong.exit_code == 1
    assert "1 of 1 blocks are missing, 3 of 3 stars" in wrong.stdout


def test_options_reach_the_function(call, toy, monkeypatch, tmp_path):
    given = {}

    def fit_catalog(catalogue, emulator, output, **options):
        given.update(options, catalogue=catalogue, labels=emulator.label_names, output=output)
        raise bayne.BayneError("enough")

    monkeypatch.setattr(bayne.catalog, "fit_catalog", fit_catalog)
    words = """--spectra {spectrum_id}.fits --method map --block 5 --shard 2/8 --resume --keep-spectra --format table
        --read row=3 --instrument hermes --resolution 28000 --snr 80,90 --free rv --fix mg_fe=0 --prior teff=5000,100
        --continuum 6 --no-jitter --no-robust --no-emulator-error --debug --seed 7"""
    done = call("fit-catalog", "stars.fits", "-e", toy, "-o", tmp_path / "run", *words.split())
    assert done.exit_code == 1
    assert "enough" in done.stderr
    del given["tell"]
    assert given == {
        "catalogue": "stars.fits", "labels": LABELS[:4], "output": tmp_path / "run", "spectra": "{spectrum_id}.fits",
        "method": "map", "block": 5, "shard": (2, 8), "scheduler": None, "resume": True, "overwrite": False,
        "keep_spectra": True, "reading": {"format": "table", "row": 3}, "instrument": "hermes",
        "resolution": 28000.0, "snr": [80.0, 90.0], "sampler": bayne.Sampler(),
        "priors": {"teff": (5000.0, 100.0)}, "fixed": {"mg_fe": 0.0}, "free": ("rv",), "continuum": 6,
        "emulator_error": False, "jitter": False, "robust": False, "debug": True, "seed": 7,
    }  # fmt: skip


@pytest.mark.parametrize("shard", ["1", "1/", "a/b", "-1/2"])
def test_a_shard_is_two_numbers(call, toy, tmp_path, shard):
    wrong = call("fit-catalog", "stars.fits", "-e", toy, "-o", tmp_path / "run", f"--shard={shard}")
    assert wrong.exit_code == 2
    assert "should look like 0/8" in " ".join(wrong.stderr.split())


@pytest.mark.parametrize("command", ["fit-catalog", "merge", "validate"])
def test_help_shows_an_example(call, command):
    shown = call(command, "--help").output
    assert f"bayne {command} " in shown.split("Example")[1]
    assert "--log-level" in shown

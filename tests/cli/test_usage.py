"""Help, wrong usage, errors in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import pytest
from typer.testing import Result

from bayne.cache import cache_folder

Run = Callable[..., Result]
COMMANDS = ("fit", "compare", "demo", "train", "finetune", "compile", "evaluate", "grid", "mock", "info", "report")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"bayne {command} " in result.output.split("Example")[1]
    assert "--log-level" in result.output


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "info"])
def test_commands_that_write_can_overwrite(run: Run, command: str) -> None:
    assert "--overwrite" in run(command, "--help").output


@pytest.mark.parametrize(
    "command",
    ["fit", "compare", "demo", "train", "finetune", "compile", "mock", "evaluate", "grid", "report", "fit-catalog"],
)
def test_random_commands_have_a_seed(run: Run, command: str) -> None:
    assert "--seed" in run(command, "--help").output


def test_help_lists_all_commands(run: Run) -> None:
    output = run("--help").output
    assert all(command in output for command in COMMANDS)
    assert "Exit codes" in output


@pytest.mark.parametrize(
    "words",
    [
        ("fits",),
        ("fit",),
        ("fit-catalog", "stars.fits", "--output", "run"),
        ("fit", "star.fits", "--emulator"),
        ("fit", "star.fits", "-e", "demo", "--method", "gibbs"),
        ("fit", "star.fits", "-e", "demo", "--seed", "one"),
        ("fit", "star.fits", "-e", "demo", "--medium", "water"),
        ("report",),
        ("info", "--log-level", "loud"),
    ],
)
def test_wrong_usage_exits_with_2(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Error: " in result.output


@pytest.mark.parametrize(
    ("option", "text", "hint"),
    [
        ("--fix", "logg", "should look like logg=4.4"),
        ("--fix", "logg=", "should look like logg=4.4"),
        ("--fix", "logg=high", "'high' is not a number"),
        ("--fix", "logg=nan", "'nan' is not a number"),
        ("--prior", "teff=5000", "should look like teff=5000,100"),
        ("--prior", "teff", "should look like teff=5000,100"),
        ("--prior", "teff=5000,wide", "'wide' is not a number"),
        ("--prior", "teff=5000,0", "must be positive"),
        ("--prior", "teff=5000,-10", "must be positive"),
        ("--continuum", "four", "Chebyshev order such as 4, or none"),
        ("--continuum", "-1", "Chebyshev order such as 4, or none"),
        ("--snr", "good", "'good' is not a number"),
    ],
)
def test_malformed_options_are_explained(run: Run, option: str, text: str, hint: str) -> None:
    result = run("fit", "star.fits", "-e", "demo", option, text)
    assert result.exit_code == 2
    assert hint in " ".join(result.stderr.split())
    assert option in result.stderr


def test_unknown_reading_option_is_explained(run: Run) -> None:
    result = run("info", "star.fits", "--read", "vist=1")
    assert result.exit_code == 2
    assert "Did you mean 'visit'?" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        ("fit", "missing.fits", "-e", "demo"),
        ("info", "missing.fits"),
        ("info", "missing.nc"),
        ("report", "missing.nc"),
    ],
)
def test_missing_file_is_one_line_and_exit_1(
    run: Run, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "missing" in lines[0]


def test_importing_the_commands_is_quick() -> None:
    code = "import sys, bayne.cli; print([m for m in ('jax', 'astropy', 'arviz', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_compilations_are_cached(run: Run, tmp_path: Path) -> None:
    assert run("info").exit_code == 0
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "cache" / "jax")
    assert jax.config.jax_persistent_cache_min_compile_time_secs == pytest.approx(0.3)


def test_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BAYNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "bayne"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "bayne"

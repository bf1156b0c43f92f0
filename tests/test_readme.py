"""What README and docs tell people to type works."""

from __future__ import annotations

import ast
import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest
from typer.testing import CliRunner

import bayne
from bayne.cli import app
from bayne.emulators.choose import CALIBRATED
from bayne.emulators.load import shipped

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = [page for page in PAGES if "_build" not in page.parts]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def blocks(page: Path, language: str) -> list[str]:
    """Fenced code blocks of one language; a notebook's cells are Python unless they begin with ! or %."""
    text = page.read_text(encoding="utf-8")
    if language == "python":
        language = r"(?:python|\{code-cell\} ipython3(?!\n[!%]))"
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def cells(page: Path, magic: str) -> list[str]:
    """Cells of a notebook that begin with ! or %."""
    return [text for text in blocks(page, r"\{code-cell\} ipython3") if text.startswith(magic)]


def commands(page: Path) -> list[list[str]]:
    """Words of every `bayne ...` line in shell blocks and cells, continuation lines joined, comments dropped."""
    typed = [re.sub("^!", "", cell, flags=re.MULTILINE) for cell in cells(page, "!")]
    text = "\n".join([*blocks(page, "shell"), *typed]).replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [words for words in lines if words[:1] == ["bayne"]]


@functools.cache
def help_of(*command: str) -> tuple[int, str]:
    script = Path(sys.executable).with_name("bayne")
    environment = os.environ | {"COLUMNS": "300", "TERM": "dumb", "NO_COLOR": "1"}
    run = subprocess.run(
        [script, *command, "--help"], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    return run.returncode, run.stdout


def wrong(words: list[str]) -> list[str]:
    """What a command line names that `bayne` does not have."""
    _, command, *rest = words
    code, text = help_of(command)
    if code != 0:
        return [command]
    options = [word.partition("=")[0] for word in rest if word.startswith("-")]
    return [option for option in options if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text)]


@every_page
def test_commands_exist_with_their_options(page: Path) -> None:
    for words in commands(page):
        assert wrong(words) == [], " ".join(words)


def test_readme_and_tutorial_name_commands() -> None:
    assert commands(ROOT / "README.md")
    assert commands(ROOT / "docs" / "tutorial" / "first-star.md")


def test_a_wrong_command_is_found() -> None:
    assert wrong(["bayne", "fitt", "star.fits"]) == ["fitt"]
    assert wrong(["bayne", "fit", "star.fits", "--emulatr", "x"]) == ["--emulatr"]


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path = target.partition("#")[0]
        if path and "://" not in path:
            assert (page.parent / path).exists(), target


@every_page
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    code = "\n".join([*blocks(page, "shell"), *re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))])
    for target in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@every_page
def test_python_blocks_are_python(page: Path) -> None:
    for code in blocks(page, "python"):
        ast.parse(code)


def run_quickly(code: str) -> dict[str, Any]:
    """Run a page's own code; only the method is a quicker one."""
    quick, count = re.subn(r"(fit_star\(spectrum, emulator)(, method=\"\w+\")?\)", r"\1, method='laplace')", code)
    assert count == 1
    scope: dict[str, Any] = {}
    exec(quick, scope)
    return scope


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/first-star.md"])
def test_the_example_star_is_fitted(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(code for code in blocks(ROOT / page, "python") if "numpyro" not in code)
    result = run_quickly(code)["result"]
    assert result.ok, result.messages
    assert (tmp_path / "star.html").stat().st_size > 10_000
    assert (tmp_path / "star.nc").exists()


def test_the_numpyro_model_is_sampled(capsys: pytest.CaptureFixture[str]) -> None:
    """As the README says, on fewer lines and with fewer draws."""
    (code,) = [code for code in blocks(ROOT / "README.md", "python") if "numpyro" in code]
    quick = code.replace("emulator, priors", "emulator, windows=[(4830, 4850)], priors")
    quick = quick.replace("dense_mass=True", "dense_mass=True, max_tree_depth=2")
    quick, count = re.subn(r"=500", "=8", quick)
    assert count == 2
    scope: dict[str, Any] = {"bayne": bayne, "emulator": bayne.load_emulator("galah")}
    scope["spectrum"] = bayne.read_spectrum(ROOT / "src" / "bayne" / "examples" / "demo_star.ecsv")
    # the README's switch is for a process; here it must not outlive the test
    with jax.enable_x64(True):
        exec(quick.replace("numpyro.enable_x64()", ""), scope)
    assert "mg_fe" in capsys.readouterr().out


def test_from_a_line_list_to_a_star(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tutorial's own files, commands and code, with fewer spectra and a quicker method."""
    page = ROOT / "docs" / "tutorial" / "from-a-line-list.md"
    monkeypatch.chdir(tmp_path)
    for cell in cells(page, "%%writefile"):
        first, _, text = cell.partition("\n")
        Path(first.split()[1]).write_text(text.replace("number = 120", "number = 60"), encoding="utf-8")
    for words in commands(page):
        run = CliRunner().invoke(app, [{"fast": "map"}.get(word, word) for word in words[1:]])
        assert run.exit_code == 0, (words, run.output)
    scope = run_quickly("\n".join(blocks(page, "python")))
    row = {str(row["label"]): row for row in scope["result"].table}
    for label, largest in {"teff": 150.0, "fe_h": 0.15, "rv": 0.5}.items():
        assert row[label]["std"] < largest, label
        assert abs(row[label]["median"] - scope["truth"][label]) < 4 * row[label]["std"], label


def test_published_network_fits_a_star(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (
        "networks/binspec_NN_normalized_spectra.npz",
        "networks/binspec_apogee_wavelength.npz",
        "spectra/apogee_2M13012770.npz",
    ):
        (tmp_path / Path(file).name).symlink_to(shared / file)
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(ROOT / "docs" / "how-to" / "use-a-published-network.md", "python")
    table = run_quickly(code)["result"].table
    assert 4200 < table[table["label"] == "teff"]["median"][0] < 5500, "a cool dwarf"


def test_flags_in_the_docs_can_be_asked_for() -> None:
    for code in blocks(ROOT / "docs" / "reference" / "flags.md", "python"):
        exec(code, {"__name__": "docs"})


def test_spectrum_from_arrays_in_the_docs() -> None:
    (code,) = [c for c in blocks(ROOT / "docs" / "how-to" / "read-your-spectra.md", "python") if "from_arrays" in c]
    scope: dict[str, Any] = {}
    exec(code, scope)
    assert scope["spectrum"].n_good == 2000


def test_card_in_the_docs_is_the_shipped_one() -> None:
    text = (ROOT / "docs" / "how-to" / "use-a-published-network.md").read_text(encoding="utf-8")
    (path,) = re.findall(r"^```\{literalinclude\} (\S+)", text, re.MULTILINE)
    assert (ROOT / "docs" / "how-to" / path).resolve().name == "binspec_apogee.json"


def test_errors_in_the_readme_are_those_on_the_cards() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]*\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    assert sorted(name for name, *_ in rows) == sorted(name for name in shipped() if not name.endswith(CALIBRATED))
    for name, *told in rows:
        found = bayne.load_emulator(name).card.held_out_error
        for value, key in zip(told, ("mae", "median_star_mae", "worst_star_mae"), strict=True):
            assert float(value) == pytest.approx(found[key], abs=0.5 * 10 ** -len(value.partition(".")[2])), (name, key)

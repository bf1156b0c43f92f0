"""The layout holds: imports go down the list, importing is quick, emulators need no edge packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BASE = (
    "spectrum",
    "lsf",
    "equality",
    "labels",
    "instrument",
    "flags",
    "errors",
    "registry",
    "settings",
    "wavelength",
    "files",
    "batching",
    "precision",
    "cache",
)

#: From the top to the bottom; the packages or modules of one row may import each other.
ORDER: tuple[tuple[str, ...], ...] = (
    ("__init__", "__main__", "cli"),  # commands are thin shells over the public names
    ("reports",),
    ("catalog",),
    ("amortized",),
    ("calibration",),
    ("inference",),
    ("information",),
    ("likelihoods",),
    ("training",),
    ("synthesis",),
    ("forward",),
    ("emulators",),
    ("surveys",),
    BASE,
)
RANK = {name: rank for rank, row in enumerate(ORDER) for name in row}


def imported(tree: ast.AST, package: tuple[str, ...], modules: set[tuple[str, ...]]) -> Iterator[tuple[int, str]]:
    """Line and top-level part ("forward", "spectrum", "__init__") of every import of bayne, functions included."""
    for node in ast.walk(tree):
        targets: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            targets = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            source = (*start, *(node.module or "").split(".")) if node.module else start
            targets = [(*source, alias.name) if (*source, alias.name) in modules else source for alias in node.names]
        for target in targets:
            if target[0] == "bayne":
                yield node.lineno, target[1] if len(target) > 1 else "__init__"


def violations(source: Path) -> list[str]:
    """Imports under `source` (the folder of the package bayne) that go up the list, and what is not on it."""
    found = []
    files = {path.relative_to(source).with_suffix("").parts: path for path in source.rglob("*.py")}
    modules = {("bayne", *(parts[:-1] if parts[-1] == "__init__" else parts)) for parts in files}
    for parts, path in sorted(files.items()):
        here = parts[0]
        if here not in RANK:
            found.append(f"{path.relative_to(source)}: {here!r} has no place in the layout")
            continue
        for line, there in imported(ast.parse(path.read_text()), ("bayne", *parts[:-1]), modules):
            if there not in RANK:
                found.append(f"{path.relative_to(source)}:{line}: {there!r} has no place in the layout")
            elif RANK[there] < RANK[here]:
                found.append(f"{path.relative_to(source)}:{line}: {here} imports {there}, which is above it")
    return found


def test_imports_go_down(root: Path) -> None:
    source = root / "src" / "bayne"
    assert len(list(source.rglob("*.py"))) > 20
    assert violations(source) == []


@pytest.mark.parametrize(
    "statement",
    [
        "from ..inference import fit_star",
        "from .. import inference",
        "from bayne.inference.fit import fit_star",
        "import bayne.inference.fit",
        "def f():\n    from ..inference import fit_star",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..inference import fit_star",
        "from .. import fit_star",
        "from bayne import fit_star",
        "import bayne",
        "from ..nowhere import x",
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, statement: str) -> None:
    for folder in ("forward", "inference"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "__init__.py").touch()
    (tmp_path / "spectrum.py").touch()
    (tmp_path / "inference" / "fit.py").write_text("from ..forward.shift import x\nfrom ..spectrum import Spectrum\n")
    (tmp_path / "forward" / "shift.py").write_text("import numpy\nfrom .. import spectrum\nfrom . import shift\n")
    assert violations(tmp_path) == []
    (tmp_path / "forward" / "shift.py").write_text(statement + "\n")
    assert len(violations(tmp_path)) == 1


def test_a_module_without_a_place_is_found(tmp_path: Path) -> None:
    (tmp_path / "utils.py").touch()
    assert violations(tmp_path) == ["utils.py: 'utils' has no place in the layout"]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


def test_importing_bayne_loads_nothing_heavy_and_changes_nothing() -> None:
    run = python(
        """
import logging, os, sys, warnings
before = dict(os.environ), list(warnings.filters), list(logging.getLogger().handlers), set(sys.modules)
import bayne
assert before[:3] == (dict(os.environ), list(warnings.filters), list(logging.getLogger().handlers))
new = set(sys.modules) - before[3]
heavy = {"jax", "numpy", "scipy", "astropy", "matplotlib", "arviz", "numpyro", "typer"}
assert not heavy & {name.split(".")[0] for name in new}, heavy & new
assert "fit_star" in dir(bayne)
"""
    )
    assert run.returncode == 0, run.stderr


def test_no_module_changes_the_configuration_of_jax_or_numpy() -> None:
    run = python(
        """
import jax, numpy as np
before = jax.config.values.copy(), np.geterr(), np.get_printoptions()
import bayne
for name in bayne.__all__:
    getattr(bayne, name)
assert before[0] == jax.config.values, [k for k, v in before[0].items() if jax.config.values[k] != v]
assert before[1:] == (np.geterr(), np.get_printoptions())
"""
    )
    assert run.returncode == 0, run.stderr


BARE = """
import sys

class Blocked:
    # not rich: flax imports it
    names = {"astropy", "specutils", "arviz", "xarray", "pandas", "matplotlib", "numpyro", "blackjax", "corner",
             "typer"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def test_emulators_and_training_import_on_a_bare_node() -> None:
    run = python(BARE + "import bayne.emulators, bayne.training; bayne.load_emulator('galah')")
    assert run.returncode == 0, run.stderr
    twin = python(BARE + "import bayne.inference")
    assert twin.returncode != 0, "the hook blocks nothing"
    assert "blocked" in twin.stderr

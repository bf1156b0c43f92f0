"""What the tests of the commands share."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from typer.testing import CliRunner, Result

from bayne.cli import app


@pytest.fixture(autouse=True)
def clean_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of its own, and the settings of the process as they were."""
    monkeypatch.setenv("BAYNE_CACHE", str(tmp_path / "cache"))
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    logger = logging.getLogger("bayne")
    handlers, level = logger.handlers, logger.level
    with warnings.catch_warnings():
        yield
    for name, value in before.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
    logger.handlers, logger.level = handlers, level


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run a command line of strings and paths."""

    def call(*words: Any) -> Result:
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call

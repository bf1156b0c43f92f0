"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from bayne.batching import forget_functions_if_many

ROOT = Path(__file__).parents[1]

#: Folders whose tests share fixtures or compiled functions; files whose parametrised fits are long and share nothing.
TOGETHER, APART = ("catalog", "inference"), ("test_calibration.py",)


def group(nodeid: str) -> str:
    """Tests of one group run in one worker: those of a file, of a folder of `TOGETHER`, of a parameter in `APART`."""
    file, _, test = nodeid.partition("::")
    path = PurePosixPath(file)
    if path.name in APART:
        return f"{file}{test.partition('[')[2]}"
    return path.parts[1] if path.parts[1] in TOGETHER else file


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups begin first: workers take groups in this order."""
    order = [*APART, *TOGETHER]
    items.sort(key=lambda item: next((i for i, part in enumerate(order) if part in item.path.parts), len(order)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share tests out by `group`."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return ByGroup(config, log)


@pytest.fixture(scope="module", autouse=True)
def few_compiled_functions() -> Iterator[None]:
    """Forget compiled functions before they are too many for one process."""
    yield
    forget_functions_if_many()


@pytest.fixture(scope="session")
def root() -> Path:
    """Root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real spectra and published networks beside the repository; tests that need it skip without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the folder of real spectra and networks beside the repository")
    return folder

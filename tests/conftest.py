"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parents[1]

#: Memory maps of a process beyond which compiled functions are forgotten. XLA makes about nine for each function on a
#: CPU, and aborts where Linux allows no more (vm.max_map_count, 65,530).
MANY_MAPS = 25_000


#: Folders whose tests share fits, and files whose parametrised fits are long and share nothing.
TOGETHER, APART = ("catalog", "inference"), ("test_calibration.py",)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share fixtures or compiled functions go to one worker; the longest groups begin first."""
    for item in items:
        path = item.path.relative_to(ROOT / "tests")
        group = path.parts[0] if path.parts[0] in TOGETHER else path.as_posix()
        if path.name in APART:
            group += str(getattr(item, "callspec", None) and item.callspec.id)
        item.add_marker(pytest.mark.xdist_group(group))
    order = [*APART, *TOGETHER]
    items.sort(key=lambda item: next((i for i, part in enumerate(order) if part in item.path.parts), len(order)))


@pytest.fixture(scope="module", autouse=True)
def few_compiled_functions() -> Iterator[None]:
    """Forget compiled functions before they are too many for one process."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > MANY_MAPS:
        jax.clear_caches()


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

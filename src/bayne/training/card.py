"""The card of an emulator that is trained on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scipy.spatial import ConvexHull

from ..emulators import Card
from ..emulators.card import HULL_LABELS
from .grid import Grid


def grid_card(grid: Grid, name: str, network: str, architecture: Mapping[str, Any] | None = None) -> Card:
    """Card with the labels, the domain and the provenance of a grid."""
    hull: tuple[tuple[float, float, float], ...] = ()
    if set(HULL_LABELS) <= set(grid.names):
        points = grid.labels[:, [grid.names.index(n) for n in HULL_LABELS]]
        hull = tuple(tuple(row) for row in points[ConvexHull(points).vertices].tolist())
    return Card(
        name=name,
        network=network,
        architecture={k: list(v) if isinstance(v, tuple) else v for k, v in (architecture or {}).items()},
        labels=grid.names,
        units=grid.units,
        lower=tuple(grid.labels.min(0).tolist()),
        upper=tuple(grid.labels.max(0).tolist()),
        medium="vacuum",
        resolution=float(grid.attributes["resolution"]),
        hull=hull,
        solar_scale=grid.attributes["solar_scale"],
        grid_hash=grid.hash,
        citations=tuple(grid.attributes[k] for k in ("synthesis", "atmospheres", "linelist") if k in grid.attributes),
        license=grid.attributes.get("license", ""),
    )

"""Grids in, trained emulators out."""

from .grid import Grid, read_grid
from .kernel import train_kernel

__all__ = ["Grid", "read_grid", "train_kernel"]

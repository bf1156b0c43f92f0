"""Grids in, trained emulators out."""

from .compiling import compile
from .config import Config, Training, read_config
from .evaluate import Evaluation, evaluate
from .grid import Grid, read_grid
from .kernel import train_kernel
from .train import finetune, train

__all__ = [
    "Config",
    "Evaluation",
    "Grid",
    "Training",
    "compile",
    "evaluate",
    "finetune",
    "read_config",
    "read_grid",
    "train",
    "train_kernel",
]

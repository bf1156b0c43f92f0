"""Emulators of synthetic spectra: networks, cards, and readers of published files."""

from . import kernel as kernel
from . import payne as payne
from .card import Card
from .emulator import Emulator, ErrorModel
from .load import load_emulator, save_emulator, shipped
from .networks import NETWORKS, Network, register

__all__ = [
    "NETWORKS",
    "Card",
    "Emulator",
    "ErrorModel",
    "Network",
    "load_emulator",
    "register",
    "save_emulator",
    "shipped",
]

"""Emulators of synthetic spectra: networks, cards, and readers of published files."""

from . import convolutional as convolutional
from . import intensities as intensities
from . import kernel as kernel
from . import linear as linear
from . import patch as patch
from . import payne as payne
from . import payne_large as payne_large
from . import species as species
from . import transformer as transformer
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

"""Reference stars in, corrected emulators and what is left of their errors out."""

from .departures import read_departures
from .grades import graded_strengths
from .reference import Calibrated, calibrate, learn

__all__ = ["Calibrated", "calibrate", "graded_strengths", "learn", "read_departures"]

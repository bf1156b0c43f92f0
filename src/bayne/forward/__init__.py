"""From a rest-frame model spectrum to the pixels of an instrument."""

from .lsf import TooSharp
from .plan import VELOCITY_MARGIN, ForwardModel, Plan, plan

__all__ = ["VELOCITY_MARGIN", "ForwardModel", "Plan", "TooSharp", "plan"]

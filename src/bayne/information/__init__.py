"""What a spectrum can know: Fisher matrices and Cramér-Rao bounds."""

from .fisher import bounds, fisher_matrix

__all__ = ["bounds", "fisher_matrix"]

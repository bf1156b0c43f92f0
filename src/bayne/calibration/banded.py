"""Linear systems whose matrix is a band."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csr_array

from ..spectrum import FloatArray

#: Least size of a block: matrix products of smaller ones cost more in calls than in arithmetic.
BLOCK = 64


class Banded:
    """Block Cholesky factor of a positive definite sparse matrix (q, q) whose entries lie near the diagonal.

    Right-hand sides by the thousand make LAPACK's banded solver, one at a time, many times slower.
    """

    def __init__(self, matrix: csr_array) -> None:
        found = matrix.tocoo()
        size = matrix.shape[0]
        width = int(np.max(np.abs(found.row - found.col), initial=0))
        b = max(width, BLOCK)
        self.size, self.blocks = size, -(-size // b)
        diagonal = np.zeros((self.blocks, b, b))
        below = np.zeros((self.blocks, b, b))  # between a block and the one before
        row, column = found.row // b, found.col // b
        same, next_ = row == column, row == column + 1
        np.add.at(diagonal, (row[same], found.row[same] % b, found.col[same] % b), found.data[same])
        np.add.at(below, (row[next_], found.row[next_] % b, found.col[next_] % b), found.data[next_])
        for i in range(size, self.blocks * b):
            diagonal[-1, i % b, i % b] = 1.0
        self.lower, self.left = diagonal, below
        for k in range(self.blocks):
            own = diagonal[k]
            if k:
                below[k] = solve_triangular(diagonal[k - 1], below[k].T, lower=True, check_finite=False).T
                own = own - below[k] @ below[k].T
            diagonal[k] = cholesky(own, lower=True, check_finite=False)

    def solve(self, right: FloatArray) -> FloatArray:
        """Solution (q,) or (q, m)."""
        b = self.lower.shape[1]
        x = np.zeros((self.blocks * b, *right.shape[1:]))
        x[: self.size] = right
        parts = x.reshape(self.blocks, b, -1)
        for k in range(self.blocks):
            if k:
                parts[k] -= self.left[k] @ parts[k - 1]
            parts[k] = solve_triangular(self.lower[k], parts[k], lower=True, check_finite=False)
        for k in reversed(range(self.blocks)):
            if k + 1 < self.blocks:
                parts[k] -= self.left[k + 1].T @ parts[k + 1]
            parts[k] = solve_triangular(self.lower[k], parts[k], lower=True, trans=1, check_finite=False)
        return x[: self.size]

    def inverse_diagonal(self) -> FloatArray:
        """(q,) diagonal of the inverse, by the recurrence of Takahashi, Fagan & Chin (1973, 8th PICA Conf., 63)."""
        b = self.lower.shape[1]
        out = np.empty((self.blocks, b))
        after = np.zeros((b, b))
        for k in reversed(range(self.blocks)):
            own = solve_triangular(self.lower[k], np.eye(b), lower=True, check_finite=False)
            block = own.T @ own
            if k + 1 < self.blocks:
                link = self.left[k + 1] @ own
                block = block + link.T @ after @ link
            out[k], after = np.diagonal(block), block
        return out.ravel()[: self.size]

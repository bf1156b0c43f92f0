"""Systems whose matrix is a band, against dense ones."""

import numpy as np
from scipy.sparse import csr_array

from bayne.calibration.banded import Banded


def test_solutions_and_the_diagonal_of_the_inverse():
    rng = np.random.default_rng(0)
    size, width = 500, 27
    lower = np.tril(rng.normal(size=(size, size)))
    lower[np.abs(np.subtract.outer(range(size), range(size))) > width] = 0
    matrix = lower @ lower.T + np.eye(size)
    banded, right = Banded(csr_array(matrix)), rng.normal(size=(size, 3))
    np.testing.assert_allclose(banded.solve(right), np.linalg.solve(matrix, right), atol=1e-10)
    np.testing.assert_allclose(banded.solve(right[:, 0]), np.linalg.solve(matrix, right[:, 0]), atol=1e-10)
    np.testing.assert_allclose(banded.inverse_diagonal(), np.diag(np.linalg.inv(matrix)), atol=1e-10)

"""Labels of a grid: spread evenly over ranges, or about an observed population."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy.stats import qmc

from ..errors import BayneError
from ..spectrum import FloatArray

#: Points that are drawn at a time, and after how many without one inside the search is given up.
CHUNK, PATIENCE = 256, 100


def points(
    ranges: Mapping[str, tuple[float, float]],
    inside: Callable[[FloatArray], np.ndarray],
    seed: int,
    population: FloatArray | None = None,
) -> Iterator[tuple[int, FloatArray]]:
    """Place in the sequence and labels (l,), without end; what is not inside is left out.

    A scrambled Sobol sequence (Owen 1998, J. Complexity 14, 466) is spread evenly however far it goes, so that a grid
    can be continued. Its points have a pattern, in which every tenth is far from a random choice; so each chunk is
    given in a random order.

    Parameters
    ----------
    ranges
        Lowest and highest value by label; about a population, the offsets from it.
    inside
        (k, l) labels to (k,) True where there is a model atmosphere.
    seed
        Of the scrambling and the order.
    population
        (m, l) labels of observed stars, one of which every point is about.

    Raises
    ------
    BayneError
        Nothing is inside.
    """
    low, high = np.array(list(ranges.values()), dtype=np.float64).T
    more = 0 if population is None else 1
    sequence = qmc.Sobol(low.size + more, scramble=True, seed=seed)
    rng = np.random.default_rng((seed, 1))  # Sobol makes its own generator of the seed alone
    place, empty = 0, 0
    while True:
        drawn = rng.permutation(sequence.random(CHUNK))
        labels = low + (high - low) * drawn[:, more:]
        if population is not None:
            labels = labels + population[(drawn[:, 0] * len(population)).astype(int)]
        good = np.asarray(inside(labels), dtype=bool)
        empty = 0 if good.any() else empty + 1
        if empty == PATIENCE:
            raise BayneError(f"of {PATIENCE * CHUNK} points none is inside the grid of model atmospheres: see [labels]")
        for i in np.flatnonzero(good):
            yield place + int(i), labels[i]
        place += CHUNK

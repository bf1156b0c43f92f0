"""Which wavelengths answer to which label, and whether they are that element's lines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator
from ..emulators.coordinates import hydrogen_matrix
from ..emulators.networks import Params
from ..emulators.transformer import Transformer
from ..precision import double
from ..spectrum import FloatArray
from ..synthesis.lines import known_lines

#: The star whose maps are made: the Sun (Prša et al. 2016; usual vmic), [X/Fe] = 0; or the nearest in the domain.
SUN = {"teff": 5772.0, "logg": 4.44, "fe_h": 0.0, "vmic": 1.0}

#: A pixel sits on a line when it is this close to it, Å: about a line's full width at R = 50,000.
NEAR = 0.2

#: Random shifts of a map behind a p-value, and the p-value below which an element passes.
SHIFTS, PASS = 9999, 0.01


@dataclass(frozen=True)
class LineMap:
    """How strongly cells of the spectrum answer to labels or attend to tokens.

    Parameters
    ----------
    kind
        ``"gradient"``: |d flux / d label| with abundances as [X/H], of which ``fe_h`` is iron alone;
        ``"attention"``: mean weight over layers and heads.
    names
        Element of each row, such as ``"Mg"``; other labels and tokens under their own name.
    values
        (m, c) for m names and c cells.
    cell
        (p,) cell of each pixel, increasing: cells are pixels, or the patches that share a query.
    """

    kind: str
    names: tuple[str, ...]
    values: FloatArray
    cell: np.ndarray


@dataclass(frozen=True)
class LineTest:
    """Whether the strongest cells of an element's map sit on that element's lines.

    Parameters
    ----------
    kind, element
        Which map.
    lines
        Number of lines in the table.
    cells
        Number k of cells near them, and of strongest cells looked at.
    share
        Of these k, the share that is near a line.
    expected
        Mean share for the shifted maps.
    p
        Share of maps, shifted at random, that do as well.
    control
        The same p-value for a map that is known to be wrong: that of another element, the next in number of lines.
    """

    kind: str
    element: str
    lines: int
    cells: int
    share: float
    expected: float
    p: float
    control: float

    @property
    def passed(self) -> bool:
        """p < 0.01."""
        return self.p < PASS


def sun_of(emulator: Emulator) -> FloatArray:
    """(l,) labels of the Sun, or the nearest ones in the box of the domain."""
    middle = 0.5 * (emulator.lower + emulator.upper)
    known = [
        SUN.get(name, 0.0 if name.endswith("_fe") else value)
        for name, value in zip(emulator.label_names, middle, strict=True)
    ]
    return np.clip(known, emulator.lower, emulator.upper)


def gradient_map(emulator: Emulator) -> LineMap:
    """Map of the flux's derivatives at the Sun: for any network."""
    derivative = emulator.gradient(sun_of(emulator))
    # with [X/H] in place of [X/Fe], iron no longer carries every other element along
    by_hydrogen = np.linalg.solve(hydrogen_matrix(emulator.label_names).T, derivative)
    names = tuple(map(_element, emulator.label_names))
    return LineMap("gradient", names, np.abs(by_hydrogen), np.arange(emulator.wavelength.size))


@double
def attention_map(emulator: Emulator) -> LineMap | None:
    """Map of the weights with which wavelengths attend to tokens at the Sun; None for a network without them."""
    network, params = emulator.network, emulator.params
    if not isinstance(network, Transformer):
        return None
    blocks, width = params["pixels"].shape
    weights = np.asarray(_attention(network, params, jnp.asarray(sun_of(emulator)), blocks), dtype=np.float64)
    # `order` says which output of which block is a pixel; cells are blocks in the order of their wavelengths
    block, cell = np.unique(np.asarray(params["order"]) // width, return_inverse=True)
    return LineMap("attention", network.token_names(emulator.label_names), weights[block].T, cell)


@partial(jax.jit, static_argnums=(0, 3))
def _attention(network: Transformer, params: Params, labels: jax.Array, blocks: int) -> jax.Array:
    def mean(block: jax.Array) -> jax.Array:
        return network.attention(params, labels, block[None]).mean((0, 1))[0]

    return jax.lax.map(mean, jnp.arange(blocks), batch_size=512)


def line_tests(line_map: LineMap, wavelength: FloatArray, segment: np.ndarray, seed: int = 0) -> tuple[LineTest, ...]:
    """Test every element of a map that has pixels near its lines in the table of known lines; none if only one has.

    Statistic: the share of the k strongest cells that are near a line of the element, k being the number of cells
    near its lines. Null distribution: the same for maps shifted around inside each window by random amounts, which
    keeps their smoothness (a permutation test: Fisher 1935; Good 2005).

    Parameters
    ----------
    line_map
        From `gradient_map` or `attention_map`.
    wavelength, segment
        (p,) vacuum Å, and window of each pixel.
    seed
        Of the shifts.
    """
    window = segment[np.unique(line_map.cell, return_index=True)[1]]
    lines = {name: lines_of(name, wavelength, segment) for name in line_map.names}
    cells = {name: _near(lines[name], line_map, wavelength, window.size) for name in lines}
    elements = sorted((name for name in lines if cells[name].any()), key=lambda name: -lines[name].size)
    tests = []
    for i, element in enumerate(elements if len(elements) > 1 else []):
        rng = np.random.default_rng([seed, i])
        near = cells[element]
        wrong = elements[i + 1 if i + 1 < len(elements) else i - 1]
        own, other = (line_map.values[line_map.names.index(name)] for name in (element, wrong))
        share, expected, p = _test(own, near, window, rng)
        control = _test(other, near, window, rng)[2]
        tests.append(
            LineTest(line_map.kind, element, lines[element].size, int(near.sum()), share, expected, p, control)
        )
    return tuple(tests)


def _near(lines: FloatArray, line_map: LineMap, wavelength: FloatArray, cells: int) -> np.ndarray:
    """(c,) True for cells with a pixel near one of the lines."""
    near = np.zeros(cells, dtype=bool)
    near[line_map.cell[(np.abs(wavelength[:, None] - lines) <= NEAR).any(axis=1)]] = True
    return near


def lines_of(element: str, wavelength: FloatArray, segment: np.ndarray) -> FloatArray:
    """Vacuum Å of an element's lines in the windows."""
    inside = [(wavelength[segment == k][0], wavelength[segment == k][-1]) for k in np.unique(segment)]
    return np.array(
        [
            line.wavelength
            for line in known_lines()
            if line.kind == "line"
            and line.species.split()[0] == element
            and any(low <= line.wavelength <= high for low, high in inside)
        ]
    )


def _test(
    value: FloatArray, near: np.ndarray, window: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Share on lines, its mean under random shifts, p-value."""
    k = int(near.sum())
    top = np.argsort(-value, kind="stable")[:k]
    share = near[top].sum() / k
    null = np.zeros(SHIFTS)
    for w in np.unique(window):
        where = np.flatnonzero(window == w)
        shift = rng.integers(where.size, size=SHIFTS)
        for i in top[window[top] == w] - where[0]:
            null += near[where[0] + (i + shift) % where.size]
    null /= k
    # the map itself is one of the shifts
    p = (1 + np.sum(null >= share - 1e-12)) / (1 + SHIFTS)
    return float(share), float(null.mean()), float(p)


def _element(label: str) -> str:
    return label.rpartition("_")[0].capitalize() if label.endswith(("_fe", "_h")) else label

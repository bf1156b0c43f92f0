"""Joblib files that are good, damaged and hostile: nothing in them is ever executed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayne import ReadError
from bayne.emulators import pickles
from bayne.emulators.pickles import read_joblib


@pytest.fixture(scope="module")
def golden(root: Path) -> Path:
    """A file that joblib wrote, not compressed."""
    return root / "tests" / "golden" / "released_plain.pkl"


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(code: str, order: str = "<", after: bytes = b"NNN") -> bytes:
    """Instructions that make a numpy dtype."""
    state = b"(K\x03" + text(order) + after + b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    return b"cnumpy\ndtype\n" + text(code) + b"\x89\x88\x87R" + state + b"b"


def array(
    data: bytes,
    shape: tuple[int, ...],
    *,
    dtype: bytes = number("f8"),
    order: str = "C",
    cls: bytes = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n",
    subclass: bytes = b"cnumpy\nndarray\n",
) -> bytes:
    """Instructions and bytes of one array as joblib writes it."""
    sizes = b"(" + b"".join(b"\x8a\x09" + struct.pack("<qb", n, -(n < 0)) for n in shape) + b"t"
    state = text("subclass") + subclass + text("shape") + sizes + text("order") + text(order) + text("dtype") + dtype
    state += text("allow_mmap") + b"\x88" + text("numpy_array_alignment_bytes") + b"K\x10"
    return cls + b")\x81}(" + state + b"ub" + b"\x03\xff\xff\xff" + data


def write(path: Path, body: bytes) -> Path:
    path.write_bytes(b"\x80\x04" + body + b".")
    return path


def test_a_file_of_joblib_is_read(golden: Path) -> None:
    table = read_joblib(golden)
    assert table["architecture_parameters"] == {"input_dim": 7, "out_dim": 2, "dim": 64, "no_layers": 1, "no_tokens": 3}
    assert table["spectral_parameters"][-1] == "mu"
    assert table["abundance_parameters"] == [False, False, False, True, True, True, False]
    np.testing.assert_allclose(table["max_spectral_parameters"][:3], [np.log10(8000), 5, 5])
    first = table["emulator_weights"]["transformer_payne"]["ParametersEmbedding_0"]["we0"]
    assert first.shape == (7, 64)
    assert first.dtype == np.float32
    # truncated normal of variance 1 / fan-in
    assert float(first.std()) == pytest.approx(7**-0.5, rel=0.1)


@pytest.mark.parametrize(
    "compress",
    [zlib.compress, gzip.compress, bz2.compress, lzma.compress, lambda d: lzma.compress(d, format=lzma.FORMAT_ALONE)],
)
def test_compressed_files_hold_the_same(golden: Path, tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "network.pkl"
    path.write_bytes(compress(golden.read_bytes()))
    again, first = read_joblib(path), read_joblib(golden)
    assert again["architecture_parameters"] == first["architecture_parameters"]
    np.testing.assert_array_equal(again["min_spectral_parameters"], first["min_spectral_parameters"])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ReadError, match=r"network\.pkl: truncated"):
        read_joblib(path)


def test_orders_of_bytes_and_axes(tmp_path: Path) -> None:
    values = np.arange(6.0).reshape(2, 3)
    body = array(values.astype(">f8").tobytes("F"), (2, 3), dtype=number("f8", ">"), order="F")
    np.testing.assert_array_equal(read_joblib(write(tmp_path / "a.pkl", body)), values)
    scalar = b"cnumpy.core.multiarray\nscalar\n" + number("f4") + b"C\x04" + np.float32(2.5).tobytes() + b"\x86R"
    assert read_joblib(write(tmp_path / "b.pkl", scalar)) == 2.5
    names = array(np.array(["mu", "logg"]).tobytes(), (2,), dtype=number("U4"))
    assert read_joblib(write(tmp_path / "c.pkl", names)).tolist() == ["mu", "logg"]


@pytest.mark.parametrize("compress", [bytes, zlib.compress])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_calls_are_refused_and_not_executed(tmp_path: Path, protocol: int, compress: Callable[[bytes], bytes]) -> None:
    trap = tmp_path / "sprung"
    calls = [
        Call(os.system, f"touch {trap}"),
        Call(eval, f"open({str(trap)!r}, 'w')"),
        Call(exec, f"open({str(trap)!r}, 'w')"),
        Call(getattr, np.ndarray, "tofile"),
        Call(open, str(trap), "w"),
        Call(Path.touch, trap),
        Call(pickle.loads, b"N."),
        Call(np.load, str(trap)),
    ]
    for call in calls:
        path = tmp_path / "hostile.pkl"
        path.write_bytes(compress(pickle.dumps({"emulator_weights": [call]}, protocol=protocol)))
        with pytest.raises(ReadError, match=r"names .*, which arrays do not need; refused, never executed"):
            read_joblib(path)
    assert not trap.exists()


NDARRAY, WRAPPER, SCALAR = (
    b"cnumpy\nndarray\n",
    b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n",
    b"cnumpy.core.multiarray\nscalar\n",
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        # known names used for something else
        (NDARRAY + b"(t" + b"R", "calls numpy.ndarray"),
        (NDARRAY + b")\x81", "makes an object of numpy.ndarray"),
        (NDARRAY + b"}b", "sets the state of numpy.ndarray"),
        (WRAPPER + b"}" + text("__setstate__") + NDARRAY + b"sb", "sets the state of joblib"),
        (WRAPPER + b"N}" + text("read") + SCALAR + b"s\x86b", "sets the state of joblib"),
        (WRAPPER + b")R", "calls joblib"),
        (WRAPPER + b"K\x01\x85\x81", "makes an object of joblib"),
        (WRAPPER + b")\x81K\x01b", "sets the state of a wrapper"),
        (b"cnumpy\ndtype\n" + b")\x81", "makes an object of numpy.dtype"),
        (b"K\x01K\x02R", "calls a int"),
        (b"]}b", "sets the state of a list"),
        # classes other than the plain array and its wrapper
        (array(b"", (0,), subclass=b"cnumpy\nmatrix\n"), "names numpy.matrix"),
        (array(b"", (0,), subclass=WRAPPER), "not a plain numpy array"),
        (array(b"", (0,), cls=b"cjoblib.numpy_pickle\nNDArrayWrapper\n"), "names joblib.numpy_pickle.NDArrayWrapper"),
        (array(b"", (0,), cls=b"cjoblib.numpy_pickle_compat\nZNDArrayWrapper\n"), "names joblib.numpy_pickle_compat"),
        (array(b"", (0,), cls=b"c__main__\nNumpyArrayWrapper\n"), "names __main__.NumpyArrayWrapper"),
        # types of number that hold something else
        (array(b"", (0,), dtype=number("V8", "|")), "something other than numbers"),
        (array(b"", (0,), dtype=number("f8", "<", b"N" + text("a") + b"}")), "a structured array"),
        (array(b"", (0,), dtype=text("f8")), "not a plain numpy array"),
        (array(b"", (0,), dtype=b"cnumpy\ndtype\n" + b"]\x85R"), "damaged"),
        # shapes
        (array(b"12345678", (2**40, 2**20)), "an array of 9223372036854775808 bytes where 9 are left"),
        (array(b"12345678", (2,)), "an array of 16 bytes where 9 are left"),
        (array(b"12345678", (-1,)), "the shape of an array"),
        (array(b"", (0,) * 8), "the shape of an array"),
        # instructions that plain values do not need
        (b"P1\n", "instruction PERSID"),
        (b"\x82\x01", "instruction EXT1"),
        (b"(ios\nsystem\n", "instruction INST"),
        (b"(" + NDARRAY + b"o", "instruction OBJ"),
        (NDARRAY + b")}\x92", "instruction NEWOBJ_EX"),
        (b"S'x'\n", "instruction STRING"),
        # names made on the stack
        (text("os") + text("system") + b"\x93", "names os.system"),
        (b"]]\x93", "without a name"),
        # nonsense
        (b"K\x01K\x02", "damaged"),
        (b"", "damaged"),
        (b"h\x07", "damaged"),
        (b"K\x01a", "damaged"),
        (b"}]K\x01s", "keys must be names"),
        (b"}(K\x01u", "damaged|keys must be names"),
        (b"t", "damaged"),
    ],
)
def test_hostile_instructions_are_refused(tmp_path: Path, body: bytes, message: str) -> None:
    with pytest.raises(ReadError, match=message):
        read_joblib(write(tmp_path / "hostile.pkl", body))


def test_arrays_of_objects_are_refused_before_the_pickle_inside_them(tmp_path: Path) -> None:
    """joblib itself hands the bytes after such an array to the plain unpickler."""
    trap = tmp_path / "sprung"
    inner = pickle.dumps(np.array([Call(os.system, f"touch {trap}")], dtype=object), protocol=2)
    path = write(tmp_path / "hostile.pkl", array(inner, (1,), dtype=number("O8", "|")))
    with pytest.raises(ReadError, match="an array of objects; refused, never executed"):
        read_joblib(path)
    assert not trap.exists()


def test_values_that_hold_themselves_do_no_harm(tmp_path: Path) -> None:
    knot = read_joblib(write(tmp_path / "knot.pkl", b"]\x94h\x00a"))
    assert knot[0] is knot
    laughs = b"]\x94" + b"".join(b"](" + bytes([104, i, 104, i]) + b"e\x94" for i in range(60))
    with pytest.raises(ReadError, match="sets the state of a list"):
        read_joblib(write(tmp_path / "laughs.pkl", laughs + b"}b"))
    deep = b"]" * 200_000 + b"a" * 199_999
    assert isinstance(read_joblib(write(tmp_path / "deep.pkl", deep)), list)


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_BYTES", 10_000)
    path = tmp_path / "bomb.pkl"
    for compress in (zlib.compress, gzip.compress, bz2.compress, lzma.compress):
        path.write_bytes(compress(b"\x80\x04" + bytes(1_000_000)))
        with pytest.raises(ReadError, match="decompresses to more than 10000 bytes"):
            read_joblib(path)
    # an lzma header that asks for a dictionary of 4 GB
    path.write_bytes(b"\x5d\x00\x00\xff\xff" + b"\xff" * 8 + bytes(50))
    with pytest.raises(ReadError, match=r"bomb\.pkl"):
        read_joblib(path)


def test_files_cut_anywhere_are_refused(golden: Path, tmp_path: Path) -> None:
    whole = golden.read_bytes()
    path = tmp_path / "cut.pkl"
    for stop in [*range(200), *range(200, len(whole), 4001), len(whole) - 1]:
        path.write_bytes(whole[:stop])
        with pytest.raises(ReadError, match=r"cut\.pkl"):
            read_joblib(path)


def test_files_with_a_flipped_byte_are_read_or_refused(golden: Path, tmp_path: Path) -> None:
    whole = golden.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "flipped.pkl"
    refused = 0
    for place in rng.integers(0, 1500, 400):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ int(rng.integers(1, 256))]) + whole[place + 1 :])
        try:
            read_joblib(path)
        except ReadError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("content", [b"", b"x", b"(dp0\n.", b"PK\x03\x04", b"\x04\x22\x4d\x18", bytes(range(256))])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.pkl"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=r"other\.pkl: (not a joblib file|truncated|cannot be read)"):
        read_joblib(path)


def test_what_numpy_pickles_is_refused_too(tmp_path: Path) -> None:
    """A plain pickle of an array is not what joblib writes."""
    file = io.BytesIO()
    np.save(file, np.zeros(2))
    path = tmp_path / "array.pkl"
    path.write_bytes(pickle.dumps(np.zeros(2)))
    with pytest.raises(ReadError, match=r"names numpy\._core\.(multiarray\._reconstruct|numeric\._frombuffer)"):
        read_joblib(path)

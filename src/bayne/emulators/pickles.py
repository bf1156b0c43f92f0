"""Values from a joblib file without unpickling it.

Unpickling calls whatever functions a file names. Here no pickle machine runs: `pickletools` splits the file into
its instructions, of which those that build plain values are followed. Globals stay names; the few that arrays
need are understood, all others refused, and so are arrays of objects.
"""

from __future__ import annotations

import bz2
import io
import lzma
import math
import pickletools
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError

#: A file that decompresses to more is refused; the published networks have 10 to 70 MB.
MAX_BYTES = 2**30

#: The instructions of pickle protocols 2 to 5 whose argument is the value itself, and those that stand for one.
_INTEGERS = ("BININT", "BININT1", "BININT2", "LONG1")
_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
_VALUES = frozenset({"BINFLOAT", *_INTEGERS, *_TEXTS})
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}

#: Types of numbers, as `numpy.dtype` names them.
_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")

#: Memory (bytes) that the dictionary of an lzma file may take.
_LZMA_MEMORY = 2**28


@dataclass(frozen=True)
class _Global:
    """Name of a class or function; only ever compared."""

    path: str


_WRAPPER = _Global("joblib.numpy_pickle.NumpyArrayWrapper")
_NDARRAY = _Global("numpy.ndarray")
_DTYPE = _Global("numpy.dtype")
_SCALARS = (_Global("numpy.core.multiarray.scalar"), _Global("numpy._core.multiarray.scalar"))
_KNOWN = (_WRAPPER, _NDARRAY, _DTYPE, *_SCALARS)


@dataclass
class _Number:
    """Type of an array's numbers or short texts; the file gives the byte order after the code."""

    code: str
    order: str = "="

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _Wrapper:
    """What stands on the stack until an array's shape and type are known and its bytes follow."""


_MARK = object()


def read_joblib(path: Path) -> Any:
    """The plain values and numeric arrays in a joblib file, compressed or not (zlib, gzip, bz2, xz, lzma).

    Nothing in the file is executed.

    Raises
    ------
    ReadError
        The file is damaged or truncated, names a class or function beside those of numeric arrays, or holds objects.
    """
    source = str(path)
    try:
        return _Machine(_decompressed(path.read_bytes(), source), source).run()
    except ReadError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, EOFError) as error:
        raise ReadError(f"{source}: damaged, or not a joblib file ({error})") from None
    except (zlib.error, lzma.LZMAError, OSError) as error:
        raise ReadError(f"{source}: cannot be read ({error})") from None


def _decompressed(data: bytes, source: str) -> io.BytesIO:
    decoder: Any
    if data.startswith(b"\x80"):
        return io.BytesIO(data)
    if data.startswith((b"\x78", b"\x1f\x8b")):
        decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    elif data.startswith(b"BZh"):
        decoder = bz2.BZ2Decompressor()
    elif data.startswith((b"\xfd7zXZ", b"\x5d\x00\x00")):
        decoder = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
    else:
        raise ReadError(f"{source}: not a joblib file of pickle protocol 2 or later, plain or zlib, gzip, bz2, xz")
    plain = decoder.decompress(data, MAX_BYTES)
    if not decoder.eof:
        more = len(plain) >= MAX_BYTES
        raise ReadError(f"{source}: " + (f"decompresses to more than {MAX_BYTES} bytes" if more else "truncated"))
    return io.BytesIO(plain)


class _Machine:
    """Follows the instructions that build plain values."""

    def __init__(self, file: io.BytesIO, source: str) -> None:
        self.file, self.source = file, source
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value that the file holds."""
        for op, argument, _ in pickletools.genops(self.file):
            name = op.name
            if name == "STOP":
                (value,) = self.stack
                return value
            if name in _VALUES:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name not in ("PROTO", "FRAME"):
                step = getattr(self, f"_{name.lower()}", None)
                if step is None:
                    raise ReadError(f"{self.source}: pickle instruction {name} has no place in a file of arrays")
                step(argument)
        raise ReadError(f"{self.source}: truncated")

    def _since_mark(self) -> list[Any]:
        values: list[Any] = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _mark(self, _: None) -> None:
        self.stack.append(_MARK)

    def _memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _binput(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def _binget(self, index: int) -> None:
        self.stack.append(self.memo[index])

    _long_binput, _long_binget = _binput, _binget

    def _empty_list(self, _: None) -> None:
        self.stack.append([])

    def _empty_dict(self, _: None) -> None:
        self.stack.append({})

    def _empty_tuple(self, _: None) -> None:
        self.stack.append(())

    def _tuple(self, _: None) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _pack(self, count: int) -> None:
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def _tuple1(self, _: None) -> None:
        self._pack(1)

    def _tuple2(self, _: None) -> None:
        self._pack(2)

    def _tuple3(self, _: None) -> None:
        self._pack(3)

    def _append(self, _: None) -> None:
        self._extend([self.stack.pop()])

    def _appends(self, _: None) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ReadError(f"{self.source}: damaged (items without a list)")
        self.stack[-1].extend(values)

    def _setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def _setitems(self, _: None) -> None:
        self._update(self._since_mark())

    def _update(self, values: list[Any]) -> None:
        keys = values[::2]
        if not isinstance(self.stack[-1], dict) or not all(isinstance(key, str) for key in keys):
            raise ReadError(f"{self.source}: damaged (a dictionary's keys must be names)")
        self.stack[-1].update(zip(keys, values[1::2], strict=True))

    def _global(self, argument: str) -> None:
        self._named(*argument.split(" ", 1))

    def _stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._named(module, name)

    def _named(self, module: str, name: str) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ReadError(f"{self.source}: damaged (a class or function without a name)")
        found = _Global(f"{module}.{name}")
        if found not in _KNOWN:
            raise ReadError(f"{self.source}: names {found.path:.60}, which arrays do not need; refused, never executed")
        self.stack.append(found)

    @staticmethod
    def _what(value: Any) -> str:
        # never the value itself: shared parts could make its text endless
        return value.path if isinstance(value, _Global) else f"a {type(value).__name__.lstrip('_').lower()}"

    def _reduce(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if function == _DTYPE:
            code = arguments[0]
            if code not in _NUMBERS and not re.fullmatch(r"U\d{1,3}", code):
                what = "objects" if code == "O8" else "something other than numbers"
                raise ReadError(f"{self.source}: holds an array of {what}; refused, never executed")
            self.stack.append(_Number(code))
        elif function in _SCALARS:
            number, data = arguments
            (value,) = np.frombuffer(data, number.dtype)
            self.stack.append(value.item())
        else:
            raise ReadError(f"{self.source}: calls {self._what(function)}; refused, never executed")

    def _newobj(self, _: None) -> None:
        arguments, cls = self.stack.pop(), self.stack.pop()
        if cls != _WRAPPER or arguments != ():
            raise ReadError(f"{self.source}: makes an object of {self._what(cls)}; refused, never executed")
        self.stack.append(_Wrapper())

    def _build(self, _: None) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, _Number) and isinstance(state, tuple):
            # (version, byte order, subtype, names, fields, ...): numpy.dtype.__setstate__
            if state[1] not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
                raise ReadError(f"{self.source}: holds a structured array; refused")
            target.order = state[1]
        elif isinstance(target, _Wrapper) and isinstance(state, dict):
            self.stack[-1] = self._array(state)
        else:
            raise ReadError(f"{self.source}: sets the state of {self._what(target)}; refused, never executed")

    def _array(self, state: dict[str, Any]) -> np.ndarray:
        """The array whose bytes follow in the file: joblib's padding, then the numbers."""
        shape, number = state["shape"], state["dtype"]
        if state["subclass"] != _NDARRAY or not isinstance(number, _Number):
            raise ReadError(f"{self.source}: holds an array that is not a plain numpy array; refused")
        if not (isinstance(shape, tuple) and len(shape) < 8 and all(type(n) is int and n >= 0 for n in shape)):
            raise ReadError(f"{self.source}: damaged (the shape of an array)")
        if state.get("numpy_array_alignment_bytes") is not None:
            self.file.read(self.file.read(1)[0])
        size = math.prod(shape) * number.dtype.itemsize
        left = self.file.getbuffer().nbytes - self.file.tell()
        if size > left:
            raise ReadError(f"{self.source}: truncated: an array of {size} bytes where {left} are left")
        values = np.frombuffer(self.file.read(size), number.dtype)
        array = values.reshape(shape[::-1]).T if state["order"] == "F" else values.reshape(shape)
        return array.astype(number.dtype.newbyteorder("="))

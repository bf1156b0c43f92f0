"""Many stars at a time: each is an ordinary function call, and what they ask of an accelerator is computed in batches.

A fit is a sequence of compiled functions with decisions between them, and stars decide differently. So a `batchable`
function that is called by one of several tasks waits there until every task waits somewhere; then the function that
most of them wait for is computed for all of these at once, and they go on. No star waits for the slowest: a task that
ends makes room for the next, and those that go another way are collected.
"""

from __future__ import annotations

import functools
import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from .precision import double

log = logging.getLogger("bayne")

T = TypeVar("T")

#: Share of an accelerator's memory that a computation may take for its own.
MEMORY = 0.5

#: Fields of this name are one and the same for all stars: the weights of a network.
SHARED = "params"

#: Memory maps of a process beyond which compiled functions are forgotten. XLA makes about nine for each function on a
#: CPU, ten thousand for the fit of a spectrum of new shape, and aborts where Linux allows no more (vm.max_map_count,
#: 65,530).
MANY_MAPS = 30_000

_here = threading.local()


def forget_functions_if_many() -> None:
    """Forget compiled functions before they are too many for one process; Linux."""
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()  # type: ignore[no-untyped-call]


def batchable(*static: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Decorator: `jax.jit`, and for tasks of `run_together` one call for all that ask at the same time.

    Parameters
    ----------
    static
        Positions of arguments that are no arrays.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        compiled = jax.jit(function, static_argnums=static)

        @functools.wraps(function)
        def call(*args: Any) -> T:
            task: _Task[Any] | None = getattr(_here, "task", None)
            return compiled(*args) if task is None else task.ask(_request(function, static, args))

        call.lower = compiled.lower  # type: ignore[attr-defined]
        return call

    return decorate


class _Request(NamedTuple):
    """A call: what must agree for calls to be made together, and the arrays that are shared or a star's own."""

    key: Hashable
    call: Callable[[Sequence[Any], Sequence[Any]], Any]
    shared: tuple[Any, ...]
    own: tuple[Any, ...]


def _request(function: Callable[..., Any], static: tuple[int, ...], args: tuple[Any, ...]) -> _Request:
    fixed = tuple((i, args[i]) for i in static if i < len(args))
    leaves, tree = jax.tree_util.tree_flatten_with_path([arg for i, arg in enumerate(args) if i not in static])
    common = tuple(
        any(getattr(part, "name", getattr(part, "key", None)) == SHARED for part in path) for path, _ in leaves
    )
    values = [jnp.asarray(value) for _, value in leaves]
    shared = tuple(itertools.compress(values, common))
    own = tuple(itertools.compress(values, (not is_shared for is_shared in common)))
    call = _split_call(function, fixed, tree, common)
    shapes = tuple((value.shape, value.dtype) for value in own)
    return _Request((call, shapes, tuple(map(id, shared))), call, shared, own)


@functools.lru_cache(maxsize=256)
def _split_call(
    function: Callable[..., Any], fixed: tuple[tuple[int, Any], ...], tree: Any, common: tuple[bool, ...]
) -> Callable[[Sequence[Any], Sequence[Any]], Any]:
    """The function of its shared arrays and of those that are a star's own."""

    def call(shared: Sequence[Any], own: Sequence[Any]) -> Any:
        left, right = iter(shared), iter(own)
        args = jax.tree.unflatten(tree, [next(left if is_shared else right) for is_shared in common])
        for i, value in fixed:
            args.insert(i, value)
        return function(*args)

    return call


class _Task(Generic[T]):
    """A call in a thread of its own, on one device, which runs only while all others stand."""

    def __init__(self, pool: Executor, function: Callable[[], T], device: jax.Device) -> None:
        self.device = device
        self.request: _Request | None = None
        self._answer = Future[Any]()
        self._go, self._stood = threading.Semaphore(0), threading.Semaphore(0)
        self.end = pool.submit(self._run, function)
        self.end.add_done_callback(lambda _: self._stood.release())
        self._stood.acquire()

    def _run(self, function: Callable[[], T]) -> T:
        _here.task = self
        with jax.default_device(self.device):
            return function()

    def ask(self, request: _Request) -> Any:
        """In the task's thread: stand until the answer is there."""
        self.request = request
        self._stood.release()
        self._go.acquire()
        return self._answer.result()

    def tell(self, answer: Any, error: BaseException | None = None) -> None:
        """Go on with an answer, or an error, up to the next request or the end."""
        self.request, self._answer = None, Future()
        if error is None:
            self._answer.set_result(answer)
        else:
            self._answer.set_exception(error)
        self._go.release()
        self._stood.acquire()


def run_together(functions: Iterable[Callable[[], T]], width: int) -> Generator[tuple[int, T], None, None]:
    """Call functions without arguments, `width` of them at a time on each local device; yields place and result of each
    as it ends.

    What a `batchable` function gives to one of them does not depend on who else asks: it is always computed for `width`
    tasks, copies of the first where there are fewer. Where that fails, for want of memory or at one of them, each of
    them is computed alone, and what fails then is raised in its own task. What a task raises ends them all.
    """
    queue, tasks, devices = enumerate(functions), dict[int, _Task[T]](), jax.local_devices()
    with ThreadPoolExecutor(width * len(devices)) as pool:
        try:
            while True:
                for place in [place for place, task in tasks.items() if task.request is None]:
                    yield place, tasks.pop(place).end.result()
                busy = {device: sum(task.device == device for task in tasks.values()) for device in devices}
                free = min(devices, key=lambda device: busy[device])
                if busy[free] < width and (following := next(queue, None)) is not None:
                    tasks[following[0]] = _Task(pool, following[1], free)
                elif tasks:
                    _advance(list(tasks.values()), width)
                else:
                    return
        finally:
            for task in tasks.values():
                while task.request is not None:
                    task.tell(None, GeneratorExit())


@double
def _advance(tasks: Sequence[_Task[Any]], width: int) -> None:
    """Compute what most of the tasks of each device wait for, and let these go on."""
    computed = []
    for device in jax.local_devices():
        waiting = [(task, task.request) for task in tasks if task.device == device and task.request is not None]
        if not waiting:
            continue
        key, _ = Counter(request.key for _, request in waiting).most_common(1)[0]
        group = [(task, request) for task, request in waiting if request.key == key]
        # a device computes while the next is given its share
        computed.append((device, group, _begun(partial(_compute, [request for _, request in group], device, width))))
    for device, group, begun in computed:
        answers = None if begun is None else _begun(partial(_each, begun, len(group), device))
        if answers is None:
            for task, request in group:
                _alone(task, request, device)
        else:
            for (task, _), answer in zip(group, answers, strict=True):
                task.tell(answer)


def _begun(compute: Callable[[], Any]) -> Any:
    """What is computed for several tasks, or None where that fails; the error is told to the log."""
    try:
        return compute()
    except Exception:  # whatever it was: it comes again where a star is computed alone, and is raised in its own task
        log.warning("the stars could not be computed together: each is retried alone", exc_info=True)
        return None


def _each(answers: Any, number: int, device: jax.Device) -> list[Any]:
    """The answers of each task, when they are there."""
    with jax.default_device(device):
        each = [jax.tree.map(lambda v, i=i: v[i], answers) for i in range(number)]
    return list(jax.block_until_ready(each))  # type: ignore[no-untyped-call]


def _compute(group: Sequence[_Request], device: jax.Device, width: int) -> Any:
    """Start to compute what is asked, as for `width` tasks."""
    first = group[0]
    rows = [request.own for request in group] + [first.own] * (width - len(group))
    with jax.default_device(device):
        own = [jnp.stack(values) for values in zip(*rows, strict=True)]
        return _together(first.call, _side_by_side(first, device, width))(first.shared, own)


def _alone(task: _Task[Any], request: _Request, device: jax.Device) -> None:
    """Compute what one task asks, and let it go on with the answer or with the error."""
    try:
        (answer,) = _each(_compute([request], device, 1), 1, device)
    except Exception as error:
        log.warning("a star could not be computed alone", exc_info=True)
        task.tell(None, error)
    else:
        task.tell(answer)


@functools.lru_cache(maxsize=256)
def _together(call: Callable[..., Any], side_by_side: int) -> Callable[[Sequence[Any], Sequence[Any]], Any]:
    """The compiled function of many stars, some at a time."""
    return jax.jit(lambda shared, own: jax.lax.map(partial(call, shared), own, batch_size=side_by_side))


def _side_by_side(request: _Request, device: jax.Device, width: int) -> int:
    """How many stars fit into a device's memory beside each other."""
    room = (device.memory_stats() or {}).get("bytes_limit")
    if room is None:
        return width
    shared, own = (tuple(map(jax.typeof, values)) for values in (request.shared, request.own))
    return int(np.clip(MEMORY * room // _bytes_of_one(request.call, shared, own), 1, width))


@functools.lru_cache(maxsize=256)
def _bytes_of_one(call: Callable[..., Any], shared: Sequence[Any], own: Sequence[Any]) -> int:
    """What the compiler says that one star takes."""
    one: Any = jax.jit(call).lower(shared, own).compile().memory_analysis()
    return int(one.temp_size_in_bytes + one.output_size_in_bytes + 1)

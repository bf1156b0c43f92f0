"""Functions that are computed together for all tasks that ask, whichever way each of them goes."""

import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne import batching as module
from bayne.batching import batchable, forget_functions_if_many, run_together
from bayne.precision import double

WIDTH = 3


@pytest.fixture
def calls(monkeypatch):
    """How many tasks each computation was for, in order."""
    real, seen = module._together, []

    def counted(call, side_by_side):
        def run(shared, own):
            seen.append(len(own[0]))
            return real(call, side_by_side)(shared, own)

        return run

    monkeypatch.setattr(module, "_together", counted)
    return seen


@batchable(0)
def power(exponent, arrays, x):
    return {"power": arrays["params"]["scale"] * x**exponent, "of": x}


@batchable()
def halved(x):
    return x / 2


PARAMS = {"scale": jnp.float32(2.0)}


def call(x, steps):
    """Halve a number some times, then take its square: tasks differ in how often they ask."""
    value = jnp.float32(x)
    for _ in range(steps):
        value = halved(value)
    return float(power(2, {"params": PARAMS}, value)["power"])


def expected(x, steps):
    return 2 * (x / 2**steps) ** 2


TASKS = [(float(i + 1), i % 4) for i in range(8)]


def test_every_task_gets_what_it_gets_alone(calls):
    found = dict(run_together([partial(call, *task) for task in TASKS], WIDTH))
    assert [found[i] for i in range(len(TASKS))] == [expected(*task) for task in TASKS]
    assert set(calls) == {WIDTH}
    assert len(calls) < sum(1 + steps for _, steps in TASKS)


def test_a_task_alone_is_computed_in_the_same_shape(calls):
    assert list(run_together([partial(call, 3.0, 1)], WIDTH)) == [(0, expected(3.0, 1))]
    assert calls == [WIDTH, WIDTH]


def test_tasks_with_other_weights_are_not_computed_together():
    def own(scale):
        return float(power(1, {"params": {"scale": jnp.float32(scale)}}, jnp.float32(1.0))["power"])

    found = dict(run_together([partial(own, scale) for scale in (2.0, 3.0, 5.0)], WIDTH))
    assert found == {0: 2.0, 1: 3.0, 2: 5.0}


def test_short_memory_makes_small_pieces(calls):
    class Small:
        def memory_stats(self):
            return {"bytes_limit": 1000}

    request = module._request(lambda x: jnp.outer(x, x).sum(axis=0), (), (jnp.ones(8, jnp.float32),))
    one = jax.jit(request.call).lower(request.shared, request.own).compile().memory_analysis()
    needed = one.temp_size_in_bytes + one.output_size_in_bytes
    module._bytes_of_one.cache_clear()
    for _ in range(3):
        assert module._side_by_side(request, Small(), 64) == max(1, 500 // (needed + 1))
    assert module._bytes_of_one.cache_info().misses == 1  # compiled once
    assert module._side_by_side(request, jax.local_devices()[0], 64) == 64  # a CPU states no limit


def test_tasks_keep_their_precision():
    task = double(lambda: float(halved(jnp.asarray(1 / 3))))
    assert list(run_together([task], WIDTH)) == [(0, 1 / 6)]


def test_an_error_ends_all_tasks_and_their_threads():
    def wrong():
        halved(jnp.float32(1.0))
        raise ArithmeticError("no root")

    ended = []

    def long():
        try:
            for _ in range(100):
                halved(jnp.float32(1.0))
        finally:
            ended.append(True)

    with pytest.raises(ArithmeticError, match="no root"):
        list(run_together([long, wrong, long], WIDTH))
    assert ended == [True, True]


def test_all_devices_of_the_machine_take_part():
    code = (
        "import jax, jax.numpy as jnp\n"
        "from bayne.batching import batchable, run_together\n"
        "where = batchable()(lambda x: x + 1)\n"
        "def task():\n"
        "    value = where(jnp.float32(1))\n"
        "    (device,) = value.devices()\n"
        "    return device.id, float(value)\n"
        "found = dict(run_together([task] * 6, 2))\n"
        "assert sorted(found.values()) == [(0, 2.0)] * 3 + [(1, 2.0)] * 3, found\n"
    )
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run([sys.executable, "-c", code], env=os.environ | flags, check=True, timeout=120)


def test_numbers_come_as_arrays_of_the_callers(calls):
    """Host arrays are as good as those of JAX."""
    assert [v.tolist() for _, v in run_together([partial(halved, np.arange(3.0))], WIDTH)] == [[0.0, 0.5, 1.0]]


def test_what_cannot_be_computed_together_is_computed_alone(monkeypatch, caplog):
    """Out of memory: three at a time are too many, and the star that is too much alone fails by itself."""
    real = module._together

    def short_of_memory(call, side_by_side):
        def run(shared, own):
            if len(own[0]) > 1 or float(own[0][0]) == 5.0:
                raise MemoryError("out of memory")
            return real(call, side_by_side)(shared, own)

        return run

    monkeypatch.setattr(module, "_together", short_of_memory)

    def task(x):
        try:
            return float(halved(jnp.float32(x)))
        except MemoryError as error:
            return str(error)

    found = dict(run_together([partial(task, x) for x in (3.0, 5.0, 7.0, 9.0)], WIDTH))
    assert found == {0: 1.5, 1: "out of memory", 2: 3.5, 3: 4.5}
    assert "each is retried alone" in caplog.text


def test_compiled_functions_are_forgotten_where_they_are_too_many(monkeypatch):
    """A process that compiles for ever more shapes would otherwise be aborted by Linux."""
    traced = []

    @jax.jit
    def function(x):
        traced.append(x)
        return x + 1

    for most, times in ((10**9, 1), (0, 2)):
        monkeypatch.setattr(module, "MANY_MAPS", most)
        function(1.0)
        forget_functions_if_many()
        assert function(1.0) == 2.0
        assert len(traced) == times

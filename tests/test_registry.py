"""A registry gives a name once and helps with names that are unknown."""

from __future__ import annotations

import pytest

from bayne.emulators import NETWORKS, register
from bayne.errors import BayneError, ReadError
from bayne.registry import Registry


def test_names_are_given_once_and_unknown_ones_are_helped() -> None:
    fruit = Registry[int]("fruit {!r} of mine", ReadError)
    with pytest.raises(ReadError, match=r"^unknown fruit 'aple' of mine\. Known: none\.$"):
        fruit.named("aple")
    assert fruit.add("apple", 1) == fruit.named("apple") == 1
    with pytest.raises(ReadError, match=r"^unknown fruit 'aple' of mine\. Did you mean 'apple'\? Known: apple\.$"):
        fruit.named("aple")
    with pytest.raises(BayneError, match=r"^fruit 'apple' of mine is registered already$"):
        fruit.add("apple", 2)
    assert fruit == {"apple": 1}


def test_the_name_of_a_network_is_given_once() -> None:
    assert register(NETWORKS["payne"]) is NETWORKS["payne"], "a cell of a notebook that runs again"

    class Other(NETWORKS["linear"]):
        name = "payne"

    with pytest.raises(BayneError, match="network 'payne' is registered already"):
        register(Other)

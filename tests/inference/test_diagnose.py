"""What the draws say of single labels."""

from types import SimpleNamespace

import numpy as np
import pytest

from bayne import Flag
from bayne.inference.diagnose import Verdict, judge_edges, judge_limits

LABELS = ("teff", "fe_h", "li_fe")


def judged(lithium):
    """Verdict on draws of [Li/Fe], whose range is -1 to 2.5; [Fe/H] and Teff lie at their lower ends all the same."""
    draws = np.stack([np.full(lithium.size, 4000.0), np.full(lithium.size, -3.0), lithium], axis=-1)
    prior = SimpleNamespace(lower=np.array([4000.0, -3.0, -1.0]), upper=np.array([7000.0, 0.5, 2.5]))
    verdict = Verdict()
    judge_limits(verdict, SimpleNamespace(prior=prior, model=SimpleNamespace(names=LABELS)), LABELS, draws[None])
    return verdict


def test_an_abundance_that_may_be_nothing_is_an_upper_limit():
    verdict = judged(np.random.default_rng(0).uniform(-1.0, 0.7, 2000))
    assert verdict.flags == Flag.UPPER_LIMIT
    assert verdict.labels == {"li_fe": Flag.UPPER_LIMIT, "li_h": Flag.UPPER_LIMIT}
    assert verdict.messages == ["Upper limits: li_fe."]


@pytest.mark.parametrize(
    "lithium",
    [
        np.random.default_rng(0).normal(0.5, 0.2, 2000),
        np.random.default_rng(0).uniform(-1.0, 2.5, 2000),
        np.random.default_rng(0).uniform(1.0, 2.5, 2000),
    ],
    ids=["measured", "anything goes", "lower limit"],
)
def test_others_are_not(lithium):
    assert judged(lithium).flags == Flag(0)


def edges(name, value, lower, upper):
    """Flags of a label whose maximum, 0.01 wide, lies somewhere in its range."""
    emulator = SimpleNamespace(label_names=(name,), lower=np.array([lower]), upper=np.array([upper]))
    prior = SimpleNamespace(halfspaces=(np.zeros((0, 1)), np.zeros(0)))
    verdict = Verdict()
    problem = SimpleNamespace(model=SimpleNamespace(names=(name,)), prior=prior)
    judge_edges(verdict, problem, emulator, np.array([value]), np.array([0.01]))
    return verdict.flags


@pytest.mark.parametrize("name", ["v_fe", "vmic", "mg_fe"])
def test_both_ends_of_a_label_s_range_are_edges(name):
    """Vanadium is no velocity."""
    lower = 0.5 if name == "vmic" else -1.0
    assert Flag.NEAR_EDGE in edges(name, lower + 0.005, lower, 2.0)
    assert Flag.NEAR_EDGE in edges(name, 1.995, lower, 2.0)
    assert not edges(name, 1.0, lower, 2.0)


def test_no_broadening_is_no_edge():
    assert not edges("vmac", 0.0, 0.0, 30.0)
    assert Flag.NEAR_EDGE in edges("vmac", 29.6, 0.0, 30.0)
    assert Flag.OUTSIDE_DOMAIN in edges("vmac", 29.9, 0.0, 30.0)  # two stars are fitted like that

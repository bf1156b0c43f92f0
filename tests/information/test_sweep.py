"""Bounds against S/N, resolution and window, and the S/N at which they reach a target."""

import numpy as np
import pytest

import bayne
from bayne.information import required_snr, sweep
from toy import toy_emulator, toy_instrument

TOY = toy_instrument()
STAR = {"teff": 5500.0, "logg": 4.2, "fe_h": -0.2}


def test_sweeps_and_what_is_reached():
    emulator = toy_emulator()
    over = sweep(emulator, TOY, STAR, 100.0, "snr")
    assert np.all(np.diff(over.of("mg_fe")) < 0)
    target = 0.02
    snr = required_snr(over, target)["mg_fe"]
    at = bayne.cramer_rao(emulator, TOY, STAR, snr)
    assert at.std[at.names.index("mg_fe")] == pytest.approx(target, rel=0.02)  # between two nodes
    assert required_snr(over, 10.0)["mg_fe"] == pytest.approx(over.values[0])
    assert required_snr(over, 1e-6)["mg_fe"] == np.inf
    sharper = sweep(emulator, TOY, STAR, 100.0, "resolution", [5_000.0, 10_000.0, 20_000.0])
    assert np.all(np.diff(sharper.of("mg_fe")) < 0)
    windows = sweep(emulator, TOY, STAR, 100.0, "window")
    assert len(windows.values) == 2
    with pytest.raises(bayne.BayneError, match="choose from snr"):
        sweep(emulator, TOY, STAR, 100.0, "airmass")
    with pytest.raises(bayne.BayneError, match="positive number of dex"):
        required_snr(over, 0.0)
    with pytest.raises(bayne.BayneError, match="over S/N"):
        required_snr(sharper, 0.1)
    with pytest.raises(bayne.BayneError, match="one star"):
        sweep(emulator, TOY, STAR | {"teff": np.array([5000.0, 5500.0])}, 100.0, "snr")

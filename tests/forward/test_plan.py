"""What is decided before fitting."""

import jax
import numpy as np

from bayne.forward import plan
from bayne.lsf import GaussianLSF
from bayne.spectrum import Spectrum, make_arm
from toy import log_grid, table_emulator

WINDOWS = np.concatenate([log_grid(4960.0, 4990.0, 2.0), log_grid(5010.0, 5040.0, 2.0)])


def test_a_window_without_pixels_does_not_limit_the_width_of_the_lsf():
    emulator = table_emulator(WINDOWS, np.ones(WINDOWS.size), 75_000.0)
    wave = np.arange(4962.0, 4988.0, 0.05)
    arm = make_arm(wave, np.ones(wave.size), error=np.ones(wave.size), lsf=GaussianLSF(wave / 25_000.0))
    with jax.enable_x64(True):
        made = plan(Spectrum((arm,)), emulator, 0.0, max_scale=1.5)
    assert made.used.any()
    assert np.isclose(made.min_scale, 25 / 75)

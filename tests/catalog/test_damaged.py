"""A catalogue of damaged files: a row for each, with a reason, and nothing wrong that looks right."""

import numpy as np
import pytest

import bayne
from catalog.quick import merged
from surveys import damage

NUMBER = 100

LABELS = ("teff", "logg", "fe_h", "mg_fe")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of fluxes of 1e300
def test_every_damaged_file_has_a_row_that_is_right_or_says_what_is_wrong(real, tmp_path):
    """Bits flipped, files cut, units, headers, HDUs and wavelengths of another kind: see `damage`."""
    good = (real.folder / "0.fits").read_bytes()
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    for i in range(NUMBER):
        rng = np.random.default_rng([11, i])
        spoil = damage.one(damage.OWN["fits"] if rng.random() < 0.6 else damage.ANY, rng)
        (spoilt / f"{i:04d}.fits").write_bytes(spoil(good, rng))
    options = real.options | {"method": "map"}
    run = bayne.fit_catalog(spoilt, real.emulator, tmp_path / "run", block=50, **options)
    assert not bayne.validate(run)
    table = merged(run, tmp_path / "merged.fits")
    assert list(table["spectrum_id"]) == [f"{i:04d}" for i in range(NUMBER)]
    whole = bayne.fit_star(bayne.read_spectrum(real.folder / "0.fits"), real.emulator, **options)
    truth = {row["label"]: row for row in whole.table}
    unread = [row for row in table if np.isnan(row["teff"])]
    for row in table:
        assert row["ok"] or (row["flag_bad"] and row["message"]), row["spectrum_id"]
        if row["ok"]:  # damage that does not show, or that was masked
            for name in LABELS:
                off = abs(row[name] - truth[name]["median"])
                assert off < 3 * row[f"{name}_std"], (row["spectrum_id"], name)
    # were all refused, or none, the damage would be of one kind
    assert NUMBER // 4 < len(unread) < NUMBER
    assert table["ok"].sum() > NUMBER // 20

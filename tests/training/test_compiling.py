"""`compile`: the distilled emulator stands for its teacher, says how well, and is made once."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bayne
from bayne import BayneError, save_emulator
from bayne.cache import cache_folder
from bayne.forward import plan
from bayne.instrument import Instrument, InstrumentArm
from bayne.lsf import GaussianLSF
from bayne.spectrum import Spectrum, make_arm
from bayne.training import compiling
from toy import LOWER, UPPER, erring_emulator, mock_star, toy_emulator


def instrument(resolution=25_000.0, wavelength=(5000.0, 5140.0)):
    arm = InstrumentArm("only", wavelength, 0.05, ((5050.0, resolution),))
    return Instrument("toy-spectrograph", "", "", "vacuum", "linear", (arm,), continuum=2)


@pytest.fixture(scope="module", autouse=True)
def small(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAYNE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(compiling, "SAMPLES", 3000)
        patch.setattr(compiling, "STEPS", 1200)
        patch.setattr(compiling, "BASIS", 1000)
        yield


@pytest.fixture(scope="module")
def teacher():
    emulator = erring_emulator()
    return replace(emulator, card=replace(emulator.card, held_out_error={"mae": 0.002}))


@pytest.fixture(scope="module")
def compiled(teacher):
    return bayne.compile(teacher, instrument(), error=1e-4)


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(77).uniform(LOWER, UPPER, (100, 4))


def test_spectra_are_the_teachers_as_well_as_the_card_says(teacher, compiled, labels):
    off = np.abs(compiled.flux(labels) - teacher.flux(labels))
    told = compiled.card.held_out_error
    assert told["teacher_mae"] == 0.002
    assert "mae" not in told
    assert told["distillation_mae"] < 1e-3
    assert off.mean() == pytest.approx(told["distillation_mae"], rel=0.25)
    assert np.median(off.mean(1)) == pytest.approx(told["distillation_median_star_mae"], rel=0.25)


def test_fast_distils_a_network_that_costs_much_once(tmp_path, monkeypatch, caplog):
    """Says so, follows the teacher as any distilled emulator, and takes it from the cache the next time."""
    monkeypatch.setenv("BAYNE_CACHE", str(tmp_path))
    teacher = toy_emulator()
    monkeypatch.setattr(type(teacher.network), "costly", True)
    star = mock_star(teacher, np.array([5400.0, 4.3, -0.2, 0.15]), snr=60.0)
    first = bayne.fit_star(star, teacher, method="fast", instrument=instrument())
    assert "toy is first distilled for this instrument" in caplog.text
    assert first.provenance["emulator"]["name"] == "toy-toy-spectrograph"
    assert "teacher_shift" in first.diagnostics
    caplog.clear()
    row = bayne.fit_batch([star], teacher, instrument=instrument()).table[0]
    assert row["teff"] == first.table["median"][list(first.table["label"]).index("teff")]
    whole = bayne.fit_star(star, teacher, method="map", instrument=instrument())
    assert whole.provenance["emulator"]["name"] == "toy"
    assert "distilled" not in caplog.text


def test_labels_domain_and_wavelengths_are_the_teachers(teacher, compiled):
    assert compiled.label_names == teacher.label_names
    np.testing.assert_array_equal(compiled.lower, teacher.lower)
    np.testing.assert_array_equal(compiled.wavelength, teacher.wavelength)
    assert compiled.card.name == "toy-toy-spectrograph"
    assert compiled.teacher is teacher
    assert compiled.resolution == teacher.resolution


def test_the_error_of_the_distillation_is_added_to_the_teachers(teacher, compiled):
    np.testing.assert_allclose(compiled.error.basis, teacher.error.basis, rtol=1e-6)
    assert np.all(compiled.error.sigma > teacher.error.sigma)
    assert bayne.compile(toy_emulator(), instrument(), error=1e-3).error is None


def test_a_lower_error_takes_a_higher_rank(teacher, compiled):
    coarse = bayne.compile(teacher, instrument(), error=2e-2)
    assert coarse.network.width <= compiled.network.width
    assert coarse.card.held_out_error["distillation_mae"] > 5 * compiled.card.held_out_error["distillation_mae"]


def test_only_the_wavelengths_of_the_instrument_are_kept(teacher):
    near = bayne.compile(teacher, instrument(wavelength=(5000.0, 5010.0)), error=1e-3)
    assert near.windows()[-1][1] < 5036
    assert len(near.windows()) == 1


def test_a_sharp_teacher_becomes_as_sharp_as_the_instrument_needs(labels):
    """Observed with the instrument, both give the same spectrum."""
    sharp = erring_emulator()
    known = instrument(resolution=8_000.0)
    compiled = bayne.compile(sharp, known, error=1e-4)
    assert compiled.resolution == pytest.approx(8_000 * compiling.SHARPER)
    assert compiled.wavelength.size < 0.8 * sharp.wavelength.size
    assert compiled.error.basis.shape == (len(sharp.error.basis), compiled.wavelength.size)
    wave = np.arange(5006.0, 5028.0, 0.1)
    arm = make_arm(wave, np.ones(wave.size), error=np.ones(wave.size), lsf=GaussianLSF(wave / 8_000))
    star = Spectrum((arm,), frame="rest", id="x")

    def seen(emulator):
        made = plan(star, emulator, 20.0)
        at = (jnp.asarray(v) for v in (20.0, 0.0, 0.0, 1.0, 1.0))
        return np.asarray(made.forward.observe(jnp.asarray(emulator.evaluate(labels)), *at))[0], made.used

    with jax.enable_x64(True):
        (one, used), (other, same) = seen(sharp), seen(compiled)
    both = used[0] & same[0]
    assert both.sum() > 100
    assert np.abs(one - other)[both].mean() < 5e-4


def test_what_was_made_once_is_not_made_again(teacher, compiled, monkeypatch):
    monkeypatch.setattr(compiling, "_distil", lambda *rest: pytest.fail("distilled again"))
    again = bayne.compile(teacher, instrument(), error=1e-4)
    np.testing.assert_array_equal(again.params["w_out"], compiled.params["w_out"])


def in_the_cache():
    return sorted(path.name for path in (cache_folder() / "compiled").rglob("*"))


@pytest.fixture
def kept(teacher, compiled, tmp_path, monkeypatch):
    """The folder of a compiled emulator in a cache of its own; distilling it again is a copy."""
    monkeypatch.setenv("BAYNE_CACHE", str(tmp_path))
    monkeypatch.setattr(compiling, "_distil", lambda *rest: compiled)
    bayne.compile(teacher, instrument(), error=1e-4)
    (card,) = tmp_path.rglob("card.json")
    return card.parent


@pytest.mark.parametrize("damage", ["no card", "no weights", "half a card", "half of the weights", "other weights"])
def test_a_damaged_file_of_the_cache_is_made_again(damage, kept, teacher, compiled, caplog):
    whole, path = in_the_cache(), kept / ("card.json" if "card" in damage else "weights.safetensors")
    if damage.startswith("no"):
        path.unlink()
    elif damage == "other weights":
        save_emulator(teacher, kept.parent / "other")
        (kept.parent / "other" / path.name).replace(path)
        (kept.parent / "other" / "card.json").unlink()
        (kept.parent / "other").rmdir()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = bayne.compile(teacher, instrument(), error=1e-4)
    np.testing.assert_array_equal(again.params["w_out"], compiled.params["w_out"])
    assert "it is distilled again" in caplog.text
    assert in_the_cache() == whole


def test_the_first_of_two_processes_that_distil_the_same_is_kept(kept, teacher, compiled, monkeypatch):
    whole = in_the_cache()
    for path in kept.iterdir():
        path.unlink()
    kept.rmdir()

    def slow(*rest):
        monkeypatch.setattr(compiling, "_distil", lambda *rest: compiled)
        bayne.compile(teacher, instrument(), error=1e-4)
        return replace(compiled, params=dict(compiled.params) | {"w_out": np.zeros_like(compiled.params["w_out"])})

    monkeypatch.setattr(compiling, "_distil", slow)
    again = bayne.compile(teacher, instrument(), error=1e-4)
    np.testing.assert_array_equal(again.params["w_out"], compiled.params["w_out"])
    assert in_the_cache() == whole


@pytest.mark.parametrize("what", ["weights", "wavelength", "error", "seed", "instrument"])
def test_what_changes_the_result_changes_its_place(what, teacher):
    digest = compiling._digest
    other, known, error, seed = teacher, instrument(), 1e-4, 0
    if what == "weights":
        other = replace(teacher, params=dict(teacher.params) | {"x_min": teacher.params["x_min"] + 1})
    elif what == "wavelength":
        other = replace(teacher, wavelength=teacher.wavelength + 1)
    elif what == "error":
        error = 2e-4
    elif what == "seed":
        seed = 1
    else:
        known = instrument(resolution=24_000.0)
    assert digest(other, known, error, seed) != digest(teacher, instrument(), 1e-4, 0)


def test_wrong_arguments_are_named(teacher):
    with pytest.raises(BayneError, match="no wavelength of 'toy-spectrograph'"):
        bayne.compile(teacher, instrument(wavelength=(8000.0, 8100.0)))
    with pytest.raises(BayneError, match="error = 0"):
        bayne.compile(teacher, instrument(), error=0.0)
    with pytest.raises(BayneError, match="hermes"):
        bayne.compile(teacher, "hermess")

"""The page holds what a spectroscopist asks for, and nothing from elsewhere."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from bayne import Flag
from bayne.flags import SENTENCES
from bayne.inference import FitResult
from bayne.labels import pretty
from bayne.reports import report
from bayne.reports.page import flatten
from fakes import LABELS, fake_arm, fake_result

ELEMENTS = (
    "c",
    "o",
    "na",
    "mg",
    "al",
    "si",
    "k",
    "ca",
    "sc",
    "ti",
    "v",
    "cr",
    "mn",
    "co",
    "ni",
    "cu",
    "zn",
    "y",
    "ba",
    "eu",
)


def page(result: FitResult, folder: Path) -> str:
    return report(result, folder / "star.html").read_text(encoding="utf-8")


def images(html: str) -> list[tuple[str, bytes]]:
    """Alternative text and content of every image."""
    found = re.findall(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]+)">', html)
    return [(unescape(alt), base64.b64decode(data)) for alt, data in found]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> str:
    result = fake_result(flags=Flag.NEAR_EDGE | Flag.ERRORS_ESTIMATED, messages=("[Mg/Fe] is 0.01 dex from the edge.",))
    return page(result, tmp_path_factory.mktemp("page"))


def test_labels_units_and_derived_rows(usual: str) -> None:
    text = unescape(re.sub(r"<[^>]+>", " ", usual))
    for name in (*LABELS, "vmac", "mg_h", "si_h"):
        assert pretty(name) in text
    for column in ("median", "std", "R-hat", "ESS bulk", "ESS tail", "bound", "std / bound", "prior sd"):
        assert column in text
    assert re.search(r"Teff\s+57\d\d \+\d\d\s*−\d\d\s+K", re.sub(r"\s+", " ", text))
    assert "near edge" in text
    assert "fixed" in text
    assert text.index("Nuisance parameters") < text.index("excess blue")


def test_upper_limits_are_shown_as_such(tmp_path: Path) -> None:
    result = replace(fake_result(), label_flags={"mg_fe": Flag.UPPER_LIMIT})
    text = unescape(re.sub(r"<[^>]+>", " ", page(result, tmp_path)))
    limit = np.quantile(result.draws("mg_fe"), 0.95)
    assert re.search(rf"\[Mg/Fe\]\s+< {limit:.2f}", re.sub(r"\s+", " ", text))


def test_header_facts(usual: str) -> None:
    assert "NUTS" in usual
    assert "<dd>demo</dd>" in usual
    n = int(sum(arm.used.sum() for arm in fake_result().arms))
    assert f"/ {n} = 1.02" in usual
    assert re.search(r"<dd>\d+ \(blue\), \d+ \(red\)</dd>", usual)
    assert "−21.40 km/s" in usual


def test_flags_in_words(usual: str) -> None:
    for bit in (Flag.NEAR_EDGE, Flag.ERRORS_ESTIMATED):
        assert SENTENCES[bit] in unescape(usual)
    assert "[Mg/Fe] is 0.01 dex from the edge." in usual
    assert "OK with warnings" in usual


def test_figures_are_inside_the_page(usual: str) -> None:
    found = images(usual)
    assert all(data.startswith(b"\x89PNG\r\n") for _, data in found)
    alts = " ".join(alt for alt, _ in found)
    for what in ("whole spectrum", "residuals of arm blue", "bound", "Corner", "Traces", "Cross-correlation"):
        assert what in alts


def test_nothing_from_elsewhere(usual: str) -> None:
    assert "http" not in usual
    assert "<script" not in usual
    assert "<link" not in usual
    assert "url(" not in usual
    assert "@import" not in usual
    assert set(re.findall(r'(?:src|href)="([^":]+:)', usual)) == {"data:"}


@pytest.mark.parametrize(
    ("flags", "words", "kind"),
    [(Flag(0), "OK", "ok"), (Flag.TREE_DEPTH, "OK with warnings", "warn"), (Flag.BAD_FIT, "BAD", "bad")],
)
def test_verdict(tmp_path: Path, flags: Flag, words: str, kind: str) -> None:
    result = fake_result(("teff", "logg", "fe_h"), [fake_arm("a", 6550, 6580, 300, -21.4)], method="map", flags=flags)
    assert re.search(rf'<span class="verdict {kind}">{words}', page(result, tmp_path))


def test_bad_flags_come_first(tmp_path: Path) -> None:
    html = page(fake_result(method="map", flags=Flag.NEAR_EDGE | Flag.DOUBLE_LINED), tmp_path)
    assert html.index(SENTENCES[Flag.DOUBLE_LINED]) < html.index("A label lies near the edge")


def test_text_of_strangers_is_escaped(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    result = fake_result(star=evil, method="map", messages=(evil,), arms=[fake_arm(evil, 6550, 6580, 300, 0.0)])
    provenance = {evil: evil, "emulator": {"name": evil}}
    html = page(replace(result, provenance=provenance), tmp_path)
    assert "<script" not in html
    assert 'alert("' not in html
    assert html.count("&lt;script&gt;") >= 5


def test_failed_result_is_shown(tmp_path: Path) -> None:
    result = fake_result(failed=True, flags=Flag.NO_PIXELS, messages=("0 good pixels of 1500.",))
    html = page(result, tmp_path)
    assert "BAD: do not use" in html
    assert SENTENCES[Flag.NO_PIXELS] in html
    assert not re.search(r"\bnan\b", re.sub(r'src="[^"]*"', "", html).lower())
    alts = " ".join(alt for alt, _ in images(html))
    assert "residuals of arm blue" in alts
    assert "Corner" not in alts
    assert "Traces" not in alts


def test_failed_result_without_a_start_is_shown(tmp_path: Path) -> None:
    empty = np.zeros(0)
    result = replace(fake_result(failed=True, method="laplace"), ccf=empty, ccf_velocity=empty, diagnostics={})
    assert "Cross-correlation" not in " ".join(alt for alt, _ in images(page(result, tmp_path)))


@pytest.mark.parametrize("method", ["laplace", "map"])
def test_other_methods_have_no_traces(tmp_path: Path, method: str) -> None:
    alts = " ".join(alt for alt, _ in images(page(fake_result(method=method), tmp_path)))
    assert "Traces" not in alts
    assert ("Corner" in alts) == (method == "laplace")


def test_few_labels(tmp_path: Path) -> None:
    html = page(fake_result(("teff", "logg", "fe_h", "rv"), method="laplace"), tmp_path)
    assert "Derived [X/H]" not in html


def test_thirty_labels(tmp_path: Path) -> None:
    result = fake_result(
        ("teff", "logg", "fe_h", "vmic", *(f"{e}_fe" for e in ELEMENTS), "rv", "vsini"), method="laplace"
    )
    html = page(result, tmp_path)
    assert all(f"[{e.capitalize()}/{over}]" in html for e in ELEMENTS for over in ("Fe", "H"))


def test_a_degenerate_fisher_matrix_does_not_stop_the_page(tmp_path: Path) -> None:
    result = fake_result()
    broken = np.full_like(result.fisher_covariance, np.inf)
    html = page(replace(result, fisher_covariance=broken, crb=np.full_like(result.crb, np.inf)), tmp_path)
    assert "Corner" in " ".join(alt for alt, _ in images(html))
    assert ">none<" in html


def test_divergences_and_bad_convergence_are_marked(tmp_path: Path) -> None:
    result = fake_result()
    result.idata.sample_stats["diverging"].values[0, 100] = True
    result.idata.posterior["teff"].values[0] += 500
    html = page(result, tmp_path)
    assert '<td class="alert">' in html


def test_file_is_kept_unless_asked(tmp_path: Path) -> None:
    result = fake_result(method="map")
    path = report(result, tmp_path / "star.html")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        report(result, path)
    report(fake_result(method="map", star="another"), path, overwrite=True)
    assert "another" in path.read_text(encoding="utf-8")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        report(result, tmp_path / "nowhere" / "star.html")
    assert [p.name for p in tmp_path.iterdir()] == ["star.html"]


def test_nested_provenance_is_flattened() -> None:
    rows = dict(flatten({"a": {"b": 1, "c": [1, 2]}, "d": "x", "e": np.float32(0.5)}))
    assert rows == {"a.b": "1", "a.c": "[1, 2]", "d": "x", "e": '"0.5"'}

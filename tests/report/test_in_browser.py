"""The report in headless Chromium: no complaint, nothing blank, readable in both themes."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from browser import find_chromium, open_browser
from PIL import Image

from small_run import CONFIG
from vibe_rl.experiment import train
from vibe_rl.report import write_report
from vibe_rl.report.html import Html, note
from vibe_rl.run_dir import RunDir
from vibe_rl.run_dir.notes import HEALTH, HealthNote, add_note

WINDOWS = [(1400, "light"), (1400, "dark"), (400, "light"), (400, "dark")]
HALF = replace(CONFIG, runner=replace(CONFIG.runner, total_timesteps=512))

MEASURE = """(() => {
  const seen = element => element.getClientRects().length > 0;
  const all = query => [...document.querySelectorAll(query)].filter(seen);
  const rgb = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = colour => rgb(colour).map(x => x / 255)
    .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)|transparent/.test(colour)) return light(colour);
    }
  };
  const contrast = element => {
    const [a, b] = [light(getComputedStyle(element).color), behind(element)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const room = document.documentElement.clientWidth;
  const texts = all('h1, h2, p, li, th, td, dt, dd, figcaption, summary, code, .badge');
  return {
    excess: document.documentElement.scrollWidth - room,
    wider: all('body *').filter(e => !e.closest('.wide') && !e.closest('svg') &&
      !e.classList.contains('unseen') && e.getBoundingClientRect().right > room + 0.5).length,
    background: behind(document.body),
    contrast: Math.min(...texts.map(contrast)),
    font: Math.min(...texts.map(e => parseFloat(getComputedStyle(e).fontSize))),
    ticks: Math.min(...all('svg text').map(e => e.getBoundingClientRect().height)),
    figures: all('svg').length,
    unnamed: all('svg, img').filter(e => !(e.alt || e.getAttribute('aria-label'))).length,
    broken: all('img').filter(e => !e.naturalWidth).length,
    headings: document.querySelectorAll('h1').length,
  };
})()"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A run with a long name and a line about its health; and two compared."""
    folder = tmp_path_factory.mktemp("pages")
    run_dir, _ = train(HALF, folder)
    name = "run_" + 60 * "x"
    long = RunDir.open(shutil.copytree(run_dir, folder / name, symlinks=True))
    add_note(long, HEALTH, HealthNote(7, "kl", "approx_kl is above: " + 90 * "y"))
    with pytest.MonkeyPatch.context() as patch:  # for what takes long is in the other
        patch.setattr("vibe_rl.report.pages.small_curves", lambda *args: Html())
        patch.setattr("vibe_rl.report.pages.episode", lambda run_dir: note("-"))
        both = write_report([run_dir, long], folder / "both.html")
    return write_report([long]), both


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


def test_pages_are_whole_and_readable_in_narrow_and_wide_windows_light_and_dark(
    browser, pages, tmp_path
):
    backgrounds = {}
    for page in pages:
        for width, scheme in WINDOWS:
            browser.show(page, width, scheme)
            found = browser.evaluate(MEASURE)
            assert (found["excess"], found["wider"]) == (0, 0), (page.name, width)
            assert found["contrast"] >= 4.5
            assert found["font"] >= 12
            assert found["ticks"] >= 9
            assert (found["unnamed"], found["broken"], found["headings"]) == (0, 0, 1)
            assert found["figures"] >= 1
            backgrounds[scheme] = found["background"]
            check_not_blank(browser, tmp_path / "seen.png", width, scheme)
    assert browser.complaints == []
    assert backgrounds["light"] > 0.9
    assert backgrounds["dark"] < 0.02


def check_not_blank(browser, path, width, scheme):
    browser.screenshot(path)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"), float)
    assert pixels.shape[1] == width
    assert pixels.std() > 8
    assert (pixels.mean() > 128) == (scheme == "light")


def test_the_browser_reports_errors_of_a_page(browser, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<script>missing()</script><img src='http://192.0.2.1/x.png'>")
    before = len(browser.complaints)
    browser.show(page, 400, "light")
    found, browser.complaints = browser.complaints[before:], browser.complaints[:before]
    assert any("missing" in str(complaint) for complaint in found)
    assert "http://192.0.2.1/x.png" in found


def test_where_there_is_no_chromium_ci_fails_and_others_skip(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no Chromium: apt-get install"):
        find_chromium()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no Chromium"):
        find_chromium()

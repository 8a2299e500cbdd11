"""The page in a real browser, where there is one: nothing is wider than the screen, the console stays silent."""

import json
import re
import shutil
import subprocess
from html import escape, unescape

import pytest

from tinyrig.reports.nights.page import nights_page
from tinyrig.reports.tests.test_nights import hostile_store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

_PROBE = """<script>
var faults = [];
window.addEventListener('error', function (e) { faults.push('error: ' + e.message); });
document.addEventListener('securitypolicyviolation', function (e) { faults.push('refused: ' + e.blockedURI); });
window.addEventListener('load', function () {
  document.querySelectorAll('details').forEach(function (d) { d.open = true; });
  var root = document.documentElement, wide = [];
  document.querySelectorAll('body *').forEach(function (e) {
    if (e.closest('.wide, pre, svg, .flame')) return;
    if (e.getBoundingClientRect().right > window.innerWidth + 1) wide.push(e.tagName + ' ' + e.textContent.slice(0, 40));
  });
  parent.postMessage({width: window.innerWidth, scroll: root.scrollWidth, wide: wide.slice(0, 5), faults: faults,
    panels: document.querySelectorAll('figure svg').length, filter: !!document.getElementById('filter'),
    ground: getComputedStyle(document.body).backgroundColor}, '*');
});
</script>"""
_FRAME = """<!doctype html><meta charset="utf-8"><body><pre id="said"></pre><script>
window.addEventListener('message', function (e) { document.getElementById('said').textContent = JSON.stringify(e.data); });
</script><iframe width="{width}" height="800" style="border:0" srcdoc="{source}"></iframe>"""


def shown(source, folder, width, dark=False):
    """What the page says of itself in a frame of this width: a headless window can not be narrower than 500."""
    probed = source.replace("<main>", _PROBE + "<main>", 1)
    file = folder / f"frame-{width}.html"
    file.write_text(_FRAME.replace("{width}", str(width)).replace("{source}", escape(probed)), encoding="utf-8")
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--virtual-time-budget=5000",
        *scheme,
        f"--user-data-dir={folder}/profile",
        "--window-size=1300,900",
        "--dump-dom",
        file.as_uri(),
    ]
    done = subprocess.run([CHROMIUM, *arguments], capture_output=True, text=True, timeout=120, check=True)
    said = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.S)
    assert said and said[1], done.stderr[-2000:]
    return json.loads(unescape(said[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def source(eventful_page):
    return eventful_page


@pytest.mark.parametrize("width", [1200, 390, 320])
def test_nothing_is_wider_than_the_screen(source, tmp_path, width):
    page, console = shown(source, tmp_path, width)
    assert console == [] and page["faults"] == []
    assert page["width"] == width and page["scroll"] <= width and page["wide"] == []
    assert page["panels"] == 32 and page["filter"]


def test_it_is_dark_where_that_is_preferred(source, tmp_path):
    assert shown(source, tmp_path, 1200)[0]["ground"] == "rgb(255, 255, 255)"
    assert shown(source, tmp_path, 1200, dark=True)[0]["ground"] == "rgb(15, 20, 25)"


def test_hostile_names_run_nothing_and_fit(tmp_path):
    with hostile_store(f"sqlite:///{tmp_path}/r.sqlite") as store:
        hostile = nights_page(store)
    page, console = shown(hostile, tmp_path, 390)
    assert console == [] and page["faults"] == [] and page["wide"] == [] and page["scroll"] <= 390

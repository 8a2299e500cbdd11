"""A page in a real browser, where there is one: what it says of itself in a frame of a given width."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

_PROBE = """<script>
var faults = [];
window.addEventListener('error', function (e) { faults.push('error: ' + e.message); });
document.addEventListener('securitypolicyviolation', function (e) { faults.push('refused: ' + e.blockedURI); });
window.addEventListener('load', function () {
  document.querySelectorAll('details').forEach(function (d) { d.open = true; });
  var root = document.documentElement, wide = [], meeting = [];
  document.querySelectorAll('body *').forEach(function (e) {
    if (e.closest('.wide, pre, svg, .flame')) return;
    if (e.getBoundingClientRect().right > window.innerWidth + 1) wide.push(e.tagName + ' ' + e.textContent.slice(0, 40));
  });
  document.querySelectorAll('svg').forEach(function (s) {
    var frame = s.getBoundingClientRect(), texts = Array.from(s.querySelectorAll('text'), function (t) {
      return {box: t.getBoundingClientRect(), words: t.textContent};
    });
    texts.forEach(function (t, i) {
      if (t.box.left < frame.left - 1 || t.box.right > frame.right + 1 || t.box.bottom > frame.bottom + 2)
        meeting.push(t.words + ' leaves its picture');
      texts.slice(i + 1).forEach(function (u) {
        var beside = t.box.left >= u.box.right - 1 || u.box.left >= t.box.right - 1;
        if (!beside && t.box.top < u.box.bottom - 2 && u.box.top < t.box.bottom - 2)
          meeting.push(t.words + ' meets ' + u.words);
      });
    });
  });
  parent.postMessage({width: window.innerWidth, scroll: root.scrollWidth, wide: wide.slice(0, 5), faults: faults,
    meeting: meeting.slice(0, 8), texts: document.querySelectorAll('svg text').length,
    panels: document.querySelectorAll('figure svg').length, filter: !!document.getElementById('filter'),
    ground: getComputedStyle(document.body).backgroundColor}, '*');
});
</script>"""
_FRAME = """<!doctype html><meta charset="utf-8"><body><pre id="said"></pre><script>
window.addEventListener('message', function (e) { document.getElementById('said').textContent = JSON.stringify(e.data); });
</script><iframe width="{width}" height="800" style="border:0" srcdoc="{source}"></iframe>"""


@dataclass(frozen=True)
class Seen:
    """`wide`: elements that leave the screen, except those that scroll in themselves; `meeting`: texts of pictures that overlap
    or leave their picture; `faults`: errors and refused fetches; `console`: what the browser logged."""

    width: int
    scroll: int
    wide: list[str]
    meeting: list[str]
    faults: list[str]
    console: list[str]
    texts: int
    panels: int
    filter: bool
    ground: str

    def check(self, width: int) -> None:
        assert self.console == [] and self.faults == []
        assert self.width == width and self.scroll <= width and self.wide == []
        assert self.meeting == []


def seen(source: str, folder: Path, width: int, dark: bool = False) -> Seen:
    """A headless window can not be narrower than 500, so the page stands in a frame."""
    probed = source.replace("<main>", _PROBE + "<main>", 1)
    file = folder / f"frame-{width}.html"
    file.write_text(_FRAME.replace("{width}", str(width)).replace("{source}", escape(probed)), encoding="utf-8")
    arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--virtual-time-budget=5000",
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
        f"--user-data-dir={folder}/profile",
        "--window-size=1300,900",
        "--dump-dom",
        file.as_uri(),
    ]
    done = subprocess.run([str(CHROMIUM), *arguments], capture_output=True, text=True, timeout=120, check=True)
    said = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.S)
    assert said and said[1], done.stderr[-2000:]
    found: dict[str, Any] = json.loads(unescape(said[1]))
    return Seen(**found, console=[line for line in done.stderr.splitlines() if "CONSOLE" in line])

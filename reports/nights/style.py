"""Style and script of the nights' page. The script only adds a filter; without it the page lacks nothing else."""

STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --page: #fff; --card: #f6f8fa; --rule: #d0d7de;
  --good: #1a7f37; --bad: #b3261e; --rig: #8a5a00; --line: #0757b0; --band: #0757b022; --accepted: #7b3fb0; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #9aa4af; --page: #0f1419; --card: #182029;
  --rule: #38424d; --good: #56d364; --bad: #ff8a80; --rig: #e3b341; --line: #79b8ff; --band: #79b8ff2e; --accepted: #d2a8ff; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 1200px; margin: 0 auto;
  padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .2rem 0; } h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--rule); padding-bottom: .2rem; }
h4, h5 { font-size: .95rem; margin: 1rem 0 .3rem; }
a { color: var(--line); } p { margin: .5rem 0; } ul { padding-left: 1.2rem; margin: .5rem 0; } li { margin: .25rem 0; }
nav a { margin-right: .9rem; white-space: nowrap; }
code { font: .9em ui-monospace, monospace; background: var(--card); padding: .05rem .25rem; border-radius: 3px; }
pre { background: var(--card); padding: .6rem .8rem; overflow-x: auto; border-radius: 6px; }
pre code { padding: 0; overflow-wrap: normal; }
.soft { color: var(--soft); }
.banner { border: 1px solid var(--rule); border-left: .5rem solid var(--soft); border-radius: 6px; background: var(--card);
  padding: .7rem 1rem; margin: 1rem 0; }
.banner h2 { font-size: 1.35rem; margin: .1rem 0; border: 0; padding: 0; } .banner h3 { margin-top: .8rem; }
.banner.good { border-left-color: var(--good); } .banner.bad { border-left-color: var(--bad); }
.banner.rig { border-left-color: var(--rig); }
.tag { border: 1px solid var(--rule); border-radius: 9px; padding: 0 .45rem; font-size: .85em; white-space: nowrap; }
.worse, .changed { color: var(--bad); } .better, .same { color: var(--good); } .not-measured { color: var(--rig); }
.accepted { color: var(--accepted); } .not-comparable, .not-judged { color: var(--soft); }
.wide { overflow-x: auto; max-width: 100%; } .wide:focus-visible { outline: 2px solid var(--line); }
table { border-collapse: collapse; margin: .5rem 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; vertical-align: top;
  white-space: nowrap; }
th { background: var(--card); } .left, th[scope=row] { text-align: left; }
td.text { text-align: left; white-space: normal; min-width: 14rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(270px, 100%), 1fr)); gap: .8rem; }
figure { margin: 0; border: 1px solid var(--rule); border-radius: 6px; padding: .5rem .6rem; min-width: 0; }
figcaption { font-size: .85rem; line-height: 1.35; }
figure svg { display: block; width: 100%; height: auto; margin: .3rem 0; }
.axis span:not(:nth-child(2)) { white-space: nowrap; } .axis span:nth-child(2) { text-align: center; }
.swatch { background: var(--band); border: 1px solid var(--line); padding: 0 .3rem; }
.axis { display: flex; justify-content: space-between; font-size: .75rem; color: var(--soft); gap: .5rem; }
svg .line { fill: none; stroke: var(--line); stroke-width: 1.3; } svg .dot { fill: var(--line); }
svg .band { fill: var(--band); stroke: var(--line); stroke-width: .3; }
svg .accepted { stroke: var(--accepted); stroke-width: 1.3; stroke-dasharray: 4 3; }
svg .alarm { fill: none; stroke-width: 1.8; stroke: var(--bad); } svg .alarm.better { stroke: var(--good); }
details { margin: .6rem 0; } summary { cursor: pointer; }
.strip { display: flex; flex-wrap: wrap; gap: 3px; list-style: none; padding: 0; }
.strip li { margin: 0; width: 1.35rem; height: 1.35rem; border: 1px solid currentColor; border-radius: 3px; text-align: center;
  font-size: .8rem; line-height: 1.25rem; }
.n0 { color: var(--good); } .n1 { color: var(--bad); } .n2, .n3, .nx { color: var(--rig); }
.flame { margin: .3rem 0 1rem; font-size: .75rem; } .flame div { display: flex; min-width: 0; }
.flame span { border: 1px solid var(--page); border-radius: 3px; padding: .1rem .25rem; min-width: 0; overflow: hidden;
  white-space: nowrap; text-overflow: ellipsis; color: #111; }
#filter { font: inherit; padding: .3rem .5rem; width: min(22rem, 100%); color: inherit; background: var(--page);
  border: 1px solid var(--rule); border-radius: 4px; }
"""

SCRIPT = """
(function () {
  var place = document.getElementById('filter-place'), panels = document.querySelectorAll('figure[data-name]');
  if (!place || panels.length < 9) return;
  var box = document.createElement('input');
  box.id = 'filter'; box.type = 'search'; box.placeholder = 'show only (variant or board)';
  box.setAttribute('aria-label', 'show only trends whose variant or board contains');
  box.addEventListener('input', function () {
    var words = box.value.toLowerCase().split(/\\s+/);
    panels.forEach(function (p) {
      p.hidden = !words.every(function (w) { return p.dataset.name.toLowerCase().indexOf(w) >= 0; });
    });
    if (box.value) place.parentNode.querySelectorAll('details').forEach(function (d) { d.open = true; });
  });
  place.appendChild(box);
})();
"""

(function () {
  var place = document.getElementById('filter-place'), panels = document.querySelectorAll('figure[data-name]');
  if (!place || panels.length < 9) return;
  var box = document.createElement('input');
  box.id = 'filter'; box.type = 'search'; box.placeholder = 'show only (variant or board)';
  box.setAttribute('aria-label', 'show only trends whose variant or board contains');
  box.addEventListener('input', function () {
    var words = box.value.toLowerCase().split(/\s+/);
    panels.forEach(function (p) {
      p.hidden = !words.every(function (w) { return p.dataset.name.toLowerCase().indexOf(w) >= 0; });
    });
    if (box.value) place.parentNode.querySelectorAll('details').forEach(function (d) { d.open = true; });
  });
  place.appendChild(box);
})();

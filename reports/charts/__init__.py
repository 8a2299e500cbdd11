"""Charts as inline SVG: their texts stay texts, colours follow the page's theme, and a chart is a few KB."""

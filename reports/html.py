"""A report's content and pages as HTML, by the templates: whole files without anything to fetch, texts escaped."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tinyrig.reports.blocks import Block
from tinyrig.reports.text import one_line

TEMPLATES = Path(__file__).parent / "templates"


@cache
def _environment() -> Environment:
    """What is not Markup is escaped, and on one line without invisible characters; a name that does not exist is an error."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else one_line(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"inline": inline, "kind": lambda block: type(block).__name__, "embedded": _embedded}
    return found


def page(template: str, **content: Any) -> str:
    """The whole document."""
    return _environment().get_template(template).render(**content)


def body(blocks: Sequence[Block]) -> Markup:
    """The blocks alone, for a document of another."""
    return Markup(_environment().get_template("body.html").render(blocks=blocks))  # escaped by the template


def inline(text: object) -> Markup:
    """One line, its `backticks` as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(one_line(text)))))


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + b64encode(path.read_bytes()).decode("ascii")

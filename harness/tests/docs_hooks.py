"""Hooks of mkdocs (mkdocs.yml): documents are written for GitHub's eyes too; the site shows docs/ and the wire protocol only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

WIRE = "../firmware/WIRE.md"
_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#]+)(?:#[^)]*)?\)")
_FETCHED, _OWN = "https://unpkg.com/iframe-worker/shim", "assets/worker.js"
_FOLDER = re.compile(r"\[([^\]]+)\]\((examples/\w+)/?\)")
_LIST = re.compile(r"(?m)^((?![-*] |\d+\. |\s|\||#|>|$).+)\n(?=[-*] |\d+\. )")


def on_files(files: Any, config: Any) -> Any:
    """firmware/WIRE.md becomes a page."""
    from mkdocs.structure.files import File

    source = Path(config["docs_dir"]).parent / "firmware" / "WIRE.md"
    files.append(File.generated(config, "WIRE.md", content=source.read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links to sources become names; a list may follow its sentence at once, as on GitHub."""
    up = "../" * page.file.src_uri.count("/")
    known = markdown.replace(f"({WIRE}", f"({up}WIRE.md")
    linked = _OUTSIDE.sub(_named, known) if page.file.src_uri != "WIRE.md" else re.sub(_OUTSIDE, _own_docs, known)
    linked = _FOLDER.sub(r"\1 (`docs/\2`)", linked)
    return _LIST.sub(r"\1\n\n", linked)


def _named(match: re.Match[str]) -> str:
    """A page within the site keeps its link."""
    words, path = match[1], match[2]
    if match[0].count("../") == 1 and not path.startswith(("firmware/", "harness/", "reports/", "bench/", "variants/")):
        return match[0]
    return words if path.strip("/") in words.replace("`", "") else f"{words} (`{path}`)"


def _own_docs(match: re.Match[str]) -> str:
    return match[0].replace("../docs/", "")


def on_post_page(output: str, page: Any, config: Any) -> str:
    """What the theme would fetch for its search without a server comes with the site."""
    return output.replace(_FETCHED, f"{'../' * page.url.count('/')}{_OWN}")


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    return output_content.replace(_FETCHED, f"/{_OWN}")

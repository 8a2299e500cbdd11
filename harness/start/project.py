"""The files that `tinyrig init` writes: made of templates, and never over what is there."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinyrig.core.errors import UserError
from tinyrig.places.project import RIG_TOML

TEMPLATES = Path(__file__).parent / "templates"
TEST, WORKFLOW = "tests/test_model_on_board.py", ".github/workflows/tinyrig.yml"
PLACEHOLDER = "gesture.tflite"
"""Where the user has no model yet."""
SKIPPED = frozenset({"node_modules", "venv", "build", "dist"})
MOST_FOLDERS = 2000
"""More are not searched for a model."""


@dataclass(frozen=True)
class Subject:
    """What is to be measured. Paths count from the project's folder; `windows` may be missing, `known`: the model is there."""

    model: str
    windows: str | None
    known: bool

    @property
    def name(self) -> str:
        """For rig.toml and a test's name."""
        return re.sub(r"\W+", "_", Path(self.model).stem, flags=re.ASCII).strip("_") or "model"


@dataclass(frozen=True)
class Written:
    """A file of the project. `kept`: it was there already, and stays as it was."""

    path: str
    kept: bool


def subject(folder: Path, model: Path | None, windows: Path | None) -> Subject:
    """What is named, else the only model in the project, else a placeholder. Raises UserError for a file that is not there."""
    for file in (model, windows):
        if file is not None and not (folder / file).is_file():
            raise UserError(f"there is no file {file}", expected="a file of this project", remedy="name another one")
    if model is None:
        found = list(models(folder))
        model = found[0] if len(found) == 1 else None
    if model is None:
        return Subject(PLACEHOLDER, None, known=False)
    beside = model.with_suffix(".npz")
    windows = windows or (beside if (folder / beside).is_file() else None)
    return Subject(model.as_posix(), windows.as_posix() if windows else None, known=True)


def models(folder: Path) -> Iterator[Path]:
    """The .tflite files of the project, relative to it."""
    waiting, seen = [folder], 0
    while waiting and seen < MOST_FOLDERS:
        seen += 1
        for entry in sorted(_entries(waiting.pop())):
            if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith(".") and entry.name not in SKIPPED:
                waiting.append(entry)
            elif entry.suffix.lower() == ".tflite" and entry.is_file():
                yield entry.relative_to(folder)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def write(folder: Path, what: Subject) -> list[Written]:
    """Raises OSError."""
    files = {RIG_TOML: "rig.toml", TEST: "test_model_on_board.py.in", WORKFLOW: "tinyrig.yml"}
    return [_write(folder, path, filled(template, what)) for path, template in files.items()]


def _write(folder: Path, path: str, text: str) -> Written:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    try:
        with (folder / path).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return Written(path, kept=True)
    return Written(path, kept=False)


def filled(template: str, what: Subject) -> str:
    windows = f"windows = {_toml(what.windows)}" if what.windows else '# windows = "FILE.npz"     # x, and y: the labels'
    values = {
        "NAME": what.name,
        "NAME_TEXT": f'"{what.name}"',
        "MODEL": _toml(what.model),
        "WINDOWS_LINE": windows,
        "INSTALL": shlex.quote(requirement()),
        "TESTS": TEST,
    }
    text = (TEMPLATES / template).read_text("utf-8")
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], text)


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def requirement() -> str:
    """What pip is given elsewhere to install the same tinyrig: its repository and commit where it came from one."""
    found = importlib.metadata.distribution("tinyrig")
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    vcs = origin.get("vcs_info")
    if vcs:
        return f"tinyrig @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
    return f"tinyrig=={found.version}"

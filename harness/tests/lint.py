"""`python -m tinyrig.tests.lint [NAME ...]`: all linters of this checkout, or those named; every one runs, then it ends with 1.

mypy and import-linter look for packages in folders of their names; `tinyrig` is put together from several, so they are given a
tree of links in build/lint.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "build" / "lint"
PARTS = {"": "harness", "variants": "variants", "reports": "reports", "firmware": "firmware"}
BIN = Path(sys.executable).parent
COMMANDS: dict[str, list[str]] = {
    "ruff check": ["ruff", "check", "--quiet", "."],
    "ruff format": ["ruff", "format", "--check", "--quiet", "."],
    "mypy": ["mypy", "--no-error-summary"],
    "import-linter": ["lint-imports", "--no-cache"],
    "codespell": ["codespell"],
}


def make_tree() -> None:
    """Real folders, linked files: neither tool follows linked folders."""
    shutil.rmtree(TREE, ignore_errors=True)
    for name, folder in PARTS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).parts
            if parts[0] != "out":
                link = TREE.joinpath("tinyrig", name, *parts)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path)


def run(name: str) -> bool:
    """Whether it found nothing; its output where it did."""
    command = [str(BIN / COMMANDS[name][0]), *COMMANDS[name][1:]]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(TREE)}
    )
    print(f"{name}: {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
    if done.returncode:
        print((done.stdout + done.stderr).replace("build/lint/tinyrig/", ""), flush=True)
    return done.returncode == 0


def main(names: list[str]) -> int:
    make_tree()
    good = [run(name) for name in names or COMMANDS]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

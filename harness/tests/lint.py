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

from tinyrig.tests import lint_c

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "build" / "lint"
PARTS = {"": "harness", "variants": "variants", "reports": "reports", "firmware": "firmware"}
BIN = Path(sys.executable).parent
PYTHON_LINTERS: dict[str, list[str]] = {
    "ruff check": ["ruff", "check", "--quiet", "."],
    "ruff format": ["ruff", "format", "--check", "--quiet", "."],
    "mypy": ["mypy", "--no-error-summary"],
    "import-linter": ["lint-imports", "--no-cache"],
    "codespell": ["codespell"],
}
"""In .venv; those of the firmware are Debian's, lint_c.py."""


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


def complaint(command: list[str]) -> str:
    """What the linter found, or what is missing to run it; nothing where all is well."""
    package = lint_c.PACKAGES.get(command[0])
    if package and not shutil.which(command[0]):
        return f"{command[0]} is missing: apt-get install --no-install-recommends {package}\n"
    environment = {**os.environ, "PYTHONPATH": str(TREE)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    said = (done.stdout + done.stderr).replace("build/lint/tinyrig/", "")
    return (said or f"exit status {done.returncode}\n") if done.returncode else ""


def run(name: str) -> bool:
    """Whether it found nothing; its output where it did."""
    if name in PYTHON_LINTERS:
        program, *words = PYTHON_LINTERS[name]
        commands = [[str(BIN / program), *words]]
    else:
        commands = lint_c.LINTERS[name]()
    found = "".join(complaint(command) for command in commands)
    print(f"{name}: {'FAILED' if found else 'ok'}", flush=True)
    if found:
        print(found, flush=True)
    return not found


def main(names: list[str]) -> int:
    make_tree()
    good = [run(name) for name in names or (*PYTHON_LINTERS, *lint_c.LINTERS)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

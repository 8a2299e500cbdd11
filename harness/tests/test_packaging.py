"""The packages that are shipped are those that are there, below one name that collides with nobody's."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_every_package_is_listed():
    folders = {name: ROOT / place for name, place in SETTINGS["package-dir"].items()}
    found = set()
    for name, folder in folders.items():
        for path in folder.rglob("__init__.py"):
            parts = path.parent.relative_to(folder).parts
            if not {"tests", "out"} & set(parts):
                found.add(".".join((name, *parts)))
    assert found == set(SETTINGS["packages"])


def test_a_users_own_packages_keep_their_names(tmp_path):
    for name in ("harness", "reports", "variants", "firmware"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("WHOSE = 'the user’s'\n")
    names = "harness, reports, variants, firmware"
    code = f"import {names}\nimport tinyrig.cli, tinyrig.reports.run.tables, tinyrig.variants.data.datasets, tinyrig.firmware\n"
    code += f"print({{m.WHOSE for m in ({names})}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "{'the user’s'}\n", done.stderr


NOT_SHIPPED = {".clang-format", "README.md"}
"""For those who work on the sources."""


def test_every_file_that_is_no_python_is_shipped():
    """A template or a C source that package-data does not name works in the checkout and is missing everywhere else."""
    folders = {name: ROOT / place for name, place in SETTINGS["package-dir"].items()}
    shipped: set[Path] = set()
    for package, patterns in SETTINGS["package-data"].items():
        parent = max((name for name in folders if f"{package}.".startswith(f"{name}.")), key=len)
        folder = folders[parent].joinpath(*package.removeprefix(parent).strip(".").split("."))
        for pattern in patterns:
            matched = set(folder.glob(pattern))
            assert matched, f"{package}: {pattern} matches nothing"
            shipped |= matched
    kept = subprocess.run(["git", "ls-files", "-z", *SETTINGS["package-dir"].values()], cwd=ROOT, capture_output=True, check=True)
    files = [ROOT / name for name in kept.stdout.decode().split("\0") if name and not name.endswith(".py")]
    inner = [p for p in files if not {"tests", "fuzz"} & set(p.relative_to(ROOT).parts) and p.name not in NOT_SHIPPED]
    assert len(inner) > 100 and set(inner) - shipped == set()

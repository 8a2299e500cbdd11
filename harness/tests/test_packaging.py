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

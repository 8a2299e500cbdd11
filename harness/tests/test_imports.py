"""What importing costs: the rig side never loads TensorFlow or the emulator, --help nothing heavy. Which room may import which is
import-linter's affair (pyproject.toml, `make lint`)."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import tinyrig

ROOT = Path(__file__).resolve().parents[2]
MOST_MODULES = 12
"""Of one room, without __init__: what a reader has to survey."""
OWN_PROCESS = (
    "tinyrig.virtual",
    "tinyrig.tables.migrations",
    "tinyrig.board.labgrid_helper",
    "tinyrig.energy.worker",
    "tinyrig.bootstrap",
)
"""Run as programs of their own, or by other programs."""


def rooms() -> dict[str, list[str]]:
    """Folder below the checkout -> its modules."""
    found: dict[str, list[str]] = {}
    for top in ("harness", "variants", "reports"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            if not {"tests", "out", "versions"} & set(parts) and path.stem != "__init__":
                found.setdefault("/".join(parts[:-1]), []).append(path.stem)
    return found


def test_no_room_is_crowded():
    crowded = {room: len(modules) for room, modules in rooms().items() if len(modules) > MOST_MODULES}
    assert not crowded


def test_the_rig_side_loads_no_tensorflow_and_no_emulator():
    names = [m.name for m in pkgutil.walk_packages(tinyrig.__path__, "tinyrig.") if ".tests" not in m.name]
    names = [n for n in names if not n.startswith(OWN_PROCESS) and not n.endswith("__main__")] + ["tinyrig.reports.run.tables"]
    assert len(names) > 100
    heavy = "m.split('.')[0] in ('tensorflow', 'unicorn', 'tf_keras', 'keras')"
    load = f"for m in {names!r}:\n    importlib.import_module(m)"
    code = f"import sys, importlib\n{load}\nprint(*sorted(m for m in sys.modules if {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_help_loads_nothing_heavy():
    ask = "try:\n    main(['--help'])\nexcept SystemExit as e:\n    assert e.code == 0\n"
    code = f"import sys\nfrom tinyrig.cli import main\n{ask}print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert "tinyrig" in loaded
    assert not loaded & {"numpy", "scipy", "pandas", "matplotlib", "sqlalchemy", "unicorn", "tflite", "tensorflow", "rich"}


def test_no_test_imports_tensorflow_into_the_process_that_runs_the_tests():
    """It would take the settings of whoever is first, and builders refuse to work with settings that they did not make."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for top in ("harness", "variants", "reports", "bench")
        for path in sorted((ROOT / top).rglob("*.py"))
        if path.name.startswith("test_") or path.name == "conftest.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if {"tensorflow", "keras", "tf_keras"} & _imported(node)
    ]
    assert not found, "build models in a module that runs as a process of its own, like variants/tests/recurrent_models.py"


def _imported(node: ast.AST) -> set[str]:
    """First names of the packages that it imports."""
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    return {node.module.split(".")[0]} if isinstance(node, ast.ImportFrom) and node.module else set()

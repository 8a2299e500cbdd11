"""The one-way flow: every module imports only from the lines above its own, and the rig side never loads TensorFlow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HARNESS_LAYERS = [
    {"errors", "names"},
    {"records"},
    {"limits", "lock", "ages", "boards", "remote", "labgrid_helper", "foreign", "joules"},
    {"own_boards"},
    {
        "wire", "clockcheck", "config", "provenance", "stats", "progress", "schema", "migrations", "tools", "interrupt", "pace",
        "child", "npz",
    },
    {"metrics", "compiler", "windows", "built", "database", "drift", "sketch", "usbport", "fleet", "nightlog"},
    {"rows"},
    {"journal"},
    {"document", "link", "image", "oracle", "store", "hostbuild", "claims", "user_engine", "faultinfo", "verdicts"},
    {"ledger", "pruning", "comparison", "export", "origins"},
    {"history", "tonight"},
    {"exchange"},
    {"flash_command", "flash_arduino", "probe"},
    {"session", "flash", "ops"},
    {"virtual", "qemu", "flash_route"},
    {"ports", "places"},
    {"rig", "resume", "mlperf", "energy"},
    {"runner"},
    {"campaign", "nightly"},
    {"nightly_summary"},
    {"bench_night", "night_board", "search"},
    {"night_fleet", "night_resume"},
    {"engines", "run_command", "history_command", "nightly_command", "doctor"},
    {"plugin", "cli"},
]
ALLOWED_OUTSIDE = {
    "variants": {"errors", "records", "npz", "stats", "config"},
    "reports": {
        "errors", "records", "foreign", "metrics", "stats", "store", "config", "history", "ages", "tonight", "provenance",
        "origins",
    },
}


def imported(path: Path) -> set[str]:
    """First two parts of every module name that a file imports, wherever the import stands; type-checking blocks aside."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(n)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for n in ast.walk(block)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {".".join(name.split(".")[:2]) for name in names}


def sources(package: str) -> list[Path]:
    return [p for p in sorted((ROOT / package).rglob("*.py")) if "tests" not in p.parts and "out" not in p.parts]


def room(path: Path) -> str:
    """harness/compiler/plan.py -> compiler; harness/wire.py -> wire."""
    parts = path.relative_to(ROOT / "harness").with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize(
    "path", [p for p in sources("harness") if p.stem not in ("__init__", "bootstrap")], ids=lambda p: str(p.relative_to(ROOT))
)
def test_harness_imports_only_from_above(path):
    own = room(path)
    level = next((i for i, layer in enumerate(HARNESS_LAYERS) if own in layer), None)
    assert level is not None, f"harness/{own} stands in no layer: add it to HARNESS_LAYERS"
    above = set().union(*HARNESS_LAYERS[:level], {own})
    used = {name.split(".")[1] for name in imported(path) if name.startswith("harness.")}
    assert used <= above, f"{own} imports {sorted(used - above)}"


@pytest.mark.parametrize("package", ["variants", "reports"])
def test_packages_import_only_their_share_of_the_harness(package):
    for path in sources(package):
        used = {name.split(".")[1] for name in imported(path) if name.startswith("harness.")}
        assert used <= ALLOWED_OUTSIDE[package], f"{path.name} imports {sorted(used - ALLOWED_OUTSIDE[package])}"


@pytest.mark.parametrize("package", ["harness", "reports"])
def test_rig_side_names_neither_variants_nor_tensorflow(package):
    for path in sources(package):
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & {"variants", "tensorflow", "tf_keras", "tensorflow_model_optimization", "bench"}, path


def test_unicorn_stays_in_the_virtual_board():
    users = {room(p) for p in sources("harness") if any(n.split(".")[0] == "unicorn" for n in imported(p))}
    assert users == {"virtual"}
    launcher = ROOT / "harness" / "virtual" / "launch.py"
    assert not any(n.split(".")[0] == "unicorn" for n in imported(launcher))


def test_importing_the_rig_side_loads_no_tensorflow_and_no_emulator():
    modules = [f"harness.{m}" for layer in HARNESS_LAYERS for m in sorted(layer) if m not in ("compiler", "virtual", "ops")]
    modules = [m for m in modules if (ROOT / (m.replace(".", "/") + ".py")).exists()] + [
        "harness.compiler.compile",
        "reports.tables",
    ]
    heavy = "m.split('.')[0] in ('tensorflow', 'unicorn', 'tf_keras')"
    load = f"for m in {modules!r}: importlib.import_module(m)"
    code = f"import sys, importlib\n{load}\nprint(*sorted(m for m in sys.modules if {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_help_loads_nothing_heavy():
    ask = "try:\n    main(['--help'])\nexcept SystemExit as e:\n    assert e.code == 0\n"
    code = f"import sys\nfrom harness.cli import main\n{ask}print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert "harness" in loaded
    assert not loaded & {"numpy", "scipy", "pandas", "matplotlib", "sqlalchemy", "unicorn", "tflite", "tensorflow", "rich"}

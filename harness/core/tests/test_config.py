"""rig.toml: what is read, what is refused and in which words, and its schema."""

import re
import tomllib
from dataclasses import FrozenInstanceError, fields, replace

import jsonschema
import pytest

from tinyrig.core.config import ROOT, TABLES, BoardPorts, Config, Folders, Logs, Nightly, load_config
from tinyrig.core.errors import UserError
from tinyrig.tests import config_schema


def write(tmp_path, text):
    path = tmp_path / "rig.toml"
    path.write_text(text)
    return path


def placed(config, folder):
    """With the paths that load_config makes absolute."""
    return replace(
        config,
        results=config.results.replace(":///", f":///{folder}/"),
        folders=Folders(*(f"{folder}/{getattr(config.folders, f.name)}" for f in fields(Folders))),
        nightly=replace(config.nightly, page=f"{folder}/{config.nightly.page}"),
        logs=replace(config.logs, file=f"{folder}/{config.logs.file}"),
    )


def test_absent_file_gives_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYRIG_DATASET", raising=False)
    assert placed(Config(), tmp_path) == load_config()


def test_the_checkouts_own_rig_toml_only_says_where_its_files_lie(monkeypatch):
    monkeypatch.delenv("TINYRIG_DATASET", raising=False)
    monkeypatch.chdir(ROOT / "docs")
    where = Config(
        results=f"sqlite:///{ROOT}/results.sqlite",
        folders=Folders(build=f"{ROOT}/build", reports=f"{ROOT}/reports/out", variants=f"{ROOT}/variants/out"),
        nightly=Nightly(page=f"{ROOT}/reports/out/nights.html"),
        logs=Logs(file=f"{ROOT}/reports/out/logs/nightly.log"),
    )
    assert load_config() == where


def test_the_nearest_rig_toml_above_decides_where_files_lie(tmp_path, monkeypatch):
    write(tmp_path, '[folders]\nreports = "pages"\n[logs]\nfile = "night.log"\n')
    (below := tmp_path / "src" / "deep").mkdir(parents=True)
    monkeypatch.chdir(below)
    config = load_config()
    assert config.results == f"sqlite:///{tmp_path}/.tinyrig/results.sqlite"
    assert config.folders == Folders(f"{tmp_path}/.tinyrig/build", f"{tmp_path}/pages", f"{tmp_path}/.tinyrig/variants")
    assert (config.nightly.page, config.logs.file) == (f"{tmp_path}/pages/nights.html", f"{tmp_path}/night.log")


@pytest.mark.parametrize("key", ["build", "reports", "variants"])
def test_the_environment_names_a_folder(tmp_path, monkeypatch, key):
    monkeypatch.setenv(f"TINYRIG_FOLDERS_{key.upper()}", "/elsewhere")
    assert getattr(load_config(write(tmp_path, "")).folders, key) == "/elsewhere"


@pytest.mark.parametrize(
    ("url", "placed_url"),
    [
        ("sqlite:///r.sqlite", "sqlite:///{}/r.sqlite"),
        ("sqlite:////var/r.sqlite", "sqlite:////var/r.sqlite"),
        ("sqlite:///r.sqlite?mode=ro", "sqlite:///{}/r.sqlite?mode=ro"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:r?uri=true", "sqlite:///file:r?uri=true"),
        ("sqlite://", "sqlite://"),
        ("postgresql://host/rigs", "postgresql://host/rigs"),
    ],
)
def test_a_relative_database_lies_in_the_project(tmp_path, url, placed_url):
    assert load_config(write(tmp_path, f'results = "{url}"')).results == placed_url.format(tmp_path)


def test_values_and_ports_are_read(tmp_path):
    ports = '[boards.nano33ble]\nlink = "/dev/ttyUSB0"\nflash = "/dev/ttyACM0"\n'
    config = load_config(write(tmp_path, f'dataset = "watch"\nrepeats = 5\n{ports}'))
    assert (config.dataset, config.repeats) == ("watch", 5)
    assert config.boards == {"nano33ble": BoardPorts("/dev/ttyUSB0", "/dev/ttyACM0")}


def test_environment_overrides_a_top_level_key(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRIG_REPEATS", "7")
    assert load_config(write(tmp_path, "repeats = 5")).repeats == 7


@pytest.mark.parametrize(
    "text",
    [
        "nonsense = 1",
        "repeats = 'many'",
        "accuracy_drop = -1",
        "repeats = true",
        "dataset = 3",
        "boards = 3",
        "[boards.x]\nfoo = 1",
        "= broken",
    ],
)
def test_what_cannot_be_used_is_the_users_error_and_names_the_file(tmp_path, text):
    with pytest.raises(UserError) as caught:
        load_config(write(tmp_path, text))
    assert "rig.toml" in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("repaets = 5", ["unknown key repaets", "received: repaets = 5", "did you mean repeats?"]),
        ("run_s = 5", ["unknown key run_s", "it belongs under [limits]"]),
        ("[limits]\nrun = 5", ["[limits] can't be used: unknown key run", "build_s, flash_s", "did you mean run_s?"]),
        ("[nightly]\nvoltage_mv = 5", ["unknown key voltage_mv", "it belongs under [energy]", "docs/nightly.md"]),
        ("[boards.x]\nlnik = 'a'", ["[boards.x] can't be used: unknown key lnik", "did you mean link?", "docs/porting.md"]),
        ("[boards.x]\nlink = 3", ["[boards.x] can't be used: link", "expected: link = a text", "received: 3"]),
        ("[boards.'a b']\nlink = 3", ['[boards."a b"] can\'t be used: link']),
        ("[boards]\nx = 3", ["[boards.x] can't be used", "expected: a table", "received: 3"]),
        ("boards = 3", ["[boards] can't be used", "expected: a table"]),
        ("zzz = 5", ["unknown key zzz", "remove or correct it"]),
        ("repeats = -1", ["'repeats' can't be used", "repeats = a whole number from 0 to 1000000000", "received: -1"]),
        ("oracle = 'tflite'", ["'oracle' can't be used", "tflm or litert-ref or numpy or none", "received: 'tflite'"]),
        ("[energy]\nvoltage_mv = 33000", ["[energy] can't be used: voltage_mv", "from 800 to 5000", "33000", "docs/energy.md"]),
        ("[limits]\nrun_s = 0", ["[limits] can't be used: run_s", "more than 0", "docs/rig.md"]),
        ("[nightly]\nboards = ['a', 3]", ["[nightly] can't be used: boards", "a list of texts"]),
        ("[history]\nkeep_samples = '2026-01-01'", ["[history] can't be used: keep_samples", "an age like"]),
        ("[models]\na = ''", ["[models] can't be used: a", "FILE.keras"]),
        ("[logs]\nkeep = '7'", ["[logs] can't be used: keep", "a whole number from 1"]),
    ],
)
def test_an_error_names_the_key_its_value_and_what_is_expected(tmp_path, text, lines):
    with pytest.raises(UserError) as caught:
        load_config(write(tmp_path, text))
    for line in lines:
        assert line in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("TINYRIG_REPEATS", "many", "repeats"),
        ("TINYRIG_LIMITS_RUN_S", "-1", "run_s"),
        ("TINYRIG_LOGS_FILE", "a\tb", "file"),
        ("TINYRIG_OPTIMISE", "both", "optimise"),
    ],
)
def test_a_variable_that_can_not_be_used_is_named(tmp_path, monkeypatch, variable, value, key):
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError) as caught:
        load_config(write(tmp_path, "[limits]\nrun_s = 5\n"))
    assert caught.value.what == f"{variable} can't be used" and caught.value.received == repr(value)
    assert caught.value.expected.startswith(f"{key} = ") and "rig.toml" not in caught.value.remedy


def test_every_key_but_those_of_tables_has_a_variable(tmp_path, monkeypatch):
    texts = {"DATASET": "watch", "SEED": "3", "RESULTS": "sqlite:///x", "ORACLE": "none", "OPTIMISE": "size", "LINE_RATE": "9600"}
    texts |= {
        "ACCURACY_DROP": "0.1",
        "FLOAT_TOLERANCE": "1e-3",
        "REPEATS": "7",
        "FAULTS": "a:1, b",
        "FAULT_SEED": "2",
        "LINE_REPEATS": "0.2",
        "MEMORY": "nrf52840",
        "TFLM_DIR": "/srv/tflite-micro",
        "TFLM_OPS": "all",
        "BMI270_CONFIG": "/srv/bmi270.c",
        "BMI270_SHA256": "0" * 64,
    }
    for name, text in texts.items():
        monkeypatch.setenv(f"TINYRIG_{name}", text)
    monkeypatch.setenv("TINYRIG_LOGS_FILE", "")
    config = load_config(write(tmp_path, "repeats = 5\n[logs]\nfile = 'x'\n"))
    found = {f.name.upper(): getattr(config, f.name) for f in fields(config) if f.name.upper() in texts}
    assert found == texts | {
        "RESULTS": f"sqlite:///{tmp_path}/x",
        "SEED": 3,
        "LINE_RATE": 9600,
        "REPEATS": 7,
        "FAULT_SEED": 2,
        "FAULTS": ("a:1", "b"),
    } | {"ACCURACY_DROP": 0.1, "FLOAT_TOLERANCE": 1e-3, "LINE_REPEATS": 0.2}
    assert config.logs.file == "" and set(texts) | {name.upper() for name in TABLES} == {f.name.upper() for f in fields(config)}


def test_what_is_read_is_frozen(tmp_path):
    config = load_config(write(tmp_path, "[boards.left]\nkind = 'virtual#1'\n[nightly]\nboards = ['left']\n"))
    for record in (config, config.limits, config.nightly, config.logs, config.labgrid, config.history, config.boards["left"]):
        with pytest.raises(FrozenInstanceError):
            setattr(record, fields(record)[0].name, None)


# ---- the schema for editors ----


def every_line_of_the_projects_rig_toml():
    """Its examples, which stand in comments."""
    lines = (ROOT / "rig.toml").read_text().splitlines()
    return "\n".join(line.removeprefix("# ") for line in lines if re.match(r"# (\[|\w+ = )", line))


def test_the_schema_is_the_codes():
    assert config_schema.FILE.read_text() == config_schema.text(), "run python -m tinyrig.tests.config_schema"
    assert str(ROOT) not in config_schema.text()
    assert (ROOT / "rig.toml").read_text().startswith("#:schema ./docs/rig.schema.json\n")


def test_the_schema_and_the_code_take_the_same_keys(tmp_path):
    schema = jsonschema.Draft202012Validator(config_schema.schema())
    example = tomllib.loads(every_line_of_the_projects_rig_toml())
    assert len(example) > 10 and len(example["boards"]) == 3
    schema.validate(example)
    config = load_config(write(tmp_path, every_line_of_the_projects_rig_toml()))
    assert config.boards["myboard"].own is not None and config.energy is not None and config.models
    for text in (
        "nonsense = 1",
        "[limits]\nx = 1",
        "[boards.x]\nfoo = 1",
        "[energy]\nchannel = 8",
        "oracle = 'other'",
        "seed = 'x'",
    ):
        assert not schema.is_valid(tomllib.loads(text)), text

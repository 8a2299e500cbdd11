import pytest

from tinyrig.core.config import BoardPorts, Config, load_config
from tinyrig.core.errors import UserError


def write(tmp_path, text):
    path = tmp_path / "rig.toml"
    path.write_text(text)
    return path


def test_absent_file_gives_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tinyrig.core.config.ROOT", tmp_path)
    monkeypatch.delenv("TINYRIG_DATASET", raising=False)
    assert load_config() == Config()


def test_the_projects_own_rig_toml_holds_only_defaults(monkeypatch):
    monkeypatch.delenv("TINYRIG_DATASET", raising=False)
    assert load_config() == Config()


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

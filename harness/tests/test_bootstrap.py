"""Setting up a machine: what is decided, without installing anything."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tinyrig import bootstrap


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_is_asked_who_it_is(tmp_path):
    assert bootstrap.runs_as(sys.executable, sys.version_info[:2])
    assert not bootstrap.runs_as(sys.executable, (3, 1))
    assert not bootstrap.runs_as(script(tmp_path / "python3.12", "echo 'python3.12: command not found' >&2; exit 127"), (3, 12))


def test_an_unsupported_python_looks_for_another_and_skips_broken_ones(tmp_path, monkeypatch):
    script(tmp_path / "python3.13", "exit 127")
    good = script(tmp_path / "python3.12", "echo 3.12")
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert bootstrap.supported_python() == good


def test_an_activated_venv_counts_as_the_python_behind_it(tmp_path):
    """A second `make` does nothing, whichever python3 comes first on the PATH."""
    base = bootstrap.supported_python()
    venv.create(tmp_path / "v", symlinks=True)
    ask = "import sys; sys.path.insert(0, sys.argv[1]); import bootstrap; print(bootstrap.supported_python())"
    command = [tmp_path / "v" / "bin" / "python3", "-c", ask, Path(bootstrap.__file__).parent]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == base


def test_no_supported_python_is_one_line_and_exit_3(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as caught:
        bootstrap.supported_python()
    message = capsys.readouterr().err
    assert caught.value.code == 3 and message.count("\n") == 1
    assert "3.11 to 3.13" in message and "3.9" in message


@pytest.mark.parametrize("tools", [[], ["apt-get"]])
def test_where_nothing_can_be_installed_one_line_says_what_to_install(tmp_path, monkeypatch, capsys, tools):
    """No apt-get at all, and apt-get without root or sudo."""
    for tool in tools:
        script(tmp_path / tool, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as caught:
        bootstrap.apt_install(bootstrap.missing_debian_packages(), "compilers")
    message = capsys.readouterr().err
    assert caught.value.code == 3 and message.count("\n") == 1
    assert all(name in message for name in (*bootstrap.ARM_PACKAGES, *bootstrap.HOST_PACKAGES))


def test_the_fuzzer_needs_clang_with_its_runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.missing_fuzz_packages() == bootstrap.FUZZ_PACKAGES
    script(tmp_path / "clang", "exit 1")
    assert bootstrap.missing_fuzz_packages() == bootstrap.FUZZ_PACKAGES[1:]
    script(tmp_path / "clang", "exit 0")
    assert bootstrap.missing_fuzz_packages() == []


@pytest.mark.parametrize(("words", "packages"), [([], []), (["fuzz"], [["clang"]]), (["lint"], [["cppcheck"]])])
def test_what_else_is_installed_is_what_is_asked_for(tmp_path, monkeypatch, words, packages):
    asked = []
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "stamp")
    (tmp_path / "stamp").write_text(bootstrap.wanted_stamp(bootstrap.supported_python()))
    monkeypatch.setattr(bootstrap, "missing_debian_packages", list)
    monkeypatch.setattr(bootstrap, "missing_fuzz_packages", lambda: ["clang"])
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bootstrap, "apt_install", lambda packages, why: asked.append(packages))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", *words])
    bootstrap.main()
    assert asked == packages


def test_a_fuzzer_that_cannot_be_installed_is_one_line_and_exit_3(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as caught:
        bootstrap.apt_install(bootstrap.missing_fuzz_packages(), "libFuzzer")
    message = capsys.readouterr().err
    assert caught.value.code == 3 and message.count("\n") == 1
    assert all(name in message for name in ("libFuzzer", *bootstrap.FUZZ_PACKAGES))


def test_a_failing_apt_get_is_told_with_its_command(tmp_path, monkeypatch, capsys):
    script(tmp_path / "apt-get", "exit 100")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(SystemExit):
        bootstrap.apt_install(["gcc"], "compilers")
    assert "apt-get install --no-install-recommends gcc" in capsys.readouterr().err


def test_the_stamp_follows_what_would_be_installed(tmp_path, monkeypatch):
    first = bootstrap.wanted_stamp("python3")
    assert first == bootstrap.wanted_stamp("python3") != bootstrap.wanted_stamp("python3.12")
    (tmp_path / "harness").mkdir()
    for name in ("pyproject.toml", "constraints.txt", "harness/bootstrap.py"):
        (tmp_path / name).write_text("other")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    assert bootstrap.wanted_stamp("python3") != first

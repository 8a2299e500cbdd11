"""The one line that installs what is missing, on each system."""

import platform
import sys

import pytest

from tinyrig.places import remedies


def on(monkeypatch, system, **release):
    def read():
        if not release:
            raise OSError
        return release

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "freedesktop_os_release", read)
    remedies._system.cache_clear()
    monkeypatch.setattr(remedies, "_system", remedies._system.__wrapped__)
    return remedies.compiler(remedies.ARM)


@pytest.mark.parametrize(
    ("release", "program"),
    [
        ({"ID": "debian"}, "apt-get"),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "apt-get"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt-get"),
        ({"ID": "fedora"}, "dnf"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf"),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "pacman"),
    ],
)
def test_each_system_gets_its_own_command_in_one_line(monkeypatch, release, program):
    said = on(monkeypatch, "linux", **release)
    assert said.startswith(f"sudo {program} ") and "\n" not in said and said.count("sudo") == 1


def test_macos_gets_brew(monkeypatch):
    assert on(monkeypatch, "darwin").startswith("brew install")


@pytest.mark.parametrize("release", [{}, {"ID": "nobodys"}])
def test_an_unknown_system_gets_all_of_them(monkeypatch, release):
    said = on(monkeypatch, "linux", **release)
    assert all(word in said for word in ("apt-get", "dnf", "brew", "WSL")) and "\n" not in said


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/home/me/project/.venv", "pip install 'tinyrig[swd]'"),
        ("/home/me/.local/share/pipx/venvs/tinyrig", "pipx inject tinyrig 'tinyrig[swd]'"),
    ],
)
def test_an_extra_is_added_where_tinyrig_is_installed(monkeypatch, prefix, command):
    monkeypatch.setattr(sys, "prefix", prefix)
    assert remedies.extra("swd") == command

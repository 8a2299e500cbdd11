"""What all commands share: examples that parse, -v and -q, wrong words, the version, completion."""

from __future__ import annotations

import argparse
import logging
import re
import shlex
import subprocess
import sys

import pytest

from tinyrig.cli import _PACKAGES, _parser, main
from tinyrig.command_line import EXAMPLES
from tinyrig.host import log


def commands() -> dict[str, argparse.ArgumentParser]:
    return dict(next(a.choices for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)))


OWN = sorted(commands().keys() - _PACKAGES.keys())


@pytest.fixture(autouse=True)
def usual_level():
    yield
    log.to_show(logging.INFO)


@pytest.mark.parametrize("name", OWN)
def test_help_shows_examples_and_exit_codes(name, capsys):
    assert name in EXAMPLES, "give the new command an example in EXAMPLES (harness/command_line.py)"
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and f"\n  tinyrig {name}" in said and "exit codes: 0 " in said and "--quiet" in said


@pytest.mark.parametrize("package", [package for package, _ in _PACKAGES.values()])
def test_packages_that_are_commands_have_examples_too(package):
    done = subprocess.run([sys.executable, "-m", package, "--help"], capture_output=True, text=True, check=True)
    assert "examples:\n  tinyrig " in done.stdout and "exit codes: 0 good" in done.stdout


@pytest.mark.parametrize("name", OWN)
def test_examples_parse(name):
    for words in EXAMPLES[name]:
        _parser().parse_args([name, *shlex.split(words.partition(">")[0])])


@pytest.mark.parametrize("name", OWN)
def test_a_wrong_flag_is_answered_by_its_command(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, *shlex.split(EXAMPLES[name][0].partition(">")[0]), "--no-such-flag"])
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith(f"usage: tinyrig {name} ") and f"tinyrig {name}: error: " in said and "--no-such-flag" in said


def test_what_was_meant_is_guessed(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--bord", "virtual"])
    assert capsys.readouterr().err.rstrip().endswith("--bord virtual; did you mean --board?")


def test_the_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0 and re.fullmatch(r"tinyrig \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+\)\n", capsys.readouterr().out)


@pytest.mark.parametrize("words", [["-q", "boards"], ["boards", "-q"], ["boards", "--quiet"]])
def test_verbosity_stands_before_or_behind_the_command(words):
    assert _parser().parse_args(words).level == logging.WARNING


@pytest.mark.parametrize(
    ("level", "lines"), [(logging.DEBUG, "dbg info warn"), (logging.INFO, "info warn"), (logging.WARNING, "warn")]
)
def test_the_level_decides_what_is_shown_and_logs_of_nights_keep_all(level, lines):
    seen, kept = [], []
    log.to_show(level)
    with log.heard(kept.append), log.shown(seen.append):
        logger = logging.getLogger("tinyrig.anything")
        logger.debug("dbg")
        logger.info("info")
        logger.warning("warn")
    assert seen == lines.split() and kept == ["info", "warn"]


@pytest.mark.parametrize("words", [["-q", "report", "--help"], ["-v", "variants", "--help"]])
def test_what_is_handed_over_takes_the_words_behind_it(words, monkeypatch):
    called = []
    monkeypatch.setattr("os.execv", lambda _, command: called.append(command))
    main(words)
    assert called[0][-2:] == [_PACKAGES[words[1]][0], "--help"]


def test_bash_completes_commands_and_options(capsys):
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    function = re.search(r"complete .*-F (\w+) tinyrig", script)[1]

    def offered(*words: str) -> list[str]:
        asked = f"COMP_WORDS=(tinyrig {shlex.join(words)}); COMP_CWORD={len(words)}; {function}; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", f"{script}\n{asked}"], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert offered("ni") == ["nightly"]
    assert "--board" in offered("run", "--b")

"""Code of the user's that ends the process is said to have done so: an exit(0) is no finished build."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinyrig.core.errors import UserError
from tinyrig.variants import __main__ as command
from tinyrig.variants.lab import user_builders


def test_a_module_that_exits_while_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "exits_at_once.py").write_text("import sys; sys.exit(0)\n")
    with pytest.raises(UserError, match="can't be imported"):
        user_builders.base_of("exits_at_once:make")


@pytest.mark.parametrize(("trouble", "code", "said"), [(SystemExit(0), 2, "exit(0)"), (ValueError("odd"), 3, "ValueError: odd")])
def test_a_step_that_ends_the_build(
    trouble: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ensure(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(command, "ensure", ensure)
    assert command.main(["simple", "--folder-only"]) == code
    told = capsys.readouterr()
    assert said in told.err and told.out == ""

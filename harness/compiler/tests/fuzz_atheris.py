"""Coverage-guided fuzzing of the compiler's front end, where the package atheris is there (`pip install atheris`; no dependency
of the project): `python -m tinyrig.compiler.tests.fuzz_atheris CORPUS_FOLDER -max_total_time=300 -rss_limit_mb=2048`. The folder
is filled with the fuzzer's good models first. Anything but a UserError ends it with the input kept in a file."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tinyrig.compiler"], enable_loader_override=False):
    from tinyrig.compiler import compile as _compiler

from tinyrig.compiler.tests.fuzz_corpus import corpus
from tinyrig.compiler.tests.fuzz_run import ROOM
from tinyrig.core.errors import UserError


def one(data: bytes) -> None:
    try:
        _compiler.compile_model(data, **ROOM, engine="portable")
    except UserError as e:
        if not str(e):
            raise RuntimeError("a refusal without words") from e


def main() -> None:
    folders = [Path(a) for a in sys.argv[1:] if not a.startswith("-")]
    for folder in folders[:1]:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in corpus().items():
            (folder / name).write_bytes(data)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""The fuzz targets on their corpus with the host's compiler, planted errors that they must find, and a short false-accept job."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tinyrig.firmware.fuzz import build, corpus, false_accept
from tinyrig.firmware.fuzz.build import CORPUS, LOOP, OTHER_LOOPS, WIRE, Program
from tinyrig.link import wire
from tinyrig.link.wire import Frame, Status, Type
from tinyrig.tests.host_board import HostBoard, ask

INPUTS = {WIRE.name: "wire", LOOP.name: "loop"}


def replay(program: Path, folder: str) -> subprocess.CompletedProcess[str]:
    files = sorted((CORPUS / folder).iterdir())
    assert files
    return subprocess.run([program, *files], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("target", [WIRE, LOOP, *OTHER_LOOPS], ids=lambda t: t.name)
def test_corpus_runs_clean(tmp_path, target: Program):
    done = replay(build.replayer(target, tmp_path), INPUTS.get(target.name, "loop"))
    assert done.returncode == 0, done.stderr[-3000:]


def test_corpus_is_small_and_its_seeds_are_those_of_the_script():
    files = [p for p in CORPUS.rglob("*") if p.is_file()]
    assert len(files) < 100 and sum(p.stat().st_size for p in files) < 100_000
    on_disk = {str(p.relative_to(CORPUS)): p.read_bytes() for p in files if p.name.startswith("seed-")}
    assert on_disk == corpus.seeds(), "run: python -m tinyrig.firmware.fuzz.corpus"


PLANTED = {
    "tensor range": ("app/commands.c", "n > tensors[index].bytes - offset", "n > tensors[index].bytes + 8 - offset"),
    "tensor index": ("app/commands.c", "index >= count ||", "index > count ||"),
    "offset overflow": ("app/commands.c", "offset > tensors[index].bytes ||", ""),
    "length of a read": ("app/commands.c", "!from || length > WIRE_MAX_PAYLOAD", "!from"),
    "length of a request": ("app/main.c", "while (left > WIRE_MAX_PAYLOAD)", "while (left > WIRE_MAX_PAYLOAD + 64)"),
    "payload not checked": ("app/main.c", "return WIRE_STATUS_BAD_CRC;", "return WIRE_STATUS_OK;"),
    "repetition executed": ("app/main.c", "return kept.valid && ", "return 0 && "),
    "kept reply lost": ("app/main.c", "static uint8_t frame[WIRE_HEADER_BYTES + WIRE_CRC_BYTES];", "uint8_t *frame = reply;"),
    "silence not noticed": ("app/main.c", "            have = 0;\n", ""),
    "header of rest ignored": (
        "app/wire.c",
        "wire_crc32(wire_get_u32(head + WIRE_HEADER_BYTES - WIRE_CRC_BYTES), ",
        "wire_crc32(0 * head[0], ",
    ),
}
"""Errors of the kind that the targets are there for: file, what stands there, what is put in its place."""


@pytest.mark.slow
@pytest.mark.parametrize("error", PLANTED)
def test_planted_errors_are_found_by_the_corpus(tmp_path, monkeypatch, error: str):
    """Else the invariants or the seeds are worth nothing."""
    name, old, new = PLANTED[error]
    tree = tmp_path / "firmware"
    shutil.copytree(build.FIRMWARE, tree, ignore=shutil.ignore_patterns("__pycache__", "corpus", "cmsis"))
    text = (tree / name).read_text()
    assert text.count(old) == 1
    (tree / name).write_text(text.replace(old, new))
    monkeypatch.setattr(build, "FIRMWARE", tree)
    done = replay(build.replayer(LOOP, tmp_path / "out", "-Wno-error"), "loop")
    assert done.returncode != 0


def test_reading_nothing_of_an_empty_tensor_is_no_error():
    """Its address is NULL, to which C lets nobody add an offset: found by the loop's fuzzer."""
    with HostBoard("fuzz/toy_guarded.c") as board, board.link() as link:
        for request in (Frame(Type.HELLO, 1), Frame(Type.READ, 2, wire.read_payload(corpus.EMPTY, 0, 0))):
            assert ask(link, request).status == Status.OK


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Path:
    return build.false_accept(tmp_path_factory.mktemp("job"))


def test_no_damaged_frame_is_accepted_by_the_board(job):
    rows = false_accept.c_rows(job, 100_000, seed=7)
    assert [r.frames for r in rows] == [10_000] * 10
    assert all(r.good for r in rows), false_accept.table("board", rows)
    for row in rows:
        assert row.frames == row.silent + row.refused + row.whole + row.wrong


def test_host_and_board_make_the_same_of_every_damaged_frame(job):
    board = false_accept.c_rows(job, 10_000, seed=8)
    host = false_accept.python_rows(job, 10_000, 8, [r.kind for r in board])
    assert all(r.frames == 1000 and r.good for r in host), false_accept.table("host", host)
    assert host == board


def test_the_job_notices_a_header_with_the_rest_of_another_frame(tmp_path, monkeypatch):
    """As it was accepted while both CRCs stood alone."""
    tree = tmp_path / "firmware"
    shutil.copytree(build.FIRMWARE, tree, ignore=shutil.ignore_patterns("__pycache__", "corpus", "cmsis"))
    name, old, new = PLANTED["header of rest ignored"]
    (tree / name).write_text((tree / name).read_text().replace(old, new))
    monkeypatch.setattr(build, "FIRMWARE", tree)
    rows = {r.kind: r for r in false_accept.c_rows(build.false_accept(tmp_path / "out"), 1000, 1)}
    swapped = rows["header and rest swapped"]
    assert swapped.wrong > 0.9 * swapped.frames and sum(r.wrong for r in rows.values()) < 2 * swapped.frames


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("clang"), reason="needs clang: python3 harness/bootstrap.py fuzz")
def test_fuzzers_build_and_run(tmp_path):
    for target, folder in ((WIRE, "wire"), (LOOP, "loop")):
        program = build.fuzzer(target, tmp_path)
        options = ["-runs=3000", "-seed=1", f"-artifact_prefix={tmp_path}/"]
        copy = shutil.copytree(CORPUS / folder, tmp_path / folder)
        done = subprocess.run([program, *options, copy], capture_output=True, text=True, check=False, env=os.environ)
        assert done.returncode == 0, done.stderr[-3000:]

"""A compiled model on the host: built with the host's C compiler, run through ctypes or, with sanitizers, as a program."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from tinyrig.core.errors import HostError
from tinyrig.core.records import CompiledModel, TensorSpec
from tinyrig.host.run_tool import ended
from tinyrig.places.installed import FIRMWARE
from tinyrig.places.project import cache_folder
from tinyrig.places.remedies import HOST, compiler
from tinyrig.workload.toolchain import dependencies, no_room

NN_DIR = FIRMWARE / "nn"

# Contraction off: a fused multiply-add rounds once where the reference rounds twice.
BASE_FLAGS = ("-std=gnu11", "-Wall", "-Wextra", "-ffp-contract=off", "-fPIC")
FAST_FLAGS = (*BASE_FLAGS, "-O2")
SANITIZER_FLAGS = (*BASE_FLAGS, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
OWN_FLAGS = ("-Wcast-qual", "-Werror")
"""For what the compiler writes and our kernels: a store into a constant, or a pointer that would allow one, does not build."""
MODEL_FLAG = "-O0"
"""The generated file is mostly tables: its own calls need no optimisation and compile several times faster without."""


def cache_dir() -> Path:
    """Objects and libraries by content hash; safe to delete at any time."""
    try:
        path = cache_folder() / "host"
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows where home is
        raise HostError(
            "there is no folder for what is compiled on the host",
            received=str(error),
            remedy="set XDG_CACHE_HOME to a folder that can be written",
        ) from error
    return path


@cache
def host_cc() -> str:
    """Raises HostError when there is no C compiler."""
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    raise HostError("no C compiler for this machine itself", expected="cc, gcc or clang on the PATH", remedy=compiler(HOST))


@cache
def _cc_version() -> str:
    """What the compiler says of itself, with the machine it compiles for: `cc` is another program after an upgrade."""
    said = [subprocess.run([host_cc(), word], capture_output=True, text=True, check=False).stdout for word in _VERSION]
    return "\n".join(said)


_VERSION = ("--version", "-dumpmachine")


@cache
def _headers_digest() -> bytes:
    files = sorted(p for p in NN_DIR.rglob("*") if p.suffix in (".h", ".inc"))
    return hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in files)).digest()


def _cached(suffix: str, *key: bytes | str) -> Path:
    parts = [k.encode() if isinstance(k, str) else k for k in (host_cc(), _cc_version(), *key)]
    return cache_dir() / (hashlib.sha256(_headers_digest() + b"\0".join(parts)).hexdigest()[:32] + suffix)


def _cc(target: Path, *args: str | Path) -> Path:
    """Runs the compiler into a private name, then renames: parallel builds never see half a file."""
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, suffix=target.suffix, delete=False) as part:
            temporary = Path(part.name)
    except OSError as error:
        raise HostError(f"{target.parent} can't be written", received=str(error), remedy="check its permissions") from error
    command = [host_cc(), *map(str, args), "-o", str(temporary)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        temporary.unlink(missing_ok=True)
        if done.returncode < 0:
            raise ended(command, done.returncode, done.stderr)
        if full := no_room(target.parent):
            raise HostError(f"no room for compiled models in {full.folder}", received=full.error, remedy="free space there")
        raise HostError("the host's C compiler failed", received=done.stderr.strip()[-2000:], remedy=" ".join(command))
    temporary.rename(target)
    return target


def _object(source: Path, flags: tuple[str, ...], headers: bytes = b"") -> Path:
    """`source` is keyed by its whole path: a file may include others that lie beside it. `headers`: what else it depends on."""
    target = _cached(".o", source.read_bytes(), str(source), headers, *flags)
    return target if target.exists() else _cc(target, *flags, f"-I{NN_DIR}", "-c", source)


def _generated_headers(model: CompiledModel) -> tuple[Path, ...]:
    """A folder with the model's generated headers, named after their content; nothing where it has none."""
    headers = {name: text for name, text in model.sources.items() if name.endswith(".h")}
    if not headers:
        return ()
    folder = _cached("-headers", *(part for pair in sorted(headers.items()) for part in pair))
    folder.mkdir(exist_ok=True)
    for name, text in headers.items():
        if not (folder / name).exists():
            part = folder / f".{name}.{os.getpid()}"
            part.write_text(text)
            part.rename(folder / name)
    return (folder,)


def _objects(model: CompiledModel, flags: tuple[str, ...]) -> list[Path]:
    folders = (*_generated_headers(model), *model.include_dirs)
    flags = (*flags, *(f"-I{folder}" for folder in folders))
    headers = b"\0".join(part for name, content in dependencies(folders) for part in (name.encode(), content))
    made = [_object(NN_DIR / k, (*flags, *OWN_FLAGS)) for k in model.kernels] + [
        _object(p, flags, headers) for p in model.extra_sources
    ]
    for name, text in ((n, t) for n, t in model.sources.items() if n.endswith(".c")):
        target = _cached(".o", name, text, *flags, *OWN_FLAGS)
        if not target.exists():
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / name).write_text(text)
                # Headers may carry whole kernels (engine tinyrig), which then need the kernels' flags.
                level = () if any("m4/" in line for line in text.splitlines() if line.startswith("#include")) else (MODEL_FLAG,)
                _cc(target, *flags, *OWN_FLAGS, *level, f"-I{NN_DIR}", "-c", Path(folder) / name)
        made.append(target)
    return made


class _EngineTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("bytes", ctypes.c_uint32),
        ("dtype", ctypes.c_uint8),
        ("rank", ctypes.c_uint8),
        ("dims", ctypes.c_uint32 * 6),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
    )


class _EngineInfo(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("model_sha256", ctypes.c_uint8 * 32),
        ("arena_bytes", ctypes.c_uint32),
        ("input_count", ctypes.c_uint16),
        ("output_count", ctypes.c_uint16),
        ("op_count", ctypes.c_uint16),
        ("inputs", ctypes.POINTER(_EngineTensor)),
        ("outputs", ctypes.POINTER(_EngineTensor)),
    )


class HostModel:
    """The model as a shared library in this process. Not for two threads: the arena is one static buffer."""

    def __init__(self, model: CompiledModel) -> None:
        self.model = model
        objects = _objects(model, FAST_FLAGS)
        library = _cached(".so", *(str(o) for o in objects))
        if not library.exists():
            _cc(library, "-shared", "-Wl,-Bsymbolic", *objects, "-lm")
        self._lib = ctypes.CDLL(str(library))
        self._info = _EngineInfo.in_dll(self._lib, "engine")
        self._check(self._lib.engine_init())

    def _check(self, status: int) -> None:
        if status != 0:
            raise HostError("the engine reported an error on the host", received=str(status))

    def _reset(self) -> None:
        """Every window is on its own. A model that keeps nothing has no such function."""
        if hasattr(self._lib, "engine_reset"):
            self._lib.engine_reset()

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """One inference: input tensors in their dtypes -> output tensors, copied out of the arena."""
        self._reset()
        return self.invoke_on(inputs)

    def invoke_on(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """As invoke(), on the state that the inference before has left."""
        self._write(inputs)
        self._check(self._lib.engine_invoke())
        return self.outputs()

    def fill(self, value: int, first_input: int = 0) -> None:
        """Every byte of the arena, so that what reads beyond a tensor shows. For models that keep no state. `first_input`: its
        tensor's index in the file."""
        start = self._info.inputs[0].data - self.model.tensor_offsets[first_input]
        ctypes.memset(start, value, self.model.arena_bytes)

    def _write(self, inputs: list[np.ndarray]) -> None:
        for i, (x, spec) in enumerate(zip(inputs, self.model.inputs, strict=True)):
            raw = np.ascontiguousarray(x, spec.dtype)
            if raw.nbytes != spec.nbytes:
                raise HostError(f"input {i} has the wrong size", expected=f"{spec.nbytes} bytes", received=f"{raw.nbytes}")
            ctypes.memmove(self._info.inputs[i].data, raw.ctypes.data, spec.nbytes)

    def outputs(self) -> list[np.ndarray]:
        return [_read(self._info.outputs[i].data, spec) for i, spec in enumerate(self.model.outputs)]

    def run_ops(self, inputs: list[np.ndarray], reset: bool = True) -> Iterator[int]:
        """Runs step by step; yields each step's number behind it, so that `tensor` can look at what it wrote."""
        self._write(inputs)
        if reset:
            self._reset()
        for i in range(self._info.op_count):
            self._check(self._lib.engine_run_op(i))
            yield i

    def tensor(self, distance: int, spec: TensorSpec) -> np.ndarray:
        """The tensor that lies `distance` bytes behind the first input in the arena, as it is now."""
        return _read(self._info.inputs[0].data + distance, spec)


def _read(address: int, spec: TensorSpec) -> np.ndarray:
    raw = ctypes.string_at(address, spec.nbytes)
    return np.frombuffer(raw, spec.dtype).reshape(spec.shape).copy()


def run_sanitized(model: CompiledModel, batches: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """Runs one inference for each list of inputs in a program built with ASan and UBSan. Raises HostError with the
    sanitizer's report."""
    objects = _objects(model, SANITIZER_FLAGS)
    main = _object(NN_DIR / "tests" / "host_main.c", SANITIZER_FLAGS)
    program = _cached(".exe", *(str(o) for o in [*objects, main]))
    if not program.exists():
        _cc(program, "-fsanitize=address,undefined", *objects, main, "-lm")
    feed = b"".join(np.ascontiguousarray(x, s.dtype).tobytes() for b in batches for x, s in zip(b, model.inputs, strict=True))
    done = subprocess.run([str(program)], input=feed, capture_output=True, check=False, timeout=600)
    if done.returncode:
        report = done.stderr.decode("utf-8", "replace")[-3000:]
        if -done.returncode in (signal.SIGKILL, signal.SIGTERM):
            raise ended([str(program)], done.returncode, report)
        raise HostError("the model failed under sanitizers", received=report or f"exit {done.returncode}")
    return _split(done.stdout, model.outputs, len(batches))


def _split(raw: bytes, specs: tuple[TensorSpec, ...], count: int) -> list[list[np.ndarray]]:
    want = count * sum(s.nbytes for s in specs)
    if len(raw) != want:
        raise HostError("the host program wrote too few bytes", expected=str(want), received=str(len(raw)))
    result, at = [], 0
    for _ in range(count):
        row = []
        for s in specs:
            row.append(np.frombuffer(raw, s.dtype, s.size, at).reshape(s.shape))
            at += s.nbytes
        result.append(row)
    return result

"""Whatever is given in place of a .tflite is named, with the way to one, and nothing raises but a ModelError."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.errors import EXIT_USER, ModelError, UserError
from tinyrig.intake.recognise import model_bytes
from tinyrig.workload.model_file import read_model

MODEL = finish_net(conv_net())


def zipped(*names: str, content: bytes = b"x") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(name: str, mode: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(MODEL)
        archive.addfile(info, io.BytesIO(MODEL))
    return packed.getvalue()


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """A protocol buffer of numbers and bytes."""

    def varint(n: int) -> bytes:
        return bytes([n & 0x7F | 0x80]) + varint(n >> 7) if n > 0x7F else bytes([n])

    parts = [
        varint(number << 3) + varint(value) if isinstance(value, int) else varint(number << 3 | 2) + varint(len(value)) + value
        for number, value in fields
    ]
    return b"".join(parts)


ONNX_GRAPH = message((2, b"main"), (5, message((8, b"weight"))), (11, message((1, b"weight"))), (11, message((1, b"audio"))))
NODES = message(
    (1, message((1, b"x"), (2, b"Placeholder"))),
    (1, message((1, b"w"), (2, b"Const"))),
    (1, message((1, b"logits"), (2, b"MatMul"), (3, b"x"), (3, b"w:0"))),
)
NUMPY = io.BytesIO()
np.savez(NUMPY, x=np.zeros((2, 3)))

WRONG: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty": (b"", ("an empty file",)),
    "zeros": (bytes(4096), ("only zeros",)),
    "keras": (
        zipped("metadata.json", "config.json", "model.weights.h5"),
        ("a Keras model (.keras)", "tinyrig convert", "from_keras_model"),
    ),
    "h5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 50 + b"model_config" + b"\0" * 50, ("a Keras model (HDF5)", "load_model")),
    "h5 weights": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, ("weights of a Keras model", "load_weights")),
    "onnx": (
        message((1, 9), (2, b"pytorch"), (7, ONNX_GRAPH), (8, message((2, 17)))),
        ("an ONNX model", "onnx2tf", '-cind "audio"'),
    ),
    "onnx cut off": (message((1, 9), (2, b"pytorch"), (3, b"2.1"), (7, ONNX_GRAPH * 99))[:400], ("an ONNX model", "onnx2tf")),
    "pt2": (
        zipped("m/archive_format", "m/models/model.json", "m/data/weights/w_0"),
        ("exported PyTorch program", "torch.export.load", "litert_torch"),
    ),
    "torchscript": (zipped("m/code/__torch__.py", "m/constants.pkl", "m/data.pkl"), ("TorchScript", "load_state_dict")),
    "pth": (
        zipped("archive/data.pkl", "archive/version", "archive/data/0"),
        ("PyTorch (.pth)", "load_state_dict", "litert_torch"),
    ),
    "old pth": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", ("pickled", "load_state_dict")),
    "saved_model.pb": (message((1, 1), (2, message((1, b"meta")))), ("SavedModel", "its folder", "from_saved_model")),
    "frozen": (NODES, ("frozen TensorFlow graph", "from_frozen_graph", "['x'], ['logits']")),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        ("Git LFS", 'git lfs pull --include="model.tflite"'),
    ),
    "html": (b"\n<!DOCTYPE html>\n<html lang=en><title>model.tflite at main</title>", ("HTML page", "Download raw file")),
    "zip": (zipped("readme.md", "nets/kws.tflite"), ("nets/kws.tflite inside", "unzip")),
    "zip of others": (zipped("a.txt", "b.txt"), ("ZIP archive with a.txt, b.txt inside",)),
    "cut zip": (zipped("metadata.json", "config.json", "model.weights.h5", content=b"x" * 99)[:-120], ("Keras",)),
    "zipped SavedModel": (zipped("m/saved_model.pb"), ("SavedModel inside",)),
    "npz": (NUMPY.getvalue(), ("arrays of NumPy (.npz)", "--windows")),
    "npy": (b"\x93NUMPY\x01\x00" + b"\0" * 100, ("an array of NumPy", "--windows")),
    "tar": (tarred("kws.tflite", "w"), ("a tar archive with kws.tflite", "tar xf")),
    "tar.gz": (tarred("kws.tflite", "w:gz"), ("a tar archive with kws.tflite", "tar xf")),
    "gz": (gzip.compress(MODEL), ("packed with gzip", "gunzip")),
    "xz": (lzma.compress(MODEL), ("packed with xz", "unxz")),
    "cut gz": (gzip.compress(b"hello" * 1000)[:30], ("packed with gzip",)),
    "7z": (b"7z\xbc\xaf\x27\x1c" + b"\0" * 40, ("7-Zip",)),
    "tfjs": (b'{"format": "layers-model", "modelTopology": {}}', ("TensorFlow.js", "tensorflowjs_converter")),
    "keras json": (b'{"class_name": "Sequential", "config": {}}', ("without its weights", "model_from_json")),
    "json": (b' {"a": 1}', ("JSON",)),
    "ort": (b"\x10\0\0\0ORTM" + b"\0" * 20, ("ONNX Runtime",)),
    "pte": (b"\x10\0\0\0ET12" + b"\0" * 20, ("ExecuTorch",)),
    "elf": (b"\x7fELF" + b"\0" * 20, ("a program (ELF)",)),
    "text": (b"hello, world\n", ("text that begins with 'hello, world",)),
    "noise": (bytes(range(200, 256)), ("bytes that begin with c8 c9",)),
    "header": (b"extern const unsigned char g_model[];\n", ("declares the array g_model",)),
    "windows line ends": (b"\x1c\0\0\0TFL\r\n3" + b"\0" * 20, ("another version",)),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_tflite_is_named_with_the_way_to_one(name: str) -> None:
    data, told = WRONG[name]
    with pytest.raises(ModelError) as e:
        model_bytes(data, Path("model.tflite"))
    assert [t for t in told if t not in str(e.value)] == [], str(e.value)
    assert e.value.exit_code == EXIT_USER and e.value.received and e.value.remedy


def test_a_tflite_and_a_c_array_give_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the ending says."""
    (tmp_path / "model.bin").write_bytes(MODEL)
    (tmp_path / "model.tflite").write_text("const unsigned char m[] = {" + ",".join(map(str, MODEL)) + "};")
    assert read_model(tmp_path / "model.bin") == read_model(tmp_path / "model.tflite") == MODEL


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(ModelError, match="SavedModel") as e:
        read_model(tmp_path / "saved")
    assert "tinyrig convert" in e.value.remedy and "from_saved_model" in e.value.remedy
    (tmp_path / "a.tflite").write_bytes(MODEL)
    with pytest.raises(ModelError, match=r"a folder with a.tflite"):
        read_model(tmp_path)
    with pytest.raises(UserError, match="No such file"):
        read_model(tmp_path / "b.tflite")


def test_any_piece_of_any_file_is_refused_in_words() -> None:
    """Truncated, and with bytes changed: only ModelError, or a .tflite that still says it is one."""
    rng = np.random.default_rng(5)
    for data, _ in WRONG.values():
        for _ in range(30):
            piece = bytearray(data[: int(rng.integers(len(data) + 1))])
            for _ in range(int(rng.integers(3))):
                if piece:
                    piece[int(rng.integers(len(piece)))] = int(rng.integers(256))
            try:
                assert model_bytes(bytes(piece), Path("m"))[4:8] == b"TFL3"
            except ModelError as e:
                assert e.received

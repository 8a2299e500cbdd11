"""KINDS: what people give instead of a .tflite, known by its content, in the order in which they are tried."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinyrig.intake import archives, remedies
from tinyrig.intake.protobuf import Field, fields, texts

Told = tuple[str, str]
"""(what it is, the remedy)."""


@dataclass(frozen=True)
class Kind:
    """`is_one` looks at the bytes alone; `told` may look into them."""

    is_one: Callable[[bytes], bool]
    told: Callable[[bytes, Path], Told]


def _starts(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(marks)


def _says(what: str, remedy: str) -> Callable[[bytes, Path], Told]:
    return lambda data, path: (what, remedy)


def _is_html(data: bytes) -> bool:
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html")) or (head.startswith(b"<!--") and b"<html" in head)


def is_keras(data: bytes) -> bool:
    """A network that `tinyrig convert` can load, with its weights."""
    if archives.is_zip(data):
        return archives.is_keras_zip(data)
    return data.startswith(_HDF5) and b"model_config" in data


_HDF5 = b"\x89HDF\r\n\x1a\n"


def _hdf5(data: bytes, path: Path) -> Told:
    if b"model_config" in data:
        return "a Keras model (HDF5)", remedies.keras(path)
    return "weights of a Keras model without the network (HDF5)", remedies.weights_only(path)


def _is_json(data: bytes) -> bool:
    if data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
        return False
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _json(data: bytes, path: Path) -> Told:
    found = json.loads(data)
    keys = set(found) if isinstance(found, dict) else set()
    if "modelTopology" in keys:
        return "a TensorFlow.js model (JSON)", (
            "pip install tensorflowjs; tensorflowjs_converter --input_format=tfjs_layers_model --output_format=keras "
            f'"{path}" model.h5; tinyrig convert model.h5 --windows windows.npz -o model.tflite'
        )
    if {"class_name", "config"} <= keys:
        return "the description of a Keras network, without its weights (JSON)", (
            "model = keras.models.model_from_json(open(FILE).read()); model.load_weights(WEIGHTS); model.save('model.keras'); "
            "tinyrig convert model.keras --windows windows.npz -o model.tflite"
        )
    return "JSON", "give the model itself, a .tflite"


def _message(data: bytes) -> list[Field]:
    found, complete = fields(data)
    return found if complete or len(found) > 1 else []


def _is_saved_model_pb(data: bytes) -> bool:
    """SavedModel: schema version 1, then a MetaGraphDef."""
    found = _message(data)
    return len(found) >= 2 and found[0] == Field(1, 1) and found[1].number == 2 and isinstance(found[1].value, bytes)


def _saved_model_pb(data: bytes, path: Path) -> Told:
    return "the graph of a TensorFlow SavedModel; its weights lie beside it", (
        f"give its folder, {path.absolute().parent}:\n  {remedies.saved_model(path.absolute().parent)}"
    )


def _is_onnx(data: bytes) -> bool:
    """ModelProto: an ir_version, and a graph (7) or the operator sets (8). A large one may be cut off inside the graph."""
    found, complete = fields(data)
    version = next((f.value for f in found if f.number == 1), None)
    producer = any(f.number in (7, 8) and isinstance(f.value, bytes) for f in found)
    return isinstance(version, int) and 1 <= version <= 100 and (producer if complete else len(found) >= 2)


def _onnx(data: bytes, path: Path) -> Told:
    graph = next((f.value for f in fields(data)[0] if f.number == 7 and isinstance(f.value, bytes)), b"")
    values = [f.value for f in fields(graph)[0] if f.number == 11 and isinstance(f.value, bytes)]
    weights = {
        name for f in fields(graph)[0] if f.number == 5 and isinstance(f.value, bytes) for name in texts(fields(f.value)[0], 8)
    }
    names = [name for value in values for name in texts(fields(value)[0], 1) if name not in weights]
    return "an ONNX model", remedies.onnx(path, names)


def _nodes(data: bytes) -> list[tuple[str, str, list[str]]]:
    """GraphDef: (name, operator, inputs) of each NodeDef."""
    found = []
    for f in fields(data)[0]:
        if f.number == 1 and isinstance(f.value, bytes):
            node = fields(f.value)[0]
            name, op = next(texts(node, 1), ""), next(texts(node, 2), "")
            if name and op:
                found.append((name, op, list(texts(node, 3))))
    return found


def _is_graph_def(data: bytes) -> bool:
    return data[:1] == b"\x0a" and len(_nodes(data)) >= 1


def _graph_def(data: bytes, path: Path) -> Told:
    nodes = _nodes(data)
    read = {i.split(":")[0].lstrip("^") for _, _, inputs in nodes for i in inputs}
    outputs = [name for name, op, _ in nodes if name not in read and op not in ("Placeholder", "Const", "NoOp")]
    inputs = [name for name, op, _ in nodes if op == "Placeholder"]
    return "a frozen TensorFlow graph (GraphDef)", remedies.frozen_graph(path, inputs[:8], outputs[:8])


_AGAIN = "download or copy the file again"

KINDS: tuple[Kind, ...] = (
    Kind(lambda data: not data, _says("an empty file", _AGAIN)),
    Kind(
        lambda data: len(data) >= 8 and not data.strip(b"\0"), _says("only zeros: the file was never written to the end", _AGAIN)
    ),
    Kind(
        _starts(b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"),
        lambda data, path: ("a pointer of Git LFS, in place of the file", remedies.lfs(path)),
    ),
    Kind(
        _is_html,
        _says("an HTML page, saved in place of the file", "download the file itself: on GitHub by the button Download raw file"),
    ),
    Kind(archives.is_zip, archives.told_zip),
    Kind(_starts(_HDF5), _hdf5),
    Kind(archives.is_packed, archives.told_packed),
    Kind(_starts(b"\x93NUMPY"), _says("an array of NumPy", "give it as --windows, and the .tflite as the model")),
    Kind(
        _starts(b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        lambda data, path: ("a pickled Python object, perhaps an old PyTorch file", remedies.torch_weights(path)),
    ),
    Kind(
        lambda data: data[4:8] == b"ORTM",
        lambda data, path: ("an ONNX Runtime model (.ort)", "convert the .onnx that it was made from"),
    ),
    Kind(
        lambda data: data[4:8] in (b"ET12", b"ET13"),
        lambda data, path: (
            "an ExecuTorch program (.pte)",
            "convert the PyTorch model that it was made from\n  " + remedies.torch_export(path),
        ),
    ),
    Kind(
        lambda data: data[4:7] == b"TFL",
        _says("a .tflite of another version of the format", "convert the model with TensorFlow 2"),
    ),
    Kind(_starts(b"GGUF"), _says("a language model (GGUF)", "no microcontroller can run it")),
    Kind(_starts(b"\x7fELF"), _says("a program (ELF)", "give the .tflite that it was built with")),
    Kind(_is_json, _json),
    Kind(_starts(b"<?xml", b"<net "), _says("XML, perhaps an OpenVINO model", "convert the network that it was made from")),
    Kind(_is_saved_model_pb, _saved_model_pb),
    Kind(_is_graph_def, _graph_def),
    Kind(_is_onnx, _onnx),
)

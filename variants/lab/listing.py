"""`tinyrig variants --list`: bases, steps with their arguments, and what is built already."""

from __future__ import annotations

from pathlib import Path

from tinyrig.core.errors import UserError
from tinyrig.variants.lab import builders, manifest
from tinyrig.variants.networks import families


def text(tables: builders.Tables, folder: Path) -> str:
    """The tables in words."""
    spelled = {"cnn-..., mlp-...": f"any network of the two families, trained: {families.GRAMMAR}"}
    lines = ["bases:", *_lines({name: base.what for name, base in tables.bases.items()} | spelled)]
    lines += ["steps, chained with +:", *_lines({_spelled(name, step): step.what for name, step in tables.steps.items()})]
    lines += [f"built in {folder}:", *_built(folder)]
    return "\n".join(lines)


def _spelled(name: str, step: builders.Step) -> str:
    if step.argument is None:
        return name
    return f"{name}@{step.argument.name.upper()}"


def _lines(rows: dict[str, str]) -> list[str]:
    width = max(map(len, rows))
    return [f"  {name:{width}}  {what}" for name, what in rows.items()]


def _built(folder: Path) -> list[str]:
    try:
        found = manifest.read_manifest(folder)
    except UserError as error:
        return [f"  nothing ({error.what})"]
    return [f"  {v['name']}  {v['host_accuracy']:.2%} on the host, {v['tflite_bytes']} B" for v in found["variants"]]

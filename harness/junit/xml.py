"""Test suites -> JUnit's XML, of the shape that pytest writes and Jenkins, GitLab and GitHub's actions read. Pure.

A failure says something about a model, an error that nothing is known of it.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What a test case came to; the values of all but PASSED are JUnit's elements."""

    PASSED = "passed"
    FAILED = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Case:
    """`group` says of what, the model on its board; `kind` is the type of a failure or error, `text` the reason."""

    group: str
    name: str
    outcome: Outcome = Outcome.PASSED
    text: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Suite:
    """`started`: ISO-8601 UTC; `seconds` of the whole, None where that is not known."""

    name: str
    cases: tuple[Case, ...]
    started: str = ""
    host: str = ""
    seconds: float | None = None
    properties: tuple[tuple[str, str], ...] = ()


def document(suites: Sequence[Suite]) -> str:
    root = ET.Element("testsuites", {"name": "tinyrig", **_counts([case for suite in suites for case in suite.cases])})
    root.extend(map(_suite, suites))
    ET.indent(root)
    return ET.tostring(root, "unicode", xml_declaration=False).join(('<?xml version="1.0" encoding="utf-8"?>\n', "\n"))


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    by = {outcome: sum(case.outcome == outcome for case in cases) for outcome in Outcome}
    return {"tests": str(len(cases)), "failures": str(by[Outcome.FAILED]), "errors": str(by[Outcome.ERROR])}


def _suite(suite: Suite) -> ET.Element:
    skipped = sum(case.outcome == Outcome.SKIPPED for case in suite.cases)
    words = {"name": _text(suite.name), **_counts(suite.cases), "skipped": str(skipped)}
    words |= {"timestamp": suite.started} if suite.started else {}
    words |= {"hostname": _text(suite.host)} if suite.host else {}
    words |= {} if suite.seconds is None else {"time": f"{suite.seconds:.3f}"}
    element = ET.Element("testsuite", words)
    if suite.properties:
        kept = ET.SubElement(element, "properties")
        for name, value in suite.properties:
            ET.SubElement(kept, "property", {"name": _text(name), "value": _text(value)})
    for case in suite.cases:
        _case(element, case)
    return element


def _case(suite: ET.Element, case: Case) -> None:
    """Without a time: claims take none of their own."""
    element = ET.SubElement(suite, "testcase", {"classname": _text(case.group), "name": _text(case.name)})
    if case.outcome == Outcome.PASSED:
        return
    words = {"message": _text(case.text.splitlines()[0] if case.text else ""), **({"type": case.kind} if case.kind else {})}
    ET.SubElement(element, case.outcome.value, words).text = _text(case.text)


_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write. A name may hold anything."""


def _text(text: str) -> str:
    return _ILLEGAL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

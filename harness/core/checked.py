"""What a key of rig.toml may hold, stated beside its type: `channel: Annotated[int, Whole(0, 7)]`.

pydantic takes its check and its JSON schema from these, an error its words. Nothing here is checked when a record is built in
code. pydantic is imported by the first check: `tinyrig --help` needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

MOST = 1_000_000_000
"""Of any number: repeats or seeds beyond it are slips of the hand."""
KEYS: Any = {"extra": "forbid"}
"""Of every table: an unknown key is an error; the docstrings of its fields are the descriptions in the JSON schema."""
UNUSABLE = "unusable"
"""The type of an error whose message is what was expected."""


@dataclass(frozen=True)
class Whole:
    """A whole number. strict: not as a text, as an environment variable gives it, or as 3.0."""

    least: int = 0
    most: int = MOST
    step: int = 1
    strict: bool = False

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        step = self.step if self.step > 1 else None
        check = core_schema.int_schema(ge=self.least, le=self.most, multiple_of=step, strict=self.strict)
        multiple = f", a multiple of {self.step}" if step else ""
        return _worded(_no_truth_value(check), f"a whole number from {self.least} to {self.most}{multiple}")


@dataclass(frozen=True)
class Number:
    """A finite number. positive: zero is refused too."""

    words: str = f"a number from 0 to {MOST}"
    positive: bool = False
    strict: bool = False
    most: float | None = MOST

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        above, least = (0.0, None) if self.positive else (None, 0.0)
        check = core_schema.float_schema(gt=above, ge=least, le=self.most, allow_inf_nan=False, strict=self.strict)
        return _worded(_no_truth_value(check), self.words)


@dataclass(frozen=True)
class Text:
    """Without control characters: none can be part of a path, a name or a URL."""

    words: str = "a text"
    least: int = 0
    accept: Callable[[str], str] = str
    """Further checks: returns the value that is kept, raises ValueError."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        def printable(value: str) -> str:
            if not value.isprintable():
                raise ValueError(value)
            return self.accept(value)

        text = core_schema.str_schema(min_length=self.least or None, strict=True)
        return _worded(core_schema.no_info_after_validator_function(printable, text), self.words)


@dataclass(frozen=True)
class Texts:
    """A list of texts, kept as a tuple. commas: one text with commas between them will do; empty ones are dropped."""

    words: str = "a list of texts"
    least: int = 0
    commas: bool = False
    accept: Callable[[tuple[str, ...]], tuple[str, ...]] = tuple

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        one = Text().__get_pydantic_core_schema__(str, handler)
        several = core_schema.list_schema(one, min_length=self.least or None, strict=True)
        kept: CoreSchema = core_schema.no_info_after_validator_function(lambda words: self.accept(tuple(words)), several)
        if self.commas:
            kept = core_schema.no_info_before_validator_function(_split, kept)
        return _worded(kept, self.words)


@dataclass(frozen=True)
class OneOf:
    choices: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return _worded(core_schema.literal_schema(list(self.choices)), " or ".join(self.choices))


@dataclass(frozen=True)
class ReadAs:
    """Checked as a `given`, then converted. convert: (value, context of the validation) -> what the record holds."""

    given: Any
    convert: Callable[[Any, Any], Any]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        def convert(value: Any, info: core_schema.ValidationInfo) -> Any:
            return self.convert(value, info.context)

        return core_schema.with_info_after_validator_function(convert, handler.generate_schema(self.given))


@dataclass(frozen=True)
class Amount:
    """A number or a text with its unit. read: raises ValueError, gives what is kept."""

    words: str
    read: Callable[[object], Any]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        written = core_schema.union_schema([core_schema.str_schema(), core_schema.float_schema()])
        return _worded(core_schema.no_info_plain_validator_function(self.read, json_schema_input_schema=written), self.words)


@dataclass(frozen=True)
class TableOr:
    """A table, or in its place a text that `text` takes."""

    text: Text

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import SchemaValidator, core_schema

        table, text = handler(source), self.text.__get_pydantic_core_schema__(str, handler)
        taken = SchemaValidator(text)

        def read(value: Any, as_table: core_schema.ValidatorFunctionWrapHandler) -> Any:
            return as_table(value) if isinstance(value, dict) else taken.validate_python(value)

        either = core_schema.union_schema([table, text])
        return core_schema.no_info_wrap_validator_function(read, table, json_schema_input_schema=either)


def _worded(check: CoreSchema, words: str) -> CoreSchema:
    from pydantic_core import PydanticCustomError, core_schema

    def asked(value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValueError as error:  # pydantic's own are some too
            raise PydanticCustomError(UNUSABLE, "{words}", {"words": words}) from error

    return core_schema.no_info_wrap_validator_function(asked, check)


def _no_truth_value(check: CoreSchema) -> CoreSchema:
    """true is no 1."""
    from pydantic_core import core_schema

    def refuse(value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(value)
        return value

    return core_schema.no_info_before_validator_function(refuse, check)


def _split(value: Any) -> Any:
    words = value.split(",") if isinstance(value, str) else value
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return [word.strip() for word in words if word.strip()]
    return words

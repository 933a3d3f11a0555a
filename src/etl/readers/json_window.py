"""Decodes a JSON document piece by piece from a window over its text."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from etl.errors import DataError

BLOCK_BYTES = 1 << 20
MAX_VALUE_CHARACTERS = 16 << 20
BLANKS = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of the document, with every field: a name can occur twice."""

    pairs: list[tuple[str, object]]

    @property
    def names(self) -> list[str]:
        """The names of the fields, in order."""
        return [name for name, _ in self.pairs]


@dataclass(frozen=True, slots=True)
class NotANumber:
    """NaN or Infinity, which programs write and JSON does not have."""

    text: str

    def __str__(self) -> str:
        return self.text


# Numbers stay text, as they are printed: 1.50 is not 1.5, and no digit is lost.
DECODER = json.JSONDecoder(
    object_pairs_hook=Fields,
    parse_int=str,
    parse_float=str,
    parse_constant=NotANumber,
    strict=False,
)


def as_json(value: object) -> str:
    """Return a value of a document as JSON in ASCII, or a note if it is too deep."""
    try:
        return json.dumps(value, default=_plain)
    except RecursionError:
        return "(nested too deeply to print)"


def _plain(value: object) -> object:
    return dict(value.pairs) if isinstance(value, Fields) else str(value)


class JsonWindow:
    """A position in a JSON document, of which only a part is in memory.

    Bytes that are no UTF-8 become surrogates, so that they cost the cell they are in.
    """

    def __init__(self, stream: BinaryIO, *, name: str) -> None:
        self._stream, self._name = stream, name
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text, self._at, self._ended = "", 0, False
        self._elements = 0
        self._read()
        self._text = self._text.removeprefix("\ufeff")

    def peek(self) -> str:
        """Return the next character that is no blank; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in BLANKS:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def fields(self) -> Iterator[str]:
        """Yield the keys of an object; the caller takes each value."""
        self._take("{")
        if self.peek() == "}":
            self._take("}")
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise self._broken("a key that is no text")
            self._take(":")
            yield key
            if self._take(",", "}") == "}":
                return

    def elements(self) -> Iterator[object]:
        """Yield the elements of a list."""
        self._take("[")
        if self.peek() == "]":
            self._take("]")
            return
        while True:
            self._elements += 1
            yield self.value()
            if self._take(",", "]") == "]":
                return

    def value(self) -> object:
        """Return the next value, whole."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise self._broken("lists or objects nested too deeply") from None
            except json.JSONDecodeError as error:
                reason = error.msg
            else:
                # A number at the end of the window may go on.
                if end < len(self._text) or not self._read():
                    self._at = end
                    return value
                continue
            if len(self._text) - self._at > MAX_VALUE_CHARACTERS or not self._read():
                raise self._broken(reason)

    def require_end(self) -> None:
        """Refuse text after the document."""
        if self.peek():
            raise self._broken("text after its end")

    def _take(self, *wanted: str) -> str:
        """Move over one of some characters."""
        seen = self.peek()
        if seen not in wanted or not seen:
            where = repr(seen) if seen else "the end of the file"
            raise self._broken(f"{where} where {' or '.join(wanted)} should be")
        self._at += 1
        return seen

    def _read(self) -> bool:
        """Move the window forward; whether there was more."""
        if self._ended:
            return False
        block = self._stream.read(BLOCK_BYTES)
        self._ended = not block
        more = self._decoder.decode(block, final=self._ended)
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more) or not self._ended

    def _broken(self, reason: str) -> DataError:
        where = f" in or after record {self._elements:,}" if self._elements else ""
        return DataError(
            f"{self._name}: the JSON is cut off or broken{where}: {reason}",
            "get the file again",
        )

"""Cuts a file, compressed or not, into chunks of whole lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from etl.errors import DataError, SourceUnavailable

CHUNK_BYTES = 16 << 20
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines, and the number of the first of them."""

    data: bytes
    first_line: int


def read_chunks(path: Path, *, name: str, size: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Yield the file's contents, cut after line ends, about `size` bytes at a time.

    Args:
        path: The file; gzip is recognised by its contents, not by its name.
        name: What messages call it.
        size: Bounds the memory that a load needs; a multiple of it is used.

    Raises:
        DataError: The file is truncated or corrupt, or has no lines.
    """
    line, rest = 1, b""
    with open_plain(path, name=name) as stream:
        while block := stream.read(size):
            head, end, tail = block.rpartition(b"\n")
            if not end:
                rest += block
                _refuse_endless(rest, size, name)
                continue
            data = rest + head + end
            yield Chunk(data, line)
            line += data.count(b"\n")
            rest = tail
    if rest:
        yield Chunk(rest, line)


def _refuse_endless(rest: bytes, size: int, name: str) -> None:
    if len(rest) >= 2 * size:
        raise DataError(
            f"{name}: no line ends within {len(rest):,} bytes, so it is no text table",
            "look at the file: file NAME; head -c 300 NAME",
        )


@contextmanager
def open_plain(path: Path, *, name: str) -> Iterator[BinaryIO]:
    """Open a file for reading its uncompressed bytes.

    Raises:
        DataError: While reading: it is truncated or corrupt.
        SourceUnavailable: The raw store does not give it.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{name}: the gzip file is truncated or corrupt ({error}); nothing of it "
            "was loaded",
            "get the file again and compare its size; gzip -t NAME tests it",
        ) from None
    except OSError as error:
        raise SourceUnavailable(
            f"{name}: cannot read it from the raw store: {error.strerror}",
            f"ls -l {path}; or pass the file again",
        ) from error

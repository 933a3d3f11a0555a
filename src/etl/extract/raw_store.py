"""Keeps every input byte for byte, named by its SHA-256, for loads to be repeated."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

InputKind = Literal["file", "api", "filtered_api", "sample", "reference"]

BLOCK_BYTES = 1 << 20
INCOMING = "incoming-"


@dataclass(frozen=True, slots=True)
class RawFile:
    """One input as received.

    Attributes:
        sha256: Hex digest of its bytes; its address in the store.
        name: What its giver called it, without folders.
        size_bytes: Its length.
        path: Where this machine's store has it.
        kind: How it was received; "sample" and "reference" are files of the package.
    """

    sha256: str
    name: str
    size_bytes: int
    path: Path
    kind: InputKind = "file"


class RawStore:
    """A folder of files named by their content: `<2 digits>/<64 digits>`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Where the file of that digest is, if the store has it."""
        return self.root / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether the store has that file."""
        return self.path(sha256).is_file()

    def describe(self, sha256: str, name: str) -> RawFile:
        """Return a stored file under the name its giver used. Raises OSError."""
        path = self.path(sha256)
        return RawFile(sha256, name, path.stat().st_size, path)

    def written_at(self, sha256: str) -> float:
        """Return when a stored file was given last, in seconds since 1970."""
        return self.path(sha256).stat().st_mtime

    def files(self) -> Iterator[Path]:
        """Yield every file of the store, those that a killed process left included."""
        for path in self.root.glob("*"):
            if path.is_dir():
                yield from (file for file in path.iterdir() if file.is_file())
            elif path.name.startswith(INCOMING):
                yield path

    def remove(self, name: str) -> None:
        """Remove a file by its digest, or one that a killed process left."""
        left = name.startswith(INCOMING)
        (self.root / name if left else self.path(name)).unlink(missing_ok=True)

    def put(self, source: Path) -> RawFile:
        """Copy a file into the store, unless its content is there already."""
        with source.open("rb") as handle, self.writing(source.name) as target:
            while block := handle.read(BLOCK_BYTES):
                target.write(block)
        return target.stored

    def put_bytes(self, content: bytes, name: str) -> RawFile:
        """Store bytes that are in memory anyway."""
        with self.writing(name) as target:
            target.write(content)
        return target.stored

    @contextmanager
    def writing(self, name: str) -> Iterator[RawWriter]:
        """Write a new file piece by piece; it appears whole, or not at all."""
        self.root.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.root, prefix=INCOMING)
        try:
            with os.fdopen(handle, "wb") as stream:
                writer = RawWriter(stream)
                yield writer
                stream.flush()
                os.fsync(stream.fileno())
            sha256 = writer.digest.hexdigest()
            self._publish(Path(temporary), self.path(sha256))
            writer.stored = RawFile(sha256, name, writer.size_bytes, self.path(sha256))
        finally:
            Path(temporary).unlink(missing_ok=True)

    @staticmethod
    def _publish(temporary: Path, target: Path) -> None:
        """Give a complete file its name, durably: rename, then sync the folder."""
        if target.is_file():
            with suppress(PermissionError):  # another user's file
                os.utime(target)  # given again, so it is not old
            return
        target.parent.mkdir(exist_ok=True)
        temporary.chmod(0o444)
        temporary.rename(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class RawWriter:
    """Writes and hashes at once; `stored` is set when the file is in the store."""

    stored: RawFile

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, block: bytes) -> None:
        """Append a block."""
        self.stream.write(block)
        self.digest.update(block)
        self.size_bytes += len(block)

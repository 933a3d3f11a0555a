"""Finds the form of an input: compares its columns with those of each form."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from etl.errors import SourceChanged
from etl.specs.forms import Delimited, InputForm
from etl.specs.spec import SourceSpec

SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of an input.

    Attributes:
        form: The form that they are those of.
        columns: Their names in this program, in the input's order.
    """

    form: InputForm
    columns: list[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A form of a source, and the columns of an input as that form would have them."""

    form: InputForm
    seen: Sequence[str]

    @property
    def found(self) -> list[str | None]:
        """The name of each column in this program; None for an unknown one."""
        known = {
            header.casefold(): column.name
            for column in self.form.columns
            for header in (column.header, *column.also)
        }
        return [known.get(header.strip().casefold()) for header in self.seen]

    @property
    def missing(self) -> list[str]:
        """Headers of the form that the input lacks."""
        found = self.found
        return [c.header for c in self.form.columns if c.name not in found]

    @property
    def unknown(self) -> list[str]:
        """Headers of the input that the form lacks."""
        pairs = zip(self.seen, self.found, strict=True)
        return [header for header, name in pairs if name is None]

    @property
    def twice(self) -> list[str]:
        """Headers of columns that the input has more than once."""
        counted = Counter(self.found)
        return [c.header for c in self.form.columns if counted[c.name] > 1]

    @property
    def differences(self) -> int:
        """How many columns differ."""
        return len(self.missing) + len(self.unknown) + len(self.twice)


def match_form(
    spec: SourceSpec, candidates: Iterable[Candidate], *, name: str
) -> Layout:
    """Return the layout of an input: its columns are exactly those of a form.

    Order and letter case do not count. Every column must be known: a new one may change
    what the others mean, so a person has to look at it.

    Raises:
        SourceChanged: No form has these columns; it names the differences from the
            form that comes closest.
    """
    ordered = sorted(candidates, key=lambda candidate: candidate.differences)
    if not ordered:
        forms = ", ".join(form.name for form in spec.forms)
        raise SourceChanged(
            f"{name}: source {spec.name} has no input of this format",
            f"pass one of: {forms}; their columns: ./etl sources {spec.name}",
        )
    best = ordered[0]
    if best.differences:
        raise SourceChanged(
            f"{name}: its columns are not those of source {spec.name} "
            f"({best.form.name}): {_describe(best)}",
            f"see the columns it wants: ./etl sources {spec.name}",
        )
    return Layout(best.form, [column for column in best.found if column is not None])


def _describe(candidate: Candidate) -> str:
    """Describe how the columns differ, with guesses."""
    if len(candidate.seen) == 1 and candidate.unknown:
        first = printable(candidate.seen[0])
        form = candidate.form.format
        delimiter = form.delimiter if isinstance(form, Delimited) else ""
        return f"its first line has no {delimiter!r} between fields: {first!r}"
    parts = []
    if candidate.missing:
        parts.append(f"missing {_listed(candidate.missing)}")
    if candidate.unknown:
        missing = candidate.missing
        guesses = [_with_guess(header, missing) for header in candidate.unknown]
        parts.append(f"unknown {_listed(guesses)}")
    if candidate.twice:
        parts.append(f"twice {_listed(candidate.twice)}")
    return "; ".join(parts)


def _with_guess(header: str, missing: Sequence[str]) -> str:
    near = difflib.get_close_matches(header.strip().upper(), missing, n=1)
    shown = printable(header)
    return f"{shown} (is it {near[0]}?)" if near else shown


def printable(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """Return text of an unknown file fit to print."""
    clean = "".join(c if c.isprintable() else "�" for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[:limit] + "…"


def _listed(names: Sequence[str], limit: int = 8) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more

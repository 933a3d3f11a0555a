"""Shows a receipt: as text for people at a terminal, as Markdown for Prefect's page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from etl.console import render_table, terminal_width, with_command
from etl.ledger.receipt import LoadReceipt, RunReceipt, SourceReceipt
from etl.report.notes import notes

ALWAYS = ("read", "kept", "rejected", "inserted", "updated", "unchanged")
LESS_WANTED = ("rows/s", "seconds", "kept")  # on a narrow terminal
INDENT, SENTENCE_WIDTH = "  ", 88
IF_ANY = ("retracted", "out_of_scope")
SHORT_DIGEST = 12


def as_text(receipt: RunReceipt, width: int | None = None) -> str:
    """Return the receipt as aligned text, which ends with the command that shows more.

    Args:
        receipt: The receipt.
        width: Where sentences are wrapped; None means by the terminal.
    """
    width = width or min(SENTENCE_WIDTH, terminal_width())
    lines = [headline(receipt), "", *aligned(count_table(receipt)), ""]
    for source in receipt.sources.values():
        for note in notes(source):
            lines += _wrapped(f"{source.source}: {note}", width)
        lines += findings(source, width)
    lines += [
        f"schema {receipt.schema_revision}, lock {receipt.lock_digest[:SHORT_DIGEST]}",
        f"more: {next_command(receipt)}",
    ]
    return "\n".join(lines)


def as_markdown(receipt: RunReceipt) -> str:
    """Return the receipt as Markdown."""
    header, *rows = count_table(receipt)
    lines = [
        f"# {headline(receipt)}",
        "",
        _row(header),
        _row(["---"] + ["---:"] * (len(header) - 1)),
        *(_row(row) for row in rows),
        "",
    ]
    for source in receipt.sources.values():
        lines += [f"{source.source}: {_plain(note)}\n" for note in notes(source)]
        lines += _markdown_findings(source)
    lines += _markdown_checks(receipt)
    lines.append(
        f"Schema `{receipt.schema_revision}`, lock "
        f"`{receipt.lock_digest[:SHORT_DIGEST]}`, started by {receipt.trigger}. "
        f"More: `{next_command(receipt)}`"
    )
    return "\n".join(lines)


def headline(receipt: RunReceipt) -> str:
    """Return which run it is, how it ended and how long it took."""
    took = ""
    if receipt.finished_at:
        seconds = (receipt.finished_at - receipt.started_at).total_seconds()
        took = f" in {seconds:.1f} s"
    return f"run {receipt.run_id}: {receipt.status}{took}"


def next_command(receipt: RunReceipt) -> str:
    """Return the command that shows what is worth a look in this run."""
    if any(source.counts.rejected for source in receipt.sources.values()):
        return with_command(f"./etl rejects --run {receipt.run_id}")
    return with_command(f"./etl report {receipt.run_id} --json")


def count_table(receipt: RunReceipt) -> list[list[str]]:
    """Return a header, a row per source, and below it a row for each of its inputs.

    Inputs have rows only if there are several; rare columns only if they count.
    """
    sources = receipt.sources.values()
    rare = [name for name in IF_ANY if any(getattr(s.counts, name) for s in sources)]
    counted = [*ALWAYS, *rare]
    header = ["source", "status", *(name.replace("_", " ") for name in counted)]
    table = [[*header, "seconds", "rows/s"]]
    for source in sources:
        table.append([source.source, *_cells(source, counted)])
        if len(source.inputs) > 1:
            table += [
                [f"  {step.position} {step.input_name}", *_cells(step, counted)]
                for step in source.inputs
            ]
    return table


def _cells(load: LoadReceipt, counted: Sequence[str]) -> list[str]:
    return [
        "same input" if load.same_input else load.status,
        *(f"{getattr(load.counts, name):,}" for name in counted),
        f"{load.duration_s:.2f}",
        _rate(load),
    ]


def _rate(load: LoadReceipt) -> str:
    if load.status != "loaded" or load.same_input or not load.duration_s:
        return ""
    return f"{load.counts.read / load.duration_s:,.0f}"


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Align a table: the first two columns to the left, numbers to the right."""
    header, *rows = table
    text = render_table(
        header,
        rows,
        right=header[2:],
        optional=LESS_WANTED,
        width=terminal_width() - len(INDENT),
    )
    return [INDENT + line for line in text.splitlines()]


def findings(source: SourceReceipt, width: int) -> Iterator[str]:
    """Yield what went wrong with a source: why, which rules, the first lines."""
    if source.error:
        yield from _wrapped(f"{source.source}: {source.error.message}", width)
        if source.error.hint:
            yield from _wrapped(f"  fix: {with_command(source.error.hint)}", width)
    if source.rejects_by_rule:
        yield f"{source.source}: rejected by rule: {_by_rule(source)}"
    for reject in source.first_rejects:
        yield from _wrapped(
            f"  {reject.place}: {reject.value!r} {reject.reason}", width
        )
    for check in source.checks:
        if not check.passed:
            seen = f"expected {check.expected}, found {check.seen}"
            yield from _wrapped(
                f"{source.source}: {check.severity}: {check.name}: {seen}", width
            )
    if source.error or source.rejects_by_rule:
        yield ""


def _wrapped(sentence: str, width: int) -> list[str]:
    return textwrap.wrap(
        sentence, width, subsequent_indent="    ", break_on_hyphens=False
    )


def _by_rule(source: SourceReceipt) -> str:
    rules = sorted(source.rejects_by_rule.items(), key=lambda rule: -rule[1])
    return ", ".join(f"{rule} {count:,}" for rule, count in rules)


def _markdown_findings(source: SourceReceipt) -> Iterator[str]:
    if not (source.error or source.rejects_by_rule):
        return
    yield f"## {source.source}\n"
    if source.error:
        yield f"**{source.error.code}** {_plain(source.error.message)}\n"
        yield f"Fix: `{with_command(source.error.hint)}`\n"
    if source.rejects_by_rule:
        yield f"Rejected by rule: {_by_rule(source)}\n"
        yield _row(["input", "line", "column", "value", "rule", "why"])
        yield _row(["---", "---:", "---", "---", "---", "---"])
        for r in source.first_rejects:
            line = f"{r.line:,}"
            yield _row([r.input_name, line, r.column, r.value, r.rule, r.reason])
        yield ""


def _markdown_checks(receipt: RunReceipt) -> list[str]:
    checks = [
        (source.source, check)
        for source in receipt.sources.values()
        for check in source.checks
    ]
    failed = [
        f"- {name}: {check.severity}: {check.name}: expected {check.expected}, "
        f"found {check.seen}"
        for name, check in checks
        if not check.passed
    ]
    return [f"{len(checks) - len(failed)} of {len(checks)} checks passed.", *failed, ""]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(cell: str) -> str:
    """Keep text of a file from being read as Markdown or HTML."""
    return (
        cell.replace("\\", "\\\\")
        .replace("|", "\\|")
        .replace("<", "&lt;")
        .replace("`", "'")
        .replace("\n", " ")
    )

"""What specs promise of themselves."""

from __future__ import annotations

import pytest

from etl.specs.spec import MAX_STORED_REJECTS, RejectLimit


@pytest.mark.parametrize(
    ("rejected", "read", "goes_on"),
    [
        (0, 0, True),
        (20, 20, True),
        (21, 100, False),
        (100, 10_000, True),
        (101, 10_000, False),
        (MAX_STORED_REJECTS, 50_000_000, True),
        # Within the share, but more than are stored: some would be lost.
        (MAX_STORED_REJECTS + 1, 50_000_000, False),
    ],
)
def test_a_load_allows_few_rejects_and_never_more_than_are_stored(
    rejected: int, read: int, goes_on: bool
) -> None:
    assert RejectLimit().allows(rejected, read) is goes_on

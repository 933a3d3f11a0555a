"""The limits that a spec sets."""

from __future__ import annotations

import pytest

from etl.specs.spec import MAX_STORED_REJECTS, RejectLimit


@pytest.mark.parametrize(
    ("read", "allowed"),
    [
        (0, 0),
        (19, 0),
        (20, 1),
        (73, 3),
        (238, 11),
        (400, 20),
        (2_000, 20),
        (66_984, 669),
        # Within the share, but more than are stored: some would be lost.
        (50_000_000, MAX_STORED_REJECTS),
    ],
)
def test_rejects_are_limited_by_share_and_by_what_is_stored(
    read: int, allowed: int
) -> None:
    assert RejectLimit().allowed(read) == allowed

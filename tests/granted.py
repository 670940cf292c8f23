"""What a subject has granted, for a dial decision's facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from callguard.core.grants import Channel, Standing
from callguard.core.model import Basis

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def granted(*bases: str, purpose: str = "marketing.calls") -> dict[str, Any]:
    """Fields of `Facts`: the purpose of the call, and a grant for it on each basis."""
    grants = (Standing(purpose, Basis(one), Channel.PAPER, LONG_AGO, None, "form 17") for one in bases)
    return {"purpose": purpose, "grants": tuple(grants)}

"""How long recordings are kept, in machine form: ``[retention.CONTROLLER]``, a term for each purpose.

What the notice tells of it stands in words in ``[controllers.CONTROLLER.retention]``.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from callguard.controller import RecordingPurpose
from callguard.core.retention import Rule, Start
from callguard.sections import Model

# A hundred years; beyond that a mistyped number is likelier than a term.
MOST_DAYS = 36_525


class Term(Model):
    """How long recordings are kept for a purpose; `from` is when the days begin to be counted.

    Attributes:
        days: 0 for no longer than the recording lasts, or the contract.
    """

    days: Annotated[int, Field(ge=0, le=MOST_DAYS)]
    start: Annotated[Start, Field(alias="from")] = Start.RECORDING

    @property
    def rule(self) -> Rule:
        return Rule(self.days, self.start)


Terms: TypeAlias = dict[RecordingPurpose, Term]

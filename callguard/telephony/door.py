"""What a leg needs of Asterisk, whichever way the call came to us: ARI or FastAGI."""

from __future__ import annotations

from typing import Protocol

from callguard.core.commands import Ask
from callguard.core.events import Answered, Lost


class Door(Protocol):
    """One channel while it is ours. Every method may raise `Disconnected`: then nothing more can be ordered.

    Attributes:
        first_sound_ms: how long after the call's arrival the first prompt began; None until then.
    """

    app: str
    first_sound_ms: int | None

    async def open(self) -> None:
        """Answer, where that is ours to do."""

    async def ask(self, ask: Ask) -> Answered | Lost:
        """Play, listen, and give the one answer."""

    def expired(self) -> bool:
        """Whether the call has gone on, or must be taken to have gone on, without us."""

    async def refused_meanwhile(self) -> bool:
        """Whether a no was pressed, or begun, since the last answer."""

    async def quiet(self) -> None:
        """Stop what another process may have left playing."""

    async def leave(self, answer: str) -> None:
        """Give the call back to the dialplan with our answer. Raises: Refused, when it is not ours any more."""

"""callguard that looks away once a call has left the gate: what watching whole calls costs is told by comparing.

It gates, records, and finishes recordings as callguard does. It is not told who comes into a bridge, follows no
conversation, and does not look into whose a recorder is. For the bench alone.
"""

from __future__ import annotations

from typing import Any

from callguard.cli import main
from callguard.talks import Talks
from callguard.telephony.ari import Applications
from callguard.watchdog import Watchdog


async def _untold(_: Applications) -> None:
    """No bridge is watched."""


async def _not_looked_into(*_: Any, **__: Any) -> None:
    """No recorder is anybody's concern."""


def _not_followed(*_: Any, **__: Any) -> None:
    """No conversation is followed."""


if __name__ == "__main__":
    for owner, name, instead in (
        (Applications, "watch_bridges", _untold), (Talks, "follow", _not_followed), (Talks, "heed", _not_followed),
        (Watchdog, "expect", _not_followed), (Watchdog, "started", _not_looked_into),
        (Watchdog, "look", _not_looked_into),
    ):  # fmt: skip
        assert hasattr(owner, name)
        setattr(owner, name, instead)
    main()

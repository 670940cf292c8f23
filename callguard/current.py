"""The configuration in force and the flows made of it. Whoever needs either asks here each time; a reload replaces it.

A leg in the gate finishes with the flow it began with, whatever is reloaded meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from callguard.config import Config
from callguard.core.model import Prompt
from callguard.core.profile import Flow
from callguard.policies.load import NO_LAW, Lawbook

# A leg's answer ends with the application's name and, after a reload that changed purposes or languages, with one of
# these marks: the dialplan looks up what the answer's purposes and language were called then. None begins again while
# somebody may be left in the gate who has it: nobody is asked for so long.
ROUNDS = 9
NOBODY_IS_LEFT_AFTER_S = 1_800.0
# An extension has 79 characters at most (Asterisk's AST_MAX_EXTENSION); this is what an answer leaves for a name.
LONGEST_NAME = 21
# So many configurations back a person's key in the call (where the agent speaks first) is still understood.
KEPT = 10


class Current:
    """What is in force now, and what was when a leg began."""

    def __init__(self, config: Config, flows: Mapping[str, Flow], book: Lawbook = NO_LAW) -> None:
        self.config = config
        self.flows = flows
        self.book = book
        self._round = 0
        self._left: dict[int, float] = {}
        self._since: list[tuple[int, Mapping[str, Flow]]] = [(0, flows)]

    @property
    def told_as(self) -> str:
        """What the purposes in force are marked with in answers to the dialplan; nothing until they change."""
        return f"--{self._round}" if self._round else ""

    def fits(self, flows: Mapping[str, Flow]) -> bool:
        """Whether these flows can replace the present ones: where purposes change, the mark needs its place."""
        return not self._changes(flows) or len(self.config.asterisk.app) + len("--1") <= LONGEST_NAME

    def too_soon(self, flows: Mapping[str, Flow]) -> bool:
        """Whether purposes have changed so often of late that a mark would mean two things."""
        left = self._left.get(self._round % ROUNDS + 1)
        return self._changes(flows) and left is not None and time.monotonic() < left + NOBODY_IS_LEFT_AFTER_S

    def replace(self, config: Config, flows: Mapping[str, Flow], book: Lawbook = NO_LAW) -> None:
        """From now on, for new legs."""
        if self._changes(flows):
            self._left[self._round] = time.monotonic()
            self._round = self._round % ROUNDS + 1
        self.config, self.flows, self.book = config, flows, book
        self._since = [*self._since[1 - KEPT :], (round(time.time() * 1000), flows)]

    def flow_when_begun(self, profile: str, leg_id: str) -> Flow | None:
        """The flow of a leg that has left the gate; None where that is not known any more.

        A leg's id tells when it began (UUIDv7, RFC 9562, 5.7); in the very millisecond of a reload it tells not enough.
        """
        began = int(leg_id.replace("-", "")[:12], 16)
        for since, flows in reversed(self._since):
            if since and since == began:
                return None
            if since <= began:
                return flows.get(profile)
        return None

    def _changes(self, flows: Mapping[str, Flow]) -> bool:
        before = {name: _told(flow) for name, flow in self.flows.items()}
        return any(name in before and before[name] != _told(new) for name, new in flows.items())

    def essential(self, profile: str, wav_sha256: str) -> Prompt | None:
        """The essential part whose sound has this hash, of any configuration that may still be heard."""
        for _, flows in reversed(self._since):
            if profile not in flows:
                continue
            flow = flows[profile]
            for language in flow.languages:
                prompt = flow.essential(language)
                if prompt.sha256.get("wav") == wav_sha256:
                    return prompt
        return None


def _told(flow: Flow) -> tuple[object, ...]:
    """What an answer to the dialplan names by its place: purposes and languages."""
    return tuple(one.id for one in flow.purposes), flow.languages

"""A profile compiled to steps, once, when the configuration is loaded.

Purposes and languages make more steps and more flows, never more states of the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from callguard.core.model import Basis, Prompt, Purpose

# After "if you object, press 2" the caller gets this long to find the key; no answer is asked for.
OBJECTION_WAIT_MS = 2_000


@dataclass(frozen=True, slots=True)
class Notice:
    """Play the essential part; only when it has been heard does anything after it count.

    `brief` takes its place for whom it is a mere continuation: as essential, in fewer words.
    """

    essential: Prompt
    brief: Prompt | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is new in a version of the controller's notice."""

    version: str
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Changes:
    """Material changes, oldest first: who knows an older version hears what is new before anything is asked."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Inform:
    """Purposes that rest on another basis than consent: say how to object, and wait a moment."""

    purposes: tuple[Purpose, ...]
    prompt: Prompt
    wait_ms: int = OBJECTION_WAIT_MS
    brief: Prompt | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Ask for consent to one purpose; `again` is what follows silence, `brief` goes with the notice's."""

    purpose: Purpose
    prompt: Prompt
    again: Prompt
    wait_ms: int
    brief: Prompt | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """Save what was answered and finish."""


Step = Notice | Changes | Inform | Question | Commit


class Aside(StrEnum):
    """What is said beside the steps, each the name of its prompt; afterwards the flow goes on where it was."""

    REMEMBERED = "remembered"
    NUMBER = "optout-number"
    OPTED_OUT = "optout-done"
    UNDONE = "optout-undone"
    NOT_NOTED = "optout-failed"
    FAREWELL = "optout-goodbye"
    RECEIVED = "right-received"
    WITHDRAWN = "right-withdrawn"


@dataclass(frozen=True, slots=True)
class Flow:
    """A profile as the gate walks it.

    Attributes:
        profile: its name.
        purposes: all of its purposes.
        languages: in the order in which the language key takes them; the first is where a call begins of whom nothing
            is known.
        steps: a tuple of steps for each language, equal in shape.
        details: the full layer for each language, in pieces that the details key skips; at its end each other language
            says in its own tongue which key brings it.
        asides: what is said beside the steps, for each language.
        agent_first: a callee is put through unasked, and gives by key in the call.
        gate_required: a callee whose gate fails is not put through.
        versions: of the controller's notice, oldest first; the last is in force. None where it has no names.
        brief_for: so long after a notice was heard whole is the same one a mere continuation.
    """

    profile: str
    purposes: tuple[Purpose, ...]
    languages: tuple[str, ...]
    steps: Mapping[str, tuple[Step, ...]]
    details: Mapping[str, tuple[Prompt, ...]]
    asides: Mapping[str, Mapping[Aside, Prompt]]
    agent_first: bool = False
    gate_required: bool = False
    versions: tuple[str, ...] = ()
    brief_for: timedelta = timedelta()

    @property
    def told_by(self) -> str | None:
        """Whose notice says what somebody knows: this profile's; any of the controller's where the agent speaks first,
        as there the notice itself is heard by few.
        """
        return None if self.agent_first else self.profile

    @property
    def looks_back(self) -> bool:
        """Whether it matters what somebody heard in earlier calls."""
        return bool(self.versions or self.brief_for)

    def essential(self, language: str) -> Prompt:
        """What must be heard before a yes counts."""
        return next(step.essential for step in self.steps[language] if isinstance(step, Notice))

    @property
    def may_not_go_unrecorded(self) -> bool:
        return any(purpose.required for purpose in self.purposes)


def compile_profile(
    profile: str,
    purposes: tuple[Purpose, ...],
    languages: tuple[str, ...],
    prompt: Callable[[str, str], Prompt],
    details: Callable[[str], tuple[Prompt, ...]],
    answer_wait_ms: int,
    *,
    switch: Callable[[str], Prompt | None] = lambda language: None,
    agent_first: bool = False,
    gate_required: bool = False,
    versions: tuple[str, ...] = (),
    changes: Callable[[str], tuple[Change, ...]] = lambda language: (),
    brief_for: timedelta = timedelta(),
) -> Flow:
    """Make a flow: the notice, then what rests on another basis, then one question for each consent.

    Args:
        prompt: gives the prompt for a language and a part (``essential``, ``question-1``, ``again-1`` …).
        details: gives the pieces of the full layer for a language.
        switch: gives what a language says of itself to who hears another one, if it says anything.
        versions, changes: of the controller's notice; the changes are those that are material, for a language.
        brief_for: there are brief forms of notice and first question where this is any time.
    """
    informed = tuple(purpose for purpose in purposes if purpose.basis is not Basis.CONSENT)
    asked = tuple(purpose for purpose in purposes if purpose.basis is Basis.CONSENT)
    # Only a no to all of it is told in place of the notice.
    asides = [aside for aside in Aside if aside is not Aside.REMEMBERED or not informed]

    def brief(language: str, part: str) -> Prompt | None:
        return prompt(language, f"brief-{part}") if brief_for else None

    def steps(language: str) -> tuple[Step, ...]:
        first = 1 + bool(informed)
        question = prompt(language, "question-1")
        changed = changes(language)
        return (
            Notice(prompt(language, "essential"), brief(language, "essential")),
            *([Changes(changed)] if changed else []),
            *([Inform(informed, question, brief=brief(language, "question-1"))] if informed else []),
            *(
                Question(
                    purpose, prompt(language, f"question-{n}"), prompt(language, f"again-{n}"), answer_wait_ms,
                    brief(language, "question-1") if n == 1 else None,
                )
                for n, purpose in enumerate(asked, first)
            ),
            Commit(),
        )  # fmt: skip

    def full_layer(language: str) -> tuple[Prompt, ...]:
        here = languages.index(language)
        named = (switch(other) for other in (*languages[here + 1 :], *languages[:here]))
        return (*details(language), *(prompt for prompt in named if prompt is not None))

    return Flow(
        profile,
        purposes,
        languages,
        {language: steps(language) for language in languages},
        {language: full_layer(language) for language in languages},
        {language: {aside: prompt(language, aside) for aside in asides} for language in languages},
        agent_first,
        gate_required,
        versions,
        brief_for,
    )

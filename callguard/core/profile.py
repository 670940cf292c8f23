"""A profile compiled to steps, once, when the configuration is loaded.

Purposes and languages make more steps and more flows, never more states of the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from callguard.core.model import Basis, Prompt, Purpose

# After "if you object, press 2" the caller gets this long to find the key; no answer is asked for.
OBJECTION_WAIT_MS = 2_000


@dataclass(frozen=True, slots=True)
class Notice:
    """Play the essential part; only when it has been heard does anything after it count."""

    essential: Prompt


@dataclass(frozen=True, slots=True)
class Inform:
    """Purposes that rest on another basis than consent: say how to object, and wait a moment."""

    purposes: tuple[Purpose, ...]
    prompt: Prompt
    wait_ms: int = OBJECTION_WAIT_MS


@dataclass(frozen=True, slots=True)
class Question:
    """Ask for consent to one purpose; `again` is the short form after silence."""

    purpose: Purpose
    prompt: Prompt
    again: Prompt
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Commit:
    """Save what was answered and finish."""


Step = Notice | Inform | Question | Commit


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
    """

    profile: str
    purposes: tuple[Purpose, ...]
    languages: tuple[str, ...]
    steps: Mapping[str, tuple[Step, ...]]
    details: Mapping[str, tuple[Prompt, ...]]
    asides: Mapping[str, Mapping[Aside, Prompt]]
    agent_first: bool = False
    gate_required: bool = False

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
) -> Flow:
    """Make a flow: the notice, then what rests on another basis, then one question for each consent.

    Args:
        prompt: gives the prompt for a language and a part (``essential``, ``question-1``, ``again-1`` …).
        details: gives the pieces of the full layer for a language.
        switch: gives what a language says of itself to who hears another one, if it says anything.
    """
    informed = tuple(purpose for purpose in purposes if purpose.basis is not Basis.CONSENT)
    asked = tuple(purpose for purpose in purposes if purpose.basis is Basis.CONSENT)
    # Only a no to all of it is told in place of the notice.
    asides = [aside for aside in Aside if aside is not Aside.REMEMBERED or not informed]

    def steps(language: str) -> tuple[Step, ...]:
        first = 1 + bool(informed)
        return (
            Notice(prompt(language, "essential")),
            *([Inform(informed, prompt(language, "question-1"))] if informed else []),
            *(
                Question(
                    purpose, prompt(language, f"question-{n}"), prompt(language, f"again-{n}"), answer_wait_ms
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
    )

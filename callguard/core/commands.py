"""What a flow orders. Coarse, so that ARI and AGI can each carry them out in their own way."""

from __future__ import annotations

from dataclasses import dataclass

from callguard.core.model import Answer, Heard, Outcome, Prompt, Told
from callguard.core.requests import Right


@dataclass(frozen=True, slots=True)
class Ask:
    """Play the prompts one after another, then wait; the first wanted key ends it. One Answered comes back.

    Attributes:
        prompts: what to play.
        keys: the sequences that end it.
        wait_ms: how long to wait after the last prompt.
        digits: how many digits may be typed instead of `keys`; # ends them, * gives them up. Answered has what was
            typed, or nothing.
    """

    prompts: tuple[Prompt, ...]
    keys: frozenset[str]
    wait_ms: int
    digits: int = 0


@dataclass(frozen=True, slots=True)
class OptOut:
    """Commit, now, that the subject wants no more marketing calls; or, to `undo`, that they do not mind.

    `typed` is the number that was typed, where the caller withholds it; empty for the caller's own. Saved or
    SaveFailed comes back.
    """

    undo: bool
    typed: str = ""


@dataclass(frozen=True, slots=True)
class Exercise:
    """Commit, now, what the subject asks for by right: a request that is received, or done. Saved or SaveFailed comes
    back."""

    right: Right


@dataclass(frozen=True, slots=True)
class Save:
    """Commit what was answered, and what proves it. Saved or SaveFailed comes back.

    `granted` names the purposes whose basis stands; `record` tells whether a recording will follow; `chosen`, that the
    subject chose the language by key, and went through the gate in it. `told` is what they were informed of; `knows`,
    the version of the controller's notice that they know from now on, as `Party` has it.
    """

    outcome: Outcome
    answers: tuple[Answer, ...]
    granted: tuple[str, ...]
    record: bool
    language: str
    heard: tuple[Heard, ...]
    dropped: int
    chosen: bool = False
    told: tuple[Told, ...] = ()
    knows: str | None = None


@dataclass(frozen=True, slots=True)
class StartRecording:
    """A recording may begin when the call goes on, for these purposes and no other."""

    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Give the call back to the dialplan with its outcome. Released or Lost comes back.

    DIVERTED sends it to the place that the dialplan names for the profile. `untold` is how many of the latest changes
    in the notice they have not heard who know an older one: a yes in the call counts after those (R12).
    """

    outcome: Outcome
    granted: tuple[str, ...] = ()
    untold: int = 0


Command = Ask | OptOut | Exercise | Save | StartRecording | Release

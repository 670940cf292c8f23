"""The section ``[keys]`` of ``callguard.toml``: where the master keys are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from callguard.controller import Line
from callguard.sections import Model

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class KeySource(Model):
    """Where a master key comes from; one of the three.

    Attributes:
        file: it holds the key and nothing else, and is for its owner's eyes only.
        env: a variable of the environment.
        command: a program and its arguments, run without a shell, that prints it.
    """

    file: Path | None = None
    env: Variable | None = None
    command: Annotated[tuple[Line, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if sum(one is not None for one in (self.file, self.env, self.command)) != 1:
            raise ValueError("one of file, env and command is needed")
        return self


class Keys(Model):
    """What recordings are encrypted by.

    Attributes:
        master: wraps the key of each person's recordings.
        old: those that did before; what they have wrapped can be read.
    """

    master: KeySource
    old: tuple[KeySource, ...] = ()

"""Every callguard command that README and docs tell is one that there is, with options that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from callguard.cli import app
from callguard.core.roles import ACTIONS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# In a block, or between backticks; what begins with the program, whoever runs it.
COMMAND = re.compile(r"(?m)(?:^ {4}|-- |-u callguard |`|run --rm )(callguard (?!\d)[a-z][^\n`#&|;]*)")
# What a sentence says in short: alternatives and placeholders.
PLACEHOLDER = re.compile(r"…|\.\.\.|\badd/|\[|^callguard [A-Z]")


def told() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        text = re.sub(r"(?ms)^```\w+\n(.*?)^```", lambda block: re.sub(r"(?m)^", " " * 4, block[1]), text)
        for command in COMMAND.findall(text):
            if not PLACEHOLDER.search(command):
                found.append((page.name, " ".join(command.split())))
    return sorted(set(found))


TOLD = told()


def test_there_are_commands_to_check() -> None:
    assert {command.split()[1] for _, command in TOLD} >= {"check", "doctor", "init", "optout", "prompts", "run"}


@pytest.mark.parametrize(("page", "command"), TOLD)
def test_what_is_told_can_be_typed(page: str, command: str) -> None:
    group = get_command(app)
    words = shlex.split(command.rstrip(".,:)"))[1:]
    context = group.make_context("callguard", list(words), resilient_parsing=True)
    while hasattr(group, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in group.commands, f"{page}: {command}"
        group = group.commands[name]
    options = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in {*options, "--help", "--version"}, f"{page}: {command}"
    assert context is not None


def leaves(group: Any, *words: str) -> Iterator[str]:
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from leaves(one, *words, name)
        else:
            yield " ".join((*words, name))


@pytest.mark.parametrize("command", list(leaves(get_command(app))))
def test_somebody_has_thought_of_who_may_use_each_command(command: str) -> None:
    assert command in ACTIONS, "say in core/roles.py which roles may do it"

"""What `init` has to know, checked by the same models as the configuration."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import phonenumbers
from pydantic import TypeAdapter, ValidationError

from callguard.controller import Controller, Line
from callguard.errors import InputError
from callguard.numbers import REGIONS, to_e164
from callguard.sections import Folder
from callguard.shipped import shipped

Texts = Mapping[str, str | Mapping[str, str]]
"""What the notice says in the controller's name: a text for all languages, or one for each."""

SPOKEN_IN = {"AT": "de", "CH": "de,fr,it", "DE": "de", "ES": "es", "FR": "fr", "IT": "it", "PL": "pl"}
"""Languages that callguard comes with, by country; English is spoken in all others until one is chosen."""


@dataclass(frozen=True, slots=True)
class Answers:
    """A first configuration in few words.

    Attributes:
        controller: the name, as callers hear it.
        regions: countries (ISO 3166-1 alpha-2) whose emergency numbers pass; national numbers are the first one's.
        languages: the first is where a call begins.
        recordings: the recordings' folder, as it is seen here.
        numbers: our own, in E.164.
        prefixes: what is dialled for an outside line.
        emergency: further numbers that are never touched, as dialled without a prefix.
        trunks: patterns of the channels by which calls leave.
        marketing: whether people are called for marketing.
        administrators: users of this machine who set callguard up.
        officers: those who read, hand out and erase what is kept of people; none of them is an administrator.
        texts: what the notice says; what is not given is left open.
    """

    controller: str
    regions: tuple[str, ...]
    languages: tuple[str, ...]
    recordings: Path
    numbers: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    emergency: tuple[str, ...] = ()
    trunks: tuple[str, ...] = ()
    marketing: bool = False
    administrators: tuple[str, ...] = ("root",)
    officers: tuple[str, ...] = ()
    texts: Texts = field(default_factory=dict)

    @property
    def controller_id(self) -> str:
        """The controller's name in the configuration."""
        plain = unicodedata.normalize("NFKD", self.controller).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:40].rstrip("_")
        return name if re.match(r"[a-z]", name) else f"controller_{name}"[:40].rstrip("_")

    def open_texts(self) -> tuple[str, ...]:
        """Which texts the notice cannot do without and are not given."""
        return tuple(name for name in text_fields(self.marketing) if name not in self.texts)


def text_fields(marketing: bool) -> tuple[str, ...]:
    """The texts of a controller that have to be given.

    Args:
        marketing: whether people are called, who have to be told where their number is from.
    """
    fields = Controller.model_fields
    needed = [name for name, of in fields.items() if of.is_required() and name != "name"]
    return (*needed, *(name for name in ("number_source",) if marketing and name in fields))


def text_help(name: str) -> str:
    """What a controller's text tells, for somebody who writes it."""
    return Controller.model_fields[name].description or name.replace("_", " ")


def shipped_languages() -> tuple[str, ...]:
    """The languages that callguard comes with."""
    return tuple(sorted(file.stem for file in shipped("prompts").glob("*.toml")))


def a_controller(written: str) -> str:
    """Raises: InputError."""
    if not written.isprintable():
        raise InputError("one line of printable characters is needed", field="--controller")
    return str(_checked(TypeAdapter(Line), written, "--controller"))


def some_numbers(written: str, regions: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Our own numbers, separated by commas. Raises: InputError."""
    parts = [part.strip() for part in written.split(",") if part.strip()]
    found = [to_e164(part, regions[0] if regions else None) for part in parts]
    if None in found:
        raise InputError("international numbers such as +34912345678, separated by commas", field="--numbers")
    return tuple(dict.fromkeys(number for number in found if number))


def region_of(numbers: Iterable[str]) -> str | None:
    """The country of the first of our own numbers."""
    for number in numbers:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
        return region if region in REGIONS else None
    return None


def some_officers(written: str, administrators: tuple[str, ...]) -> tuple[str, ...]:
    """Users of this machine, separated by commas. Raises: InputError."""
    found = tuple(dict.fromkeys(part for part in re.split(r"[,\s]+", written) if part))
    if any(not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?", name) for name in found):
        raise InputError("users of this machine, by name, separated by commas", field="--officer")
    if both := [name for name in found if name in administrators]:
        raise InputError(f"{both[0]} sets callguard up, and is no officer: somebody else has to be", field="--officer")
    return found


def some_regions(written: str) -> tuple[str, ...]:
    """Raises: InputError."""
    found = tuple(dict.fromkeys(part.upper() for part in re.split(r"[,\s]+", written) if part))
    if not found or any(region not in REGIONS for region in found):
        raise InputError(
            "a country's two letters (ISO 3166-1), such as ES; several are separated by commas", field="--region"
        )
    return found


def some_languages(written: str) -> tuple[str, ...]:
    """Raises: InputError."""
    found = tuple(part.lower() for part in re.split(r"[,\s]+", written) if part)
    there_are = shipped_languages()
    if not found or len(set(found)) < len(found) or any(language not in there_are for language in found):
        raise InputError(f"some of {', '.join(there_are)}, each once, the first spoken first", field="--languages")
    return found


def a_folder(written: str, name: str) -> Path:
    """An absolute path that may stand in a dialplan, of a folder or of nothing yet. Raises: InputError."""
    folder = _checked(TypeAdapter(Folder), {"path_here": written.strip()}, name)
    path: Path = folder.path_here
    if ".." in path.parts:
        raise InputError("no .. in it", field=name)
    if os.path.lexists(path) and not path.is_dir():
        raise InputError("is no folder", file=path, field=name)
    return path


def some_texts(written: Iterable[str], languages: tuple[str, ...]) -> Texts:
    """From ``FIELD=TEXT`` and ``FIELD.LANGUAGE=TEXT``. Raises: InputError."""
    found: dict[str, Any] = {}
    names = [name for name in Controller.model_fields if name != "name"]
    for each in written:
        key, equals, text = each.partition("=")
        name, dot, language = key.strip().partition(".")
        if not equals or name not in names or (dot and language not in languages):
            raise InputError(
                f"FIELD=TEXT, or FIELD.LANGUAGE=TEXT with one of {', '.join(languages)}; fields: {', '.join(names)}",
                field="--say",
            )
        if not text.isprintable():
            raise InputError(f"{name}: one line of printable characters is needed", field="--say")
        text = str(_checked(TypeAdapter(Line), text, "--say"))
        if isinstance(found.get(name, text if not dot else {}), str) is bool(dot):
            raise InputError(f"{name}: one text for all languages, or one for each", field="--say")
        if dot:
            found.setdefault(name, {})[language] = text
        else:
            found[name] = text
    for name, text in found.items():
        if isinstance(text, dict) and (missing := [each for each in languages if each not in text]):
            raise InputError(f"{name}: is not given in {missing[0]!r}", field="--say")
    return found


def _checked(adapter: TypeAdapter[Any], written: object, name: str) -> Any:
    try:
        return adapter.validate_python(written)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ").replace("path_in_asterisk: ", "")
        raise InputError(message, field=name) from error

"""The configuration: one ``callguard.toml``, read once, checked whole, then frozen.

Environment variables override it: ``CALLGUARD_ASTERISK__ARI_URL`` is ``ari_url`` in ``[asterisk]``. A secret stands
in the environment or in a file that its ``…_secret_file`` names, never in the configuration's own text.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, model_validator

from callguard.controller import Controller
from callguard.dial_sections import Law, Paths, Registry
from callguard.errors import InputError
from callguard.sections import (
    Agents,
    Asterisk,
    Http,
    Limits,
    Log,
    Model,
    Name,
    Profile,
    Prompts,
    Recording,
    Store,
    Watchdog,
)
from callguard.shipped import shipped

ENVIRONMENT_PREFIX = "CALLGUARD_"


class Config(Model):
    """The whole of it."""

    asterisk: Asterisk = Asterisk()
    http: Http = Http()
    log: Log = Log()
    limits: Limits = Limits()
    watchdog: Watchdog = Watchdog()
    paths: Paths = Paths()
    recording: Recording
    prompts: Prompts
    store: Store
    controllers: Annotated[dict[Name, Controller], Field(min_length=1)]
    profiles: Annotated[dict[Name, Profile], Field(min_length=1)]
    law: Law = Law()
    agents: Annotated[dict[Name, Agents], Field(default_factory=dict)]
    registries: Annotated[dict[Name, Registry], Field(default_factory=dict)]
    _file: Path | None = PrivateAttr(default=None)

    def wrong(self, problem: str, *where: str) -> InputError:
        """What only other files show to be wrong with a setting, at its place in the file that it was read from."""
        try:
            text = self._file.read_text(encoding="utf-8") if self._file else ""
        except (OSError, UnicodeDecodeError):  # it has changed since
            text = ""
        return InputError(problem, file=self._file, line=line_of(text, where), field=".".join(where))

    def registry_file(self, name: str) -> Path:
        """Where the list in force of a registry is."""
        return self.registries[name].file or self.store.path.parent / "registries" / f"{name}.numbers"

    def receipts_file(self, name: str, controller: str) -> Path:
        """Where the answers of a registry are that numbers of a controller are submitted to."""
        return self.store.path.parent / "registries" / f"{name}.{controller}.receipts"

    def screened_for(self, name: str) -> tuple[str, ...]:
        """The controllers that submit numbers to a registry, as their calls are such that it is asked about."""
        registry = self.registries[name]
        if registry.mode != "scrub":
            return ()
        calling = {one.controller for one in self.profiles.values() if registry.calls in (one.calls, "all")}
        return tuple(sorted(calling))

    @model_validator(mode="after")
    def _each_registry_has_a_file_of_its_own(self) -> Self:
        names: dict[Path, str] = {}
        for name in self.registries:
            if (other := names.setdefault(self.registry_file(name), name)) != name:
                raise ValueError(f"registries.{name}.file: is that of {other} already")
        return self

    @model_validator(mode="after")
    def _calls_begin_in_a_language_of_the_profile(self) -> Self:
        for name, profile in self.profiles.items():
            for field in ("language_by_number_called", "language_by_country"):
                for what, language in getattr(profile, field).items():
                    if language not in profile.languages:
                        raise ValueError(f"profiles.{name}.{field}: {what}: {language!r} is not one of its languages")
        return self

    @model_validator(mode="after")
    def _controllers_exist(self) -> Self:
        for name, profile in self.profiles.items():
            if profile.controller not in self.controllers:
                raise ValueError(f"profiles.{name}.controller: there is no controller {profile.controller!r}")
            field = f"controllers.{profile.controller}"
            controller = self.controllers[profile.controller]
            if profile.calls_people and controller.number_source is None:
                what = Controller.model_fields["number_source"].description
                raise ValueError(f"{field}.number_source: is missing, and profile {name!r} calls people: {what}")
            for language in profile.languages:
                for text_name, text in controller.spoken(language).items():
                    if not text:
                        folder = self.prompts.texts or shipped("prompts")
                        if not (folder / f"{language}.toml").exists():
                            raise ValueError(f"profiles.{name}.languages: there are no texts for {language!r}")
                        raise ValueError(f"{field}.{text_name}: is not given in {language!r}")
                for purpose in profile.purposes:
                    if not controller.retention_of(purpose.id, language):
                        raise ValueError(f"{field}.retention: is not given for {purpose.id!r} in {language!r}")
        return self


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read, check and freeze the configuration.

    Raises:
        InputError: one line with file, line and field.
    """
    environment = os.environ if environment is None else environment
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot be read: {why}", file=path) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise InputError(f"not TOML: {error}", file=path, line=int(line[1]) if line else None) from error
    asterisk = data.get("asterisk")
    for name in ("ari_secret", "ami_secret"):
        if isinstance(asterisk, dict) and name in asterisk:
            raise InputError(
                f"a secret stands in a file ({name}_file) or in the environment, not here",
                file=path, line=line_of(text, ("asterisk", name)), field=f"asterisk.{name}",
            )  # fmt: skip
    _override(data, environment)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        # A name that is not known is mostly a known one mistyped, so it explains a missing one.
        first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
        where = tuple(part for part in first["loc"] if part != "[key]")
        message = _plain(first["msg"])
        if first["type"] == "missing" and where[0] == "controllers" and len(where) == 3:
            message = f"is missing: {Controller.model_fields[str(where[-1])].description}"
        if named := re.match(r"((?:controllers|profiles|registries)\.[\w.]+): (.*)", message):
            where, message = tuple(named[1].split(".")), named[2]
        variable = ENVIRONMENT_PREFIX + "__".join(map(str, where)).upper()
        if variable in environment:
            raise InputError(message, field=variable) from error
        raise InputError(message, file=path, line=line_of(text, where), field=".".join(map(str, where))) from error
    config._file = path
    return config


def secret(config: Config, name: Literal["ari", "ami"]) -> str:
    """The password for ARI or AMI.

    Raises:
        InputError: none is set, or its file is missing, empty or readable by everyone.
    """
    given: SecretStr | None = getattr(config.asterisk, f"{name}_secret")
    if given is not None:
        return given.get_secret_value()
    file: Path | None = getattr(config.asterisk, f"{name}_secret_file")
    field = f"asterisk.{name}_secret_file"
    if file is None:
        raise InputError(
            "no secret: name its file, or set CALLGUARD_ASTERISK__" + f"{name}_secret".upper(), field=field
        )
    return secret_in(file, field)


def secret_in(file: Path, field: str) -> str:
    """What stands in a secret's file.

    Raises:
        InputError: it is missing, empty or readable by everyone.
    """
    try:
        mode = file.stat().st_mode
        value = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file, field=field) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise InputError("may be read by everyone: chmod 640", file=file, field=field)
    if not value:
        raise InputError("is empty", file=file, field=field)
    return value


def _override(data: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or "__" not in name:
            continue
        *tables, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        table = data
        for part in tables:
            child = table.setdefault(part, {})
            if not isinstance(child, dict):
                raise InputError(f"{part} is not a table", field=name)
            table = child
        table[key] = value


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ").replace(
        "Extra inputs are not permitted", "there is no such setting"
    )
    message = message.replace("Input should be a valid tuple", "a list is needed")
    return re.sub(r"Tuple should have at most (\d+) items? after validation, not (\d+)", r"\1 at most, not \2", message)


def line_of(text: str, where: Sequence[str | int]) -> int | None:
    """In a TOML file's text, the line of a setting, or of the nearest table above it that is written there."""
    table: tuple[str | int, ...] = ()
    counts: dict[tuple[str | int, ...], int] = {}
    best: tuple[int, int] = (0, 0)
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[{1,2})\s*([\w.\"'-]+)\s*\]", line):
            table = tuple(part.strip("\"'") for part in header[2].split("."))
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            here = table
        elif key := re.match(r"\s*([\w.\"'+*#-]+)\s*=", line):
            here = (*table, *(part.strip("\"'") for part in key[1].split(".")))
        else:
            continue
        if len(here) > best[0] and tuple(where[: len(here)]) == here:
            best = (len(here), number)
    return best[1] or None

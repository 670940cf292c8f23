"""The configuration: one ``callguard.toml``, read once, checked whole, then frozen.

Environment variables override it: ``CALLGUARD_ASTERISK__ARI_URL`` is ``ari_url`` in ``[asterisk]``. A secret stands
in the environment or in a file that its ``…_secret_file`` names, never in the configuration's own text.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, model_validator

from callguard.access_sections import Access, Roles
from callguard.backup_sections import Backup
from callguard.controller import Controller
from callguard.dial_sections import Law, Paths, Processor, Registry
from callguard.errors import InputError
from callguard.key_sections import Keys
from callguard.notice_sections import Notices, NoticeVersion, Recipient, fault
from callguard.retention_sections import Terms
from callguard.rights_sections import Export, Processing
from callguard.sections import (
    Agents,
    Asterisk,
    Http,
    Ledger,
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
from callguard.toml_file import first_fault, line_of, read_toml

ENVIRONMENT_PREFIX = "CALLGUARD_"
# The sections whose own checks say the field.
_NAMED = "access|controllers|notices|profiles|registries|processors|processing|recording|retention|roles"
# Who types a command also says its environment.
_FROM_THE_FILE_ALONE = frozenset({"access", "roles"})


class Config(Model):
    """The whole of it."""

    asterisk: Asterisk = Asterisk()
    http: Http = Http()
    log: Log = Log()
    limits: Limits = Limits()
    watchdog: Watchdog = Watchdog()
    paths: Paths = Paths()
    roles: Roles | None = None
    access: Access = Access()
    export: Export = Export()
    processing: Processing = Processing()
    recording: Recording
    keys: Keys | None = None
    backup: Backup | None = None
    prompts: Prompts
    store: Store
    controllers: Annotated[dict[Name, Controller], Field(min_length=1)]
    profiles: Annotated[dict[Name, Profile], Field(min_length=1)]
    retention: Annotated[dict[Name, Terms], Field(default_factory=dict)]
    law: Law = Law()
    ledger: Ledger = Ledger()
    agents: Annotated[dict[Name, Agents], Field(default_factory=dict)]
    registries: Annotated[dict[Name, Registry], Field(default_factory=dict)]
    processors: Annotated[dict[Name, Processor], Field(default_factory=dict)]
    notices: Annotated[dict[Name, Notices], Field(default_factory=dict)]
    recipients: Annotated[dict[Name, Recipient], Field(default_factory=dict)]
    _file: Path | None = PrivateAttr(default=None)

    def wrong(self, problem: str, *where: str) -> InputError:
        """What only other files show to be wrong with a setting, at its place in the file that it was read from."""
        try:
            text = self._file.read_text(encoding="utf-8") if self._file else ""
        except (OSError, UnicodeDecodeError):  # it has changed since
            text = ""
        return InputError(problem, file=self._file, line=line_of(text, where), field=".".join(where))

    @property
    def ledger_key_file(self) -> Path:
        """Where the key is that signs the ledger's checkpoints."""
        return self.ledger.key_file or self.store.path.parent / "ledger.key"

    @property
    def ledger_signed_file(self) -> Path:
        """Where stands what was signed last: beside the key, or where the service can write if that is elsewhere."""
        return self.store.path.with_name(f"{self.ledger_key_file.name}.signed")

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

    def unlimited(self) -> tuple[tuple[str, str], ...]:
        """Each controller's purposes of recordings for which no term is given: such are kept until somebody says."""
        recorded = {
            (profile.controller, purpose.id) for profile in self.profiles.values() for purpose in profile.purposes
        }
        return tuple(sorted(one for one in recorded if one[1] not in self.retention.get(one[0], {})))

    def notices_of(self, profile: str) -> tuple[NoticeVersion, ...]:
        """The versions of a profile's notice, oldest first; the last is in force."""
        versions = self.notices.get(self.profiles[profile].controller, ())
        return tuple(one for one in versions if one.is_of(profile))

    @model_validator(mode="after")
    def _each_version_of_a_notice_is_told(self) -> Self:
        if (problem := fault(self)) is not None:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _each_term_is_of_a_purpose(self) -> Self:
        for name, terms in self.retention.items():
            if name not in self.controllers:
                raise ValueError(f"retention.{name}: there is no controller {name!r}")
            told = self.controllers[name].retention
            # What is recorded no longer may be kept still.
            there = {one.id for each in self.profiles.values() if each.controller == name for one in each.purposes}
            there |= set() if isinstance(told, str) else set(told)
            for purpose in terms:
                if purpose not in there:
                    raise ValueError(
                        f"retention.{name}.{purpose}: no profile of {name} has this purpose; of one that is no longer "
                        f"recorded for, the text stays in controllers.{name}.retention"
                    )
        return self

    @model_validator(mode="after")
    def _what_is_moved_is_encrypted(self) -> Self:
        if self.recording.encrypted_folder is not None and self.keys is None:
            raise ValueError("recording.encrypted_folder: without [keys] nothing is encrypted")
        return self

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
    def _data_are_in_countries_that_are_allowed(self) -> Self:
        places: dict[str, str | None] = {f"processors.{name}": one.country for name, one in self.processors.items()}
        places |= {f"processing.storage.{number}": one.country for number, one in enumerate(self.processing.storage)}
        for where, country in places.items() if self.processing.countries else ():
            if country not in self.processing.countries:
                allowed = ", ".join(sorted(self.processing.countries))
                raise ValueError(f"{where}.country: {country or 'is missing, and'} is none of those allowed: {allowed}")
        if self.processing.countries and not self.processing.storage:
            raise ValueError("processing.storage: is missing: where the data lie is held against processing.countries")
        return self

    @model_validator(mode="after")
    def _controllers_exist(self) -> Self:
        for name, processor in self.processors.items():
            if unknown := processor.controllers - self.controllers.keys():
                raise ValueError(f"processors.{name}.controllers: there is no controller {min(unknown)!r}")
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
    text, data = read_toml(path)
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
        first, where = first_fault(error)
        message = _plain(first["msg"])
        if first["type"] == "missing" and where[0] == "controllers" and len(where) == 3:
            message = f"is missing: {Controller.model_fields[str(where[-1])].description}"
        if named := re.match(rf"((?:{_NAMED})\.[\w.]+): (.*)", message):
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
        if tables[0] in _FROM_THE_FILE_ALONE:
            raise InputError("who may do what is said in the configuration's file alone", field=name)
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

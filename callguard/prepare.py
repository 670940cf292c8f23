"""From a configuration file to what the service works with, checked whole: at start, and again with each reload."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from callguard import config
from callguard.config import Config
from callguard.core.model import Purpose
from callguard.core.profile import Change, Flow, compile_profile
from callguard.errors import InputError
from callguard.ledger.keys import seed_in
from callguard.policies.load import load as load_law
from callguard.speech.catalogue import Catalogue
from callguard.speech.texts import SWITCH


def prepare(path: Path) -> tuple[Config, dict[str, Flow]]:
    """The configuration, and every profile compiled with prompts that are there and what they should be.

    Raises:
        InputError: one line that names file, line and field; also for a policy, for a missing secret, folder or
            prompt, and for a signing key that cannot be used.
    """
    settings = config.load(path)
    load_law(settings)
    nothing_is_told_early(settings)
    for name in ("ari", "ami"):
        config.secret(settings, name)
    seed_in(settings.ledger_key_file, settings.ledger.origin)
    for field, folder in (
        ("recording.folder", settings.recording.folder.path_here),
        ("recording.encrypted_folder", settings.recording.encrypted_folder),
    ):
        if folder is not None and not (folder.is_dir() and os.access(folder, os.R_OK | os.W_OK | os.X_OK)):
            raise InputError("there is no such folder, or it cannot be written to", file=folder, field=field)
    return settings, compile_flows(settings, Catalogue.load(settings))


def nothing_is_told_early(settings: Config) -> None:
    """A notice is told from its version's day on, wherever it is that day first: by an earlier reload it is untrue."""
    tomorrow = (datetime.now(UTC) + timedelta(hours=14)).date()
    for name, versions in settings.notices.items():
        for number, one in enumerate(versions):
            if one.since > tomorrow:
                problem = f"is {one.since}, still to come: add the version on that day, or later"
                raise settings.wrong(problem, "notices", name, str(number), "since")


def compile_flows(settings: Config, catalogue: Catalogue) -> dict[str, Flow]:
    """Every profile, compiled. Raises InputError for a prompt that is missing."""

    def compiled(name: str) -> Flow:
        profile = settings.profiles[name]
        return compile_profile(
            name,
            tuple(Purpose(purpose.id, purpose.basis, purpose.required) for purpose in profile.purposes),
            profile.languages,
            lambda language, part: catalogue.prompt(name, language, part),
            lambda language: catalogue.details(name, language),
            round(profile.answer_wait_s * 1000),
            switch=lambda language: catalogue.prompt(name, language, SWITCH),
            agent_first=profile.agent_first,
            gate_required=profile.gate_required,
            versions=tuple(one.version for one in settings.notices_of(name)),
            changes=lambda language: tuple(
                Change(one.version, catalogue.prompt(name, language, f"change-{one.version}"))
                for one in settings.notices_of(name)
                if one.material
            ),
            brief_for=timedelta(days=profile.short_form_months * 365 // 12),
        )

    return {name: compiled(name) for name in settings.profiles}


def check_agi_address(settings: Config) -> None:
    """Raises: InputError, where FastAGI is wanted on an address that another program has."""
    host, port = settings.asterisk.agi_host, settings.asterisk.agi_port
    if port is None:
        return
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            problem = f"{port} on {host} cannot be listened on: {error.strerror}"
            raise InputError(problem, field="asterisk.agi_port") from error


def reloaded(now: Config, new: Config) -> tuple[Config, tuple[str, ...]]:
    """What a new configuration comes to in a running service, and the settings in it that wait for a restart.

    A connection, a file that is open and how recordings are made stay as they were.
    """
    waiting = [name for name in ("asterisk", "store", "http", "log") if getattr(now, name) != getattr(new, name)]
    if new.recording.folder != now.recording.folder:
        waiting.append("recording.folder")
    for name in ("files", "encrypted_folder"):
        if getattr(new.recording, name) != getattr(now.recording, name):
            waiting.append(f"recording.{name}")
    kept = {name: getattr(now, name) for name in ("asterisk", "store", "http", "log")}
    kept["recording"] = new.recording.model_copy(
        update={name: getattr(now.recording, name) for name in ("folder", "files", "encrypted_folder")}
    )
    return new.model_copy(update=kept), tuple(waiting)

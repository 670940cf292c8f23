"""The first callguard.toml: short, commented, and nothing said in the controller's name that it has not said."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from callguard import config
from callguard.errors import InputError
from callguard.setup.answers import Answers, text_help
from callguard.shipped import shipped

HEAD = """\
# callguard.toml, begun by `callguard init`; docs/callguard.example.toml shows all there is. It is read at start, and
# again when callguard is reloaded (SIGHUP); a mistake in it is one line with file, line and field.

[asterisk]
ari_url = {ari_url}
ari_secret_file = {folder}/ari.secret"
ami_host = {ami_host}
ami_port = {ami_port}
ami_secret_file = {folder}/ami.secret"

[recording.folder]               # setgid 2770, a group that callguard and Asterisk share
{recordings}

[keys]                           # recordings are encrypted; without this file nobody reads them any more: keep a copy
master = {{ file = {folder}/master.key" }}

[prompts.folder]                 # built by `callguard prompts build`; Asterisk reads it
{prompts}

[store]
path = {store}

{paths}

[roles]                          # who may do what with callguard; who is in none, nothing (docs/roles.md)
administrator = {{ users = [{administrators}] }}
{officer}

[http]                           # /health and /metrics, on this machine only
port = 9732

[controllers.{controller}]       # for whom calls are taken: callers hear all of this
name = {name}
{texts}

# When recordings are destroyed, for each purpose; without it they are kept until somebody says (docs/retention.md).
[retention.{controller}]
# "recording.quality" = {{ days = 90 }}

[profiles.service]               # Gosub(callguard-inbound,s,1(service)); calls to people, for service
controller = "{controller}"
region = "{region}"                    # what national numbers belong to
languages = [{languages}]{language_note}

[[profiles.service.purposes]]
id = "recording.quality"         # callers hear {spoken}
basis = "consent"                # asked by key
"""

SALES = """\

[profiles.sales]                 # Gosub(callguard-outbound,s,1(NUMBER,sales)), Dial(…,U(callguard-callee^sales))
controller = "{controller}"
region = "{region}"
languages = [{languages}]
calls = "marketing"              # an opt-out by key 9 blocks these
{caller_ids}

[[profiles.sales.purposes]]
id = "recording.quality"         # callers hear {spoken}
basis = "consent"
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Folders and addresses of an installation, as they are seen here.

    Attributes:
        folder: configuration and secrets.
        state: store and prompts.
        root: the folder here that Asterisk sees as ``/``.
    """

    folder: Path
    state: Path
    root: Path = Path("/")
    ari_url: str = "http://127.0.0.1:8088"
    ami: tuple[str, int] = ("127.0.0.1", 5038)

    def in_asterisk(self, path: Path, option: str) -> Path:
        """A path, as `option` says it, as Asterisk sees it. Raises: InputError, where it cannot."""
        try:
            return Path("/") / path.relative_to(self.root)
        except ValueError as error:
            problem = f"must be inside {self.root}, which --root says is / to Asterisk: it sees nothing else"
            raise InputError(problem, file=path, field=option) from error


def first_configuration(answers: Answers, places: Places) -> str:
    """The configuration's text, valid but for the texts that are still open.

    Raises:
        InputError: the answers do not fit together.
    """
    languages = ", ".join(_quoted(language) for language in answers.languages)
    values = {
        "controller": answers.controller_id,
        "region": answers.regions[0],
        "languages": languages,
        "folder": _quoted(str(places.folder))[:-1],
        "ari_url": _quoted(places.ari_url),
        "ami_host": _quoted(places.ami[0]),
        "ami_port": str(places.ami[1]),
        "recordings": _folder(answers.recordings, places, "--recordings"),
        "prompts": _folder(places.state / "prompts", places, "--state"),
        "store": _quoted(str(places.state / "callguard.db")),
        "administrators": ", ".join(map(_quoted, answers.administrators)),
        "officer": _officer(answers),
        "paths": _paths(answers),
        "name": _quoted(answers.controller),
        "caller_ids": _caller_ids(answers),
        "texts": "\n".join(_texts(answers)),
        "spoken": _quoted(_spoken("recording.quality", answers.languages[0])),
        "language_note": "         # the first is where a call begins; # takes the next"
        if len(answers.languages) > 1
        else "",
    }
    text = (HEAD + (SALES if answers.marketing else "")).format(**values)
    _check(text, answers)
    return text


def _spoken(purpose: str, language: str) -> str:
    """How the prompts that are shipped name a purpose."""
    texts = tomllib.loads((shipped("prompts") / f"{language}.toml").read_text(encoding="utf-8"))
    return str(texts["purposes"][purpose])


def _caller_ids(answers: Answers) -> str:
    numbers = ", ".join(map(_quoted, answers.numbers)) or '"+34910000062"'
    said = "# the numbers that these calls show; none is made before each was called once (docs/paths.md)"
    return f"{said}\n{'' if answers.numbers else '# '}caller_ids = [{numbers}]"


def _paths(answers: Answers) -> str:
    """The trunks; where none is known, how they are named later."""
    section = "[paths]                          # the trunks: what is originated straight to one is hung up"
    if not answers.trunks:
        return f'# {section}\n# trunks = ["PJSIP/NAME-*"]'
    return f"{section}\ntrunks = [{', '.join(map(_quoted, answers.trunks))}]"


def _officer(answers: Answers) -> str:
    """Who discloses; where nobody is named yet, how they are named later."""
    if not answers.officers:
        return '# officer = { users = [""] }      # reads, hands out and erases what is kept: no administrator does'
    return f"officer = {{ users = [{', '.join(map(_quoted, answers.officers))}] }}"


def _texts(answers: Answers) -> list[str]:
    given = [f"{name} = {_toml(text)}" for name, text in answers.texts.items()]
    left = answers.open_texts()
    if left:
        empty = (
            '""'
            if len(answers.languages) == 1
            else "{ " + ", ".join(f'{each} = ""' for each in answers.languages) + " }"
        )
        given.append("# Nothing is served before these say what is true of you:")
        given += [line for name in left for line in (f"# {text_help(name)}:", f"# {name} = {empty}")]
    return given


def _check(text: str, answers: Answers) -> None:
    data: dict[str, Any] = tomllib.loads(text)
    data["controllers"][answers.controller_id] |= dict.fromkeys(answers.open_texts(), "-")
    try:
        config.Config.model_validate(data)
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, "), field="init") from error


def _folder(path: Path, places: Places, option: str) -> str:
    seen = places.in_asterisk(path, option)
    other = "" if seen == path else f"\npath_in_asterisk = {_quoted(str(seen))}"
    return f"path_here = {_quoted(str(path))}{other}"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_quoted(text)}" for key, text in value.items()) + " }"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string, as long as nothing in it is unprintable.
    return json.dumps(text, ensure_ascii=False)

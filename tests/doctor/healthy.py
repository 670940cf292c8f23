"""A PBX with nothing wrong, to be broken in one place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from callguard import config
from callguard.config import Config
from callguard.doctor.checks.connection import WRITE
from callguard.doctor.checks.modules import FOR_AGI, NEEDED
from callguard.doctor.facts import (
    Ami,
    Answer,
    Answered,
    Ari,
    ClearRows,
    ConfigFile,
    Disk,
    Endpoint,
    Facts,
    Here,
    Module,
    Recorded,
    RecordingFolder,
    Section,
    Step,
    Tried,
    Unit,
)
from callguard.shipped_dialplan import features

MARKER = "v0123456789ab"
TOML = """\
[asterisk]
agi_port = 4573
[keys.master]
file = "/srv/master.key"
[recording.folder]
path_here = "/srv/recordings"
[prompts.folder]
path_here = "/srv/prompts"
[store]
path = "/srv/callguard.db"
[http]
port = 9732
[paths]
trunks = ["PJSIP/trunk-*", "IAX2/*"]
[controllers.acme]
name = "Acme"
address = "1 Main Street"
contact = "privacy"
retention = "ninety days"
more_at = "acme dot example"
recipients = "nobody"
transfers = "nowhere"
authority = "the authority"
automated = "nothing"
number_source = "your contract"
[roles]
administrator = { users = ["root"] }
officer = { users = ["nobody"] }
[retention.acme]
"recording.quality" = { days = 90 }
"recording.contract" = { days = 2190, from = "contract_end" }
[profiles.service]
controller = "acme"
region = "ES"
languages = ["en"]
purposes = [{ id = "recording.quality", basis = "consent" }]
[profiles.contract]
controller = "acme"
region = "ES"
languages = ["en"]
purposes = [{ id = "recording.contract", basis = "contract", required = true }]
[profiles.sales]
controller = "acme"
region = "ES"
languages = ["en"]
calls = "marketing"
caller_ids = ["+34910000062"]
gate_required = true
purposes = [{ id = "recording.quality", basis = "consent" }]
"""


def settings(folder: Path, **asterisk: str) -> Config:
    file = folder / "callguard.toml"
    file.write_text(TOML, encoding="utf-8")
    return config.load(file, {f"CALLGUARD_ASTERISK__{name.upper()}": value for name, value in asterisk.items()})


def step(context: str, extension: str, app: str, data: str) -> Step:
    return Step(context, extension, "1", app, data)


STEPS = (
    step("callguard-inbound", "s", "MixMonitor", "ours.wav"),
    step("callguard-version", MARKER, "NoOp", ""),
    step("from-outside", "100", "Gosub", "callguard-inbound,s,1(service)"),
    step("from-outside", "101", "Dial", "PJSIP/agent,30,rb(callguard-agent^s^1)"),
    step("from-inside", "_7X.", "Gosub", "callguard-outbound,s,1(${EXTEN:1},sales)"),
    step("from-inside", "_7X.", "Dial", "PJSIP/${EXTEN:1}@trunk,60,b(callguard-invite^s^1)U(callguard-callee^sales)"),
)

MANAGER = (
    ("read", "user,dtmf,call"),
    ("write", "system,call,reporting"),
    ("eventfilter(action(include),name(UserEvent),header(UserEvent),method(starts_with))", "Callguard"),
    ("eventfilter(action(include),name(DTMFEnd),header(Direction),method(exact))", "Received"),
    ("eventfilter(action(include),name(MixMonitorStart))", ""),
    ("eventfilter(action(include),name(DialBegin))", ""),
    ("eventfilter(action(exclude),name(DialBegin),header(Channel))", ""),
)


def conf(**sections: Any) -> ConfigFile:
    return ConfigFile(tuple(Section(name, tuple(lines)) for name, lines in sections.items()))


def healthy(folder: Path) -> Facts:
    modules = dict.fromkeys((f"{name}.so" for name in (*NEEDED, *FOR_AGI, "app_stasis_broadcast")), Module(True, 1))
    return Facts(
        config=settings(folder),
        ari=Ari("22.10.1+dfsg", may_write=True, modules=modules, apps=frozenset({"callguard"}), ahead_ms=3.0),
        ami=Ami(
            actions=frozenset({*WRITE.values(), "MixMonitor", "StopMixMonitor"}),
            sessions=1,
            files={
                "features.conf": conf(applicationmap=features().items()),
                "queues.conf": conf(general=(), service=(("strategy", "ringall"),)),
                "http.conf": conf(general=(("enabled", "yes"), ("bindaddr", "127.0.0.1"))),
                "manager.conf": conf(general=(("enabled", "yes"), ("bindaddr", "127.0.0.1")), callguard=MANAGER),
                "ari.conf": conf(general=(("enabled", "yes"),), callguard=(("type", "user"), ("read_only", "no"))),
                "extensions.conf": conf(general=(), globals=(("CALLGUARD_REQUIRED_sales", "yes"),)),
            },
            globals={
                "CALLGUARD_DOOR": "",
                "CALLGUARD_MANAGER": "callguard",
                "CALLGUARD_NAME_PREFIX": "yes",
                "CALLGUARD_FOLDER_callguard": "/srv/recordings",
                "CALLGUARD_DIVERT_contract": "goodbye,s,1",
            },
            features={
                "blindxfer": "#",
                "atxfer": "",
                "disconnect": "*",
                "parkcall": "",
                "automixmon": "",
                "atxferswap": "*4",
                "atxferabort": "*1",
                "atxferthreeway": "*3",
                "atxfercomplete": "*2",
            },
            steps=STEPS,
            endpoints=(
                Endpoint("agent", "rfc4733", "user", False, tells_changes=True),
                Endpoint("trunk", "auto", "uri_pjsip", False, tells_changes=False),
            ),
            exists={"goodbye,s,1": True},
            freepbx={},
        ),
        tried=Tried(
            emergency={"112": "emergency", "911": "emergency", "085": "emergency", "088": "emergency"},
            events=frozenset({"CallguardDoctor", "MixMonitorStart"}),
            sounds={"/srv/prompts/played/ab": True},
            recorded=Recorded(seen=True, readable=True, removable=True, mode=0o660),
        ),
        here=Here(
            prompts="",
            store=None,
            folder=RecordingFolder(0o2770, True, 500 * 2**30, 2**30),
            synchronised=True,
            unit=Unit(True, 2.0),
            health=Answered(Answer.SERVING),
            open_files={"callguard": 65_536, "asterisk": 65_536},
            registries=(),
            keys="",
            disk=Disk("ext4 on /dev/mapper/srv", safe=True),
            clear_files=0,
            clear_rows=ClearRows(),
        ),
        marker=MARKER,
        shipped=STEPS[:2],
    )


def ari(facts: Facts, **changes: Any) -> Facts:
    assert isinstance(facts.ari, Ari)
    return replace(facts, ari=replace(facts.ari, **changes))


def without_module(facts: Facts, name: str) -> Facts:
    assert isinstance(facts.ari, Ari) and isinstance(facts.ari.modules, dict)
    return ari(facts, modules={key: module for key, module in facts.ari.modules.items() if key != f"{name}.so"})


def ami(facts: Facts, **changes: Any) -> Facts:
    assert isinstance(facts.ami, Ami)
    return replace(facts, ami=replace(facts.ami, **changes))


def file(facts: Facts, name: str, **sections: Any) -> Facts:
    assert isinstance(facts.ami, Ami)
    old = facts.ami.files[name]
    assert isinstance(old, ConfigFile)
    kept = tuple(one for one in old.sections if one.name not in sections)
    return ami(facts, files={**facts.ami.files, name: ConfigFile(kept + conf(**sections).sections)})


def with_globals(facts: Facts, **values: str) -> Facts:
    assert isinstance(facts.ami, Ami)
    return ami(facts, globals={**facts.ami.globals, **values})


def with_features(facts: Facts, **codes: str) -> Facts:
    assert isinstance(facts.ami, Ami)
    return ami(facts, features={**facts.ami.features, **codes})


def with_steps(facts: Facts, *steps: Step) -> Facts:
    return ami(facts, steps=(*STEPS, *steps))


def tried(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, tried=replace(facts.tried, **changes))


def here(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, here=replace(facts.here, **changes))


def endpoint(facts: Facts, **changes: Any) -> Facts:
    return ami(facts, endpoints=(replace(Endpoint("trunk", "auto", "user", False, tells_changes=True), **changes),))

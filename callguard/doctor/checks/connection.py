"""ARI, AMI and what their accounts may; the version; whether callguard itself is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address
from urllib.parse import urlsplit

from callguard.doctor.facts import Answer, Facts, NotKnown, Section, Unknown, known
from callguard.doctor.findings import Check, Problem, Severity, risk, warning
from callguard.doctor.health import WITHIN_S
from callguard.telephony.versions import OLDEST, recent_enough

# The classes that callguard needs, and an action of Asterisk's core that AMI lists for who has the class. (MixMonitor,
# which is what `system` is for, is listed only where its module is loaded.)
WRITE = {"system": "ModuleLoad", "call": "Setvar", "reporting": "ShowDialPlan"}
READ = frozenset({"user", "dtmf", "call"})
# Of what is done to try it out, these would come without a filter.
UNWANTED = frozenset({"DoctorUnwanted", "Newchannel", "Hangup"})
RELOAD_MANAGER = 'then asterisk -rx "manager reload" (`callguard init` writes such an account)'


def _ari_answers(facts: Facts) -> Iterator[Problem]:
    if isinstance(facts.ari, Unknown):
        yield risk(
            f"ARI does not let callguard in: {facts.ari.because}",
            "without ARI nobody is asked, nothing is recorded, and no number is dialled",
            "http.conf: enabled = yes and bindaddr = 127.0.0.1; ari.conf: enabled = yes and the account "
            f"[{facts.config.asterisk.ari_user}] with the password in ari_secret_file (`callguard init` writes it)",
        )


def _ari_may_write(facts: Facts) -> Iterator[Problem]:
    if not known(facts.ari).may_write:
        yield risk(
            f"the ARI account {facts.config.asterisk.ari_user} is read-only",
            "no prompt can be played, so nobody is asked",
            f"ari.conf, [{facts.config.asterisk.ari_user}]: read_only = no; "
            'then asterisk -rx "module reload res_ari.so"',
        )


def _ami_answers(facts: Facts) -> Iterator[Problem]:
    if isinstance(facts.ami, Unknown):
        yield risk(
            f"AMI does not let callguard in: {facts.ami.because}",
            "the dialplan asks for callguard's manager session before it waits for it: without one every call goes on "
            "unrecorded, and no number is dialled",
            f"manager.conf: enabled = yes, and the account [{facts.config.asterisk.ami_user}] with the secret in "
            f"ami_secret_file, and this machine in its permit; {RELOAD_MANAGER}",
        )


def _ami_may_write(facts: Facts) -> Iterator[Problem]:
    missing = [name for name, action in WRITE.items() if action not in known(facts.ami).actions]
    if missing:
        yield risk(
            f"the manager account has no write class {', '.join(missing)}",
            "callguard cannot start or stop a recording in a call, or catch up with what was withdrawn meanwhile",
            f"manager.conf, [{facts.config.asterisk.ami_user}]: write = {','.join(WRITE)}; {RELOAD_MANAGER}",
        )


def _ami_spare(facts: Facts) -> Iterator[Problem]:
    account = _account(facts)
    for kind, needed in (("read", READ), ("write", frozenset(WRITE))):
        spare = _classes(account.get(kind)) - needed
        if spare:
            yield warning(
                f"the manager account has more {kind} classes than callguard needs: {', '.join(sorted(spare))}",
                "whoever gets at its secret may do more than callguard can"
                if kind == "write"
                else "every event of every call would be sent and parsed (3.8 ms of CPU a call)",
                f"manager.conf, [{account.name}]: {kind} = {','.join(sorted(needed))}; {RELOAD_MANAGER}",
            )


def _events(facts: Facts) -> Iterator[Problem]:
    heard = known(facts.tried.events)
    name = facts.config.asterisk.ami_user
    filters = "the eventfilter lines that `callguard init` writes"
    if "CallguardDoctor" not in heard:
        yield risk(
            "callguard's user events do not reach its manager account",
            "withdrawals, opt-outs and the end of recordings are heard of only when callguard starts again",
            f"manager.conf, [{name}]: read = user,dtmf,call and {filters}; {RELOAD_MANAGER}",
        )
    elif heard & UNWANTED:
        yield warning(
            "the manager account has no event filter that is in force",
            "events that callguard has no use for are sent and parsed, and keys of the other party too",
            f"manager.conf, [{name}]: {filters}; {RELOAD_MANAGER}",
        )


def _recorders(facts: Facts) -> Iterator[Problem]:
    if facts.config.watchdog.foreign == "off":
        return
    # What was to be told was recorded only where that could be tried.
    if known(facts.tried.recorded).seen and "MixMonitorStart" not in known(facts.tried.events):
        name = facts.config.asterisk.ami_user
        yield risk(
            "where a recording begins does not reach callguard's manager account",
            "a recording that callguard did not begin is neither seen nor stopped",
            f"manager.conf, [{name}]: read = user,dtmf,call and the eventfilter for MixMonitorStart that `callguard "
            f"init` writes; {RELOAD_MANAGER}",
        )


def _keys(facts: Facts) -> Iterator[Problem]:
    account = _account(facts)
    filters = [f"{key}={text}" for key, text in account.lines if key.startswith("eventfilter")]
    included = [one for one in filters if not one.startswith("eventfilter=!") and "action(exclude)" not in one]
    if not {"dtmf", "all"} & _classes(account.get("read")) or (included and not any("DTMF" in one for one in included)):
        yield risk(
            "key presses do not reach callguard's manager account",
            "*9 before the agent answers (ringing, queue) is heeded only when the call ends",
            f"manager.conf, [{account.name}]: read = user,dtmf,call and the eventfilter for DTMFEnd that `callguard "
            f"init` writes; {RELOAD_MANAGER}",
        )


def _version(facts: Facts) -> Iterator[Problem]:
    text = known(facts.ari).version
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise NotKnown(f"{text} is no release's version")
    if not recent_enough((int(found[1]), int(found[2]))):
        oldest = ", ".join(f"{major}.{minor}" for major, minor in OLDEST.items())
        yield risk(
            f"Asterisk {text} is too old",
            "its ARI takes no requests over the event WebSocket, which is callguard's only way",
            f"upgrade Asterisk to {oldest} or later",
        )


def _broadcast(facts: Facts) -> Iterator[Problem]:
    module = known(known(facts.ari).modules).get("app_stasis_broadcast.so")
    if module is None or not module.running:
        yield warning(
            "app_stasis_broadcast is not loaded",
            "a callguard that hangs holds a caller until the lease ends (5 s or more) and a callee until it is killed, "
            "in place of 2 s",
            "modules.conf: load = app_stasis_broadcast.so (Asterisk 20.17, 22.7, 23.1 and later have it), then "
            'asterisk -rx "module load app_stasis_broadcast.so"',
        )


def _serving(facts: Facts) -> Iterator[Problem]:
    app = facts.config.asterisk.app
    connected = app in known(facts.ari).apps
    present = known(known(facts.ami).sessions) > 0
    why = "every call goes on unrecorded, and no number is dialled but emergencies"
    if not connected and not present:
        yield risk(f"callguard does not run: {app} is not connected", why, "systemctl start callguard")
    elif not connected:
        yield risk(
            f"the application {app} is not connected, and yet {facts.config.asterisk.ami_user} has a manager session",
            "the dialplan waits 2 s for nobody; then the call goes on unrecorded, and no number is dialled",
            "systemctl restart callguard; journalctl -u callguard says what is wrong; no other program may use "
            "callguard's manager account",
        )
    elif not present:
        yield risk(
            f"the application {app} is connected, but it holds no manager session",
            why,
            "journalctl -u callguard says why; then systemctl restart callguard",
        )


def _told(facts: Facts) -> Iterator[Problem]:
    app, wanted = facts.config.asterisk.app, str(facts.config.recording.folder.in_asterisk)
    if app not in known(facts.ari).apps:
        raise NotKnown("callguard does not run")
    told = known(known(facts.ami).globals[f"CALLGUARD_FOLDER_{app}"])
    if told != wanted:
        yield risk(
            f"the dialplan was told to record to {told or 'no folder'}, not to {wanted}",
            "the callguard that runs has another configuration than this one, or none has told the dialplan yet",
            "systemctl restart callguard",
        )


def _healthy(facts: Facts) -> Iterator[Problem]:
    said, http = known(facts.here.health), facts.config.http
    place = f"{http.host}:{http.port}"
    if said.answer is Answer.NONE:
        yield risk(
            f"callguard hangs: its connection at {place} opens, and /health has no answer within {WITHIN_S:.0f} s",
            "a caller waits 2 s for it and goes on unrecorded; who is called, or asked by FastAGI, waits until it is "
            "ended, and no number is dialled",
            "systemctl restart callguard; its unit's WatchdogSec=2 does so by itself (systemd/callguard.service), and "
            "journalctl -u callguard then has the place where it hung",
        )
    elif said.answer is Answer.ILL:
        yield risk(
            f"callguard says that calls are not gated: {said.problem}",
            "they go on unrecorded, and no number is dialled but emergencies",
            said.do,
        )
    elif said.answer is Answer.ANOTHER:
        yield warning(
            f"what answers at {place} is no callguard",
            "a monitor that asks there learns nothing of callguard's health",
            "callguard.toml, [http]: another port, then systemctl restart callguard",
        )
    elif said.answer is Answer.NOBODY:
        if facts.config.asterisk.app not in known(facts.ari).apps:
            raise NotKnown("callguard does not run")
        yield warning(
            f"callguard is connected to Asterisk, and nobody listens at {place}",
            "the callguard that runs has another configuration than this one, or runs elsewhere: a monitor would take "
            "it for dead",
            "systemctl restart callguard here, or run doctor where callguard runs",
        )


def _listening(facts: Facts) -> Iterator[Problem]:
    files, settings = known(facts.ami).files, facts.config.asterisk
    http = known(files["http.conf"]).section("general")
    manager = known(files["manager.conf"]).section("general")
    for file, section, setting, host, default in (
        # Without an address the manager listens everywhere, and HTTP nowhere.
        ("http.conf", http, "bindaddr", urlsplit(settings.ari_url).hostname or "", ""),
        ("manager.conf", manager, "bindaddr", settings.ami_host, str(IPv4Address(0))),
    ):
        if not section.on("enabled"):
            continue
        address = section.get(setting) or default
        if address and not _loopback(address) and _loopback(host):
            yield warning(
                f"{file} listens on {address}, and callguard comes from this machine",
                "whoever reaches it may try passwords, and its traffic is not encrypted",
                f"{file}: {setting} = 127.0.0.1, then restart Asterisk when no calls are up",
            )
    encrypted = settings.ari_url.startswith("https:")
    for what, host, secured in (
        ("ARI", urlsplit(settings.ari_url).hostname or "", encrypted),
        ("AMI", settings.ami_host, False),
    ):
        if not _loopback(host) and not secured:
            yield risk(
                f"{what}'s password and orders cross the network to {host} unencrypted",
                "who listens there can record, and give consents in other people's names",
                "run callguard on Asterisk's host, or go through an encrypted tunnel (WireGuard, stunnel, ssh -L)",
            )
    if settings.agi_port is not None and not _loopback(settings.agi_host):
        yield risk(
            f"FastAGI listens on {settings.agi_host}",
            "FastAGI knows no password: whoever reaches the port can make up calls and consents",
            'callguard.toml, [asterisk]: agi_host = "127.0.0.1", then systemctl restart callguard',
        )


def _account(facts: Facts) -> Section:
    name = facts.config.asterisk.ami_user
    account = known(known(facts.ami).files["manager.conf"]).section(name)
    if not account.lines:
        raise NotKnown(f"manager.conf has no account [{name}] that GetConfig shows")
    return account


def _classes(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


CHECKS = (
    Check("ari.answers", "ARI answers and lets callguard in", Severity.RISK, _ari_answers),
    Check("ari.rights", "The ARI account may give orders", Severity.RISK, _ari_may_write),
    Check("ami.answers", "AMI answers and lets callguard in", Severity.RISK, _ami_answers),
    Check(
        "ami.rights", "The manager account has the write classes that callguard needs", Severity.RISK, _ami_may_write
    ),
    Check("ami.spare", "The manager account has no classes beyond those", Severity.WARNING, _ami_spare),
    Check("ami.events", "User events reach the manager account, and only callguard's own", Severity.RISK, _events),
    Check("ami.recorders", "Where a recording begins reaches the manager account", Severity.RISK, _recorders),
    Check("ami.keys", "Key presses reach the manager account", Severity.RISK, _keys),
    Check("asterisk.version", "Asterisk is recent enough", Severity.RISK, _version),
    Check("asterisk.broadcast", "A hung callguard is passed in 2 s", Severity.WARNING, _broadcast),
    Check(
        "service.connected",
        "callguard runs: its application and its manager session are there",
        Severity.RISK,
        _serving,
    ),
    Check("service.health", "callguard answers, and says that calls are gated", Severity.RISK, _healthy),
    Check("service.told", "The dialplan records to the configured folder", Severity.RISK, _told),
    Check("network.listening", "ARI, AMI and FastAGI are not open to others", Severity.RISK, _listening),
)

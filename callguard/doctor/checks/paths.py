"""Whether calls can leave by a trunk without the gate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from callguard.doctor import dialplan
from callguard.doctor.checks.common import bridgings, loaded, places, shortened
from callguard.doctor.facts import Facts, known
from callguard.doctor.findings import Check, Problem, Severity, warning

INVITE = "callguard-invite"
# A number at a trunk: PJSIP/NUMBER@TRUNK, PJSIP/TRUNK/sip:NUMBER@…, TECHNOLOGY/TRUNK/NUMBER. What Local channels dial
# is judged where they dial.
TRUNK = re.compile(r"(?!Local/)[A-Za-z0-9]+/(?:[^@/]+@.+|[^/]+/.+)")
# The same, as the channel that it makes is named: TECHNOLOGY/TRUNK. What only a call tells is not known here.
NAMED = re.compile(r"(\w+)/(?:[^@/]+@([^@/:$]+)|([^@/$]+)/.+)")
# What lets a manager account send an INVITE by itself, or write what will: see `manager show command Originate`.
ORIGINATING = frozenset({"all", "originate", "command", "config"})


def _guarded(facts: Facts) -> Iterator[Problem]:
    if not dialplan.uses(dialplan.foreign(loaded(facts))):
        return
    bare = [
        one
        for one in bridgings(facts)
        if any(map(TRUNK.fullmatch, one.to))
        and not any(letter == "b" and inside.startswith(INVITE) for letter, inside in one.options)
    ]
    if bare:
        yield warning(
            f"{len(bare)} Dial to a trunk say no b({INVITE}^s^1): {places(bare)}",
            "a call that comes there another way than by callguard-outbound (a forward, a transfer, an originated call)"
            " leaves without a decision",
            f"Gosub(callguard-trunk,s,1(NUMBER,PROFILE)) before each, and b({INVITE}^s^1) among its options",
        )


def _managers(facts: Facts) -> Iterator[Problem]:
    ours = facts.config.asterisk.ami_user
    found = [
        f"{section.name} ({', '.join(sorted(may))})"
        for section in known(known(facts.ami).files["manager.conf"]).sections
        if section.name not in {"general", ours}
        and (may := ORIGINATING & {one.strip().lower() for one in section.get("write").split(",")})
    ]
    if found:
        yield warning(
            f"{len(found)} manager accounts may originate calls: {shortened(found)}",
            "Originate straight to a trunk (Channel: PJSIP/NUMBER@TRUNK) sends its INVITE before any dialplan, so that "
            "nobody is asked",
            "manager.conf: write without originate, command and config where they are not needed, and a permit for one "
            "host where they are; that program has to originate Local/NUMBER@CONTEXT, which comes to the trunk's guard",
        )


def _ari_users(facts: Facts) -> Iterator[Problem]:
    ours = facts.config.asterisk.ari_user
    found = [
        section.name
        for section in known(known(facts.ami).files["ari.conf"]).sections
        if section.name not in {"general", ours} and section.get("type") == "user" and not section.on("read_only")
    ]
    if found:
        yield warning(
            f"{len(found)} ARI users may originate calls: {shortened(found)}",
            "an endpoint that is a trunk's gets its INVITE before any dialplan, so nobody is asked",
            "ari.conf: read_only = yes where that is enough; else originate Local/NUMBER@CONTEXT, which comes to the "
            "trunk's guard",
        )


def _folder(facts: Facts) -> Iterator[Problem]:
    spool = known(known(facts.ari).modules).get("pbx_spool.so")
    if spool is not None and spool.running:
        yield warning(
            "call files are taken (pbx_spool.so)",
            "who may write to Asterisk's spool folder, outgoing, can have an INVITE sent before any dialplan, so that "
            "nobody is asked",
            "modules.conf: noload = pbx_spool.so where nothing writes call files; else keep outgoing to one user "
            "(mode 700), and have its files say Channel: Local/NUMBER@CONTEXT",
        )


def _hung_up(facts: Facts) -> Iterator[Problem]:
    trunks = facts.config.paths.trunks
    to = sorted({one for bridging in bridgings(facts) for one in bridging.to if TRUNK.fullmatch(one)})
    names = [f"{found[1]}/{found[2] or found[3]}" for one in to if (found := NAMED.fullmatch(one))]
    others = [one for one in dict.fromkeys(names) if not any(fnmatchcase(f"{one}-00000000", by) for by in trunks)]
    why = "what is originated straight to such a channel is not hung up, and `callguard reconcile` does not find it"
    patterns = ", ".join(f'"{_pattern(one)}"' for one in others) or '"PJSIP/NAME-*"'
    if not trunks and (to or any(profile.calls_people for profile in facts.config.profiles.values())):
        yield warning(
            "callguard.toml names no trunk, and calls leave by some",
            why,
            f"[paths] trunks = [{patterns}]: the channels of your trunks; then reload callguard",
        )
    elif others:
        yield warning(
            f"{len(others)} trunks are dialled that callguard.toml does not name: {shortened(others)}",
            why,
            f"[paths] trunks: add {patterns} where calls leave there; then reload callguard",
        )
    if trunks and _filtered_out(facts):
        yield warning(
            "what is originated does not reach callguard's manager account",
            "a call that is originated straight to a trunk is not seen, and not hung up",
            "callguard init --apply brings the account's eventfilter lines up to date; "
            'then asterisk -rx "manager reload"',
        )


def _caller_ids(facts: Facts) -> Iterator[Problem]:
    silent = sorted(
        name for name, one in facts.config.profiles.items() if one.calls == "marketing" and not one.caller_ids
    )
    if silent:
        yield warning(
            f"{len(silent)} profiles for marketing calls name no caller_ids: {shortened(silent)}",
            "each dial for them is denied (cli.unnamed): a marketing call shows a number that can be called back",
            f'callguard.toml, [profiles.{silent[0]}]: caller_ids = ["+34910000062"], your own, each routed to '
            "callguard-inbound and called once from any phone; then reload callguard; `callguard check NUMBER "
            "--caller-id NUMBER` shows what is denied still",
        )


def _pattern(name: str) -> str:
    # A group's calls have the name of the channel that was free.
    return "DAHDI/*" if name.startswith("DAHDI/") else f"{name}-*"


def _filtered_out(facts: Facts) -> bool:
    account = known(known(facts.ami).files["manager.conf"]).section(facts.config.asterisk.ami_user)
    filters = [f"{key}={text}" for key, text in account.lines if key.startswith("eventfilter")]
    return bool(filters) and not any("DialBegin" in one and "action(exclude)" not in one for one in filters)


CHECKS = (
    Check("paths.guarded", "Each Dial to a trunk looks once more before its INVITE", Severity.WARNING, _guarded),
    Check("paths.managers", "No other manager account may originate calls", Severity.WARNING, _managers),
    Check("paths.ari", "No other ARI user may originate calls", Severity.WARNING, _ari_users),
    Check("paths.files", "No call files are taken", Severity.WARNING, _folder),
    Check("paths.trunks", "What is originated straight to a trunk is seen and hung up", Severity.WARNING, _hung_up),
    Check("paths.caller_ids", "The numbers that marketing calls may show are named", Severity.WARNING, _caller_ids),
)

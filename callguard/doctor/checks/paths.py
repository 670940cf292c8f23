"""Whether calls can leave by a trunk without the gate."""

from __future__ import annotations

import re
from collections.abc import Iterator

from callguard.doctor import dialplan
from callguard.doctor.checks.common import bridgings, loaded, places, shortened
from callguard.doctor.facts import Facts, known
from callguard.doctor.findings import Check, Problem, Severity, warning

INVITE = "callguard-invite"
# A number at a trunk: PJSIP/NUMBER@TRUNK, PJSIP/TRUNK/sip:NUMBER@…, TECHNOLOGY/TRUNK/NUMBER. What Local channels dial
# is judged where they dial.
TRUNK = re.compile(r"(?!Local/)[A-Za-z0-9]+/(?:[^@/]+@.+|[^/]+/.+)")
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


CHECKS = (
    Check("paths.guarded", "Each Dial to a trunk looks once more before its INVITE", Severity.WARNING, _guarded),
    Check("paths.managers", "No other manager account may originate calls", Severity.WARNING, _managers),
    Check("paths.ari", "No other ARI user may originate calls", Severity.WARNING, _ari_users),
    Check("paths.files", "No call files are taken", Severity.WARNING, _folder),
)

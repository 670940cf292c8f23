"""The page of an export: what a person reads. One file, no script, nothing from elsewhere, every word escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from callguard.rights import consents
from callguard.rights.facts import HELD
from callguard.rights.timeline import timeline

if TYPE_CHECKING:
    from callguard.rights.audio import Sound
    from callguard.rights.receipts import Setting
    from callguard.store.about import Subject

STYLE = """
body { font: 1rem/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #111; background: #fff }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
caption { text-align: left; font-weight: bold; padding: .3rem 0 }
th, td { text-align: left; vertical-align: top; border: 1px solid #767676; padding: .3rem .5rem }
td { overflow-wrap: anywhere }
th { background: #eee }
@media print { body { margin: 0; max-width: none } tr, audio { break-inside: avoid } }
"""
HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; media-src 'self' file:">
<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">
<title>{name}: your data</title><style>{style}</style></head><body><main>
"""
# Of what the controller tells of itself in the notice, what belongs on this page.
TOLD: Mapping[str, str] = {
    "address": "Address",
    "contact": "Questions and your rights",
    "officer": "Data protection officer",
    "recipients": "Who else receives recordings",
    "transfers": "Countries outside the EU",
    "automated": "What computers decide or find out",
    "number_source": "Where your number is from",
    "authority": "Where you can complain",
}


def page(one: Subject, setting: Setting, sounds: Mapping[str, Sound], fingerprint: str, now: datetime) -> bytes:
    """The page in HTML.

    Args:
        sounds: what became of each recording's file in this export, by its name.
        fingerprint: of the certificate that the export is signed with.
    """
    name = escape(setting.controller.name)
    parts = [
        f"<h1>What {name} knows of {escape(one.number)}</h1>",
        f"<p>Made {_moment(now)}. It is about this number alone. All times are in UTC.</p>",
        '<p>Beside this page are the same facts for programs: <a href="data.json">data.json</a>, a receipt for each '
        "consent (folder receipts), each call as a vCon (folder vcons).</p>",
        "<h2>What happened</h2>",
        _table("Everything, in the order of time", ("When", "What", "Call"), _events(one)),
        "<h2>What you were asked, and answered</h2>",
        _table(
            "Answers in calls", ("When", "Purpose", "Basis", "Answer", "How", "Notice that was heard"), _answers(one)
        ),
        _table("Given beside calls", ("Since", "Purpose", "Basis", "How", "Proof", "Now"), _grants(one, now)),
        "<h2>Calls to you</h2>",
        _table("Opt-outs", ("Since", "Until", "From what", "How", "Reason"), _opt_outs(one)),
        _table("Calls that were to be made", ("When", "Allowed", "Rules that denied it"), _dials(one)),
        "<h2>Recordings</h2>",
        _table("Of you", ("Ended", "Length", "State", "Destroyed", "SHA-256", "Here"), _recordings(one, sounds)),
        f"<h2>{name}</h2>",
        _table("What they say of themselves", ("What", "Says"), _controller(setting)),
        "<p>You may have wrong data put right, have data erased or no longer used, object, take back a consent, have "
        "your data handed to another, and complain to the authority.</p>",
        "<h2>How to check this export</h2>",
        "<p>manifest.json has the SHA-256 of each file, and manifest.jws is its signature. The certificate is in "
        "certificate.pem; ask the controller, by another way, whether its fingerprint is this one:</p>",
        f"<p><code>{escape(fingerprint)}</code></p>",
    ]
    return (HEAD.format(name=name, style=STYLE) + "\n".join(parts) + "\n</main></body></html>\n").encode()


def _events(one: Subject) -> Iterable[Sequence[str]]:
    for it in timeline([one]):
        yield _moment(it.at), escape(it.what), escape(it.call or "")


def _grants(one: Subject, now: datetime) -> Iterable[Sequence[str]]:
    for it in one.grants:
        told = (it.purpose, it.basis, it.channel, it.evidence, it.state(now))
        yield _moment(it.since), *map(escape, told)


def _opt_outs(one: Subject) -> Iterable[Sequence[str]]:
    for it in one.opt_outs:
        what = " ".join(filter(None, (it.scope, it.purpose, it.campaign, f"(all of {it.block})" if it.block else None)))
        # Why a block opted out is not the person's own word.
        why = "" if it.block else it.reason or ""
        yield _moment(it.since), _moment(it.until), escape(what), escape(it.source), escape(why)


def _dials(one: Subject) -> Iterable[Sequence[str]]:
    for it in one.decisions:
        yield _moment(it.at), "yes" if it.allow else "no", escape(", ".join(it.rules))


def _controller(setting: Setting) -> Iterable[Sequence[str]]:
    spoken = setting.controller.spoken(setting.language)
    for field, label in TOLD.items():
        if said := spoken.get(field):
            yield escape(label), escape(said)


def _answers(one: Subject) -> Iterable[Sequence[str]]:
    for leg in one.legs:
        keys = {purpose: it.keys for it in consents.pressed(leg.detail) for purpose in it.purposes}
        heard = "; ".join(
            f"{it.prompt}, {it.language}, version {it.version}, {it.heard_ms / 1000:g} s of {it.length_ms / 1000:g} s"
            for it in consents.notices(leg.detail)
        )
        for it in leg.detail.grants:
            how = f"key {keys[it.purpose]}" if it.reason == "key" and it.purpose in keys else it.reason
            yield (
                _moment(it.valid_from),
                escape(it.purpose),
                escape(it.basis),
                escape(it.state),
                escape(how),
                escape(heard),
            )


def _recordings(one: Subject, sounds: Mapping[str, Sound]) -> Iterable[Sequence[str]]:
    for leg in one.legs:
        it = leg.detail.recording
        if it is None:
            continue
        length = "" if it.duration_ms is None else f"{it.duration_ms / 1000:.1f} s"
        until = _moment(it.destroyed_at or it.destroy_at) or ("held" if it.reason == HELD else "no time set")
        for file in it.files:
            sound = sounds.get(file.name)
            if sound is None:
                here = "not asked for"
            elif sound.withheld:
                here = escape(f"not here: {sound.withheld}")
            else:
                address = escape(f"recordings/{file.name}")
                here = f'<audio controls preload="none" src="{address}"></audio><br><a href="{address}">{address}</a>'
            yield _moment(it.ended_at), length, escape(it.state), until, escape(file.sha256), here
        if not it.files:
            yield _moment(it.ended_at), length, escape(it.state), until, "", ""


def _table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; a sentence where it has no rows."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return f"<p>{escape(caption)}: none.</p>"
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _moment(at: datetime | None) -> str:
    return "" if at is None else f'<time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M:%S}</time>'

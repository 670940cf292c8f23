"""As much of SIP (RFC 3261) and SDP (RFC 8866) as a phone that is called needs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from callguard.errors import TelephonyError

Address = tuple[str, int]
Headers = tuple[tuple[str, str], ...]

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A request or response: start line, headers in order, body."""

    start: str
    headers: Headers
    body: str = ""

    @property
    def method(self) -> str:
        """A request's method; empty for a response."""
        return "" if self.start.startswith("SIP/2.0 ") else self.start.partition(" ")[0]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The first header of that name, without case."""
        return next(iter(self.all(name)), None)

    def need(self, name: str) -> str:
        """A header that every message has.

        Raises:
            TelephonyError: this one has not.
        """
        value = self.get(name)
        if value is None:
            raise TelephonyError(f"a SIP message has no {name}")
        return value

    def __bytes__(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        body = self.body.encode()
        lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode(errors="surrogateescape") + b"\r\n\r\n" + body


def parse(data: bytes) -> SipMessage:
    """Read a message; bytes that are not UTF-8 stay as surrogate escapes."""
    head, _, body = data.decode(errors="surrogateescape").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and headers:
            name, value = headers.pop()
            headers.append((name, f"{value} {line.strip()}"))
        else:
            name, _, value = line.partition(":")
            headers.append((COMPACT.get(name.strip().lower(), name.strip()), value.strip()))
    return SipMessage(start, tuple(headers), body)


def respond(
    request: SipMessage, status: int, reason: str, *, tag: str = "", more: Headers = (), body: str = ""
) -> SipMessage:
    """A response: it repeats Via, From, To, Call-ID and CSeq (RFC 3261, 8.2.6)."""
    repeated = [
        (name, value)
        for name, value in request.headers
        if name.lower() in ("via", "record-route", "from", "call-id", "cseq")
    ]
    to = request.need("to")
    if tag and ";tag=" not in to:
        to = f"{to};tag={tag}"
    return SipMessage(f"SIP/2.0 {status} {reason}", (*repeated, ("To", to), *more), body)


def bye(invite: SipMessage, *, tag: str, via: str, number: int = 1) -> SipMessage:
    """The BYE of the called side (RFC 3261, 15.1.1)."""
    return _request(invite, "BYE", number, tag, via)


def refer(invite: SipMessage, *, tag: str, via: str, number: int, to: str) -> SipMessage:
    """The called side transfers the caller: `to` is the Refer-To URI (RFC 3515)."""
    return _request(invite, "REFER", number, tag, via, (("Refer-To", f"<{to}>"),))


def reinvite(invite: SipMessage, *, tag: str, via: str, number: int, body: str) -> SipMessage:
    """The called side offers its audio anew (RFC 3261, 14.1)."""
    message = _request(invite, "INVITE", number, tag, via, (("Content-Type", "application/sdp"),))
    return replace(message, body=body)


def acknowledge(invite: SipMessage, *, tag: str, via: str, number: int) -> SipMessage:
    """The ACK of our own INVITE's 200 (RFC 3261, 13.2.2.4)."""
    return _request(invite, "ACK", number, tag, via)


def replacing(invite: SipMessage, *, tag: str) -> str:
    """The URI that stands for the other side of this call, to transfer somebody to it (RFC 3891)."""
    _, _, theirs = invite.need("from").partition(";tag=")
    replaces = quote(f"{invite.need('call-id')};to-tag={theirs};from-tag={tag}", safe="")
    return f"{uri(invite.need('contact'))}?Replaces={replaces}"


def _request(invite: SipMessage, method: str, number: int, tag: str, via: str, more: Headers = ()) -> SipMessage:
    """A request within the dialog: From and To change places, it goes to the caller's Contact."""
    target = uri(invite.need("contact"))
    # Where our Via says that we are, an answer finds us too.
    contact = f"<sip:agent@{via.partition(';')[0].split()[1]}>"
    headers = (
        ("Via", via), ("From", f"{invite.need('to')};tag={tag}"), ("To", invite.need("from")),
        ("Call-ID", invite.need("call-id")), ("CSeq", f"{number} {method}"), ("Max-Forwards", "70"),
        ("Contact", contact), *more,
    )  # fmt: skip
    return SipMessage(f"{method} {target} SIP/2.0", headers)


def uri(value: str) -> str:
    """The URI of a From, To or Contact header."""
    _, bracket, rest = value.partition("<")
    return rest.partition(">")[0] if bracket else value.partition(";")[0].strip()


def display_name(value: str) -> str:
    """The name of a From, To or Contact header, without its quotes; empty if there is none."""
    name, bracket, _ = value.rpartition("<")
    if not bracket:
        return ""
    name = name.strip()
    if name[:1] == name[-1:] == '"' and len(name) > 1:
        name = name[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return name


def media_address(sdp: str) -> Address:
    """Where the other side wants audio.

    Raises:
        TelephonyError: the offer has no audio.
    """
    host, port = "", 0
    for line in sdp.splitlines():
        if line.startswith("c=IN IP4 "):
            host = line.split()[2]
        elif line.startswith("m=audio "):
            port = int(line.split()[1])
    if not (host and port):
        raise TelephonyError("an INVITE offers no audio")
    return host, port


def description(
    host: str, port: int, payloads: Sequence[tuple[int, str]], way: str = "sendrecv", *, version: int = 1
) -> str:
    """An SDP body for one audio stream both ways; `payloads` are numbers with their ``rtpmap``."""
    lines = [
        "v=0", f"o=agent 1 {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(str(number) for number, _ in payloads)}",
        *(f"a=rtpmap:{number} {name}" for number, name in payloads), "a=ptime:20", f"a={way}",
    ]  # fmt: skip
    return "\r\n".join(lines) + "\r\n"

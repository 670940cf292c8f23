"""A person's export: its files, their manifest and signatures, and the ZIP that holds them."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from callguard.errors import CallguardError, SetupError
from callguard.rights import facts
from callguard.rights.audio import BLOCK, Sound
from callguard.rights.jws import Signer
from callguard.rights.page import page
from callguard.rights.receipts import Setting, receipts
from callguard.rights.vcon import vcons

if TYPE_CHECKING:
    from callguard.store.about import Subject

FORMAT = 1
MODE = 0o600


def documents(
    one: Subject, setting: Setting, found: Sequence[Sound], signer: Signer, now: datetime
) -> dict[str, bytes]:
    """The files of an export but recordings and manifest, by their names in it."""
    here = {it.name: it.sha512 for it in found if not it.withheld}
    files = {
        "index.html": page(one, setting, {it.name: it for it in found}, signer.fingerprint, now),
        "data.json": _json(facts.portable(one, now)),
        "certificate.pem": signer.pem,
    }
    for name, receipt in receipts(one, setting, now).items():
        files[f"receipts/{name}.jsonld"] = _json(receipt)
    for call, vcon in vcons(one, setting.controller.name, now, here).items():
        plain = _json(vcon)
        files[f"vcons/{call}.vcon"] = plain
        files[f"vcons/{call}.signed.vcon"] = _json(signer.sign(plain, uuid=vcon["uuid"]))
    return files


def manifest(one: Subject, files: Mapping[str, bytes], found: Sequence[Sound], signer: Signer, now: datetime) -> bytes:
    """What an export holds, each file with its SHA-256, and which recordings it does not hold, and why."""
    listed = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()}
    for it in found:
        if not it.withheld:
            listed[_recording(it)] = (it.size, it.sha256.hex())
    return _json(
        {
            "format": FORMAT,
            "made_at": now.isoformat(),
            "controller": one.controller,
            "subject": one.subject_id,
            "signed_by": signer.kid,
            "files": [
                {"name": name, "bytes": size, "sha256": sha256} for name, (size, sha256) in sorted(listed.items())
            ],
            "withheld": [{"recording": it.name, "why": it.withheld} for it in found if it.withheld],
        }
    )


def signature(data: bytes, signer: Signer) -> bytes:
    """The manifest's signature, as the file that holds it."""
    return _json(signer.sign(data))


def write(to: IO[bytes], files: Mapping[str, bytes], found: Sequence[Sound], now: datetime) -> None:
    """Write the ZIP.

    Raises:
        SetupError: a recording has changed since it was hashed.
    """
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(_entry(name, now), data)
        for it in found:
            if not it.withheld:
                _copy(archive, it, now)


def _copy(archive: zipfile.ZipFile, sound: Sound, now: datetime) -> None:
    digest = hashlib.sha256()
    try:
        file = sound.opened()
    except (OSError, CallguardError) as error:
        raise SetupError(f"{sound.name}: cannot be read any more: {error}; nothing is exported") from error
    with file, archive.open(_entry(_recording(sound), now), "w", force_zip64=True) as out:
        while block := file.read(BLOCK):
            digest.update(block)
            out.write(block)
    if digest.digest() != sound.sha256:
        raise SetupError(f"{sound.name}: has changed while it was read; nothing is exported")


def _recording(sound: Sound) -> str:
    return f"recordings/{sound.name}"


def _entry(name: str, now: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, now.timetuple()[:6])
    entry.external_attr = MODE << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()

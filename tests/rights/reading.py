"""How others read an export: a vCon by the draft's schema, a signature by its RFC. Nothing of callguard's is used."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.x509 import load_pem_x509_certificate
from jsonschema import Draft202012Validator, FormatChecker

FORMATS = FormatChecker(formats=())
SCHEMA = json.loads(Path(__file__).with_name("vcon.schema.json").read_text(encoding="utf-8"))


def is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).utcoffset() is not None


def is_uuid(value: object) -> bool:
    return not isinstance(value, str) or str(UUID(value)) == value


FORMATS.checks("date-time", ValueError)(is_time)
FORMATS.checks("uuid", ValueError)(is_uuid)
VCON = Draft202012Validator(SCHEMA, format_checker=FORMATS)


def unsigned(jws: Mapping[str, Any], certificate: bytes) -> bytes:
    """What a JWS signs; by RFC 7515 5.2, with a key that is known beforehand. Raises: InvalidSignature."""
    (signature,) = jws["signatures"]
    key: Any = load_pem_x509_certificate(certificate).public_key()
    key.verify(decoded(signature["signature"]), f"{signature['protected']}.{jws['payload']}".encode())
    assert json.loads(decoded(signature["protected"]))["alg"] == "EdDSA"
    return decoded(jws["payload"])


def decoded(text: str) -> bytes:
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

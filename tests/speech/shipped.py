"""A controller as one might be in each shipped language, and profiles of every kind that a notice can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from callguard.config import Config

LANGUAGES = ("de", "en", "es", "fr", "it", "pl")

ACME: dict[str, str | dict[str, str]] = {
    "name": "Acme Energy",
    "address": {
        "de": "Bahnhofstraße 12, 10115 Berlin",
        "en": "12 Station Road, London",
        "es": "calle Mayor 12, 28013 Madrid",
        "fr": "12 rue de la Gare, 75010 Paris",
        "it": "via Roma 12, 00184 Roma",
        "pl": "ulica Dworcowa 12, 00-001 Warszawa",
    },
    "contact": {
        "de": "Kundendienst, Telefon 0800 123 456",
        "en": "customer service, telephone 0800 123 456",
        "es": "atención al cliente, teléfono 900 123 456",
        "fr": "service clients, téléphone 0800 123 456",
        "it": "servizio clienti, telefono 800 123 456",
        "pl": "biuro obsługi klienta, telefon 800 123 456",
    },
    "officer": "dpo at acme dot example",
    "recipients": {
        "de": "unser Dienstleister für die Archivierung",
        "en": "the company that keeps our archive",
        "es": "la empresa que guarda nuestro archivo",
        "fr": "l'entreprise qui conserve nos archives",
        "it": "la società che conserva il nostro archivio",
        "pl": "firma, która prowadzi nasze archiwum",
    },
    "transfers": {"de": "keine", "en": "none", "es": "ninguna", "fr": "aucun", "it": "nessuno", "pl": "nie"},
    "retention": {
        "de": "neunzig Tage",
        "en": "ninety days",
        "es": "noventa días",
        "fr": "quatre-vingt-dix jours",
        "it": "novanta giorni",
        "pl": "dziewięćdziesiąt dni",
    },
    "authority": {
        "de": "Berliner Beauftragte für Datenschutz und Informationsfreiheit",
        "en": "Information Commissioner's Office",
        "es": "Agencia Española de Protección de Datos",
        "fr": "Commission nationale de l'informatique et des libertés",
        "it": "Garante per la protezione dei dati personali",
        "pl": "Prezes Urzędu Ochrony Danych Osobowych",
    },
    "automated": {"de": "gibt es nicht", "en": "none", "es": "no hay", "fr": "aucune", "it": "nessuna", "pl": "brak"},
    "number_source": {
        "de": "Ihr Vertrag mit uns",
        "en": "your contract with us",
        "es": "su contrato con nosotros",
        "fr": "votre contrat avec nous",
        "it": "il Suo contratto con noi",
        "pl": "umowa z nami",
    },
    "more_at": {
        "de": "acme punkt example, Datenschutz",
        "en": "acme dot example, privacy",
        "es": "acme punto example, privacidad",
        "fr": "acme point example, vie privée",
        "it": "acme punto example, privacy",
        "pl": "acme kropka example, prywatność",
    },
}

CHANGE = {
    "de": "Aufzeichnungen dienen auch der Schulung neuer Mitarbeiter",
    "en": "recordings also serve to teach new staff",
    "es": "las grabaciones sirven también para formar al personal nuevo",
    "fr": "les enregistrements servent aussi à former les nouveaux",
    "it": "le registrazioni servono anche a formare il personale nuovo",
    "pl": "nagrania służą też szkoleniu nowych pracowników",
}
ASKED = ("recording.quality", "recording.training", "recording.analysis", "recording.contract")
# One of each kind of notice.
KINDS = {
    "one": [("recording.quality", "consent")],
    "two": [("recording.contract", "consent"), ("recording.analysis", "consent")],
    "informed": [("recording.legal", "legal_obligation")],
}
EVERY_PHRASE = {
    **{f"one_{n}": [(purpose, "consent")] for n, purpose in enumerate(ASKED)},
    **{f"two_{n}": [(purpose, "consent") for purpose in both] for n, both in enumerate(pairwise((*ASKED, ASKED[0])))},
}


def configure(
    folder: Path, kinds: Mapping[str, Sequence[tuple[str, str]]], languages: Sequence[str] = LANGUAGES
) -> Config:
    """A profile for each kind, in each language."""
    settings: dict[str, Any] = {
        "recording": {"folder": {"path_here": folder / "recordings"}},
        "store": {"path": folder / "store.db"},
        "prompts": {"folder": {"path_here": folder / "prompts"}},
        "controllers": {"acme": ACME},
        "notices": {
            "acme": [
                {"version": "1", "since": "2026-01-31"},
                {"version": "2", "since": "2026-12-01", "material": True, "change": CHANGE},
            ]
        },
        "profiles": {
            name: {
                "controller": "acme",
                "languages": languages,
                "whisper": name == "one",
                "short_form_months": 12,
                "purposes": [{"id": purpose, "basis": basis} for purpose, basis in purposes],
            }
            for name, purposes in kinds.items()
        },
    }
    return Config.model_validate(settings)

"""Configuration: whole, frozen, and one clear line for what cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from callguard import config
from callguard.core.model import Basis
from callguard.core.retention import Rule, Start
from callguard.errors import InputError

GOOD = """\
[asterisk]
ari_url = "http://127.0.0.1:8088"

[recording.folder]
path_here = "/var/spool/callguard"
path_in_asterisk = "/srv/recordings"

[prompts.folder]
path_here = "/var/lib/callguard/prompts"

[store]
path = "/var/lib/callguard/callguard.db"

[controllers.acme]
name = "Acme Energy"
address = "1 Main Street, Springfield"
contact = "privacy at acme dot example"
recipients = "nobody"
transfers = "none"
retention = "90 days"
authority = "the data protection agency"
automated = "none"
more_at = "acme dot example slash privacy"

[profiles.service]
controller = "acme"
languages = ["en", "es"]

[[profiles.service.purposes]]
id = "recording.quality"
basis = "consent"
"""

RECORDING = "[recording.folder]"

CALLING = GOOD.replace("more_at", 'number_source = "your contract with us"\nmore_at')


def load(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> config.Config:
    file = tmp_path / "callguard.toml"
    file.write_text(text, encoding="utf-8")
    return config.load(file, environment or {})


def test_a_good_one_is_read(tmp_path: Path) -> None:
    read = load(tmp_path, GOOD)
    assert read.profiles["service"].purposes[0].basis is Basis.CONSENT
    assert str(read.recording.folder.in_asterisk) == "/srv/recordings"
    assert read.prompts.folder.in_asterisk == read.prompts.folder.path_here


def test_the_environment_overrides(tmp_path: Path) -> None:
    read = load(tmp_path, GOOD, {"CALLGUARD_ASTERISK__AMI_PORT": "5999", "CALLGUARD_ASTERISK__ARI_SECRET": "s3cret"})
    assert read.asterisk.ami_port == 5999
    assert config.secret(read, "ari") == "s3cret"
    assert "s3cret" not in repr(read)
    assert "s3cret" not in read.model_dump_json()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"consent"', '"consnt"', "callguard.toml:31: profiles.service.purposes.0.basis: "),
        ("more_at", "more_art", "callguard.toml:23: controllers.acme.more_art: there is no such"),
        ('controller = "acme"', 'controller = "acmo"', "toml:26: profiles.service.controller: there is no controller"),
        ("[store]", "[store", "callguard.toml:11: not TOML"),
        ('ari_url = "http', 'ari_url = "ftp', "callguard.toml:2: asterisk.ari_url: "),
        ("[asterisk]\n", "[asterisk]\nari_secret = 'x'\n", "callguard.toml:2: asterisk.ari_secret: a secret stands in"),
        ('path_in_asterisk = "/srv/recordings"', 'path_in_asterisk = "/srv/a,b"', "recording.folder: path_in_asterisk"),
        ('path_in_asterisk = "/srv/recordings"', 'path_in_asterisk = "/srv/${X}"', "path_in_asterisk: an absolute"),
        ('languages = ["en", "es"]', 'languages = ["en", "es"]\ndefault = "given"', "no answer is never a yes"),
        ('languages = ["en", "es"]', 'languages = ["en"]\non_refusal = "goodbye"', "goodbye is not allowed"),
        ('languages = ["en", "es"]', 'languages = ["en", "en"]', "languages: each is named once"),
        ('languages = ["en", "es"]', 'languages = ["en"]\nregion = "XX"', "toml:28: profiles.service.region: a"),
        ("[store]", "[keys]\nmaster = { env = 'A', file = '/b' }\n[store]", "keys.master: one of file, env and"),
        ("[store]", "[keys]\nmaster = { command = [] }\n[store]", "callguard.toml:12: keys.master.command: "),
        ("[recording.folder]", "[recording]\nencrypted_folder = '/x'\n[recording.folder]",
         "recording.encrypted_folder: without [keys] nothing is encrypted"),
        ('languages = ["en", "es"]', "languages = []", "callguard.toml:27: profiles.service.languages: "),
        ('languages = ["en", "es"]', 'languages = ["en"]\nreplay = 3', "toml:28: profiles.service.replay: there"),
        (
            'languages = ["en", "es"]', 'languages = ["en"]\nlanguage_by_country = { ES = "es" }',
            "toml:28: profiles.service.language_by_country: ES: 'es' is not one of its languages",
        ),
        (
            'languages = ["en", "es"]', 'languages = ["en", "es"]\nlanguage_by_number_called = { "9 1" = "es" }',
            "toml:28: profiles.service.language_by_number_called.9 1: ",
        ),
        (
            'languages = ["en", "es"]', 'languages = ["en", "es"]\nlanguage_by_country = { Spain = "es" }',
            "toml:28: profiles.service.language_by_country.Spain: a country's two capital letters",
        ),
        ('basis = "consent"', 'basis = "consent"\nrequired = true', "cannot be required (GDPR Art. 7(4))"),
        ('id = "recording.quality"', 'id = "marketing.calls"', "never about marketing before the service"),
        ('languages = ["en", "es"]', 'languages = ["en"]\ncalls = "fun"', "toml:28: profiles.service.calls: "),
        (
            'languages = ["en", "es"]', 'languages = ["en"]\nfor_purpose = "marketing.energy"',
            "profiles.service: for_purpose: marketing calls, and no others, are for a purpose marketing.",
        ),
        (
            'languages = ["en", "es"]', 'languages = ["en"]\ncalls = "marketing"\nfor_purpose = "energy"',
            "profiles.service: for_purpose: marketing calls, and no others, are for a purpose marketing.",
        ),
        ('languages = ["en", "es"]', 'languages = ["en"]\nbasis = "grant"', "basis: for_purpose is missing"),
        ('languages = ["en", "es"]', 'languages = ["en"]\nbasis = "none"', "toml:28: profiles.service.basis: "),
        (
            RECORDING,
            f"[processors.d]\nname = 'D'\ncontrollers = ['acme', 'zeta']\ncontract = 'C'\n{RECORDING}",
            "toml:6: processors.d.controllers: there is no controller 'zeta'",
        ),
        *((RECORDING, f"[registries.us]\nformat = 'nanp'\ncountry = {country}\n{more}\n{RECORDING}", said)
          for country, more, said in (
              ("'GB'", "max_age_days = 1", "toml:4: registries.us: country: nanp is for numbers of the North American"),
              ("'UK'", "max_age_days = 1", "toml:6: registries.us.country.0: a country's two capital letters"),
              ("[]", "max_age_days = 1", "toml:6: registries.us.country: "),
              ("'US'", "", "toml:4: registries.us.max_age_days: "),
              ("'US'", "max_age_days = 0", "toml:7: registries.us.max_age_days: "),
              ("'US'", "max_age_days = 1\ncalls = 'service'", "toml:8: registries.us.calls: "),
              ("'US'", "max_age_days = 1\nvoids = 'later'", "toml:8: registries.us.voids: "),
              ("'US'", "max_age_days = 1\nspares = ['consent']", "registries.us: spares: consent: voids says what"),
              ("'US'", "max_age_days = 1\nspares = ['legitimate_interests']", "an entry is the objection to them"),
              ("'US'", "max_age_days = 1\nareas = ['101']", "toml:8: registries.us.areas.0: "),
              ("'US'", "mode = 'some'", "toml:7: registries.us.mode: "),
              ("'US'", "mode = 'scrub'", "toml:4: registries.us: format: numbers are submitted and asked about"),
              ("'US'", "mode = 'scrub'\nfile = '/x'", "toml:4: registries.us: file: is for a registry whose whole"),
              ("'US'", "max_age_days = 1\nquery = { url = 'http://x' }", "toml:4: registries.us: query: is needed wit"),
              ("'US'", "max_age_days = 1\nfile = '/x'\n[registries.ca]\nformat = 'nanp'\ncountry = 'CA'\n"
               "max_age_days = 1\nfile = '/x'", "toml:13: registries.ca.file: is that of us already"),
          )),
        *((RECORDING, f"[registries.es]\nmode = '{mode}'\ncountry = 'ES'\n{more}\n{RECORDING}", said)
          for mode, more, said in (
              ("scrub", "", "toml:4: registries.es.max_age_days: "),
              ("scrub", "max_age_days = 1\nareas = ['201']", "toml:4: registries.es: areas: are those of the North"),
              ("query", "", "toml:4: registries.es: query: is needed with mode = \"query\", and only there"),
              ("query", "max_age_days = 1", "toml:4: registries.es: max_age_days: it is asked at each dial"),
              ("query", "query = { url = 'robinson.example' }", "registries.es.query.url: an address such as http"),
              ("query", "query = { url = 'http://x', within_ms = 1001 }", "toml:7: registries.es.query.within_ms: "),
              ("query", "query = { url = 'http://x', number = 'md5' }", "toml:7: registries.es.query.number: "),
          )),
        ('"90 days"', '{ en = "90 days" }', "retention: is not given for 'recording.quality' in 'es'"),
        ('"90 days"', '{ "recording.contract" = "90 days" }', "retention: is not given for 'recording.quality' in"),
        ('"90 days"', '{ "recording.quality" = { es = "90 días" } }', "not given for 'recording.quality' in 'en'"),
        ('"90 days"', '{ english = "90 days" }', "toml:20: controllers.acme.retention: a text of 1 to"),
        ('"nobody"', "5", "toml:18: controllers.acme.recipients: a text of 1 to 200 characters is"),
        ('"nobody"', '{ en = "nobody" }', "toml:18: controllers.acme.recipients: is not given in 'es'"),
        ('contact = "p', 'officer = { es = "p" }\ncontact = "p', "controllers.acme.officer: is not given in 'en'"),
        ('languages = ["en", "es"]', 'languages = ["en"]\ngate_required = true', "acme.number_source: is missing, and"),
        ("[profiles.service]", "[profiles.'Ser vice']", "profiles.Ser vice: "),
    ],
)  # fmt: skip
def test_a_bad_one_is_refused_in_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as refused:
        load(tmp_path, GOOD.replace(old, new))
    line = str(refused.value)
    assert said in line
    assert "\n" not in line
    assert str(tmp_path / "callguard.toml") in line


@pytest.mark.parametrize(
    ("called", "stands_for"),
    [
        ("900111222", "es"),
        ("+34900111222", "es"),
        ("900333444", "de"),
        ("34900111222", "es"),
        ("111222", None),
        ("-", None),
        ("", None),
    ],
)
def test_a_number_called_is_known_as_the_trunk_gives_it_or_in_e164(
    tmp_path: Path, called: str, stands_for: str | None
) -> None:
    languages = """languages = ["en", "es", "de"]
region = "ES"
language_by_number_called = { "+34900111222" = "es", "900333444" = "de" }
language_by_country = { PT = "es" }"""
    profile = load(tmp_path, GOOD.replace('languages = ["en", "es"]', languages)).profiles["service"]
    assert profile.language_of_call(called) == stands_for
    assert profile.language_of_number("+351210000000") == "es"
    assert profile.language_of_number("+34600000001") is None
    assert profile.language_of_number(None) is None


@pytest.mark.parametrize(("name", "value"), [("AMI_PORT", "many"), ("AMI_PROT", "5038"), ("ARI_URL", "localhost")])
def test_a_bad_variable_is_named_and_not_the_file(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(InputError) as refused:
        load(tmp_path, GOOD, {f"CALLGUARD_ASTERISK__{name}": value})
    assert str(refused.value).startswith(f"CALLGUARD_ASTERISK__{name}: ")


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml: cannot be read"):
        config.load(tmp_path / "nowhere.toml", {})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"binary\.toml:1: is not UTF-8"):
        config.load(tmp_path / "binary.toml", {})


def test_a_secret_that_everyone_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ari.secret"
    file.write_text("s3cret\n", encoding="utf-8")
    read = load(tmp_path, GOOD, {"CALLGUARD_ASTERISK__ARI_SECRET_FILE": str(file)})
    file.chmod(0o644)
    with pytest.raises(InputError, match="may be read by everyone"):
        config.secret(read, "ari")
    file.chmod(0o640)
    assert config.secret(read, "ari") == "s3cret"
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match="is empty"):
        config.secret(read, "ari")
    with pytest.raises(InputError, match="CALLGUARD_ASTERISK__AMI_SECRET"):
        config.secret(read, "ami")


SECOND = """[[profiles.service.purposes]]
id = "{id}"
basis = "{basis}"
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (SECOND.format(id="recording.training", basis="contract"), "two of them both rest on consent"),
        (SECOND.format(id="recording.quality", basis="consent"), "each is named once"),
        (
            SECOND.format(id="recording.a", basis="consent") + SECOND.format(id="recording.b", basis="consent"),
            "2 at most, not 3",
        ),
    ],
)
def test_purposes_that_do_not_go_together_are_refused(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(tmp_path, GOOD + more)


def test_agent_first_is_for_one_consent(tmp_path: Path) -> None:
    marketing = CALLING.replace("[profiles.service]\n", '[profiles.service]\ncalls = "marketing"\n')
    assert load(tmp_path, marketing).profiles["service"].agent_first
    with pytest.raises(InputError, match="agent_first"):
        load(tmp_path, marketing + SECOND.format(id="recording.training", basis="consent"))


@pytest.mark.parametrize(
    "field", ["address", "contact", "recipients", "transfers", "retention", "authority", "automated", "more_at"]
)
def test_what_a_notice_has_to_tell_is_not_assumed(field: str, tmp_path: Path) -> None:
    without = "\n".join(line for line in GOOD.splitlines() if not line.startswith(f"{field} ="))
    with pytest.raises(InputError) as refused:
        load(tmp_path, without)
    assert f"callguard.toml:14: controllers.acme.{field}: is missing: " in str(refused.value)
    assert "(GDPR Art. 13" in str(refused.value) or "(WP260" in str(refused.value)


@pytest.mark.parametrize(
    "says", ['calls = "marketing"', 'callee = "gate_first"', 'campaign = "spring"', 'for_purpose = "survey"']
)
def test_who_calls_people_says_where_their_numbers_are_from(says: str, tmp_path: Path) -> None:
    for written in (GOOD, CALLING):
        calling = written.replace("[profiles.service]\n", f"[profiles.service]\n{says}\n")
        if written is CALLING:
            assert load(tmp_path, calling).profiles["service"].calls_people
        else:
            with pytest.raises(InputError, match=r"toml:14: controllers\.acme\.number_source: is missing, and profile"):
                load(tmp_path, calling)
    assert not load(tmp_path, GOOD).profiles["service"].calls_people


def test_a_retention_for_all_or_for_each_purpose(tmp_path: Path) -> None:
    each = '{ "recording.quality" = { en = "ninety days", es = "noventa días" }, "recording.contract" = "six years" }'
    for written, kept in (('"90 days"', "90 days"), ('{ en = "a", es = "b" }', "b"), (each, "noventa días")):
        controller = load(tmp_path, GOOD.replace('"90 days"', written)).controllers["acme"]
        assert controller.retention_of("recording.quality", "es") == kept
    assert controller.retention_of("recording.contract", "es") == "six years"


TERMS = '[retention.acme]\n"recording.quality" = { days = 90 }\n'


def test_how_long_recordings_are_kept_is_said_for_each_controller_and_purpose(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).unlimited() == (("acme", "recording.quality"),)
    read = load(tmp_path, GOOD + TERMS)
    assert read.unlimited() == ()
    assert read.retention["acme"]["recording.quality"].rule == Rule(90)
    contract = load(tmp_path, GOOD + TERMS.replace("90", '2190, from = "contract_end"'))
    assert contract.retention["acme"]["recording.quality"].rule == Rule(2190, Start.CONTRACT_END)
    # A purpose that is recorded for no longer: its recordings are there still, and its text.
    old = GOOD.replace('"90 days"', '{ "recording.quality" = "90 days", "recording.old" = "a year" }')
    kept = load(tmp_path, old + TERMS.replace("recording.quality", "recording.old"))
    assert (kept.retention["acme"]["recording.old"].rule, kept.unlimited()) == (
        Rule(90),
        (("acme", "recording.quality"),),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("retention.acme", "retention.acmo", "toml:32: retention.acmo: there is no controller 'acmo'"),
        ("quality", "qality", "toml:33: retention.acme.recording.qality: no profile of acme has this purpose"),
        ("recording.quality", "marketing.calls", "toml:33: retention.acme.marketing.calls: "),
        ("90", "-1", "toml:33: retention.acme.recording.quality.days: "),
        ("90", "36526", "toml:33: retention.acme.recording.quality.days: "),
        ("days = 90", 'from = "recording"', "toml:33: retention.acme.recording.quality.days: "),
        ("90", '90, from = "birth"', "toml:33: retention.acme.recording.quality.from: "),
        ("90", "90, weeks = 3", "toml:33: retention.acme.recording.quality.weeks: there is no such setting"),
    ],
)
def test_a_term_that_cannot_be_is_named_in_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        load(tmp_path, GOOD + TERMS.replace(old, new))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_example_is_a_good_one() -> None:
    example = config.load(Path(__file__).parents[1] / "docs" / "callguard.example.toml", {})
    assert set(example.profiles) == {"service", "contract", "sales"}
    assert example.unlimited() == ()


def test_a_language_that_nothing_is_written_in_is_told_of_where_it_stands(tmp_path: Path) -> None:
    text = GOOD.replace('"nobody"', '{ en = "nobody", es = "nadie" }').replace('["en", "es"]', '["en", "xx"]')
    with pytest.raises(InputError, match=r"toml:27: profiles\.service\.languages: there are no texts for 'xx'"):
        load(tmp_path, text)


def test_a_profiles_calls_are_for_a_purpose(tmp_path: Path) -> None:
    for says, purpose in (
        ('calls = "marketing"', "marketing.calls"),
        ('calls = "marketing"\nfor_purpose = "marketing.energy"\nbasis = "grant"', "marketing.energy"),
        ('for_purpose = "contract.calls"\nbasis = "grant"', "contract.calls"),
        ("", None),
    ):
        written = CALLING.replace("[profiles.service]\n", f"[profiles.service]\n{says}\n")
        assert load(tmp_path, written).profiles["service"].purpose_of_calls == purpose

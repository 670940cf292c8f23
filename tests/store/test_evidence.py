"""Evidence in its canonical form: RFC 8785, checked against another implementation and the RFC's own example."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.core.evidence import SAFE_INTEGER, Kind, canonical, entry

SALT = bytes(range(16))

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(max_codepoint=127))
leaves = st.none() | st.booleans() | st.integers(-SAFE_INTEGER, SAFE_INTEGER) | texts
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=25)


@given(values)
def test_it_is_what_another_implementation_writes(value: Any) -> None:
    assert canonical(value) == orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@given(values)
def test_it_says_the_same_when_read_back(value: Any) -> None:
    assert json.loads(canonical(value)) == value
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(st.dictionaries(keys, leaves, min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@given(st.floats(), st.lists(st.sampled_from(["list", "dict"]), max_size=4))
def test_a_float_is_refused_at_any_depth(number: float, nesting: list[str]) -> None:
    value: Any = number
    for kind in nesting:
        value = [value] if kind == "list" else {"key": value}
    with pytest.raises(ValueError, match="float"):
        canonical(value)


def test_the_string_of_the_rfc() -> None:
    assert canonical('\u20ac$\u000f\u000aA\'B"\\\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(SAFE_INTEGER + 1, id="an integer that other readers round"),
        pytest.param(-SAFE_INTEGER - 1, id="and its negative"),
        pytest.param({"ключ": 1}, id="a key that is not ASCII"),
        pytest.param({1: 1}, id="a key that is not text"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param({1, 2}, id="a set"),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical({"inner": [value]})


def test_an_entry_names_its_kind_its_time_and_its_salt() -> None:
    written = entry(Kind.WITHDRAWN, 1_795_338_000_250, salt=SALT, leg="7", withdrawn=("recording.quality",))
    assert written == (
        b'{"at":1795338000250,"format":1,"kind":"withdrawn","leg":"7",'
        b'"salt":"000102030405060708090a0b0c0d0e0f","withdrawn":["recording.quality"]}'
    )


def test_a_salt_is_128_bits() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        entry(Kind.GATE, 0, salt=SALT[:-1])


@pytest.mark.parametrize("name", ["at", "format"])
def test_a_field_cannot_replace_the_entrys_own(name: str) -> None:
    fields: dict[str, Any] = {name: 1}
    with pytest.raises(ValueError, match=name):
        entry(Kind.GATE, 0, salt=SALT, **fields)

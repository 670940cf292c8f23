"""A whole list as XML: what it lists is found, and what is no list, or was made to do harm, is one line."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from callguard.registry import xml_list
from callguard.registry.number_set import HEAD_BYTES
from tests.registry.generate import SEED, bulk, fictitious, nanp
from tests.registry.test_load import LISTED, UK, held, into, refused, take, text, zipped

__all__ = ["into"]

BOMB = "".join(f"<!ENTITY e{one} '{f'&e{one - 1};' * 10}'>" for one in range(1, 10))


def as_xml(numbers: list[str], head: str = "<?xml version='1.0'?>\n<list type='full' level='all' val=''>") -> str:
    areas: dict[str, list[str]] = {}
    for one in numbers:
        areas.setdefault(one[2:5], []).append(one[5:])
    inner = "".join(
        f"<ac val='{area}'>\n{''.join(f'''<ph val='{one}' />''' for one in some)}\n</ac>\n"
        for area, some in areas.items()
    )
    return f"{head}{inner}</list>"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_in_xml_is_the_same_list(tmp_path: Path, into: Path, encoding: str) -> None:
    take(text(tmp_path / "us.xml", as_xml(LISTED).encode(encoding)), into)
    assert held(into) == set(LISTED)
    in_force = into.read_bytes()[HEAD_BYTES:]
    take(text(tmp_path / "us.txt", nanp(LISTED)), into)
    assert into.read_bytes()[HEAD_BYTES:] == in_force
    take(zipped(tmp_path / "us.zip", as_xml(LISTED[:150])), into)
    assert held(into) == set(LISTED[:150])


def test_as_the_canadian_registry_writes_an_area_of_its_list(tmp_path: Path, into: Path) -> None:
    written = '<list type="full" level="ac" val="416"><ac val="416">\r\n<ph val="5550123"></ph>\r\n</ac></list>'
    assert take(text(tmp_path / "ca.xml", written), into)[0].numbers == 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("<list>\n<ac val='201'>\n<ph val='555010'/></ac></list>", ":3: <ac val="),
        ("<list>\n<ac val='201'>\n<ph val='55501000'/></ac></list>", ":3: <ac val="),
        ("<list>\n<ac val='201'>\n<ph val='\u0665550100'/></ac></list>", ":3: <ac val="),
        ("<list>\n<ac val='201'>\n<ph val='5550100' ct='D'/></ac></list>", ":3: <ac val="),
        ("<list>\n<ac val='201'>\n<ph>5550100</ph></ac></list>", ":3: <ac val="),
        ("<list>\n<ac val='101'>\n<ph val='5550100'/></ac></list>", ":2: <ac val="),
        ("<list>\n<ac>\n<ph val='5550100'/></ac></list>", ":2: <ac val="),
        ("<list>\n<ac val='201'/>\n<ph val='5550100'/></list>", ":3: <ac val="),
        ("<list>\n<ac val='201'><ac val='202'>\n</ac></ac></list>", ":2: <ac val="),
        ("<html>\n<body>Log in again</body></html>", ":1: <ac val="),
        ("<list type='change'>\n<ac val='201'><ph val='5550100'/></ac></list>", ":1: is no full list"),
        ("<list>\n<ac val='201'><ph val='5550100'/></ac>", ":2: is no well-formed XML: no element found"),
        ("<list>\n<ac val='201'><ph val='5550100'/></list>", ":2: is no well-formed XML: mismatched tag"),
        ("<list/>\n<ac val='201'><ph val='5550100'/></ac></list>", ":2: is no well-formed XML: junk after"),
        ("<list>\n</list>", ": there is no number in it"),
        ("<?xml version='1.0' encoding='x-nobodys'?><list/>", ":1: is "),
    ],
)
def test_what_is_no_list_is_named_by_its_line(tmp_path: Path, into: Path, written: str, said: str) -> None:
    take(text(tmp_path / "us.xml", as_xml(LISTED)), into)
    refused(said, text(tmp_path / "new.xml", written), into, force=True)


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param(f"<!DOCTYPE list [<!ENTITY e0 '5550100'>{BOMB}]><list>&e9;</list>", id="a billion laughs"),
        pytest.param("<!DOCTYPE list [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><list>&e;</list>", id="another file"),
        pytest.param("<!DOCTYPE list SYSTEM 'http://127.0.0.1:9/list.dtd'><list/>", id="fetched from elsewhere"),
    ],
)
def test_what_declares_a_document_type_is_refused(tmp_path: Path, into: Path, declared: str) -> None:
    refused(":1: declares a document type", text(tmp_path / "new.xml", declared), into)


def test_a_tag_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path, into: Path) -> None:
    endless = f"<list><ac val='201'><ph val='{'5' * (3 * xml_list.LONGEST_TAG)}'/></ac></list>"
    refused(":1: <ac val=", text(tmp_path / "new.xml", endless), into)


def test_numbers_in_international_format_are_no_xml(tmp_path: Path, into: Path) -> None:
    refused(":1: a number in international", text(tmp_path / "tps.xml", as_xml(fictitious(2))), into, UK)


def test_a_long_list_is_read_as_a_stream(tmp_path: Path, into: Path) -> None:
    """Five pieces of text, and the same list as lines."""
    lines = tmp_path / "us.txt"
    bulk(lines, 200_000, areas=3, seed=SEED)
    take(lines, into)
    as_lines = into.read_bytes()[HEAD_BYTES:]
    numbers = [f"+1{line[:3]}{line[4:]}" for line in lines.read_text(encoding="ascii").split()]
    given = text(tmp_path / "us.xml", as_xml(numbers))
    assert given.stat().st_size > 3 * xml_list.PIECE
    del numbers
    tracemalloc.start()
    try:
        take(given, into)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert into.read_bytes()[HEAD_BYTES:] == as_lines
    # Bitmaps of a prefix are 10 MB while they are made; not the text, nor its numbers.
    assert most < 40 << 20

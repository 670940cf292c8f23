"""National lists: what is not there, or too old, denies every call that it is asked about."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.doctor.facts import Facts
from callguard.doctor.findings import Check, Problem, Severity, warning
from callguard.registry.standing import State

# So long before a list is too old, there is time to fetch the next.
SOON_DAYS = 3


def _fresh(facts: Facts) -> Iterator[Problem]:
    for one in facts.here.registries:
        mend = f"callguard registry import {one.registry} FILE, with the registry's list of today"
        denied = "without a list that is fresh every call that it is asked about is denied"
        kept = "list"
        if one.controller:
            mend = f"submit the numbers again, and callguard registry receipt {one.registry} FILE"
            denied = "every call to a number without an answer that is fresh is denied"
            kept = "receipt"
        if one.state is State.ASKED:
            continue
        if one.file is None:
            yield warning(f"registry {one.name} cannot be asked: {one.problem}", "its calls are denied", "write it")
        elif one.age_days is None:
            there = f"has no {kept}" if one.state is State.MISSING else f"has a {kept} that cannot be used"
            yield warning(f"registry {one.name} {there}: {one.problem}", denied, mend)
        elif one.state is State.STALE:
            what = f"the {kept} of registry {one.name} is {one.age_days} days old, {one.max_age_days} at most"
            yield warning(what, denied, mend)
        elif (left := one.max_age_days - one.age_days) < SOON_DAYS:
            yield warning(f"the {kept} of registry {one.name} will be too old in {left + 1} days", denied, mend)


CHECKS = (Check("registries.fresh", "National lists are there, whole and fresh", Severity.WARNING, _fresh),)

"""The sections of ``callguard.toml`` about who may do what here, and for what personal data are read."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from callguard.controller import Line
from callguard.core.access import PURPOSES
from callguard.core.roles import Role
from callguard.sections import Model, PurposeId

_USUAL = dict(PURPOSES)


class Members(Model):
    """Who has a role: users and groups of this machine, by name."""

    users: frozenset[Line] = frozenset()
    groups: frozenset[Line] = frozenset()


class Roles(Model):
    """Who may do what; who is in none of them may do nothing."""

    administrator: Members = Members()
    supervisor: Members = Members()
    agent: Members = Members()
    officer: Members = Members()
    auditor: Members = Members()

    def of(self, name: str, groups: frozenset[str]) -> frozenset[Role]:
        """The roles of a user of these groups."""
        members: dict[Role, Members] = {Role(field): getattr(self, field) for field in type(self).model_fields}
        return frozenset(role for role, one in members.items() if name in one.users or groups & one.groups)

    @property
    def members(self) -> tuple[Members, ...]:
        """Of each role."""
        return tuple(getattr(self, field) for field in type(self).model_fields)

    @model_validator(mode="after")
    def _who_sets_up_does_not_disclose(self) -> Self:
        for field in ("users", "groups"):
            if both := getattr(self.officer, field) & getattr(self.administrator, field):
                raise ValueError(f"roles.officer.{field}: {min(both)!r} is administrator too, who must not be officer")
        return self


class Access(Model):
    """For what personal data may be read, and by whom.

    Attributes:
        purposes: the roles for each; these stand in the place of those that callguard comes with.
    """

    purposes: Annotated[dict[PurposeId, frozenset[Role]], Field(min_length=1)] = _USUAL

    @model_validator(mode="after")
    def _the_service_reads_nothing(self) -> Self:
        if wrong := [name for name, roles in self.purposes.items() if Role.SERVICE in roles]:
            raise ValueError(f"access.purposes.{wrong[0]}: the service's account is no role that reads")
        return self

"""The answer to an apply that others' ownership forbids."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.meta.errors import StatusError, failure
from knarr.meta.gofmt import quote
from knarr.meta.managed import fieldset
from knarr.meta.managed.elements import describe as describe_path
from knarr.meta.managed.entries import Identity, identity_text
from knarr.meta.managed.fieldset import Tree


class Conflicts(Exception):
    """Who owns which of the fields that an apply wants to set to something else."""

    def __init__(self, owned: dict[Identity, Tree]) -> None:
        super().__init__("conflicts")
        self.owned = owned

    def but_for(self, allowed: Tree) -> Conflicts | None:
        """The conflicts outside of `allowed`; None when there are none."""
        rest = {who: fieldset.difference(tree, allowed) for who, tree in self.owned.items()}
        rest = {who: tree for who, tree in rest.items() if tree}
        return Conflicts(rest) if rest else None

    def status_error(self) -> StatusError:
        """409 with a cause per field, sorted by field."""
        found = [
            (who, describe_path(path))
            for who in sorted(self.owned, key=identity_text)
            for path in fieldset.paths(self.owned[who])
        ]
        causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {describe(who)}", "field": field}
            for who, field in sorted(found, key=lambda item: item[1])
        ]
        return StatusError(failure(409, "Conflict", message_of(found), {"causes": causes}))


def message_of(found: Iterable[tuple[Identity, str]]) -> str:
    found = list(found)
    if len(found) == 1:
        who, field = found[0]
        return f"Apply failed with 1 conflict: conflict with {describe(who)}: {field}"
    lines = []
    for who in dict.fromkeys(who for who, _ in found):
        lines.append(f"conflicts with {describe(who)}:")
        lines += [f"- {field}" for owner, field in found if owner == who]
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)


def describe(who: Identity) -> str:
    manager, operation, version, subresource = who
    text = quote(manager)
    if subresource:
        text += f" with subresource {quote(subresource)}"
    return f"{text} using {version}" if operation == "Update" else text

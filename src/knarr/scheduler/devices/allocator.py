"""The search for devices: one after the other, in the order of claims, requests and devices; where it does not go on,
the last one is given back and the next one tried. The first complete solution is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from knarr.api.core.taints import tolerates
from knarr.api.resource.claimfacts import RESULTS_MAX
from knarr.meta.quantity import Quantity
from knarr.scheduler.devices import capacity
from knarr.scheduler.devices.claims import DeviceId, Taken
from knarr.scheduler.devices.constraints import Constraint
from knarr.scheduler.devices.counters import Counters
from knarr.scheduler.devices.pools import Candidate, Node, Pool, reachable
from knarr.scheduler.devices.selectors import SelectorError, Selectors


class AllocationError(Exception):
    """Something is wrong with a claim, its class or a pool: no other node would help."""


class FailedOnNode(Exception):
    """Something is wrong with what this node offers."""


class Wanted(NamedTuple):
    """A request, or one of its alternatives."""

    parent: str
    name: str
    #: of the request or of the alternative
    spec: Any
    device_class: Any
    needed: int
    admin: bool
    #: where all devices are wanted: which these are
    all: list[Candidate] | None

    @property
    def full_name(self) -> str:
        return f"{self.parent}/{self.name}" if self.parent else self.name

    @property
    def names(self) -> tuple[str, ...]:
        """By which constraints and configurations refer to it."""
        return (self.parent, self.full_name) if self.parent else (self.name,)


class Chosen(NamedTuple):
    """One device for one request."""

    wanted: Wanted
    candidate: Candidate
    #: of a shared device: what is taken of it
    consumed: dict[str, Quantity] | None


class Solution(NamedTuple):
    """For one claim."""

    claim: Any
    devices: list[Chosen]
    #: the request, or the alternative, that each request was satisfied by
    requests: list[Wanted]


class _TooMany(Exception):
    """The claim would get more devices than a status can hold: go back to where fewer may do."""


class Search:
    """For devices on one node, for all `claims` together; `taken` is what others have of the `pools`."""

    def __init__(
        self,
        claims: Sequence[Any],
        node: Node,
        pools: Sequence[Pool],
        taken: Taken,
        class_of: Callable[[str], Any | None],
        selectors: Selectors,
    ) -> None:
        self._claims, self._taken, self._class_of, self._selectors = claims, taken, class_of, selectors
        self._here = [(pool, found) for pool in pools if (found := list(reachable(pool, node)))]
        self._candidates = [c for pool, found in self._here if pool.complete and pool.valid for c in found]
        self._counters = Counters(taken.holds)
        #: devices that this search gives away, with the claims that get them
        self._giving: dict[DeviceId, set[int]] = {}
        self._sharing: dict[DeviceId, dict[str, Quantity]] = {}
        self._results: list[list[Chosen]] = [[] for _ in claims]
        self._picked: dict[tuple[int, int], Wanted] = {}
        self._options: list[list[list[Wanted]]] = []
        self._constraints: list[list[Constraint]] = []

    def run(self) -> list[Solution] | None:
        """One solution per claim, None where there is none on this node. Raises AllocationError, FailedOnNode."""
        for claim in self._claims:
            requests = claim.spec.devices.requests
            options = [self._options_of(claim, request) for request in requests]
            least = sum(min(wanted.needed for wanted in found) for found in options)
            if least > RESULTS_MAX:
                raise AllocationError(
                    f"claim {_key(claim)}: number of requested devices {least} exceeds the claim limit of {RESULTS_MAX}"
                )
            self._options.append(options)
            self._constraints.append([Constraint(c) for c in claim.spec.devices.constraints])
        try:
            done = self._request(0, 0)
        except _TooMany:
            done = False
        if not done:
            if any(not pool.valid for pool, _ in self._here):
                raise FailedOnNode("invalid resource pools were encountered")
            return None
        return [
            Solution(claim, self._results[c], [self._picked[c, r] for r in range(len(self._options[c]))])
            for c, claim in enumerate(self._claims)
        ]

    # -- what is asked for ---------------------------------------------------------------------------------

    def _options_of(self, claim: Any, request: Any) -> list[Wanted]:
        if request.exactly is not None:
            return [self._wanted(claim, "", request.name, request.exactly, bool(request.exactly.adminAccess))]
        return [self._wanted(claim, request.name, sub.name, sub, False) for sub in request.firstAvailable]

    def _wanted(self, claim: Any, parent: str, name: str, spec: Any, admin: bool) -> Wanted:
        device_class = self._class_of(spec.deviceClassName)
        where = f"claim {_key(claim)}, request {name}"
        if device_class is None:
            missing = f'deviceclass.resource.k8s.io "{spec.deviceClassName}" not found'
            raise AllocationError(
                f"{where}: could not retrieve device class {spec.deviceClassName}: {missing}"
            )
        wanted = Wanted(parent, name, spec, device_class, spec.count, admin, None)
        if spec.allocationMode != "All":
            return wanted
        for pool, _ in self._here:
            if not pool.complete:
                raise AllocationError(
                    f"{where}: asks for all devices, but resource pool {pool} is currently being updated"
                )
            if not pool.valid:
                raise AllocationError(
                    f"{where}: asks for all devices, but resource pool {pool} is currently invalid"
                )
        found = [c for c in self._candidates if self._selects(claim, wanted, c) and self._roomy(wanted, c)]
        return wanted._replace(needed=len(found), all=found)

    def _selects(self, claim: Any, wanted: Wanted, candidate: Candidate) -> bool:
        device, driver = candidate.device, candidate.id.driver
        kind, named = wanted.device_class, f"class {wanted.device_class.metadata.name}"
        try:
            return self._selectors.match(
                kind.spec.selectors, device, driver, candidate.id, named
            ) and self._selectors.match(
                wanted.spec.selectors, device, driver, candidate.id, f"claim {_key(claim)}"
            )
        except SelectorError as error:
            raise AllocationError(str(error)) from None

    # -- the search ----------------------------------------------------------------------------------------

    def _request(self, c: int, r: int) -> bool:
        if c == len(self._claims):
            return True
        if r == len(self._options[c]):
            try:
                return self._request(c + 1, 0)
            except _TooMany:
                return False  # another choice here may leave room for fewer there
        options = self._options[c][r]
        if not options[0].parent:
            self._picked[c, r] = options[0]
            return self._devices(c, r, options[0], 0, 0)
        hopeless = True
        for wanted in options:
            self._picked[c, r] = wanted
            try:
                if self._devices(c, r, wanted, 0, 0):
                    return True
                hopeless = False
            except _TooMany:
                continue
        if hopeless:
            raise _TooMany
        return False

    def _devices(self, c: int, r: int, wanted: Wanted, number: int, start: int) -> bool:
        """The device of this number, from the candidate `start` on: their order within a request does not matter."""
        if wanted.all is not None and not wanted.all:
            return False
        if number >= wanted.needed:
            return self._request(c, r + 1)
        if len(self._results[c]) + wanted.needed - number > RESULTS_MAX:
            raise _TooMany
        if wanted.all is not None:
            return self._try(c, r, wanted, number, wanted.all[number], 0)
        return any(
            self._selects(self._claims[c], wanted, candidate)
            and self._try(c, r, wanted, number, candidate, position + 1)
            for position, candidate in enumerate(self._candidates[start:], start)
            if self._free(c, wanted, candidate)
        )

    def _try(self, c: int, r: int, wanted: Wanted, number: int, candidate: Candidate, following: int) -> bool:
        chosen = self._take(c, wanted, candidate)
        if chosen is None:
            return False
        try:
            if self._devices(c, r, wanted, number + 1, following):
                return True
        except _TooMany:
            self._give_back(c, chosen)
            raise
        self._give_back(c, chosen)
        return False

    # -- one device ----------------------------------------------------------------------------------------

    def _free(self, c: int, wanted: Wanted, candidate: Candidate) -> bool:
        if wanted.admin:
            return c not in self._giving.get(candidate.id, ())
        return candidate.id not in self._taken.devices and not self._giving.get(candidate.id)

    def _take(self, c: int, wanted: Wanted, candidate: Candidate) -> Chosen | None:
        device = candidate.device
        shared = bool(device.allowMultipleAllocations)
        if not self._free(c, wanted, candidate) or _tainted(device, wanted.spec):
            return None
        amounts = capacity.wanted(wanted.spec, device)
        if amounts is None or not self._left(amounts, candidate):
            return None
        counts = self._counts(candidate, shared)
        if counts and not self._counters.take(candidate):
            return None
        if not self._constrain(c, wanted, candidate):
            if counts:
                self._counters.give_back(candidate)
            return None
        if shared:
            held = self._sharing.setdefault(candidate.id, {})
            for name, amount in amounts.items():
                held[name] = held[name].add(amount) if name in held else amount
        else:
            self._giving.setdefault(candidate.id, set()).add(c)
        chosen = Chosen(wanted, candidate, amounts if shared else None)
        self._results[c].append(chosen)
        return chosen

    def _give_back(self, c: int, chosen: Chosen) -> None:
        self._results[c].pop()
        candidate = chosen.candidate
        for constraint in self._constraints[c]:
            constraint.remove(chosen.wanted.names)
        if chosen.consumed is None:
            self._giving[candidate.id].discard(c)
        else:
            held = self._sharing[candidate.id]
            for name, amount in chosen.consumed.items():
                held[name] = held[name].sub(amount)
            if all(amount.is_zero for amount in held.values()):
                del self._sharing[candidate.id]
        if self._counts(candidate, chosen.consumed is not None):
            self._counters.give_back(candidate)

    def _counts(self, candidate: Candidate, shared: bool) -> bool:
        """Does taking the device draw on counters? A shared one does so once, for whoever comes first."""
        if not candidate.device.consumesCounters:
            return False
        return not shared or not (candidate.id in self._taken.capacity or candidate.id in self._sharing)

    def _left(self, amounts: dict[str, Quantity], candidate: Candidate) -> bool:
        held = self._taken.capacity.get(candidate.id, {})
        return capacity.fits(amounts, candidate.device, held, self._sharing.get(candidate.id, {}))

    def _roomy(self, wanted: Wanted, candidate: Candidate) -> bool:
        amounts = capacity.wanted(wanted.spec, candidate.device)
        return amounts is not None and self._left(amounts, candidate)

    def _constrain(self, c: int, wanted: Wanted, candidate: Candidate) -> bool:
        constraints = self._constraints[c]
        for i, constraint in enumerate(constraints):
            if not constraint.add(wanted.names, candidate):
                for added in constraints[:i]:
                    added.remove(wanted.names)
                if wanted.all is not None:
                    raise AllocationError(
                        f"claim {_key(self._claims[c])}, request {wanted.name}: cannot add device {candidate.id}"
                        " because a claim constraint would not be satisfied"
                    )
                return False
        return True


def _key(claim: Any) -> str:
    return f"{claim.metadata.namespace}/{claim.metadata.name}"


def _tainted(device: Any, request: Any) -> bool:
    """By something that the request does not tolerate."""
    return any(
        taint.effect in ("NoSchedule", "NoExecute")
        and not any(tolerates(t, taint) for t in request.tolerations)
        for taint in device.taints
    )

"""Impersonate-* headers: acting as somebody else, as far as one may (KEP-5284 and the older `impersonate` verb).

A mode fits some of the users one may want to be. The constrained ones ask two questions: may the requester do this
verb while impersonating (`impersonate-on:MODE:VERB`), and may he be that user (`impersonate:MODE`). The last mode is
the old one: the verb `impersonate` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import unquote

from knarr.auth.authorize import PRIVILEGED_GROUP, Authorizers, forbidden
from knarr.auth.identity import ALL_AUTHENTICATED, ALL_UNAUTHENTICATED
from knarr.auth.node import NODES_GROUP, PREFIX
from knarr.auth.satokens import EXTRA, group_names, split_username
from knarr.meta import errors, fielderrors, names
from knarr.meta.gofmt import quote
from knarr.meta.metrics import DOUBLING, Counters, Family, Histograms
from knarr.registry.context import Request, UserInfo
from knarr.world.clock import Clock, RealClock

USER, UID, GROUP = "impersonate-user", "impersonate-uid", "impersonate-group"
EXTRA_PREFIX = "impersonate-extra-"
AUTHENTICATION = "authentication.k8s.io"
#: the mode that is none of MODES: the verb `impersonate` alone
LEGACY = -1
#: requesters that are remembered; the oldest goes first
REQUESTERS_MAX = 10_000
#: from so many values on, one question about all of them comes first
MANY = 4


def wanted_user(headers: Iterable[tuple[str, str]]) -> UserInfo | None:
    """The user that the headers name, as they name it; None without such headers.

    Raises StatusError 400 for headers that say everything but the user's name.
    """
    user, uid = "", ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}
    for key, value in headers:
        lower = key.lower()
        if not lower.startswith("impersonate-"):
            continue
        if lower == USER:
            user = user or value
        elif lower == UID:
            uid = uid or value
        elif lower == GROUP:
            groups.append(value)
        elif lower.startswith(EXTRA_PREFIX):
            extra.setdefault(unquote(lower[len(EXTRA_PREFIX) :]), []).append(value)
    if not user and (uid or groups or extra):
        raise errors.bad_request(f"requested {_go(uid, groups, extra)} without impersonating a user name")
    if not user:
        return None
    return UserInfo(user, uid, tuple(groups), {k: tuple(v) for k, v in extra.items()})


def _go(uid: str, groups: list[str], extra: Mapping[str, list[str]]) -> str:
    """The user in the notation that Kubernetes puts into its message."""
    shown = "[]string{" + ", ".join(map(quote, groups)) + "}" if groups else "[]string(nil)"
    pairs = ", ".join(f"{quote(k)}:[]string{{{', '.join(map(quote, v))}}}" for k, v in sorted(extra.items()))
    more = f"map[string][]string{{{pairs}}}" if extra else "map[string][]string(nil)"
    return f'&user.DefaultInfo{{Name:"", UID:{quote(uid)}, Groups:{shown}, Extra:{more}}}'


class Impersonated(NamedTuple):
    """Who the request is made as; `constraint` (for the audit log) is the verb that allowed it, "" for the old one."""

    user: UserInfo
    constraint: str = ""


@dataclass(frozen=True)
class _Mode:
    name: str
    fits: Callable[[UserInfo, UserInfo], bool]


def _only_name(user: UserInfo) -> bool:
    return not (user.uid or user.groups or user.extra)


def _node(user: UserInfo) -> str | None:
    name = user.name[len(PREFIX) :] if user.name.startswith(PREFIX) else ""
    return name if name and not names.is_dns1123_subdomain(name) else None


def _own_node(wanted: UserInfo, requester: UserInfo) -> bool:
    node = _node(wanted)
    bound = requester.extra.get(f"{EXTRA}node-name", ())
    return (
        _only_name(wanted) and node is not None and bool(split_username(requester.name)) and bound == (node,)
    )


MODES = (
    _Mode("associated-node", _own_node),
    _Mode("arbitrary-node", lambda wanted, _: _only_name(wanted) and _node(wanted) is not None),
    _Mode("serviceaccount", lambda wanted, _: _only_name(wanted) and split_username(wanted.name) is not None),
    _Mode("user-info", lambda wanted, _: _node(wanted) is None and split_username(wanted.name) is None),
)


class Impersonation:
    """Remembers by which mode each requester got through last, and tries that one first: few ever need two."""

    def __init__(self, authorizers: Authorizers, clock: Clock = RealClock()) -> None:
        self._authorizers = authorizers
        self._clock = clock
        self._last: dict[str, int] = {}
        prefix, labels = "apiserver_impersonation_attempts", ("mode", "decision")
        self._attempts = Counters(
            f"{prefix}_total", "Requests that were to be made as somebody else.", *labels
        )
        self._durations = Histograms(
            f"{prefix}_duration_seconds", "How long it took to say whether they may.", DOUBLING, *labels
        )

    def metrics(self) -> Iterator[Family]:
        yield self._attempts.family()
        yield self._durations.family()

    async def by_headers(self, request: Request, headers: Iterable[tuple[str, str]]) -> Impersonated:
        """As `__call__`, for whom the headers name; the requester itself where they name nobody."""
        wanted = wanted_user(headers)
        if wanted is None:
            return Impersonated(request.user)
        began = self._clock.monotonic()
        labels = "", "denied"
        try:
            found = await self(request, wanted)
            labels = found.constraint.removeprefix("impersonate:") or "legacy", "allowed"
        finally:
            self._attempts.add(*labels)
            self._durations.observe(self._clock.monotonic() - began, *labels)
        return found

    async def __call__(self, request: Request, wanted: UserInfo) -> Impersonated:
        """Who the request is to be made as; StatusError 403, in the words of the first mode that was tried, if nobody
        may."""
        requester = request.user.name
        first: errors.StatusError | None = None
        for index in self._order(requester):
            if index != LEGACY and not MODES[index].fits(wanted, request.user):
                continue
            try:
                found = await self._try(index, request, wanted)
            except errors.StatusError as refusal:
                first = first or refusal
                continue
            self._remember(requester, index)
            return found
        assert first is not None
        raise first

    def _order(self, requester: str) -> list[int]:
        order = [*range(len(MODES)), LEGACY]
        last = self._last.get(requester)
        return order if last is None else [last, *(index for index in order if index != last)]

    async def _try(self, index: int, request: Request, wanted: UserInfo) -> Impersonated:
        if index == LEGACY:
            return await _legacy(request, wanted, self._authorizers)
        return await _constrained(request, wanted, self._authorizers, MODES[index])

    def _remember(self, requester: str, index: int) -> None:
        self._last.pop(requester, None)
        while len(self._last) >= REQUESTERS_MAX:
            del self._last[next(iter(self._last))]
        self._last[requester] = index


async def _constrained(
    request: Request, wanted: UserInfo, authorizers: Authorizers, mode: _Mode
) -> Impersonated:
    requester = request.user
    if mode.name == "associated-node":
        # the answer is the same on every node: whose node it is was checked when the mode was chosen
        keys = {f"{EXTRA}associated-node-keys": tuple(sorted(requester.extra))}
        requester = replace(requester, extra=keys)
    await authorizers.require(
        replace(request, user=requester, verb=f"impersonate-on:{mode.name}:{request.verb}", annotations={})
    )
    ask = _Asker(authorizers, requester, f"impersonate:{mode.name}", AUTHENTICATION)
    user = wanted
    node, account = _node(wanted), split_username(wanted.name)
    if node is not None:
        await ask("nodes", "*" if mode.name == "associated-node" else node)
        user = replace(user, groups=(NODES_GROUP,))
    elif account is not None:
        await ask("serviceaccounts", account[1], namespace=account[0])
        user = replace(user, groups=group_names(account[0]))
    else:
        await ask("users", wanted.name)
    if wanted.uid:
        await ask("uids", wanted.uid)
    await _groups(ask, wanted.groups)
    await _extra(ask, wanted.extra)
    return Impersonated(_completed(user), ask.verb)


async def _groups(ask: _Asker, groups: tuple[str, ...]) -> None:
    if "" in groups:
        raise ask.refuse("groups", "", "impersonating the empty string group is not allowed")
    if PRIVILEGED_GROUP in groups:
        why = f"impersonating the {PRIVILEGED_GROUP} group is not allowed"
        raise ask.refuse("groups", PRIVILEGED_GROUP, why)
    if len(groups) >= MANY and await ask.may("groups", "*"):
        return
    for group in groups:
        await ask("groups", group)


async def _extra(ask: _Asker, extra: Mapping[str, tuple[str, ...]]) -> None:
    for key, values in extra.items():
        why = _unfit(key, values)
        if why:
            raise ask.refuse("userextras", "", why)
    count = max(len(extra), sum(map(len, extra.values())))
    if count >= MANY and await ask.may("userextras", "*", subresource="*"):
        return
    for key, values in extra.items():
        for value in values:
            await ask("userextras", value, subresource=key)


def _unfit(key: str, values: tuple[str, ...]) -> str:
    if not key:
        return "impersonating the empty string key in extra is not allowed"
    if problems := names.domain_prefixed_path_problems(key):
        wrong = fielderrors.aggregate(fielderrors.invalid("extra.key", shown, why) for shown, why in problems)
        return f"impersonating an invalid key in extra is not allowed: {wrong}"
    if not values:
        return "impersonating empty values in extra is not allowed"
    if "" in values:
        return "impersonating the empty string value in extra is not allowed"
    return ""


async def _legacy(request: Request, wanted: UserInfo, authorizers: Authorizers) -> Impersonated:
    ask = _Asker(authorizers, request.user, "impersonate", "")
    user = wanted
    account = split_username(wanted.name)
    if account is not None:
        await ask("serviceaccounts", account[1], namespace=account[0])
        if not wanted.groups:
            user = replace(user, groups=group_names(account[0]))
    else:
        await ask("users", wanted.name)
    if wanted.uid:
        await ask("uids", wanted.uid, group=AUTHENTICATION)
    for group in wanted.groups:
        await ask("groups", group)
    for key, values in wanted.extra.items():
        for value in values:
            await ask("userextras", value, subresource=key, group=AUTHENTICATION)
    return Impersonated(_completed(user))


def _completed(user: UserInfo) -> UserInfo:
    """With the group that everybody of the kind belongs to."""
    if user.name == "system:anonymous":
        group = ALL_UNAUTHENTICATED
    elif ALL_UNAUTHENTICATED in user.groups:
        return user
    else:
        group = ALL_AUTHENTICATED
    return user if group in user.groups else replace(user, groups=(*user.groups, group))


class _Asker:
    """Asks whether the requester may be somebody: one question per user, uid, group and extra value."""

    def __init__(self, authorizers: Authorizers, requester: UserInfo, verb: str, group: str) -> None:
        self._authorizers = authorizers
        self._requester = requester
        self._group = group
        self.verb = verb

    async def __call__(self, resource: str, name: str, **more: str) -> None:
        await self._authorizers.require(self._question(resource, name, **more))

    async def may(self, resource: str, name: str, **more: str) -> bool:
        return (await self._authorizers.authorize(self._question(resource, name, **more))).allowed

    def refuse(self, resource: str, name: str, why: str) -> errors.StatusError:
        return forbidden(self._question(resource, name), why)

    def _question(
        self, resource: str, name: str, subresource: str = "", namespace: str = "", group: str | None = None
    ) -> Request:
        return Request(
            self.verb,
            group=self._group if group is None else group,
            version="v1",
            resource=resource,
            subresource=subresource,
            namespace=namespace,
            name=name,
            user=self._requester,
        )

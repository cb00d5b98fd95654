"""Between bytes and what a caller wants to hold: a Struct, a plain dict, or only an object's metadata.

A *target* says which: a Struct class (`core_v1.Pod`), a `Resource` row (objects are plain dicts, for custom
resources and generic code), or `Partial(row)` (apiVersion, kind and metadata: what the garbage collector keeps
of a hundred kinds).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache, partial
from typing import Any, NamedTuple

import msgspec

from knarr.api.catalog import BY_GVK
from knarr.api.resources import Resource
from knarr.api.scheme import CustomObject, scheme
from knarr.client.objects import gvk_of


class Partial(NamedTuple):
    """The target for metadata alone; decoding skips everything else at C speed."""

    resource: Resource


Target = Any  # type[Struct] | Resource | Partial


class Codec(NamedTuple):
    """How one target is named on the wire and read from it."""

    resource: Resource
    decode: Callable[[bytes], Any]
    #: reads what is stored at a revision, which the stored bytes do not tell
    hold: Callable[[bytes, int], Any]
    #: under which an entry of the watch cache keeps the decoded object for all clients
    cache_key: Hashable


class Page(NamedTuple):
    """A list's wire form, items not yet decoded."""

    resource_version: str
    continue_: str
    remaining: int
    items: list[Any]


class _ListMeta(msgspec.Struct, frozen=True, gc=False):
    resourceVersion: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remainingItemCount: int = 0


class _RawList(msgspec.Struct, gc=False):
    metadata: _ListMeta = _ListMeta()
    items: list[msgspec.Raw] | None = None


class PartialMeta(msgspec.Struct, frozen=True, gc=False):
    """The part of metadata that generic code decides by."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""
    generation: int = 0
    creationTimestamp: str | None = None
    deletionTimestamp: str | None = None
    deletionGracePeriodSeconds: int | None = None
    finalizers: tuple[str, ...] = ()
    ownerReferences: tuple[PartialOwner, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class PartialOwner(msgspec.Struct, frozen=True, gc=False):
    """An owner reference."""

    apiVersion: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    blockOwnerDeletion: bool | None = None


class PartialObject(msgspec.Struct, frozen=True, gc=False):
    """A PartialObjectMetadata."""

    apiVersion: str = ""
    kind: str = ""
    metadata: PartialMeta = PartialMeta()


_raw_list = msgspec.json.Decoder(_RawList)
_partial = msgspec.json.Decoder(PartialObject)
_plain = msgspec.json.Decoder()


def codec_of(target: Target) -> Codec:
    """The codec of a target. Raises LookupError for a Struct that no resource serves."""
    if type(target) is Resource:
        return Codec(target, _plain.decode, _hold_dict, "client:dict")
    if type(target) is Partial:
        return Codec(target.resource, _partial.decode, partial(_hold, _partial.decode), "client:partial")
    return _struct_codec(target)


@cache
def _struct_codec(cls: Any) -> Codec:
    if cls.__resource__ is None:
        raise LookupError(f"{cls.__name__} is not served; pass its Resource")
    decode = partial(scheme().decode, cls.__definition__)
    return Codec(cls.__resource__, decode, partial(_hold, decode), cls)


def _hold(decode: Callable[[bytes], Any], value: bytes, revision: int) -> Any:
    """Decode the very bytes that are stored: what stays text (field sets) refers to them instead of to a copy."""
    obj = decode(value)
    # Nobody else has seen it yet, so that it is frozen does not matter.
    msgspec.structs.force_setattr(obj.metadata, "resourceVersion", str(revision))
    return obj


def _hold_dict(value: bytes, revision: int) -> Any:
    obj = _plain.decode(value)
    obj["metadata"]["resourceVersion"] = str(revision)
    return obj


def built_in(api_version: str, kind: str) -> Resource:
    """The row of a built-in kind. Raises LookupError."""
    group, _, version = api_version.rpartition("/")
    try:
        return BY_GVK[group, version, kind]
    except KeyError:
        raise LookupError(f"{api_version} {kind} is not a built-in kind; pass its Resource") from None


def resource_of(target: Target) -> Resource:
    """Of a target, or of an instance or a dict of a built-in kind. Raises LookupError."""
    if isinstance(target, type) or type(target) in (Resource, Partial):
        return codec_of(target).resource
    if type(target) is dict or type(target) is CustomObject:
        return built_in(*gvk_of(target))
    return _struct_codec(type(target)).resource


def decoder_like(obj: Any) -> Callable[[bytes], Any]:
    """Reads an answer into the type that was sent."""
    if type(obj) is dict:
        return _plain.decode
    if type(obj) is CustomObject:
        return CustomObject.decode
    return _struct_codec(type(obj)).decode


def decode_page(body: bytes, codec: Codec) -> Page:
    """A list's items, decoded one by one: typed lists leave apiVersion and kind out of their items."""
    raw = _raw_list.decode(body)
    decode = codec.decode
    items = [decode(bytes(item)) for item in raw.items or ()]
    meta = raw.metadata
    return Page(meta.resourceVersion, meta.continue_, meta.remainingItemCount, items)


def encode(obj: Any) -> bytes:
    """A Struct, a custom object, a dict or list, or bytes that are ready."""
    if isinstance(obj, bytes):
        return obj
    if type(obj) is CustomObject:
        return obj.encode()
    return scheme().encode(obj)

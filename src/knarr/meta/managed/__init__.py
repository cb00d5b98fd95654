"""Who owns which field: managedFields and server-side apply (KEP-555) over plain dicts.

`FieldManager` records what an update changed and merges what an apply wants. It knows nothing of storage or HTTP.
The way in: `schema` compiles types into nodes (`maps`, `lists`, `node`) that walk values; `fieldset` holds the sets
of paths they produce; `update` and `apply` say what becomes of `entries`.
"""

from knarr.meta.managed.entries import in_order
from knarr.meta.managed.manager import FieldManager, default_manager, invalid_type, validate_manager
from knarr.meta.managed.ownership import Converter
from knarr.meta.managed.scale import ScaleEntries
from knarr.meta.managed.schema import UNTYPED, TypeSchema, schema_of, schema_of_crd
from knarr.meta.managed.timestamps import keep_times

__all__ = [
    "UNTYPED",
    "Converter",
    "FieldManager",
    "ScaleEntries",
    "TypeSchema",
    "default_manager",
    "in_order",
    "invalid_type",
    "keep_times",
    "schema_of",
    "schema_of_crd",
    "validate_manager",
]

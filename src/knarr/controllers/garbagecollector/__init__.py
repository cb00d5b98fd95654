"""Garbage collection: what nobody owns any more goes, what is deleted takes or frees what it owned.

    graph        who depends on whom
    decide       what to do with an object whose owners changed
    monitors     an informer for every resource that can be deleted, custom ones included
    controller   the coroutine around them

Only objects with owners are in the graph; whether an owner exists is asked of the informer of its kind, and of the
API server before anything is deleted.
"""

from knarr.controllers.garbagecollector.controller import GarbageCollector

__all__ = ["GarbageCollector"]

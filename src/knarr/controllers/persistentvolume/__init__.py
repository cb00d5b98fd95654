"""Binding of claims to volumes.

match        which volume fits a claim
claims       what an unbound or a bound claim needs
volumes      what a volume needs, by what became of its claim
controller   the coroutine around them, and reclaiming
"""

from knarr.controllers.persistentvolume.controller import PersistentVolumeController

__all__ = ["PersistentVolumeController"]

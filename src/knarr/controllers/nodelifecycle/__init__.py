"""Node lifecycle: a node that is silent is marked, kept free of new pods, and emptied, but never all nodes at once.

health       when was a node last heard of; what is said of one that fell silent
taints       the taints that a node's conditions ask for
zones        how fast the nodes of a zone may be given up, by how many of them are well
controller   the coroutine around them
"""

from knarr.controllers.nodelifecycle.controller import NodeLifecycleController

__all__ = ["NodeLifecycleController"]

"""Where a pod's processes can really be reached.

The API takes no loopback addresses for endpoints, so a pod's status has one from the pod network; its processes live
on this machine's loopback, on Linux each pod at an address of its own (all of 127.0.0.0/8 is there without any setup),
elsewhere all at 127.0.0.1.
"""

from __future__ import annotations

import sys

LOCALHOST = "127.0.0.1"


def local(pod_ip: str, platform: str = sys.platform) -> str:
    """10.244.0.5 is at 127.244.0.5."""
    if platform != "linux" or ":" in pod_ip or pod_ip.startswith("127."):
        return LOCALHOST
    return "127." + pod_ip.split(".", 1)[1]

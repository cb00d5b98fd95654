"""The version, and what Prometheus' clients tell of their process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from knarr.apiserver.health import VERSION
from knarr.meta.metrics import Family, Labels

#: counters of kube-apiserver for what cannot happen here, so that what is made of them finds them
NEVER = {
    "aggregator_discovery_peer_aggregated_cache_hits_total": "Discovery documents kept of other kube-apiservers.",
    "aggregator_discovery_peer_aggregated_cache_misses_total": "Discovery documents asked of other kube-apiservers.",
    "apiserver_nodeport_repair_reconcile_errors_total": "Node ports that could not be put right.",
    "apiserver_storage_data_key_generation_failures_total": "Data encryption keys that could not be made.",
    "apiserver_storage_envelope_transformation_cache_misses_total": "Data encryption keys that were not at hand.",
    "apiserver_validation_duplicate_validation_error_total": "Errors that were found twice.",
    "cardinality_enforcement_unexpected_categorizations_total": "Label values that were not expected.",
    "disabled_metrics_total": "Metrics that were turned off.",
    "hidden_metrics_total": "Deprecated metrics that are not shown.",
}


def families(started: float) -> Iterator[Family]:
    """`started` is when the server did, in epoch seconds."""
    yield Family("kubernetes_build_info", "gauge", "The version, as labels.", [("", build(), 1)])
    yield Family("version_info", "gauge", "Which versions it is compatible with.", [("", versions(), 1)])
    yield from process(started)
    for name, words in NEVER.items():
        yield Family(name, "counter", words, [("", {}, 0)])


def build() -> Labels:
    """The labels of kubernetes_build_info."""
    words = {
        "buildDate": "build_date",
        "gitCommit": "git_commit",
        "gitTreeState": "git_tree_state",
        "gitVersion": "git_version",
        "goVersion": "go_version",
    }
    names = (*words, "compiler", "major", "minor", "platform")
    return {words.get(name, name): VERSION[name] for name in names}


def versions() -> Labels:
    return {
        "binary": f"{VERSION['major']}.{VERSION['minor']}",
        "component": "kube",
        "emulation": f"{VERSION['emulationMajor']}.{VERSION['emulationMinor']}",
        "min_compat": f"{VERSION['minCompatibilityMajor']}.{VERSION['minCompatibilityMinor']}",
    }


def process(started: float) -> Iterator[Family]:
    """What Prometheus' clients tell of their process."""
    import os
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    figures: list[tuple[str, str, str, float]] = [
        ("process_cpu_seconds_total", "counter", "Seconds of CPU used.", used.ru_utime + used.ru_stime),
        ("process_start_time_seconds", "gauge", "When the server started, in epoch seconds.", started),
        ("process_max_fds", "gauge", "Files it may open.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        (
            "process_virtual_memory_max_bytes",
            "gauge",
            "Address space it may have, in bytes.",
            _limit(resource.getrlimit(resource.RLIMIT_AS)[0]),
        ),
    ]
    with contextlib.suppress(OSError, ValueError, IndexError):
        received, sent = _network()
        figures += [
            ("process_network_receive_bytes_total", "counter", "Bytes received.", received),
            ("process_network_transmit_bytes_total", "counter", "Bytes sent.", sent),
        ]
    try:
        with open("/proc/self/statm") as statm:
            virtual, resident = (int(pages) * resource.getpagesize() for pages in statm.read().split()[:2])
        files = len(os.listdir("/proc/self/fd"))
    except OSError:
        pass  # not Linux
    else:
        figures += [
            ("process_virtual_memory_bytes", "gauge", "Address space in bytes.", virtual),
            ("process_resident_memory_bytes", "gauge", "Memory in bytes.", resident),
            ("process_open_fds", "gauge", "Open files.", files),
        ]
    for name, type_, text, value in figures:
        yield Family(name, type_, text, [("", {}, value)])


def _limit(value: int) -> float:
    """No limit is the largest number there is, as Prometheus' Go client has it."""
    return float(2**64 - 1 if value < 0 else value)


def _network() -> tuple[int, int]:
    """(received, sent) of the machine's network, as the process sees it; OSError where it does not tell."""
    with open("/proc/self/net/netstat") as file:
        names, values = (line.split() for line in file if line.startswith("IpExt:"))
    found = dict(zip(names, values, strict=True))
    return int(found["InOctets"]), int(found["OutOctets"])

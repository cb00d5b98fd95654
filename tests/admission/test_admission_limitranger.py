"""LimitRanger: defaults and bounds of containers, pods and claims; messages are recorded ones."""

import pytest

from knarr.admission.limitranger import LimitRanger

from .asking import admit, claim, container, pod, refused


@pytest.fixture
def limited(reader):
    reader.put(
        "",
        "limitranges",
        {
            "metadata": {"name": "c", "namespace": "ns"},
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "default": {"cpu": "500m", "memory": "512Mi"},
                        "defaultRequest": {"cpu": "100m", "memory": "512Mi"},
                        "min": {"cpu": "50m"},
                        "max": {"cpu": "1"},
                        "maxLimitRequestRatio": {"cpu": "10"},
                    }
                ]
            },
        },
    )
    return LimitRanger(reader)


DEFAULTED = {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "512Mi"}}


@pytest.mark.parametrize(
    ("spec", "note", "resources"),
    [
        (
            {"containers": [container()]},
            "cpu, memory request for container c; cpu, memory limit for container c",
            DEFAULTED,
        ),
        (
            {"containers": [container(requests={"cpu": "200m"}, limits={"cpu": "200m"})]},
            "memory request for container c; memory limit for container c",
            {"limits": {"cpu": "200m", "memory": "512Mi"}, "requests": {"cpu": "200m", "memory": "512Mi"}},
        ),
        (
            {"containers": [container()], "initContainers": [container("i")]},
            "cpu, memory request for container c; cpu, memory limit for container c; "
            "cpu, memory request for init container i; cpu, memory limit for init container i",
            DEFAULTED,
        ),
    ],
)
def test_defaults_of_limit_ranges(limited, spec, note, resources):
    made = admit(limited, pod(**spec))
    assert made["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": f"LimitRanger plugin set: {note}"
    }
    assert made["spec"]["containers"][0]["resources"] == resources


@pytest.mark.parametrize(
    ("requests", "limits", "words"),
    [
        ({"cpu": "10m"}, {"cpu": "20m"}, "minimum cpu usage per Container is 50m, but request is 10m"),
        ({"cpu": "1"}, {"cpu": "2"}, "maximum cpu usage per Container is 1, but limit is 2"),
        (
            {"cpu": "50m"},
            {"cpu": "1"},
            "cpu max limit to request ratio per Container is 10, but provided ratio is 20.000000",
        ),
        (
            {"cpu": "10m"},
            {"cpu": "2"},
            "[minimum cpu usage per Container is 50m, but request is 10m, maximum cpu usage per Container is 1, but "
            "limit is 2, cpu max limit to request ratio per Container is 10, but provided ratio is 200.000000]",
        ),
    ],
)
def test_bounds_of_containers(limited, requests, limits, words):
    wanted = pod("e", containers=[container(requests=requests, limits=limits)])
    assert refused(limited, wanted) == (403, f'pods "e" is forbidden: {words}')


def limit_range(reader, **limit):
    obj = {"metadata": {"name": "l", "namespace": "ns"}, "spec": {"limits": [limit]}}
    reader.put("", "limitranges", obj)
    return LimitRanger(reader)


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        (
            [container(n, {"memory": "20Mi"}, {"cpu": "600m", "memory": "20Mi"}) for n in "ab"],
            "maximum cpu usage per Pod is 1, but limit is 1200m",
        ),
        (
            [container()],
            "[minimum memory usage per Pod is 10Mi.  No request is specified, maximum cpu usage per Pod is 1.  No "
            "limit is specified]",
        ),
        ([container("c", {"memory": "20Mi"}, {"cpu": "600m", "memory": "20Mi"})], None),
    ],
)
def test_bounds_of_pods(reader, containers, words):
    plugin = limit_range(reader, type="Pod", max={"cpu": "1"}, min={"memory": "10Mi"})
    if words is None:
        admit(plugin, pod(containers=containers))
    else:
        assert refused(plugin, pod(containers=containers)) == (403, f'pods "p" is forbidden: {words}')


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("500Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi"),
        ("6Gi", "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi"),
        ("2Gi", None),
    ],
)
def test_bounds_of_claims(reader, size, words):
    plugin = limit_range(reader, type="PersistentVolumeClaim", min={"storage": "1Gi"}, max={"storage": "5Gi"})
    if words is None:
        admit(plugin, claim(size), "persistentvolumeclaims")
    else:
        found = refused(plugin, claim(size), "persistentvolumeclaims")
        assert found == (403, f'persistentvolumeclaims "c" is forbidden: {words}')

"""What pods may not say, and the words for it."""

import pytest

from .kindcases import Resource

PODS = Resource("pods")
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def pod(container=None, **spec):
    return {"spec": {"containers": [{"name": "c", "image": "i:1", **(container or {})}], **spec}}


def errors(container=None, **spec):
    return PODS.errors(pod(container, **spec))


def test_a_plain_pod_is_fine():
    assert errors() == []


C = "spec.containers[0]"
CONTAINERS = [
    ({"name": "A"}, [f'{C}.name: Invalid value: "A": {LABEL}']),
    ({"image": ""}, [f"{C}.image: Required value"]),
    ({"image": "a "}, [f'{C}.image: Invalid value: "a ": must not have leading or trailing whitespace']),
    (
        {"terminationMessagePolicy": "X"},
        [
            f'{C}.terminationMessagePolicy: Unsupported value: "X": supported values: "File",'
            ' "FallbackToLogsOnError"'
        ],
    ),
    (
        {"ports": [{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]},
        [f'{C}.ports[1].hostPort: Duplicate value: "TCP//5"'],
    ),
    (
        {"env": [{"name": "A", "valueFrom": {}}]},
        [
            f'{C}.env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`,'
            " `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        ],
    ),
    (
        {
            "env": [
                {
                    "name": "A",
                    "valueFrom": {
                        "secretKeyRef": {"name": "s", "key": "k"},
                        "configMapKeyRef": {"name": "s", "key": "k"},
                    },
                }
            ]
        },
        [f'{C}.env[0].valueFrom: Invalid value: "": may not have more than one field specified at a time'],
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]},
        [
            f'{C}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values:'
            ' "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",'
            ' "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"'
        ],
    ),
    ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}]}, []),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x['a']"}}}]},
        [
            f"{C}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x['a']\": error converting fieldPath: field"
            " label does not support subscript: spec.x['a']"
        ],
    ),
    (
        {
            "env": [
                {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}
            ]
        },
        [
            f'{C}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor\'s values 1m and'
            " 1 are supported with the cpu resource"
        ],
    ),
    ({"envFrom": [{"configMapRef": {"name": "m"}}]}, []),
    (
        {"envFrom": [{"configMapRef": {"name": "m"}, "secretRef": {"name": "s"}}]},
        [f'{C}.envFrom: Invalid value: "": may not have more than one field specified at a time'],
    ),
    (
        {"resources": {"requests": {"hugepages-2Mi": "3Mi", "cpu": "1"}, "limits": {"hugepages-2Mi": "3Mi"}}},
        [
            f'{C}.resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of'
            " hugepages-2Mi",
            f'{C}.resources.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of'
            " hugepages-2Mi",
        ],
    ),
    (
        {"resources": {"requests": {"example.com/x": "1"}, "limits": {"example.com/x": "2"}}},
        [f'{C}.resources.requests: Invalid value: "1": must be equal to example.com/x limit of 2'],
    ),
    (
        {"resources": {"claims": [{"name": "x"}]}},
        [
            f'{C}.resources.claims[0]: Not found: "x": must be one of the names in pod.spec.resourceClaims which is'
            " empty"
        ],
    ),
    (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        [
            f"{C}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than"
            " terminationGracePeriodSeconds (30)"
        ],
    ),
    (
        {"readinessProbe": {"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 1}},
        [
            f"{C}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes"
        ],
    ),
    ({"livenessProbe": {"exec": {}}}, [f"{C}.livenessProbe.exec.command: Required value"]),
    (
        {"livenessProbe": {"httpGet": {"port": "no_good"}}},
        [
            f'{C}.livenessProbe.httpGet.port: Invalid value: "no_good": must contain only alpha-numeric characters'
            " (a-z, 0-9), and hyphens (-)"
        ],
    ),
    (
        {"securityContext": {"procMount": "Unmasked"}},
        [
            f'{C}.securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`'
        ],
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "X"}}},
        [
            f'{C}.securityContext.seccompProfile.type: Unsupported value: "X": supported values: "Localhost",'
            ' "RuntimeDefault", "Unconfined"'
        ],
    ),
    (
        {"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]},
        [f"{C}.restartPolicy: Required value: must specify restartPolicy when restart rules are used"],
    ),
    (
        {
            "restartPolicyRules": [
                {"action": "Stop", "exitCodes": {"operator": "In", "values": [1, 1, 300]}}
            ],
            "restartPolicy": "Never",
        },
        [
            f'{C}.restartPolicyRules[0].action: Unsupported value: "Stop": supported values: "Restart",'
            ' "RestartAllContainers"'
        ],
    ),
    (
        {"restartPolicyRules": [{"action": "Restart"}]},
        [
            f"{C}.restartPolicy: Required value: must specify restartPolicy when restart rules are used",
            f"{C}.restartPolicyRules[0].exitCodes: Required value: must be specified",
        ],
    ),
    (
        {
            "env": [
                {
                    "name": "A",
                    "valueFrom": {"fileKeyRef": {"volumeName": "A", "path": "/../x", "key": "a=b"}},
                }
            ]
        },
        [
            f'{C}.env[0].valueFrom.fileKeyRef.key: Invalid value: "a=b": a valid environment variable name must'
            " consist only of printable ASCII characters other than '='",
            f'{C}.env[0].valueFrom.fileKeyRef.volumeName: Invalid value: "A": {LABEL}',
            f"{C}.env[0].valueFrom.fileKeyRef.path: Invalid value: \"/../x\": must not contain '..'",
            f'{C}.env[0].valueFrom.fileKeyRef.volumeName: Not found: "A"',
        ],
    ),
    (
        {"securityContext": {"windowsOptions": {"runAsUserName": "a?b\\..."}}},
        [
            f'{C}.securityContext.windowsOptions.runAsUserName: Invalid value: "a?b\\\\...": runAsUserName\'s {what}'
            for what in (
                "Domain doesn't match the NetBios nor the DNS format",
                "User cannot contain only periods or spaces",
            )
        ],
    ),
    (
        {"resizePolicy": [{"resourceName": "disk", "restartPolicy": "NotRequired"}]},
        [f'{C}.resizePolicy: Unsupported value: "disk": supported values: "cpu", "memory"'],
    ),
]


@pytest.mark.parametrize("container,expected", CONTAINERS)
def test_containers(container, expected):
    assert errors(container) == expected


V = "spec.volumes[0]"
VOLUMES = [
    (
        {"hostPath": {"path": "/x", "type": "Disk"}},
        [
            f'{V}.hostPath.type: Unsupported value: "Disk": supported values: "", "BlockDevice", "CharDevice",'
            ' "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"'
        ],
    ),
    (
        {"emptyDir": {"sizeLimit": "-1"}},
        [f"{V}.emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"],
    ),
    (
        {"configMap": {"name": "m", "defaultMode": 512}},
        [
            f"{V}.configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both"
            " inclusive"
        ],
    ),
    (
        {"configMap": {"name": "m", "items": [{"key": "k", "path": "..x"}]}},
        [f"{V}.configMap.items[0].path: Invalid value: \"..x\": must not start with '..'"],
    ),
    (
        {"nfs": {"server": "s", "path": "x"}},
        [f'{V}.nfs.path: Invalid value: "x": must be an absolute path'],
    ),
    (
        {"csi": {"driver": ""}},
        [f"{V}.csi.driver: Required value"],
    ),
    (
        {"csi": {"driver": "d", "nodePublishSecretRef": {"name": "A"}}},
        [f'{V}.csi.name: Invalid value: "A": {SUBDOMAIN}'],
    ),
    (
        {"secret": {"secretName": "s", "items": [{"key": "k", "path": ".."}]}},
        [
            f"{V}.secret.items[0].path: Invalid value: \"..\": must not contain '..'",
            f"{V}.secret.items[0].path: Invalid value: \"..\": must not start with '..'",
        ],
    ),
    (
        {"iscsi": {"targetPortal": "p", "iqn": "iqn.2001-04.com.example", "lun": 0}},
        [f'{V}.iscsi.iqn: Invalid value: "iqn.2001-04.com.example": must be valid format'],
    ),
    ({"iscsi": {"targetPortal": "p", "iqn": "eui.ZZZZZZZZZZZZZZZZ", "lun": 0}}, []),
    (
        {
            "ephemeral": {
                "volumeClaimTemplate": {
                    "metadata": {"name": "n", "uid": "u", "labels": {"a": "b"}},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1"}},
                    },
                }
            }
        },
        [
            f"{V}.ephemeral.volumeClaimTemplate.metadata.{name}: Forbidden: cannot be set"
            for name in ("name", "uID")
        ],
    ),
    (
        {"projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 5}}]}},
        [
            f"{V}.projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a"
            " duration less than 10 minutes",
            f"{V}.projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is"
            " not set",
        ],
    ),
    (
        {
            "projected": {
                "sources": [
                    {"configMap": {"name": "a", "items": [{"key": "k", "path": "p"}]}},
                    {"secret": {"name": "b", "items": [{"key": "k", "path": "p"}]}},
                ]
            }
        },
        [f'{V}.projected: Invalid value: "b": conflicting duplicate paths'],
    ),
    (
        {"downwardAPI": {"items": [{"path": "p"}]}},
        [f"{V}.downwardAPI: Required value: one of fieldRef and resourceFieldRef is required"],
    ),
    (
        {"ephemeral": {}},
        [f"{V}.ephemeral.volumeClaimTemplate: Required value"],
    ),
    (
        {"gcePersistentDisk": {"pdName": ""}},
        [f"{V}.persistentDisk.pdName: Required value"],
    ),
    (
        {"flexVolume": {"driver": "d", "options": {"a.kubernetes.io/x": "y"}}},
        [
            f'{V}.flexVolume.options[a.kubernetes.io/x]: Invalid value: "a.kubernetes.io/x": kubernetes.io and k8s.io'
            " namespaces are reserved"
        ],
    ),
]


@pytest.mark.parametrize("volume,expected", VOLUMES)
def test_volumes(volume, expected):
    assert errors(volumes=[{"name": "v", **volume}]) == expected


def test_a_mount_needs_a_sound_volume():
    found = errors({"volumeMounts": [{"name": "v", "mountPath": "/x"}]}, volumes=[{"name": "v", "nfs": {}}])
    assert found[-1] == f'{C}.volumeMounts[0].name: Not found: "v"'


def test_a_claim_of_the_pods_own_is_not_another_volume():
    made = {"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}  # fmt: skip
    found = errors(volumes=[made, {"name": "w", "persistentVolumeClaim": {"claimName": "a-v"}}])
    assert found == [
        'spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: "a-v": must not reference a PVC that gets'
        " created for an ephemeral volume"
    ]


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
SPECS = [
    (
        {"dnsPolicy": "None", "dnsConfig": {}},
        ["spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None"],
    ),
    (
        {"hostUsers": False, "hostPID": True},
        ["spec.HostPID: Forbidden: when `hostUsers` is false"],
    ),
    (
        {"securityContext": {"seLinuxChangePolicy": "MountOption"}},
        ['spec.securityContext.seLinuxChangePolicy: Unsupported value: "MountOption": supported values: "Recursive"'],
    ),
    (
        {"hostnameOverride": "A" * 65, "hostNetwork": True, "setHostnameAsFQDN": True},
        [
            "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
            "spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true",
            "spec.hostnameOverride: Too long: may not be more than 64 bytes",
            f'spec.hostnameOverride: Invalid value: "{"A" * 65}": {SUBDOMAIN}',
        ],
    ),
    ({"preemptionPolicy": ""}, ["spec.preemptionPolicy: Required value"]),
    ({"os": {}}, ["spec.os.name: Required value"]),
    (
        {"overhead": {"hugepages-2Mi": "3Mi"}},
        [
            'spec.overhead.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of'
            " hugepages-2Mi",
            "spec.overhead: Forbidden: HugePages require cpu or memory",
        ],
    ),
    (
        {"resources": {"claims": [{"name": "a"}]}, "resourceClaims": [{"name": "a", "resourceClaimName": "a"}]},
        ["spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level"],
    ),
    (
        {"initContainers": [{"name": "i", "image": "i", "resizePolicy": [{"resourceName": "cpu",
            "restartPolicy": "RestartContainer"}]}]},
        [
            'spec.initContainers[0].resizePolicy[0].restartPolicy: Invalid value: "RestartContainer": must not be set to'
            " 'RestartContainer' for non-sidecar initContainers"
        ],
    ),
    (
        {"schedulingGates": [{"name": "a"}], "nodeName": "n"},
        ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
    ),
    (
        {"tolerations": [{"key": "a", "operator": "Near"}]},
        ['spec.tolerations[0].operator: Unsupported value: "Near": supported values: "Equal", "Exists"'],
    ),
    (
        {"tolerations": [{"key": "a", "operator": "Gt", "value": "1"}]},
        ['spec.tolerations[0].operator: Unsupported value: "Gt": supported values: "Equal", "Exists", "Lt", "Gt"'],
    ),
    (
        {"tolerations": [{"key": "a", "effect": "X"}]},
        [
            'spec.tolerations[0].effect: Unsupported value: "X": supported values: "NoSchedule", "PreferNoSchedule",'
            ' "NoExecute"'
        ],
    ),
    (
        {"securityContext": {"sysctls": [{"name": "net.ipv4.x", "value": "1"}]}, "hostNetwork": True},
        [
            'spec.securityContext.sysctls[0].name: Invalid value: "net.ipv4.x": may not be specified when \'hostNetwork\''
            " is true"
        ],
    ),
    (
        {"securityContext": {"windowsOptions": {"hostProcess": True}}},
        [
            "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers"
        ],
    ),
    (
        {"os": {"name": "linux"}, "securityContext": {"windowsOptions": {"runAsUserName": "x"}}},
        ["spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod"],
    ),
    (
        {"resources": {"requests": {"cpu": "1"}}, "initContainers": [{"name": "i", "image": "i",
            "resources": {"requests": {"cpu": "2"}}}]},
        [
            'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container'
            " requests of 2"
        ],
    ),
    (
        {"initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always",
            "livenessProbe": {"exec": {"command": ["x"]}}}]},
        [],
    ),
    (
        {"overhead": {"cpu": "-1"}},
        ['spec.overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
    ),
    (
        {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway",
            "minDomains": 2, "labelSelector": {}}]},
        [
            "spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains if"
            " whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway"
        ],
    ),
    # a key that its author also selects by: in the pod's own selector it is found twice
    (
        {"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "z", "matchLabelKeys": ["b", "k"],
            "labelSelector": {"matchLabels": {"k": "v"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]}}]}}},
        [
            f'spec.affinity.podAffinity.{REQUIRED}[0][1]: Invalid value: "k": exists in both matchLabelKeys and'
            " labelSelector"
        ],
    ),
    (
        {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway",
            "matchLabelKeys": ["k"]}]},
        [
            "spec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is"
            " not set"
        ],
    ),
    (
        {"os": {"name": "windows"}, "resources": {"limits": {"cpu": "1"}}},
        ["spec.resources: Forbidden: may not be set for a windows pod"],
    ),
    (
        {"resources": {"limits": {"cpu": "1", "pods": "1", "made-up": "1"}}},
        [
            'spec.resources.limits[made-up]: Invalid value: "made-up": must be a standard resource type or fully'
            " qualified",
            'spec.resources.limits[pods]: Unsupported value: "pods": supported values: "cpu", "hugepages-", "memory"',
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize("spec,expected", SPECS)
def test_specs(spec, expected):
    assert errors(**spec) == expected


def test_a_pod_as_a_whole_has_room_for_its_containers():
    huge = {"hugepages-2Mi": "4Mi", "memory": "1Gi"}
    container = {"resources": {"requests": {"cpu": "2", "ephemeral-storage": "1Gi", **huge}, "limits": huge}}
    own = {
        "requests": {"cpu": "1", "hugepages-2Mi": "2Mi"},
        "limits": {"hugepages-2Mi": "2Mi", "memory": "2Gi"},
    }
    assert PODS.errors(pod(container, resources=own)) == [
        'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container'
        " requests of 2",
        'spec.resources.requests[hugepages-2Mi]: Invalid value: "2Mi": must be greater than or equal to aggregate'
        " container requests of 4Mi",
        'spec.resources.limits[hugepages-2Mi]: Invalid value: "2Mi": must be greater than or equal to aggregate'
        " container limits of 4Mi",
        'spec.resources.containers[0][hugepages-2Mi].limits: Invalid value: "4Mi": must be less than or equal to pod'
        " limits of 2Mi",
    ]


def test_files_with_variables_lie_in_empty_directories():
    def env(volume):
        return {
            "env": [
                {"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": volume, "path": "p", "key": "K"}}}
            ]
        }

    volumes = [{"name": "here", "emptyDir": {}}, {"name": "host", "hostPath": {"path": "/x"}}]
    at = "spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName"
    assert PODS.errors(pod(env("here"), volumes=volumes)) == []
    assert PODS.errors(pod(env("host"), volumes=volumes)) == [
        f'{at}: Invalid value: "host": referenced volume must be of type emptyDir'
    ]
    assert PODS.errors(pod(env("gone"), volumes=volumes)) == [f'{at}: Not found: "gone"']


def test_annotations_with_a_meaning():
    body = pod()
    body["metadata"] = {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "+1"}}
    assert PODS.errors(body) == [
        'metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+1": must be a 32bit integer'
    ]


def test_a_part_of_an_image_can_be_mounted():
    image = {"volumes": [{"name": "v", "image": {"reference": "r"}}]}
    mounts = [{"name": "v", "mountPath": "/m", "subPath": "a/b"}]
    assert PODS.errors(pod({"volumeMounts": mounts}, **image)) == []


def paths(*names):
    return [{"key": "k", "path": name} for name in names]


WARNINGS = [
    ({"terminationGracePeriodSeconds": 5}, None, []),
    ({"imagePullSecrets": [{}]}, None, ['spec.imagePullSecrets[0].name: invalid empty name ""']),
    (
        {"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]},
        None,
        ['spec.hostAliases[1].ip: duplicate ip "1.1.1.1"'],
    ),
    (
        {},
        {"ports": [{"containerPort": 80, "hostIP": "1.1.1.1"}]},
        [
            "spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:TCP"
            " HostIP:1.1.1.1}"
        ],
    ),
    (
        {},
        {"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 80}]},
        ["spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]"],
    ),
    (
        {"initContainers": [{"name": "i", "image": "i", "ports": [{"name": "p", "containerPort": 1}]}]},
        {"ports": [{"name": "p", "containerPort": 80}]},
        [
            'spec.containers[0].ports[0]: duplicate port name "p" with spec.initContainers[0].ports[0], services and'
            " probes that select ports by name will use spec.initContainers[0].ports[0]"
        ],
    ),
    (
        {},
        {"resources": {"limits": {"memory": "1m", "ephemeral-storage": "1m"}, "requests": {"memory": "1m"}}},
        [
            f'spec.containers[0].resources.{what}: fractional byte value "1m" is invalid, must be an integer'
            for what in (
                "limits[memory]",
                "requests[memory]",
                "limits[ephemeral-storage]",
                "requests[ephemeral-storage]",
            )
        ],
    ),
    (
        {
            "affinity": {
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 1,
                            "preference": {
                                "matchExpressions": [{"key": "a", "operator": "In", "values": ["-1"]}]
                            },
                        }
                    ]
                }
            }
        },
        None,
        [
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference"
            ".matchExpressions[0].values[0]: -1 is invalid, a valid label must be an empty string or consist of"
            " alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g."
            " 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
            " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        ],
    ),
    ({}, {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}, []),
    (
        {"volumes": [{"name": "v", "glusterfs": {"endpoints": "e", "path": "p"}}]},
        None,
        ["spec.volumes[0].glusterfs: deprecated in v1.25, non-functional in v1.26+"],
    ),
    (
        {"volumes": [{"name": "v", "configMap": {"name": "m", "items": paths("a", "ab", "a/b", "a/")}}]},
        None,
        [
            'volume "v" (ConfigMap "m"): overlapping paths: "a/b" with "a"',
            'volume "v" (ConfigMap "m"): overlapping paths: "a" with "a"',
            'volume "v" (ConfigMap "m"): overlapping paths: "a" with "a/b"',
        ],
    ),
    (
        {
            "volumes": [
                {
                    "name": "v",
                    "projected": {
                        "sources": [
                            {},
                            {"secret": {"name": "s", "items": paths("x/token")}},
                            {"configMap": {"name": "whole"}},
                            {"serviceAccountToken": {"path": "x"}},
                        ]
                    },
                }
            ]
        },
        None,
        [
            'volume "v" (Projected) has no sources provided',
            'volume "v" (Projected): overlapping paths: "x" (ServiceAccountToken) with "x/token" (Secret "s")',
        ],
    ),
    (
        {
            "affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "z"}]}},
        },
        {"env": [{"name": "A"}, {"name": "A"}]},
        [
            'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
            f"spec.affinity.podAffinity.{REQUIRED}[0].labelSelector: a null labelSelector results in matching no pod",
        ],
    ),
]


@pytest.mark.parametrize("spec,container,expected", WARNINGS)
def test_warnings(spec, container, expected):
    assert PODS.warnings(pod(container, **spec)) == expected

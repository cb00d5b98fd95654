"""How Go prints a pod's spec: the order and names of Kubernetes' internal structs, which some messages show.

Internally the host's namespaces belong to the security context, and embedded structs lie flat in their owner.
"""

from __future__ import annotations

from typing import Any

from knarr.api.gostruct import Items, Pointer, Shape, difference, dump, strings

Spec = dict[str, Any]


def optional(*names: str) -> Shape:
    """Fields that are null when nothing was said: pointers, lists and maps."""
    return tuple((name, _raised(name), None) for name in names)


def flags(*names: str) -> Shape:
    return tuple((name, _raised(name), False) for name in names)


def numbers(*names: str) -> Shape:
    return tuple((name, _raised(name), 0) for name in names)


def _raised(name: str) -> str:
    return name[:1].upper() + name[1:]


_NAME = strings("name")
_LOCAL_REFERENCE = Pointer(_NAME)
_KEY = (*strings("name", "key"), *optional("optional"))
_FIELD_REF = (("apiVersion", "APIVersion", ""), *strings("fieldPath"))
_RESOURCE_FIELD = (*strings("containerName", "resource"), ("divisor", "Divisor", "0"))
_ENV_SOURCE = (
    ("fieldRef", "FieldRef", Pointer(_FIELD_REF)),
    ("resourceFieldRef", "ResourceFieldRef", Pointer(_RESOURCE_FIELD)),
    ("configMapKeyRef", "ConfigMapKeyRef", Pointer(_KEY)),
    ("secretKeyRef", "SecretKeyRef", Pointer(_KEY)),
    ("fileKeyRef", "FileKeyRef", Pointer((*strings("volumeName", "path", "key"), *optional("optional")))),
)
_ENV = (*strings("name", "value"), ("valueFrom", "ValueFrom", Pointer(_ENV_SOURCE)))
_WHOLE = Pointer((*_NAME, *optional("optional")))
_ENV_FROM = (*strings("prefix"), ("configMapRef", "ConfigMapRef", _WHOLE), ("secretRef", "SecretRef", _WHOLE))
_PORT = (
    *strings("name"),
    *numbers("hostPort", "containerPort"),
    *strings("protocol"),
    ("hostIP", "HostIP", ""),
)
_MOUNT = (
    *strings("name"),
    *flags("readOnly"),
    *optional("recursiveReadOnly"),
    *strings("mountPath", "subPath"),
    *optional("mountPropagation"),
    *strings("subPathExpr"),
)
_RESOURCES = (*optional("limits", "requests"), ("claims", "Claims", Items(strings("name", "request"))))

_EXEC = ("exec", "Exec", Pointer(optional("command")))
_HTTP_GET = (
    "httpGet",
    "HTTPGet",
    Pointer(
        (
            *strings("path"),
            ("port", "Port", 0),
            *strings("host", "scheme"),
            ("httpHeaders", "HTTPHeaders", Items(strings("name", "value"))),
        )
    ),
)
_TCP = ("tcpSocket", "TCPSocket", Pointer((("port", "Port", 0), *strings("host"))))
_GRPC = ("grpc", "GRPC", Pointer((*numbers("port"), *optional("service"))))
_SLEEP = ("sleep", "Sleep", Pointer(numbers("seconds")))
_PROBE = Pointer(
    (
        _EXEC,
        _HTTP_GET,
        _TCP,
        _GRPC,
        *numbers(
            "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"
        ),
        *optional("terminationGracePeriodSeconds"),
    )
)
_HOOK = Pointer((_EXEC, _HTTP_GET, _TCP, _SLEEP))
_LIFECYCLE = Pointer(
    (("postStart", "PostStart", _HOOK), ("preStop", "PreStop", _HOOK), *optional("stopSignal"))
)

_PROFILE = Pointer((*strings("type"), *optional("localhostProfile")))
_SELINUX = ("seLinuxOptions", "SELinuxOptions", Pointer(strings("user", "role", "type", "level")))
_WINDOWS = (
    "windowsOptions",
    "WindowsOptions",
    Pointer(
        (
            ("gmsaCredentialSpecName", "GMSACredentialSpecName", None),
            ("gmsaCredentialSpec", "GMSACredentialSpec", None),
            *optional("runAsUserName", "hostProcess"),
        )
    ),
)
_SECURITY_CONTEXT: Shape = (
    ("capabilities", "Capabilities", Pointer(optional("add", "drop"))),
    *optional("privileged"),
    _SELINUX,
    _WINDOWS,
    *optional("runAsUser", "runAsGroup", "runAsNonRoot", "readOnlyRootFilesystem"),
    *optional("allowPrivilegeEscalation", "procMount"),
    ("seccompProfile", "SeccompProfile", _PROFILE),
    ("appArmorProfile", "AppArmorProfile", _PROFILE),
)
_POD_SECURITY_CONTEXT: Shape = (
    *flags("hostNetwork", "hostPID", "hostIPC"),
    *optional("shareProcessNamespace", "hostUsers"),
    _SELINUX,
    _WINDOWS,
    *optional("runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups", "supplementalGroupsPolicy"),
    ("fsGroup", "FSGroup", None),
    ("fsGroupChangePolicy", "FSGroupChangePolicy", None),
    ("sysctls", "Sysctls", Items(strings("name", "value"))),
    ("seccompProfile", "SeccompProfile", _PROFILE),
    ("appArmorProfile", "AppArmorProfile", _PROFILE),
    ("seLinuxChangePolicy", "SELinuxChangePolicy", None),
)
#: fields of the spec that are kept in the security context
_HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")

_RESTART_RULE = (
    *strings("action"),
    ("exitCodes", "ExitCodes", Pointer((*strings("operator"), *optional("values")))),
)
_CONTAINER: Shape = (
    *strings("name", "image"),
    *optional("command", "args"),
    *strings("workingDir"),
    ("ports", "Ports", Items(_PORT)),
    ("envFrom", "EnvFrom", Items(_ENV_FROM)),
    ("env", "Env", Items(_ENV)),
    ("resources", "Resources", _RESOURCES),
    ("resizePolicy", "ResizePolicy", Items(strings("resourceName", "restartPolicy"))),
    *optional("restartPolicy"),
    ("restartPolicyRules", "RestartPolicyRules", Items(_RESTART_RULE)),
    ("volumeMounts", "VolumeMounts", Items(_MOUNT)),
    ("volumeDevices", "VolumeDevices", Items(strings("name", "devicePath"))),
    ("livenessProbe", "LivenessProbe", _PROBE),
    ("readinessProbe", "ReadinessProbe", _PROBE),
    ("startupProbe", "StartupProbe", _PROBE),
    ("lifecycle", "Lifecycle", _LIFECYCLE),
    *strings("terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy"),
    ("securityContext", "SecurityContext", Pointer(_SECURITY_CONTEXT)),
    *flags("stdin", "stdinOnce"),
    ("tty", "TTY", False),
)
_EPHEMERAL_CONTAINER: Shape = (*_CONTAINER, *strings("targetContainerName"))

_ITEMS = ("items", "Items", Items((*strings("key", "path"), *optional("mode"))))
_DOWNWARD_FILE = (
    *strings("path"),
    ("fieldRef", "FieldRef", Pointer(_FIELD_REF)),
    ("resourceFieldRef", "ResourceFieldRef", Pointer(_RESOURCE_FIELD)),
    *optional("mode"),
)
_DOWNWARD_ITEMS = ("items", "Items", Items(_DOWNWARD_FILE))
_KEYS_OF = Pointer((*_NAME, _ITEMS, *optional("optional")))
_PROJECTION: Shape = (
    ("secret", "Secret", _KEYS_OF),
    ("downwardAPI", "DownwardAPI", Pointer((_DOWNWARD_ITEMS,))),
    ("configMap", "ConfigMap", _KEYS_OF),
    (
        "serviceAccountToken",
        "ServiceAccountToken",
        Pointer((*strings("audience"), *numbers("expirationSeconds"), *strings("path"))),
    ),
    (
        "clusterTrustBundle",
        "ClusterTrustBundle",
        Pointer((*optional("name", "signerName", "labelSelector", "optional"), *strings("path"))),
    ),
    (
        "podCertificate",
        "PodCertificate",
        Pointer(
            (
                *strings("signerName", "keyType"),
                *optional("maxExpirationSeconds"),
                *strings("credentialBundlePath", "keyPath", "certificateChainPath"),
                *optional("userAnnotations"),
            )
        ),
    ),
)
_DEFAULT_MODE = optional("defaultMode")
_FS = ("fsType", "FSType", "")
_READ_ONLY = flags("readOnly")
_SECRET_REF = ("secretRef", "SecretRef", _LOCAL_REFERENCE)
_VOLUME: Shape = (
    *strings("name"),
    ("hostPath", "HostPath", Pointer((*strings("path"), *optional("type")))),
    ("emptyDir", "EmptyDir", Pointer((*strings("medium"), *optional("sizeLimit")))),
    (
        "gcePersistentDisk",
        "GCEPersistentDisk",
        Pointer((("pdName", "PDName", ""), _FS, *numbers("partition"), *_READ_ONLY)),
    ),
    (
        "awsElasticBlockStore",
        "AWSElasticBlockStore",
        Pointer((("volumeID", "VolumeID", ""), _FS, *numbers("partition"), *_READ_ONLY)),
    ),
    ("gitRepo", "GitRepo", Pointer(strings("repository", "revision", "directory"))),
    ("secret", "Secret", Pointer((*strings("secretName"), _ITEMS, *_DEFAULT_MODE, *optional("optional")))),
    ("nfs", "NFS", Pointer((*strings("server", "path"), *_READ_ONLY))),
    (
        "iscsi",
        "ISCSI",
        Pointer(
            (
                *strings("targetPortal"),
                ("iqn", "IQN", ""),
                *numbers("lun"),
                ("iscsiInterface", "ISCSIInterface", ""),
                _FS,
                *_READ_ONLY,
                *optional("portals"),
                ("chapAuthDiscovery", "DiscoveryCHAPAuth", False),
                ("chapAuthSession", "SessionCHAPAuth", False),
                _SECRET_REF,
                *optional("initiatorName"),
            )
        ),
    ),
    ("glusterfs", "Glusterfs", Pointer((("endpoints", "EndpointsName", ""), *strings("path"), *_READ_ONLY))),
    ("persistentVolumeClaim", "PersistentVolumeClaim", Pointer((*strings("claimName"), *_READ_ONLY))),
    (
        "rbd",
        "RBD",
        Pointer(
            (
                ("monitors", "CephMonitors", None),
                ("image", "RBDImage", ""),
                _FS,
                ("pool", "RBDPool", ""),
                ("user", "RadosUser", ""),
                ("keyring", "Keyring", ""),
                _SECRET_REF,
                *_READ_ONLY,
            )
        ),
    ),
    (
        "quobyte",
        "Quobyte",
        Pointer((*strings("registry", "volume"), *_READ_ONLY, *strings("user", "group", "tenant"))),
    ),
    (
        "flexVolume",
        "FlexVolume",
        Pointer((*strings("driver"), _FS, _SECRET_REF, *_READ_ONLY, *optional("options"))),
    ),
    ("cinder", "Cinder", Pointer((("volumeID", "VolumeID", ""), _FS, *_READ_ONLY, _SECRET_REF))),
    (
        "cephfs",
        "CephFS",
        Pointer((*optional("monitors"), *strings("path", "user", "secretFile"), _SECRET_REF, *_READ_ONLY)),
    ),
    ("flocker", "Flocker", Pointer(strings("datasetName", "datasetUUID"))),
    ("downwardAPI", "DownwardAPI", Pointer((_DOWNWARD_ITEMS, *_DEFAULT_MODE))),
    (
        "fc",
        "FC",
        Pointer(
            (("targetWWNs", "TargetWWNs", None), *optional("lun"), _FS, *_READ_ONLY, ("wwids", "WWIDs", None))
        ),
    ),
    ("azureFile", "AzureFile", Pointer((*strings("secretName", "shareName"), *_READ_ONLY))),
    ("configMap", "ConfigMap", Pointer((*_NAME, _ITEMS, *_DEFAULT_MODE, *optional("optional")))),
    (
        "vsphereVolume",
        "VsphereVolume",
        Pointer((*strings("volumePath"), _FS, *strings("storagePolicyName", "storagePolicyID"))),
    ),
    (
        "azureDisk",
        "AzureDisk",
        Pointer(
            (
                *strings("diskName"),
                ("diskURI", "DataDiskURI", ""),
                *optional("cachingMode"),
                ("fsType", "FSType", None),
                *optional("readOnly", "kind"),
            )
        ),
    ),
    ("photonPersistentDisk", "PhotonPersistentDisk", Pointer((("pdID", "PdID", ""), _FS))),
    ("projected", "Projected", Pointer((("sources", "Sources", Items(_PROJECTION)), *_DEFAULT_MODE))),
    ("portworxVolume", "PortworxVolume", Pointer((("volumeID", "VolumeID", ""), _FS, *_READ_ONLY))),
    (
        "scaleIO",
        "ScaleIO",
        Pointer(
            (
                *strings("gateway", "system"),
                _SECRET_REF,
                ("sslEnabled", "SSLEnabled", False),
                *strings("protectionDomain", "storagePool", "storageMode", "volumeName"),
                _FS,
                *_READ_ONLY,
            )
        ),
    ),
    (
        "storageos",
        "StorageOS",
        Pointer((*strings("volumeName", "volumeNamespace"), _FS, *_READ_ONLY, _SECRET_REF)),
    ),
    (
        "csi",
        "CSI",
        Pointer(
            (
                *strings("driver"),
                *optional("readOnly"),
                ("fsType", "FSType", None),
                *optional("volumeAttributes"),
                ("nodePublishSecretRef", "NodePublishSecretRef", _LOCAL_REFERENCE),
            )
        ),
    ),
    ("ephemeral", "Ephemeral", Pointer(optional("volumeClaimTemplate"))),
    ("image", "Image", Pointer(strings("reference", "pullPolicy"))),
)

_EXPRESSION = Items((*strings("key", "operator"), *optional("values")))
_NODE_TERM: Shape = (
    ("matchExpressions", "MatchExpressions", _EXPRESSION),
    ("matchFields", "MatchFields", _EXPRESSION),
)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NODE_AFFINITY = Pointer(
    (
        (
            _REQUIRED,
            _raised(_REQUIRED),
            Pointer((("nodeSelectorTerms", "NodeSelectorTerms", Items(_NODE_TERM)),)),
        ),
        (
            _PREFERRED,
            _raised(_PREFERRED),
            Items((*numbers("weight"), ("preference", "Preference", _NODE_TERM))),
        ),
    )
)
_POD_TERM: Shape = (
    *optional("labelSelector", "namespaces"),
    *strings("topologyKey"),
    *optional("namespaceSelector", "matchLabelKeys", "mismatchLabelKeys"),
)
_POD_AFFINITY = Pointer(
    (
        (_REQUIRED, _raised(_REQUIRED), Items(_POD_TERM)),
        (
            _PREFERRED,
            _raised(_PREFERRED),
            Items((*numbers("weight"), ("podAffinityTerm", "PodAffinityTerm", _POD_TERM))),
        ),
    )
)
_AFFINITY = Pointer(
    (
        ("nodeAffinity", "NodeAffinity", _NODE_AFFINITY),
        ("podAffinity", "PodAffinity", _POD_AFFINITY),
        ("podAntiAffinity", "PodAntiAffinity", _POD_AFFINITY),
    )
)
_TOLERATION = (*strings("key", "operator", "value", "effect"), *optional("tolerationSeconds"))
_SPREAD: Shape = (
    *numbers("maxSkew"),
    *strings("topologyKey", "whenUnsatisfiable"),
    *optional("labelSelector", "minDomains", "nodeAffinityPolicy", "nodeTaintsPolicy", "matchLabelKeys"),
)
_DNS_CONFIG = Pointer(
    (
        *optional("nameservers", "searches"),
        ("options", "Options", Items((*strings("name"), *optional("value")))),
    )
)
_POD_SPEC: Shape = (
    ("volumes", "Volumes", Items(_VOLUME)),
    ("initContainers", "InitContainers", Items(_CONTAINER)),
    ("containers", "Containers", Items(_CONTAINER)),
    ("ephemeralContainers", "EphemeralContainers", Items(_EPHEMERAL_CONTAINER)),
    *strings("restartPolicy"),
    *optional("terminationGracePeriodSeconds", "activeDeadlineSeconds"),
    ("dnsPolicy", "DNSPolicy", ""),
    *optional("nodeSelector"),
    *strings("serviceAccountName"),
    *optional("automountServiceAccountToken"),
    *strings("nodeName"),
    ("securityContext", "SecurityContext", Pointer(_POD_SECURITY_CONTEXT)),
    ("imagePullSecrets", "ImagePullSecrets", Items(_NAME)),
    *strings("hostname", "subdomain"),
    *optional("setHostnameAsFQDN"),
    ("affinity", "Affinity", _AFFINITY),
    *strings("schedulerName"),
    ("tolerations", "Tolerations", Items(_TOLERATION)),
    ("hostAliases", "HostAliases", Items((("ip", "IP", ""), *optional("hostnames")))),
    *strings("priorityClassName"),
    *optional("priority", "preemptionPolicy"),
    ("dnsConfig", "DNSConfig", _DNS_CONFIG),
    ("readinessGates", "ReadinessGates", Items(strings("conditionType"))),
    *optional("runtimeClassName", "overhead", "enableServiceLinks"),
    ("topologySpreadConstraints", "TopologySpreadConstraints", Items(_SPREAD)),
    ("os", "OS", Pointer(_NAME)),
    ("schedulingGates", "SchedulingGates", Items(_NAME)),
    (
        "resourceClaims",
        "ResourceClaims",
        Items((*_NAME, *optional("resourceClaimName", "resourceClaimTemplateName"))),
    ),
    ("resources", "Resources", Pointer(_RESOURCES)),
    *optional("hostnameOverride"),
    ("schedulingGroup", "SchedulingGroup", None),
)
#: fields whose value is a map: Go writes those with sorted keys
_MAPS = frozenset(
    ("Limits", "Requests", "NodeSelector", "Overhead", "VolumeAttributes", "Options", "matchLabels")
)


def pod_spec(spec: Spec) -> dict[str, Any]:
    inside = {name: spec[name] for name in _HOST_FIELDS if name in spec}
    shown = {**spec, "securityContext": {**(spec.get("securityContext") or {}), **inside}}
    return _sort_maps(dump(shown, _POD_SPEC))


def pod_template(template: Spec) -> dict[str, Any]:
    """Its metadata lies flat in it, under the names of the wire."""
    metadata = {name: value for name, value in template.get("metadata", {}).items() if value}
    for name in ("labels", "annotations"):
        if name in metadata:
            metadata[name] = dict(sorted(metadata[name].items()))
    return {**metadata, "Spec": pod_spec(template.get("spec", {}))}


def ephemeral_container(container: Spec) -> dict[str, Any]:
    return _sort_maps(dump(container, _EPHEMERAL_CONTAINER))


def security_context(context: Spec) -> dict[str, Any]:
    return dump(context, _SECURITY_CONTEXT)


def node_selector_term(term: Spec) -> dict[str, Any]:
    return dump(term, _NODE_TERM)


def container_port(port: Spec) -> dict[str, Any]:
    return dump(port, _PORT)


def spec_difference(old: Spec, new: Spec) -> str:
    return difference(pod_spec(old), pod_spec(new))


def ephemeral_difference(old: Spec, new: Spec) -> str:
    return difference(ephemeral_container(old), ephemeral_container(new))


def _sort_maps(value: Any, is_map: bool = False) -> Any:
    if isinstance(value, dict):
        items = sorted(value.items()) if is_map else value.items()
        return {name: _sort_maps(inner, name in _MAPS) for name, inner in items}
    if isinstance(value, list):
        return [_sort_maps(item) for item in value]
    return value

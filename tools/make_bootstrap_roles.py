"""Write src/knarr/auth/bootstrap_roles.txt from recorded roles and bindings: `make_bootstrap_roles.py FOLDER`."""

import json
import pathlib
import sys

LABEL = "rbac.authorization.k8s.io/"
HEAD = """# The roles and bindings of a new v1.36 cluster. `bootstrap.py` reads this; tools/make_bootstrap_roles.py wrote it.
#
# ClusterRole NAME [to-ROLE: aggregated into ROLE] [from-ROLE: rules come from all roles marked to-ROLE]
#   verbs | groups (core is the unnamed one) | resources [| names]        or        verbs | paths
# ClusterRoleBinding NAME -> ROLE, RoleBinding NAMESPACE/NAME -> KIND ROLE
#   kind name, or ServiceAccount namespace/name
"""


def rule_line(rule):
    verbs = ",".join(rule["verbs"])
    if "nonResourceURLs" in rule:
        assert set(rule) == {"verbs", "nonResourceURLs"}
        return f"  {verbs} | {','.join(rule['nonResourceURLs'])}"
    assert set(rule) <= {"verbs", "apiGroups", "resources", "resourceNames"}
    groups = ",".join(g or "core" for g in rule["apiGroups"])
    line = f"  {verbs} | {groups} | {','.join(rule['resources'])}"
    return f"{line} | {','.join(rule['resourceNames'])}" if "resourceNames" in rule else line


def subject_line(subject):
    if subject["kind"] == "ServiceAccount":
        return f"  ServiceAccount {subject['namespace']}/{subject['name']}"
    return f"  {subject['kind']} {subject['name']}"


def main(folder):
    lines = [HEAD]
    for kind in ("ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding"):
        for obj in json.loads((folder / f"{kind.lower()}s.json").read_text()):
            meta = obj["metadata"]
            name = f"{meta['namespace']}/{meta['name']}" if "namespace" in meta else meta["name"]
            head = f"{kind} {name}"
            for label in meta["labels"]:
                if label.startswith(LABEL):
                    head += f" to-{label.removeprefix(LABEL + 'aggregate-to-')}"
            if "aggregationRule" in obj:
                (selector,) = obj["aggregationRule"]["clusterRoleSelectors"]
                (label,) = selector["matchLabels"]
                lines.append(f"{head} from-{label.removeprefix(LABEL + 'aggregate-to-')}")
                continue
            if "roleRef" in obj:
                reference = obj["roleRef"]
                target = (
                    reference["name"]
                    if kind == "ClusterRoleBinding"
                    else f"{reference['kind']} {reference['name']}"
                )
                lines.append(f"{head} -> {target}")
                lines.extend(map(subject_line, obj.get("subjects", ())))
                continue
            lines.append(head)
            lines.extend(map(rule_line, obj["rules"]))
    out = pathlib.Path(__file__).parent.parent / "src/knarr/auth/bootstrap_roles.txt"
    out.write_text("\n".join(lines) + "\n")


main(pathlib.Path(sys.argv[1]))

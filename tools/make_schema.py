"""Write src/knarr/api/data/schema.json: python tools/make_schema.py OPENAPI_FOLDER FIELDS_JSON_GZ

Inputs: the OpenAPI documents of a v1.36 server (v2.json.gz and v3/*), the protobuf messages (for the order in which
Go declares fields) and tools/go_facts.txt (what only the Go types tell: see there). Output: facts only, no
descriptions; the notation is explained in src/knarr/api/schema.py, which reads it.
"""

import gzip
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUTPUT = HERE.parent / "src/knarr/api/data/schema.json"
GROUPS = (
    ("io.k8s.apimachinery.pkg.", "^"),
    ("io.k8s.apiextensions-apiserver.pkg.apis.", "+"),
    ("io.k8s.kube-aggregator.pkg.apis.", "%"),
    ("io.k8s.api.", ""),
)
#: Go types that marshal themselves; none of them is a plain struct
TIMES = ("^apis.meta.v1.Time", "^apis.meta.v1.MicroTime")
SELF_MARSHALLING = (
    *TIMES,
    "^api.resource.Quantity",
    "^util.intstr.IntOrString",
    "^runtime.RawExtension",
    "^apis.meta.v1.FieldsV1",
    "+apiextensions.v1.JSON",
)
SCALARS = {"string": "string", "boolean": "bool", "number": "double"}


def read(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path) as file:
        return json.load(file)


def plain(schema):
    """Some recorded v3 documents show kube-openapi's inner structure; unwrap it."""
    if isinstance(schema, list):
        return [plain(x) for x in schema]
    if not isinstance(schema, dict):
        return schema
    if "SchemaProps" in schema and "SwaggerSchemaProps" in schema:
        wrappers = ("ArbitraryKeys", "SchemaProps", "SwaggerSchemaProps")
        inner = {k: v for name in wrappers for k, v in schema.get(name, {}).items()}
        schema = {**{k: v for k, v in schema.items() if k not in wrappers}, **inner}
    return {key: plain(value) for key, value in schema.items()}


def load_defaults(folder):
    """(definition, field) -> default, from v3; {} marks a struct that is not behind a pointer."""
    defaults = {}
    for path in sorted(folder.glob("*v[12].json*")):
        for name, definition in read(path).get("components", {}).get("schemas", {}).items():
            for field, schema in plain(definition).get("properties", {}).items():
                if "default" in schema:
                    defaults[short(name), field] = schema["default"]
    return defaults


def short(name):
    """io.k8s.api.core.v1.Pod -> core.v1.Pod; other packages get a mark."""
    for prefix, mark in GROUPS:
        if name.startswith(prefix):
            return mark + name[len(prefix) :]
    raise ValueError(name)


def type_of(schema):
    if "$ref" in schema:
        return short(schema["$ref"].rpartition("/")[2])
    match schema.get("type"):
        case "array":
            return "[]" + type_of(schema["items"])
        case "object":
            return (
                "{}" + type_of(schema["additionalProperties"]) if "additionalProperties" in schema else "any"
            )
        case "string" if schema.get("format") == "byte":
            return "byte"
        case "integer":
            return schema["format"]
        case scalar:
            return SCALARS[scalar]


def behaviour(name, field, schema, default, required, facts):
    """How Go writes the field: see api/schema.py."""
    if fact := facts.get((name, field)):
        return fact[0]
    if field in ("kind", "apiVersion") and not required and schema.get("type") == "string":
        return "o"
    kind = type_of(schema)
    if "$ref" in schema:
        if kind in SELF_MARSHALLING:
            return "a" if required else "p"
        return "s" if default == {} else "p"
    if kind.startswith(("[]", "{}")) or kind == "byte":
        return "a" if required else "o"
    if default in ("", 0, False) and default is not None:
        return "a"  # a real default ("TCP") says nothing
    return "o" if kind in ("string", "any") else "p"


def facts_of(how, schema, required, default):
    """The words after behaviour and type."""
    if required:
        yield "required"
    if keys := schema.get("x-kubernetes-list-map-keys"):
        yield "keys=" + ",".join(keys)
    for word, key in (
        ("list", "x-kubernetes-list-type"),
        ("map", "x-kubernetes-map-type"),
        ("strategy", "x-kubernetes-patch-strategy"),
        ("merge", "x-kubernetes-patch-merge-key"),
    ):
        if key in schema:
            yield f"{word}={schema[key]}"
    for owner in (schema, schema.get("items"), schema.get("additionalProperties")):
        if owner and "enum" in owner:
            yield "enum=" + "|".join(owner["enum"]).replace(" ", "~")
    if (
        schema.get("type") != "array"
        and "format" in schema
        and schema["format"] not in ("int32", "int64", "byte")
    ):
        yield "format=" + schema["format"]
    if default not in (None, {}) and not (how == "a" and default in ("", 0, False)):
        yield "default=" + json.dumps(default)


#: what Go declares in another order than the numbers of its protobuf messages: the fields that come first
DECLARED_FIRST = {
    "OwnerReference": ("apiVersion",),
    "APIResource": ("name", "singularName", "namespaced", "group", "version", "kind", "verbs"),
    "HTTPIngressPath": ("path", "pathType", "backend"),
    "IngressClassParametersReference": ("apiGroup",),
    "Info": (
        *(
            "major",
            "minor",
            "emulationMajor",
            "emulationMinor",
            "minCompatibilityMajor",
            "minCompatibilityMinor",
        ),
        *("gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"),
    ),
    "ListOptions": ("kind", "apiVersion"),
    "AdmissionRequest": ("kind", "apiVersion"),
}
TYPE_META = ["kind", "apiVersion"]


def declared_order(name, properties, messages, within=()):
    """Field names by their protobuf numbers (nearly Go's order), embedded structs opened; kind and apiVersion first
    where they are not numbered themselves."""
    package, _, kind = name.rpartition(".")
    order = []
    # Go's packages have an underscore for the hyphen.
    for _, field, type_, _ in messages.get(name.replace("io.k8s.", "k8s.io.", 1).replace("-", "_"), ()):
        field = field[:1].lower() + field[1:]
        if field in properties:
            order.append(field)
        elif f"${field}" in properties:
            order.append(f"${field}")
        elif f"x-{field[2:].replace('_', '-')}" in properties:
            order.append(f"x-{field[2:].replace('_', '-')}")
        elif type_[:1].isupper() and type_ not in (*within, kind):
            order += [
                f
                for f in declared_order(f"{package}.{type_}", properties, messages, (*within, kind))
                if f not in TYPE_META
            ]
    first = DECLARED_FIRST.get(kind) or [field for field in TYPE_META if field not in order]
    return [*first, *(field for field in order if field not in first)]


def sort_fields(name, properties, messages):
    order = declared_order(name, properties, messages)
    return dict(
        sorted(properties.items(), key=lambda item: order.index(item[0]) if item[0] in order else 999)
    )


def read_go_facts(path):
    """(definition, field) -> (behaviour, named Go type or "")."""
    facts = {}
    if not path.exists():
        return facts
    for line in path.read_text().splitlines():
        line = line.partition("#")[0].rstrip()
        if not line:
            continue
        name, _, rest = line.partition(" ")
        for word in rest.split():
            how, _, fields = word.partition(":")
            for field in fields.split(","):
                field, _, go_type = field.partition("=")
                facts[name, field] = (how, go_type)
    return facts


def convert(name, definition, defaults, facts, messages):
    key = short(name)
    out = {}
    required = definition.get("required", ())
    for field, schema in sort_fields(name, definition.get("properties", {}), messages).items():
        default = defaults.get((key, field))
        how = behaviour(key, field, schema, default, field in required, facts)
        words = [how, type_of(schema), *facts_of(how, schema, field in required, default)]
        fact = facts.pop((key, field), None)
        if fact and fact[1]:
            words.append("go=" + fact[1])
        out[field] = " ".join(words)
    extra = {k: v for k, v in definition.items() if k not in ("description", "properties", "required")}
    if definition.get("properties") and extra.get("type") == "object":
        del extra["type"]
    if gvks := extra.pop("x-kubernetes-group-version-kind", None):
        extra["gvk"] = [" ".join((g["group"] or "-", g["version"], g["kind"])) for g in gvks]
    if extra:
        out["."] = extra
    return key, out


def main(openapi, fields):
    documents = read(Path(openapi) / "v2.json.gz")["definitions"]
    defaults = load_defaults(Path(openapi) / "v3")
    messages = read(Path(fields))
    facts = read_go_facts(HERE / "go_facts.txt")
    rows = dict(convert(n, d, defaults, facts, messages) for n, d in sorted(documents.items()))
    by_hand = json.loads((HERE / "hand_written_kinds.json").read_text())
    problems = [f"go_facts.txt names an unknown field: {name}" for name in facts]
    lines = [f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}" for name, row in rows.items()]
    hand = [f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}" for name, row in by_hand.items()]
    OUTPUT.write_text(
        '{"served":{\n' + ",\n".join(lines) + '\n},\n"unserved":{\n' + ",\n".join(hand) + "\n}}\n"
    )
    print(f"{len(rows)} definitions, {OUTPUT.stat().st_size} bytes", *problems, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

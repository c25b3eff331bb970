"""The API as a page, made from the CRD and sample manifests: `python -m bertfinetune_generators.api_table FOLDER`."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bertfinetune_generators.crd import COLUMNS, Schema, build_crd
from bertfinetune_operator import contract

PAGE = """# The API: {kind}, {group}/{version}

Generated from the types and the sample manifests by `make generate`; `kubectl explain bertfinetune.spec` says the same.
Each example is from the first of these manifests that sets the field: {samples}.

The API server refuses what is outside the limits and what breaks a rule, with the sentence that stands here, and with
`kubectl apply`'s default `--validate=strict` every field that is not here.
"""
SPEC_HEAD = "| field | type | limits | default | example | meaning |\n| --- | --- | --- | --- | --- | --- |\n"
STATUS_HEAD = "| field | type | meaning |\n| --- | --- | --- |\n"
COLUMNS_HEAD = """
## Columns

`kubectl get bft` shows these; the last {wide} only with `-o wide`.

| column | field |
| --- | --- |
"""

LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} keys",
    "pattern": "`{}`",
}


def page(samples: Mapping[str, Any]) -> str:
    """The page in Markdown; `samples` are whole manifests by file name."""
    schema = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    names = {"kind": contract.KIND, "group": contract.GROUP, "version": contract.VERSION}
    links = ", ".join(f"[{name}](../../crds/samples/{name})" for name in samples)
    wide = sum(priority for *_, priority in COLUMNS)
    return "".join(
        [
            PAGE.format(samples=links, **names),
            *(_spec_section(path, node, samples) for path, node in _objects("spec", schema["spec"])),
            *(_status_section(path, node) for path, node in _objects("status", schema["status"])),
            COLUMNS_HEAD.format(wide=wide),
            *(_row(name.upper(), f"`{path.removeprefix('.')}`") for name, _, path, _ in COLUMNS),
        ]
    )


def leaves(path: str, node: Schema) -> Iterator[str]:
    """The paths of the fields below a node that have no fields of their own; those of a list's items have `[]`."""
    for parent, inner in _objects(path, node):
        yield from (f"{parent}.{name}" for name, child in inner["properties"].items() if not _has_fields(child))


def values(manifest: Any, path: str) -> Iterator[Any]:
    """What a manifest sets under such a path."""
    head, _, rest = path.partition(".")
    name = head.removesuffix("[]")
    if isinstance(manifest, dict) and name in manifest:
        for value in manifest[name] if name != head else [manifest[name]]:
            yield from values(value, rest) if rest else [value]


def _has_fields(node: Schema) -> bool:
    return "properties" in node or "properties" in node.get("items", {})


def _objects(path: str, node: Schema) -> Iterator[tuple[str, Schema]]:
    """The nodes that have fields, with their paths, from the outside in."""
    if "items" in node:
        yield from _objects(f"{path}[]", node["items"])
    elif "properties" in node:
        yield path, node
        for name, child in node["properties"].items():
            yield from _objects(f"{path}.{name}", child)


def _spec_section(path: str, node: Schema, samples: Mapping[str, Any]) -> str:
    rows, rules = [], _rules(node)
    for name, child in node["properties"].items():
        inner = f"{path}.{name}"
        meaning, _, default = " ".join(child["description"].split()).partition(" Default: ")
        example = next((value for raw in samples.values() for value in values(raw, inner)), None)
        shown = "" if _has_fields(child) else f"`{json.dumps(example)}`"
        told = "required" if name in node.get("required", ()) else default.removesuffix(".")
        meaning = meaning.removesuffix(" Required.")
        rows.append(_row(f"`{name}`", _type(inner, child), _limits(child), told, shown, meaning))
        rules |= {} if _has_fields(child) else _rules(child)
    return f"\n## {path}\n\n{SPEC_HEAD}{''.join(rows)}" + (f"\nRules:\n\n{''.join(rules)}" if rules else "")


def _rules(node: Schema) -> dict[str, None]:
    """The sentences of a node's rules as list items; a dict, since two fields may have the same."""
    return {f"- {rule['message']}\n": None for rule in node.get("x-kubernetes-validations", ())}


def _status_section(path: str, node: Schema) -> str:
    rows = [
        _row(f"`{name}`", _type(f"{path}.{name}", child), child["description"])
        for name, child in node["properties"].items()
    ]
    return f"\n## {path}\n\n{STATUS_HEAD}{''.join(rows)}"


def _type(path: str, node: Schema) -> str:
    """The type in words; that of a node with fields leads to its section."""
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "items" in node:
        return f"list of {_type(path, node['items'])}"
    if "additionalProperties" in node:
        return f"map to {_type(path, node['additionalProperties'])}"
    if "properties" in node:
        return f"[object](#{path.replace('.', '').lower()})"
    return str(node.get("format") or node.get("type") or "integer or string")


def _limits(node: Schema) -> str:
    told = []
    for key, words in LIMITS.items():
        bound = node.get(key)
        if isinstance(bound, bool):  # OpenAPI's open bound stands beside the number that it opens
            told.append(words.format(node[key.removeprefix("exclusive").lower()]))
        elif bound is not None and f"exclusive{key.capitalize()}" not in node:
            told.append(words.format(bound))
    return ", ".join(told)


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    manifests = {path.name: yaml.safe_load(path.read_text()) for path in sorted(Path(sys.argv[1]).iterdir())}
    print(page(manifests), end="")

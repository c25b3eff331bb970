"""The CustomResourceDefinition, generated from the models: `python -m bertfinetune_generators.crd` prints its YAML.

Kubernetes takes a structural subset of OpenAPI v3.0
(https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema);
pydantic writes JSON Schema 2020-12. `structural` turns one into the other.
"""

import sys
from typing import Any

import yaml
from pydantic import BaseModel

from bertfinetune_operator import contract, naming
from bertfinetune_operator.api.base import cel
from bertfinetune_operator.api.spec import BertFinetune, BertFinetuneSpec
from bertfinetune_operator.api.status import UNSEEN, BertFinetuneStatus

Schema = dict[str, Any]

COPIED_KEYS = frozenset(
    {
        *("type", "format", "description", "enum", "default", "required", "pattern", "minimum", "maximum"),
        *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        *(
            "x-kubernetes-validations",
            "x-kubernetes-list-type",
            "x-kubernetes-list-map-keys",
            "x-kubernetes-int-or-string",
        ),
    }
)
OPEN_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
NESTED_KEYS = frozenset({"items", "additionalProperties"})
DROPPED_KEYS = frozenset({"title", "$defs"})

COLUMNS: tuple[tuple[str, str, str, int], ...] = (
    ("Phase", "string", ".status.phase", 0),
    ("Progress", "string", ".status.progress.summary", 0),
    ("Accuracy", "number", ".status.result.accuracy", 0),
    ("ms/step", "number", ".status.progress.msPerStep", 0),
    ("Duration", "string", ".status.duration", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("F1", "number", ".status.result.f1", 1),
    ("Loss", "number", ".status.progress.loss", 1),
    ("ETA", "integer", ".status.progress.etaSeconds", 1),
    ("Devices", "string", ".spec.accelerator.type", 1),
    ("Node", "string", ".status.nodeName", 1),
    ("Reason", "string", ".status.reason", 1),
)


class SchemaError(TypeError):
    """A model uses JSON Schema that has no structural counterpart."""


def structural(schema: Schema, definitions: dict[str, Schema], path: str = "") -> Schema:
    """One JSON Schema node as a structural schema: references inlined, `null` dropped, open bounds as OpenAPI has them.

    Raises SchemaError, naming the field, for a keyword it does not know: silently dropping a constraint would be worse.
    """
    node: Schema = {}
    for key, value in _inlined(_one_type(schema, path), definitions).items():
        if key in OPEN_BOUNDS:
            node |= {OPEN_BOUNDS[key]: value, key: True}
        elif key == "const":
            node["enum"] = [value]
        elif key == "properties":
            node[key] = {name: structural(child, definitions, f"{path}.{name}") for name, child in value.items()}
        elif key in NESTED_KEYS:
            node[key] = structural(value, definitions, f"{path}[]")
        elif key in COPIED_KEYS:
            node[key] = value
        elif key not in DROPPED_KEYS:
            raise SchemaError(f"{path}: {key} has no structural form: teach crd.structural() or drop the constraint")
    return node


def _inlined(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """The schema with the definition it refers to inlined; what stands beside the reference wins."""
    if "$ref" not in schema:
        return schema
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    if "default" in beside:
        beside["default"] = {}  # the fields inside carry the defaults; one copy of each is enough
    target: Schema = definitions[schema["$ref"].rpartition("/")[2]]
    return target | beside


def _one_type(schema: Schema, path: str) -> Schema:
    """The schema with `T | None` as T (Kubernetes' null is absence) and `int | str` as int-or-string."""
    if "anyOf" not in schema:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf" and value is not None}
    choices = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **rest}
    if {choice.get("type") for choice in choices} == {"integer", "string"}:
        bounds = {key: value for choice in choices for key, value in choice.items() if key != "type"}
        return bounds | rest | {"x-kubernetes-int-or-string": True}
    raise SchemaError(f"{path}: anyOf {choices} has no structural form: use one type, or int | str")


def model_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model."""
    schema: Schema = model.model_json_schema(by_alias=True)
    return structural(schema, schema.get("$defs", {}), model.__name__)


def immutability(model: type[BertFinetuneSpec]) -> list[dict[str, str]]:
    """One transition rule for each field of the spec that a Job is made of: its pod template cannot change."""
    entries = []
    for name, field in model.model_fields.items():
        if name in model.MUTABLE:
            continue
        new, old = f"self.{field.alias}", f"oldSelf.{field.alias}"
        same = f"{new} == {old}"
        if field.default is None:
            same = f"has({new}) == has({old}) && (!has({new}) || {same})"
        message = f"spec.{field.alias} cannot change once the object exists: delete it and create it again"
        entries.append(cel(same, message, reason="FieldValueForbidden"))
    return entries


def build_crd() -> dict[str, Any]:
    """The whole CustomResourceDefinition, ready for the API server."""
    spec = model_schema(BertFinetuneSpec)
    spec["x-kubernetes-validations"] += immutability(BertFinetuneSpec)
    schema = {
        "type": "object",
        "description": BertFinetune.__doc__,
        "required": ["spec"],
        "properties": {"spec": spec, "status": model_schema(BertFinetuneStatus) | {"default": UNSEEN}},
        "x-kubernetes-validations": [BertFinetune.NAME_RULE],
    }
    version = {
        "name": contract.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})
            for name, kind, path, priority in COLUMNS
        ],
    }
    names = {
        "kind": contract.KIND,
        "listKind": f"{contract.KIND}List",
        "plural": contract.PLURAL,
        "singular": contract.KIND.lower(),
        "shortNames": [contract.SHORT_NAME],
        "categories": ["all"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": naming.CRD_NAME},
        "spec": {"group": contract.GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: lists indented, nothing shared by an anchor."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def render() -> str:
    """The CRD as YAML, the text checked in under crds/."""
    return yaml.dump(build_crd(), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    sys.stdout.write(render())

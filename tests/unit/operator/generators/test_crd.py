"""The generated CRD: current on disk, and structural however the models change."""

from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import Field

from bertfinetune_generators.crd import COLUMNS, SchemaError, build_crd, model_schema, render
from bertfinetune_operator.api.base import Model
from bertfinetune_operator.api.spec import BertFinetuneSpec
from lab.cluster.layout import PROJECT

Schema = dict[str, Any]


def root() -> Schema:
    return build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(schema: Schema, path: str = "") -> list[tuple[str, Schema]]:
    """Every field of a schema with its path."""
    found = [(path, schema)]
    for name, child in schema.get("properties", {}).items():
        found += nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            found += nodes(schema[key], f"{path}[]")
    return found


FIELDS = nodes(root())


@pytest.mark.parametrize("copy", ["crds", "charts/bertfinetune-operator/files"])
def test_checked_in_copies_are_current(copy: str) -> None:
    assert (PROJECT / copy / "bertfinetunes.bertfinetune.dev.yaml").read_text() == render(), "run make generate"


@pytest.mark.parametrize(("path", "schema"), FIELDS, ids=[path or "root" for path, _ in FIELDS])
def test_every_field_has_one_type_and_a_description(path: str, schema: Schema) -> None:
    assert ("type" in schema) != ("x-kubernetes-int-or-string" in schema)
    assert path.endswith("[]") or schema["description"].endswith((".", '"143/343 (41%)".', '"6m12s".'))
    assert not {"$ref", "anyOf", "title", "const"} & set(schema)


@pytest.mark.parametrize(
    ("path", "schema"),
    [(path, schema) for path, schema in FIELDS if path.startswith(".spec.") and not path.endswith("[]")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_field_of_the_spec_tells_its_default_and_keeps_its_word(path: str, schema: Schema) -> None:
    text = schema["description"]
    assert ("Default: " in text) != ("Required" in text)
    if "default" in schema and schema["type"] in ("integer", "number", "string") and schema["default"] != "":
        told = text.rpartition("Default: ")[2].removesuffix(".")
        assert type(schema["default"])(told) == schema["default"], path


@pytest.mark.parametrize(("name", "kind", "path", "priority"), COLUMNS)
def test_every_column_shows_a_field_of_its_type(name: str, kind: str, path: str, priority: int) -> None:
    found = dict(FIELDS).get(path) or {"type": "date"}
    assert found["type"] == kind
    assert (name in ("Phase", "Progress", "Accuracy", "ms/step", "Duration", "Age")) == (priority == 0)


def test_what_a_job_is_made_of_is_immutable_and_the_rest_is_not() -> None:
    rules = root()["properties"]["spec"]["x-kubernetes-validations"]
    fixed = {rule["message"].split()[0] for rule in rules if "cannot change" in rule["message"]}
    mutable = {
        "spec.quality",
        "spec.suspend",
        "spec.backoffLimit",
        "spec.activeDeadlineSeconds",
        "spec.onOOM",
        "spec.pendingDeadlineSeconds",
        "spec.stalledDeadlineSeconds",
        "spec.ttlSecondsAfterFinished",
    }
    assert fixed == {f"spec.{field.alias}" for field in BertFinetuneSpec.model_fields.values()} - mutable


def test_the_yaml_has_no_anchors() -> None:
    assert "&id" not in render()
    assert yaml.safe_load(render()) == build_crd()


class Inner(Model):
    """Inner."""

    number: Annotated[float, Field(gt=0, lt=2)] = 1.0
    """Number."""


class Sample(Model):
    """Sample."""

    inner: Inner = Inner()
    """An inner one."""
    maybe: Inner | None = None
    """Perhaps."""
    amount: int | Annotated[str, Field(pattern="^[0-9]+$")]
    """Amount."""
    only: Literal["x"]
    """Only x."""


def test_structural_form() -> None:
    number = {"type": "number", "default": 1.0, "description": "Number."}
    number |= {"minimum": 0, "exclusiveMinimum": True, "maximum": 2, "exclusiveMaximum": True}
    inner = {"type": "object", "properties": {"number": number}}
    assert model_schema(Sample) == {
        "type": "object",
        "description": "Sample.",
        "required": ["amount", "only"],
        "properties": {
            "inner": inner | {"description": "An inner one.", "default": {}},
            "maybe": inner | {"description": "Perhaps."},
            "amount": {"x-kubernetes-int-or-string": True, "pattern": "^[0-9]+$", "description": "Amount."},
            "only": {"type": "string", "enum": ["x"], "description": "Only x."},
        },
    }


class TwoTypes(Model):
    field: bool | list[int]


class Unknown(Model):
    field: Annotated[int, Field(multiple_of=2)]


@pytest.mark.parametrize(
    ("model", "words"), [(TwoTypes, "TwoTypes.field: anyOf"), (Unknown, "Unknown.field: multipleOf")]
)
def test_what_has_no_structural_form_is_refused_by_name(model: type[Model], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        model_schema(model)

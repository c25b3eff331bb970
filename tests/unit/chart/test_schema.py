"""The values, their schema and the README say the same."""

import json
import math
import re
from collections.abc import Iterator

import pytest
import yaml

from bertfinetune_operator import naming
from bertfinetune_operator.api.accelerator import RESERVED_ENV, VIRTUAL_DEVICES
from bertfinetune_operator.api.pods import LABEL_VALUE, QUALIFIED_NAME
from bertfinetune_operator.settings import NAME, RESOURCE
from lab.cluster.layout import PROJECT
from support.helm import CHART, OPERATOR, Raw, conventions, render, template

DEFAULTS: Raw = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: Raw = json.loads((CHART / "values.schema.json").read_text())


KINDS = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}
USERS_OWN = {"resources", "labels"}
"""Maps whose defaults a user may take away: their keys are Kubernetes' and the user's, not the chart's."""
FOR_UMBRELLAS = {"enabled"}
TYPES_OF_THE_API = {"podSecurityContext", "livenessProbe", "readinessProbe"}
"""Maps of which the schema has more keys than the defaults, and takes null for each."""


def objects_of(values: Raw, schema: Raw, path: str = "") -> Iterator[tuple[str, Raw, Raw]]:
    """Each map of the values that has defaults, with its path and its schema."""
    yield path, values, schema
    for name, value in values.items():
        inner = resolved(schema["properties"][name])
        if isinstance(value, dict) and value and "properties" in inner and name not in TYPES_OF_THE_API:
            yield from objects_of(value, inner, f"{path}.{name}".lstrip("."))


def resolved(schema: Raw) -> Raw:
    return resolved(SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]) if "$ref" in schema else schema


def test_values_and_schema_have_the_same_keys_and_types() -> None:
    for path, values, schema in objects_of(DEFAULTS, SCHEMA):
        assert values.keys() == schema["properties"].keys() - (set() if path else FOR_UMBRELLAS), path
        for name, value in values.items():
            kind = resolved(schema["properties"][name])
            named = [kind["type"]] if isinstance(kind.get("type"), str) else kind.get("type", ())
            types = {KINDS[type(choice)] for choice in kind["enum"]} if "enum" in kind else {*named}
            assert KINDS[type(value)] in {"number" if one == "integer" else one for one in types}, f"{path}.{name}"


def test_the_schema_knows_every_key_at_every_level() -> None:
    """A map is closed, or says what its values are; what is Kubernetes' own it takes as it is."""
    free = {"global", "nodeAffinity", "podAffinity", "podAntiAffinity", "valueFrom", "volumes[]"}

    def check(name: str, schema: Raw) -> None:
        if schema.get("type") == "object" and name not in free:
            assert schema.get("additionalProperties", True) is not True, name
        for key, inner in schema.get("properties", {}).items():
            check(key, inner)
        if "items" in schema:
            check(f"{name}[]", schema["items"])

    for name, schema in {"": SCHEMA, **SCHEMA["definitions"]}.items():
        check(name, schema)


def test_a_value_without_an_empty_default_cannot_be_null() -> None:
    for path, values, schema in objects_of(DEFAULTS, SCHEMA):
        if "resources" not in path.split("."):
            needed = {name for name, value in values.items() if value and name not in USERS_OWN}
            assert needed <= set(schema.get("required", ())), path


def test_no_value_set_to_null_renders_anything_else_than_the_default() -> None:
    """Helm takes null for "remove the default"; a template must not stumble over it."""
    nulls: Raw = {
        f"{path}.{name}".lstrip("."): None
        for path, values, schema in objects_of(DEFAULTS, SCHEMA)
        for name, value in values.items()
        if not value and name not in schema.get("required", ())
    }
    del nulls["trainer.images.cpu"]  # which is given here, and not by default
    assert len(nulls) > 15
    assert render(**nulls) == render()


@pytest.mark.parametrize("value", ["ascend", "trainer.nodeSelector", "ascend.driver", "replicas", "crds.keep"])
def test_a_value_that_is_missing_is_named(value: str) -> None:
    """So an upgrade with --reuse-values, which takes the older chart's defaults, says what it lacks."""
    values: Raw = {value: None}
    done = template(**values)
    assert done.returncode != 0
    assert f"missing property '{value.rpartition('.')[2]}'" in done.stderr


def test_schema_and_operator_take_the_same_names() -> None:
    patterns = {name: SCHEMA["definitions"][name]["pattern"] for name in ("name", "nameOrNone", "resource")}
    assert patterns == {"name": f"^{NAME}$", "nameOrNone": f"^({NAME})?$", "resource": f"^{RESOURCE}$"}
    unreserved = SCHEMA["definitions"]["unreservedKeys"]
    assert list(unreserved["properties"]) == [*naming.RESERVED_KEYS, *naming.QUEUES]
    assert list(unreserved["patternProperties"]) == [f"^{re.escape(prefix)}" for prefix in naming.RESERVED_PREFIXES]
    assert list(SCHEMA["definitions"]["labelKeys"]["patternProperties"]) == [QUALIFIED_NAME]
    assert SCHEMA["definitions"]["labelKey"]["pattern"] == QUALIFIED_NAME
    assert SCHEMA["definitions"]["labelValue"]["pattern"] == LABEL_VALUE
    own = render()["ServiceAccount", "system", OPERATOR]["metadata"]["labels"]
    assert SCHEMA["definitions"]["keysOfTheChart"]["properties"].keys() == own.keys()
    variable = SCHEMA["properties"]["trainer"]["properties"]["env"]["items"]["properties"]["name"]
    assert tuple(variable["not"]["enum"]) == RESERVED_ENV
    shares = SCHEMA["properties"]["ascend"]["properties"]["virtualDevices"]["properties"]
    assert tuple(shares) == VIRTUAL_DEVICES


def test_the_memory_in_the_comment_is_what_was_measured() -> None:
    (gigabytes,) = re.findall(r"all of it: ([\d.]+) GB", (CHART / "values.yaml").read_text())
    measured = re.findall(
        r"peak memory, BERT-Base, MB *\| *\d+ \| *(\d+)", (PROJECT / "trainer_image/README.md").read_text()
    )
    assert {float(megabytes) for megabytes in measured} == {1000 * float(gigabytes)}


def test_what_the_operator_takes_is_in_the_comment_as_it_was_measured() -> None:
    """Memory in whole megabytes; of the CPU the most that an object has taken, rounded up."""
    page = (PROJECT / "operator/docs/performance.md").read_text()
    results = {raw["n"]: raw for raw in map(json.loads, re.findall(r'^\{"bench": .*$', page, re.MULTILINE))}
    before = max(re.findall(r"MB before the first object *\| *\| *(\d+)", page), key=int)
    comment = (CHART / "values.yaml").read_text().replace("\n# ", " ")
    (told,) = re.findall(
        r"(\d+) MB before the first object, at most (\d+) MB with 2000 and (\d+) MB with 10000.* takes (\d+) ms",
        comment,
    )
    cpu = math.ceil(max(raw["cpu_ms_per_object"] for raw in results.values()))
    assert told == (before, *(str(int(results[n]["rss_mb"])) for n in (2000, 10000)), str(cpu))


OLD_NAMES = {"image.pullSecrets"}


def above(path: str) -> Iterator[str]:
    """The maps that a value is in."""
    while path := path.rpartition(".")[0]:
        yield path


def rows_of_the_readme() -> list[tuple[str, ...]]:
    """Value, default, whose name it has, and what it is."""
    return re.findall(r"^\| `(\S+)` \| (.+) \| (.*) \| (.+) \|$", (CHART / "README.md").read_text(), re.MULTILINE)


def test_the_readme_describes_every_value() -> None:
    rows = rows_of_the_readme()
    described = {path for path, *_ in rows}
    paths = [f"{path}.{name}".lstrip(".") for path, values, _ in objects_of(DEFAULTS, SCHEMA) for name in values]
    maps = {path for path, *_ in objects_of(DEFAULTS, SCHEMA) if not described & {path, *above(path)}}
    assert {path for path in paths if not described & {path, *above(path)}} == maps - {""}
    assert len(rows) == len(described)
    assert max(len(default) for _, default, *_ in rows) < 60  # readable
    assert {path for path, _, charts, _ in rows if "**old**" in charts} == OLD_NAMES


def test_the_readme_says_of_every_value_whose_name_it_has() -> None:
    rows = {path: charts.split() for path, _, charts, _ in rows_of_the_readme()}
    assert {path for path, charts in rows.items() if not charts} == set()
    assert {path for path, charts in rows.items() if "own" in charts and charts != ["own"]} == set()
    listed = [(chart, path) for chart, paths in conventions().items() for path in paths]
    printed = [(chart, path) for path, charts in rows.items() for chart in charts if chart != "**old**"]
    assert sorted(listed) == sorted(printed)  # a name in a list that is no value, too, or one listed twice

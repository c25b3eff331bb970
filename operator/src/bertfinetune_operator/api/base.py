"""The base of the API's types, and CEL (https://kubernetes.io/docs/reference/using-api/cel/) for their JSON schema."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


def cel(rule: str, message: str, **more: str) -> dict[str, str]:
    """One entry of x-kubernetes-validations: a CEL rule and the sentence shown to the user when it is false."""
    return {"rule": rule, "message": message, **more}


def rules(*entries: dict[str, str]) -> dict[str, Any]:
    """The json_schema_extra that carries CEL rules from a model or a field into the CRD."""
    return {"x-kubernetes-validations": list(entries)}


class Model(BaseModel):
    """Base: camelCase on the wire, the docstring under a field as its description."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        frozen=True,
        protected_namespaces=(),
    )


DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]

"""Holds requests and replies against the vendor's description (OpenAPI 3.1, whose schemas are JSON Schema 2020-12)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.services.supermemory.fake_supermemory import Check, Exchange

_URI = "urn:description"


class Description:
    """An OpenAPI description, as far as paths, parameters and JSON bodies go."""

    def __init__(self, path: Path) -> None:
        self._contents = json.loads(path.read_text("utf-8"))
        resource = Resource.from_contents(self._contents, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource(_URI, resource)

    def check(self, exchange: Exchange) -> Iterator[str]:
        """Yield what is not as described. What is no described path at all is said and ends it."""
        what = f"{exchange.method} {exchange.path}"
        found = self._operation(exchange.method.lower(), exchange.path)
        if found is None:
            yield f"{what} is not described"
            return
        pointer, operation, values = found
        yield from self._parameters(operation, {**values, **exchange.query})
        yield from self._body(f"{pointer}/requestBody", operation.get("requestBody"), exchange.body, f"{what} request")
        status = str(exchange.status)
        if status not in operation["responses"]:
            yield f"{what}: status {status} is not described"
            return
        answer = f"{pointer}/responses/{status}"
        yield from self._body(answer, operation["responses"][status], exchange.reply, f"{what} reply")

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, Any], dict[str, str]] | None:
        # A template without variables wins: /document/batch is no document of that name.
        for template in sorted(self._contents["paths"], key=lambda one: one.count("{")):
            operation = self._contents["paths"][template].get(method)
            match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), path)
            if operation and match:
                pointer = template.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
                return f"/paths/{pointer}/{method}", operation, match.groupdict()
        return None

    def _parameters(self, operation: dict[str, Any], values: Mapping[str, str]) -> Iterator[str]:
        known = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
        yield from (f"parameter {name} is not described" for name in values if name not in known)
        for name, parameter in known.items():
            if name not in values:
                continue
            value: Any = int(values[name]) if parameter["schema"].get("type") == "integer" else values[name]
            for error in Draft202012Validator(parameter["schema"]).iter_errors(value):
                yield f"parameter {name}: {error.message}"

    def _body(self, pointer: str, described: Any, body: Any, what: str) -> Iterator[str]:
        if not described or "content" not in described:
            return
        schema = {"$ref": f"{_URI}#{pointer}/content/application~1json/schema"}
        for error in Draft202012Validator(schema, registry=self._registry).iter_errors(body):
            yield f"{what}: {error.json_path}: {error.message[:200]}"


def checker(path: Path) -> Check:
    """Return a check against a description."""
    description = Description(path)
    return lambda exchange: list(description.check(exchange))

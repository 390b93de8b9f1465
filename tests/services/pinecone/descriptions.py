"""Holds requests and replies against the vendor's OpenAPI descriptions, which are files outside of the repository.

A description's schemas are JSON Schema of draft 5 (OpenAPI 3.0.3), which differs from draft 4 in nothing they use. What
the descriptions leave open is held more strictly where a slip would go unseen: query parameters and members of request
bodies that no description knows are violations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from tests.services.pinecone.fake_pinecone import Reply, Request

__all__ = ["Description", "checker"]


@dataclass(frozen=True)
class Description:
    """One description: which operation a request is, and what is wrong with it or its reply."""

    name: str
    document: dict[str, Any]

    def violations(self, request: Request, reply: Reply) -> Iterator[str]:
        """Tell what a request or a reply has that the description has not, or the other way round."""
        operation = self._operation(request)
        if operation is None:
            return
        yield from self._parameter_violations(operation, request)
        yield from self._body_violations(operation, request)
        yield from self._reply_violations(operation, reply)

    def knows(self, request: Request) -> bool:
        """Tell whether the description has the operation."""
        return self._operation(request) is not None

    def _operation(self, request: Request) -> dict[str, Any] | None:
        """Return the operation; a path without parameters goes before one with."""
        for template in sorted(self.document["paths"], key=lambda path: "{" in path):
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            found = self.document["paths"][template].get(request.method.lower())
            if found and re.fullmatch(pattern, request.path):
                return dict(found)
        return None

    def _parameter_violations(self, operation: dict[str, Any], request: Request) -> Iterator[str]:
        declared = {"query": {}, "header": {}, "path": {}}
        for parameter in operation.get("parameters", []):
            declared[parameter["in"]][parameter["name"]] = parameter
        for name, parameter in declared["header"].items():
            if parameter.get("required") and name.lower() not in request.headers:
                yield f"header {name} is missing"
        for name in request.query.keys() - declared["query"].keys():
            yield f"query parameter {name} is unknown"
        for name, parameter in declared["query"].items():
            if parameter.get("required") and name not in request.query:
                yield f"query parameter {name} is missing"
            if name in request.query:
                yield from self._faults(_as_typed(request.query[name], parameter["schema"]), parameter["schema"], name)

    def _body_violations(self, operation: dict[str, Any], request: Request) -> Iterator[str]:
        if "requestBody" not in operation:
            if request.body:
                yield "a body where none is described"
            return
        kind = request.headers.get("content-type", "").partition(";")[0]
        media = operation["requestBody"]["content"].get(kind)
        if media is None:
            yield f"content type {kind!r} is not described"
            return
        lines = request.body.splitlines() if kind == "application/x-ndjson" else None
        body = [json.loads(line) for line in lines] if lines is not None else json.loads(request.body)
        yield from self._faults(body, media["schema"], "request")
        yield from self._unknown_members(body, media["schema"])

    def _unknown_members(self, body: Any, schema: dict[str, Any]) -> Iterator[str]:
        described = self._resolved(schema)
        if isinstance(body, dict) and "properties" in described:
            for name in body.keys() - described["properties"].keys():
                yield f"request member {name} is unknown"

    def _reply_violations(self, operation: dict[str, Any], reply: Reply) -> Iterator[str]:
        status = str(reply.status)
        response = operation["responses"].get(status) or operation["responses"].get(f"{status[0]}XX")
        if response is None:
            yield f"status {status} is not described"
            return
        body = reply.body if reply.described is None else reply.described
        content = response.get("content")
        if not content:
            if body is not None:
                yield f"a body with status {status}, where none is described"
            return
        media = content.get(reply.content_type)
        if media is None:
            yield f"content type {reply.content_type} of status {status} is not described"
            return
        yield from self._faults(json.loads(json.dumps(body)), media["schema"], f"reply {status}")

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _faults(self, value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
        registry: Registry[Any] = Registry().with_resource(
            "urn:description", Resource.from_contents(self.document, default_specification=DRAFT4)
        )
        absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:description#/'))
        for error in Draft4Validator(absolute, registry=registry).iter_errors(value):
            yield f"{where} {error.json_path}: {error.message[:200]}"


def _as_typed(values: list[str], schema: dict[str, Any]) -> Any:
    if schema.get("type") == "array":
        return values
    return int(values[0]) if schema.get("type") == "integer" and values[0].lstrip("-").isdigit() else values[0]


def checker(folder: Path) -> Callable[[Request, Reply], list[str]]:
    """Return a function that tells what is wrong with a request and its reply, by the descriptions in a folder."""
    descriptions = [
        Description(name, yaml.load((folder / f"{name}.oas.yaml").read_text(), Loader=yaml.CSafeLoader))
        for name in ("db_control_2026-04", "db_data_2026-04")
    ]

    def check(request: Request, reply: Reply) -> list[str]:
        known = [description for description in descriptions if description.knows(request)]
        if len(known) != 1:
            return [f"{request.operation}: in {len(known)} descriptions"]
        return [f"{request.operation}: {violation}" for violation in known[0].violations(request, reply)]

    return check

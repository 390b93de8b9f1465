"""A Supermemory that remembers, on the loopback: documents by namespace, appended to where an id is posted twice.

It does what version 5 of the interface describes; ``check`` holds each request and reply against that description.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

KEY = "sm_test_key"


@dataclass(frozen=True)
class Exchange:
    """A request and what was answered."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    status: int
    reply: Any


Check = Callable[[Exchange], list[str]]
"""Returns what is not as described."""


@dataclass
class Document:
    """What is held of one document."""

    id: str
    content: str
    metadata: dict[str, Any]
    date: str = ""
    status: str = "done"
    created: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


class CutOff(Response):
    """A reply that breaks off in the middle."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        headers = [(b"content-type", b"application/json"), (b"content-length", b"500")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"results": [', "more_body": False})


class FakeSupermemory:
    """The state, the log of calls, and what is to go wrong.

    Attributes:
        calls: Method and last part of the path of each request.
        appended: Ids whose text was appended to: what must never happen.
        faults: Replies to give instead of answering, first come first served.
        lose_replies: So many writes are carried out, and their replies lost.
        passed_over: Ids that replies to batches leave out.
        answers: What replies to batches say of an id, instead of "queued".
        unlisted: Ids the list does not show yet.
        undeletable: Ids whose deletion fails.
        miscounted: How many documents more than there are every list claims.
    """

    def __init__(self, check: Check | None = None) -> None:
        self._check = check
        self.violations: list[str] = []
        self.reset()
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "PATCH", "DELETE"])])

    def reset(self) -> None:
        self.namespaces: dict[str, dict[str, Document]] = {}
        self.calls: list[str] = []
        self.appended: list[str] = []
        self.faults: list[Response] = []
        self.lose_replies = 0
        self.passed_over: set[str] = set()
        self.answers: dict[str, dict[str, Any]] = {}
        self.unlisted: set[str] = set()
        self.undeletable: set[str] = set()
        self.miscounted = 0
        self.missing_is_error = True
        self.violations.clear()

    @property
    def documents(self) -> dict[str, Document]:
        """All documents of all namespaces."""
        return {entry: document for held in self.namespaces.values() for entry, document in held.items()}

    async def _answer(self, request: Request) -> Response:
        body = json.loads(await request.body() or b"null")
        self.calls.append(f"{request.method} {_operation(request.url.path)}")
        if self.faults:
            return self.faults.pop(0)
        status, reply = self._reply(request, body)
        if self._check is not None:
            query = dict(request.query_params)
            self.violations += self._check(Exchange(request.method, request.url.path, query, body, status, reply))
        if self.lose_replies and request.method != "GET" and "list" not in request.url.path:
            self.lose_replies -= 1
            return CutOff()
        return JSONResponse(reply, status)

    def _reply(self, request: Request, body: Any) -> tuple[int, Any]:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return 401, {"error": "Unauthorized"}
        _, _, namespace, *rest = request.url.path.split("/")
        held = self.namespaces.setdefault(namespace, {})
        match request.method, *rest:
            case "POST", "document", "batch":
                return 200, self._add(held, body["documents"])
            case "PATCH", "document", entry:
                return self._update(held, entry, body)
            case "DELETE", "document":
                return 200, self._delete(held, body["ids"])
            case "POST", "list", "documents":
                return 200, self._list(held, body, request.query_params)
        return 404, {"error": "Not found"}

    def _add(self, held: dict[str, Document], documents: list[dict[str, Any]]) -> dict[str, Any]:
        results = []
        for given in documents:
            entry = given["id"]
            answer = {"id": entry, "status": "queued"} | self.answers.get(entry, {})
            results.append(answer)
            if answer["status"] in {"failed", "error"}:
                continue
            if entry in held:
                self.appended.append(entry)
                held[entry].content += "\n" + given["content"]
            else:
                held[entry] = Document(entry, given["content"], given["metadata"], given.get("date", ""))
        accepted = sum(answer["status"] != "error" for answer in results)
        random.shuffle(results)
        kept = [answer for answer in results if answer["id"] not in self.passed_over]
        return {"results": kept, "count": accepted, "failed": len(results) - accepted}

    def _update(self, held: dict[str, Document], entry: str, body: dict[str, Any]) -> tuple[int, Any]:
        if entry not in held:
            return 404, {"error": "Document not found"}
        document = held[entry]
        document.content = body.get("content", document.content)
        document.metadata = body.get("metadata", document.metadata)
        document.date = body.get("date", document.date)
        if "content" in body:
            document.status = "done"
        return 200, {"id": entry, "status": "queued" if "content" in body else document.status}

    def _delete(self, held: dict[str, Document], ids: list[str]) -> dict[str, Any]:
        there = [entry for entry in ids if entry not in self.undeletable and held.pop(entry, None) is not None]
        missing = [entry for entry in ids if entry not in there] if self.missing_is_error else []
        return {"count": len(there), "errors": [{"id": entry, "error": "Document not found"} for entry in missing]}

    def _list(self, held: dict[str, Document], body: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
        page, limit = int(query.get("page", 1)), int(query.get("limit", 10))
        shown = [d for d in held.values() if d.id not in self.unlisted and _meets(body["filter"], d.metadata)]
        content = body.get("include", {}).get("content", False)
        return {
            "documents": [_listed(d, content=content) for d in shown[(page - 1) * limit : page * limit]],
            "chunks": [],
            "memories": [],
            "pagination": {
                "currentPage": page,
                "limit": limit,
                "totalItems": len(shown) + self.miscounted,
                "totalPages": -(-len(shown) // limit),
            },
        }


def _operation(path: str) -> str:
    parts = path.split("/")[3:]
    return "document/id" if parts[:1] == ["document"] and parts[1:] not in ([], ["batch"]) else "/".join(parts)


def _meets(condition: dict[str, Any], metadata: Mapping[str, Any]) -> bool:
    if condition["operator"] == "or":
        return any(_meets(operand, metadata) for operand in condition["operands"])
    assert condition["operator"] == "eq"
    return bool(metadata.get(condition["field"]) == condition["value"])


def _listed(document: Document, *, content: bool) -> dict[str, Any]:
    times = {"createdAt": document.created, "updatedAt": document.created}
    listed = {
        "id": document.id,
        "title": None,
        "type": "text",
        "summary": None,
        "metadata": document.metadata,
        "url": None,
        "system": {"status": document.status, "dreamingStatus": "done", **times},
    }
    return listed | ({"content": document.content} if content else {})

"""A Pinecone that keeps its records in memory: control plane and data plane, as the vendor's descriptions say.

Indexes are kept and shown as the interface of 2026-04 describes them; whoever asks for 2026-07, as the Python SDK does,
is shown the same index in that version's words, which no published description holds. It embeds by hashed words.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zlib import crc32

from tests.services.pinecone.fake_filters import matches

__all__ = ["KEY", "FakePinecone", "Index", "Reply", "Request"]

KEY = "pcsk_fake_key_of_the_tests"
DIMENSION = 256
TOO_BIG = 2 * 1024 * 1024
METADATA = 40 * 1024
_MODELS = {
    "multilingual-e5-large": "cosine",
    "llama-text-embed-v2": "cosine",
    "pinecone-sparse-english-v0": "dotproduct",
}


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def operation(self) -> str:
        """The operation's name in the tests: ``POST /vectors/upsert``, names in the path left out."""
        parts = self.path.split("/")
        if parts[1] == "indexes" and len(parts) > 2 and parts[2] != "create-for-model":
            return f"{self.method} /indexes/*"
        if parts[1] == "records":
            return f"{self.method} /records/{parts[-1]}"
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Reply:
    """What it is answered. ``described`` is the body in the words of the published description, where it differs."""

    status: int
    body: Any = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    described: Any = None

    @property
    def content(self) -> bytes:
        if self.body is None or isinstance(self.body, bytes):
            return self.body or b""
        return json.dumps(self.body).encode()


class Refusal(Exception):  # noqa: N818  # a reply, not an error of ours
    """An operation ends with this status, in the shape of its plane."""

    def __init__(self, status: int, code: int | str, message: str) -> None:
        super().__init__(message)
        shape = {"error": {"code": code, "message": message}, "status": status}
        body = shape if isinstance(code, str) else {"code": code, "message": message, "details": []}
        self.reply = Reply(status, body)


@dataclass
class Record:
    """A record as it is kept: ``text`` is part of the metadata."""

    values: list[float]
    metadata: dict[str, Any]


@dataclass
class Index:
    """An index with integrated embedding, or without (``text`` is "")."""

    name: str
    model: str
    text: str
    cloud: str = "aws"
    region: str = "us-east-1"
    looks_until_ready: int = 0
    state: str = "Initializing"
    spaces: dict[str, dict[str, Record]] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        return _MODELS.get(self.model, "cosine")

    def space(self, name: str) -> dict[str, Record]:
        return self.spaces.get(name, {})


class FakePinecone:
    """One project. ``host`` is where the data plane of every index is; the server that serves this sets it."""

    def __init__(self) -> None:
        self.host = ""
        self.reset()

    def reset(self) -> None:
        """Become an empty project."""
        self.indexes: dict[str, Index] = {}
        self.looks_until_ready = 0
        self.final_state = "Ready"
        self.counts_bytes = True
        self.embedded: list[str] = []

    def answer(self, request: Request) -> Reply:
        """Do what is asked."""
        if request.headers.get("api-key") != KEY:
            return Reply(401, b"Invalid API Key", "text/plain")
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        try:
            if parts[0] == "indexes":
                return self._control(request, parts)
            return self._data(request, parts)
        except Refusal as refusal:
            return refusal.reply

    # Control plane -----------------------------------------------------------------------------------------------

    def _control(self, request: Request, parts: list[str]) -> Reply:
        if request.method == "POST" and parts[1:] == ["create-for-model"]:
            return self._shown(self._create(json.loads(request.body)), request, 201)
        index = self.indexes.get(parts[1])
        if index is None:
            raise Refusal(404, "NOT_FOUND", f"Resource {parts[1]} not found")
        if index.state == "Initializing":
            index.looks_until_ready -= 1
            index.state = self.final_state if index.looks_until_ready < 0 else index.state
        return self._shown(index, request, 200)

    def _create(self, wanted: dict[str, Any]) -> Index:
        name, embed = wanted["name"], wanted["embed"]
        if name in self.indexes:
            raise Refusal(409, "ALREADY_EXISTS", "Resource already exists")
        if embed["model"] not in _MODELS:
            raise Refusal(400, "INVALID_ARGUMENT", f"Model {embed['model']} not found")
        index = Index(name, embed["model"], embed["field_map"]["text"], wanted["cloud"], wanted["region"])
        index.looks_until_ready = self.looks_until_ready
        self.indexes[name] = index
        return index

    def _shown(self, index: Index, request: Request, status: int) -> Reply:
        state = {"ready": index.state == "Ready", "state": index.state}
        common = {"name": index.name, "host": self.host, "status": state, "deletion_protection": "disabled"}
        place = {"cloud": index.cloud, "region": index.region}
        embed = {
            "model": index.model,
            "metric": index.metric,
            "dimension": DIMENSION,
            "vector_type": "dense",
            "field_map": {"text": index.text},
            "read_parameters": {"input_type": "query", "truncate": "END"},
            "write_parameters": {"input_type": "passage", "truncate": "END"},
        }
        published = {
            **common,
            **({"embed": embed} if index.text else {}),
            "dimension": DIMENSION,
            "metric": index.metric,
            "vector_type": "dense",
            "spec": {"serverless": {**place, "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}}}},
        }
        if request.headers.get("x-pinecone-api-version") != "2026-07":
            return Reply(status, published)
        semantic = {"type": "semantic_text", "model": index.model, "metric": index.metric}
        dense = {"type": "dense_vector", "dimension": DIMENSION, "metric": index.metric}
        fields = {index.text: semantic} if index.text else {"_values": dense}
        later = {**common, "schema": {"fields": fields}, "deployment": {"deployment_type": "managed", **place}}
        return Reply(status, {**later, "tags": None}, described=published)

    # Data plane --------------------------------------------------------------------------------------------------

    def _data(self, request: Request, parts: list[str]) -> Reply:
        index = next(iter(self.indexes.values()), None)
        if index is None:
            raise Refusal(404, 5, "Index not found")
        if parts[0] == "records":
            act: Callable[..., Reply] = {"upsert": self._upsert_records, "search": self._search}[parts[3]]
            return act(index, parts[2], request)
        known: dict[str, Callable[[Index, Request], Reply]] = {
            "GET /vectors/fetch": self._fetch,
            "GET /vectors/list": self._list,
            "POST /vectors/upsert": self._upsert,
            "POST /vectors/update": self._update,
            "POST /vectors/delete": self._delete,
            "GET /namespaces": self._namespaces,
            "POST /describe_index_stats": self._stats,
        }
        return known[request.operation](index, request)

    def embed(self, text: str) -> list[float]:
        """Return a text's vector, in the precision that is kept."""
        self.embedded.append(text)
        return list(_vector(text))

    def _upsert_records(self, index: Index, space: str, request: Request) -> Reply:
        records = [json.loads(line) for line in request.body.splitlines()]
        if len(records) > 96 or len(request.body) > TOO_BIG:
            raise Refusal(400, 3, f"Batch of {len(records)} records, {len(request.body)} bytes is too large")
        made: dict[str, Record] = {}
        for record in records:
            record_id = _checked_id(record.pop("_id", None))
            if not isinstance(record.get(index.text), str):
                raise Refusal(400, 3, f"Missing or invalid field '{index.text}' for record ID '{record_id}'")
            made[record_id] = Record(self.embed(record[index.text]), _kept(record))
        index.spaces.setdefault(space, {}).update(made)
        return Reply(201)

    def _upsert(self, index: Index, request: Request) -> Reply:
        wanted = json.loads(request.body)
        if len(wanted["vectors"]) > 1000 or len(request.body) > TOO_BIG:
            raise Refusal(400, 3, "Request is too large")
        made = {}
        for vector in wanted["vectors"]:
            if len(vector["values"]) != DIMENSION:
                raise Refusal(400, 3, f"Vector dimension {len(vector['values'])} does not match {DIMENSION}")
            made[_checked_id(vector["id"])] = Record(vector["values"], _kept(vector.get("metadata", {})))
        index.spaces.setdefault(wanted.get("namespace", ""), {}).update(made)
        return Reply(200, {"upsertedCount": len(made)})

    def _fetch(self, index: Index, request: Request) -> Reply:
        space, ids = _one(request, "namespace"), request.query["ids"]
        if len(request.target) > 8000:
            raise Refusal(414, 3, "Request-URI too large")
        held = {found: index.space(space)[found] for found in ids if found in index.space(space)}
        vectors = {
            found: {"id": found, "values": record.values, "metadata": record.metadata} for found, record in held.items()
        }
        return Reply(200, {"vectors": vectors, "namespace": space, "usage": {"readUnits": max(1, len(ids) // 10)}})

    def _list(self, index: Index, request: Request) -> Reply:
        space, limit = _one(request, "namespace"), int(_one(request, "limit") or 100)
        if not 1 <= limit <= 100:
            raise Refusal(400, 3, "Invalid limit")
        token = _one(request, "paginationToken")
        after = base64.b64decode(token).decode() if token else ""
        ids = [held for held in sorted(index.space(space)) if held.startswith(_one(request, "prefix")) and held > after]
        shown: dict[str, Any] = {"vectors": [{"id": held} for held in ids[:limit]], "namespace": space}
        if len(ids) > limit:
            shown["pagination"] = {"next": base64.b64encode(ids[limit - 1].encode()).decode()}
        return Reply(200, {**shown, "usage": {"readUnits": 1}})

    def _update(self, index: Index, request: Request) -> Reply:
        wanted = json.loads(request.body)
        space = self._existing(index, wanted.get("namespace", ""))
        if "id" in wanted:
            if wanted["id"] in space:
                space[wanted["id"]].metadata |= _kept(wanted.get("setMetadata", {}))
            return Reply(200, {})
        met = [record for record in space.values() if matches(record.metadata, wanted["filter"])]
        if not wanted.get("dryRun"):
            for record in met:
                record.metadata |= _kept(wanted["setMetadata"])
        return Reply(200, {"matchedRecords": len(met)})

    def _delete(self, index: Index, request: Request) -> Reply:
        wanted = json.loads(request.body)
        space = self._existing(index, wanted.get("namespace", ""))
        if len(wanted.get("ids", ())) > 1000:
            raise Refusal(400, 3, "Too many ids")
        for doomed in wanted["ids"]:
            space.pop(doomed, None)
        return Reply(200, {})

    def _search(self, index: Index, space: str, request: Request) -> Reply:
        wanted = json.loads(request.body)
        query, fields = wanted["query"], wanted.get("fields")
        asked = self.embed(query["inputs"]["text"])
        met: list[dict[str, Any]] = [
            {"_id": found, "_score": sum(a * b for a, b in zip(asked, record.values, strict=True)), "fields": record}
            for found, record in index.space(space).items()
            if matches(record.metadata, query.get("filter"))
        ]
        hits = sorted(met, key=lambda hit: (-hit["_score"], hit["_id"]))[: query["top_k"]]
        for hit in hits:
            metadata = hit["fields"].metadata
            hit["fields"] = {name: value for name, value in metadata.items() if fields is None or name in fields}
        return Reply(200, {"result": {"hits": hits}, "usage": {"read_units": 1, "embed_total_tokens": 5}})

    def _namespaces(self, index: Index, request: Request) -> Reply:
        del request
        shown = [
            {"name": name, "record_count": len(space)} | ({"size_bytes": _size(space)} if self.counts_bytes else {})
            for name, space in index.spaces.items()
        ]
        return Reply(200, {"namespaces": shown, "total_count": len(shown)})

    def _stats(self, index: Index, request: Request) -> Reply:
        del request
        counts = {name: {"vectorCount": len(space)} for name, space in index.spaces.items()}
        total = sum(len(space) for space in index.spaces.values())
        return Reply(
            200,
            {"namespaces": counts, "dimension": DIMENSION, "indexFullness": 0.0, "totalVectorCount": total}
            | {"metric": index.metric, "vectorType": "dense"},
        )

    def _existing(self, index: Index, space: str) -> dict[str, Record]:
        if space not in index.spaces:
            raise Refusal(404, 5, "Namespace not found")
        return index.spaces[space]


@cache
def _vector(text: str) -> tuple[float, ...]:
    """Return the set of a text's words, hashed, as a unit vector in the precision that is kept."""
    places = {crc32(word.encode()) % DIMENSION for word in set(text.lower().translate(_NO_WORDS).split())} or {0}
    (length,) = struct.unpack("f", struct.pack("f", 1.0 / math.sqrt(len(places))))
    vector = [0.0] * DIMENSION
    for place in places:
        vector[place] = length
    return tuple(vector)


_NO_WORDS = str.maketrans(dict.fromkeys(".,;:!?()[]{}<>*'\"", " "))


def _one(request: Request, name: str) -> str:
    return request.query.get(name, [""])[0]


def _checked_id(record_id: Any) -> str:
    if not isinstance(record_id, str) or not record_id.isascii() or not 1 <= len(record_id) <= 512:
        raise Refusal(400, 3, "Invalid record ID")
    return record_id


def _kept(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as it is kept: numbers are floating point, nulls are dropped, nothing is nested."""
    kept = {name: _kept_value(name, value) for name, value in metadata.items() if value is not None}
    if len(json.dumps(kept).encode()) > METADATA:
        raise Refusal(400, 3, "Metadata size exceeds the limit of 40960 bytes per vector")
    return kept


def _kept_value(name: str, value: Any) -> Any:
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value) and not name.startswith("$"):
        return value
    raise Refusal(400, 3, f"Metadata value must be a string, number, boolean or list of strings for field '{name}'")


def _size(space: Mapping[str, Record]) -> int:
    return sum(4 * len(record.values) + len(json.dumps(record.metadata)) for record in space.values())

"""The control: LangChain's ``index()`` with a SQL record manager over the same brand, one process per call.

In LangChain's favour: the vector store lives in memory (nothing is flushed to disk), the embedder is constant, texts
are read by one loop. ``cleanup="full"`` is the mode that does the same job (an edited text replaces its old version) in
one pass; ``incremental`` deletes and adds again what a batch boundary splits.

Usage: langchain_index.py HOME STATE, where STATE is the folder of the record manager's SQLite file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import index
from langchain_core.vectorstores import InMemoryVectorStore

from tests.support.brands import brand_texts


class ConstantEmbeddings(Embeddings):
    """The same vector for every text, as the product's constant embedder gives it."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one vector per text."""
        return [[1.0] + [0.0] * 255 for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        return self.embed_documents([text])[0]


def main() -> None:
    """Index the brand once and print what ``index()`` counted."""
    home, state = Path(sys.argv[1]), Path(sys.argv[2])
    records = SQLRecordManager("brand", db_url=f"sqlite:///{state / 'records.db'}")
    records.create_schema()
    documents = [Document(text, metadata={"source": key}) for key, text in brand_texts(home / "brands" / "acme")]
    store = InMemoryVectorStore(ConstantEmbeddings())
    counted = index(
        documents, records, store, cleanup="full", source_id_key="source", batch_size=256, key_encoder="sha256"
    )
    sys.stdout.buffer.write(orjson.dumps(counted))


main()

"""The folder of a brand's vector database: its collections, and whose turn it is to have them open.

Blocking; for one thread. ``QdrantEdgeLayer`` is the asynchronous face of it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dm_memory.embedding.chunking import CHUNKING_VERSION, chunking_of
from dm_memory.embedding.model_names import describe
from dm_memory.embedding.protocol import Embedder, EmbeddingSpec
from dm_memory.errors import ErrorClass, LayerError
from dm_memory.layers.edge_collection import Collection
from dm_memory.layers.edge_errors import damaged, disk_full
from dm_memory.layers.edge_manifest import MANIFEST, Generation, Manifest, read_manifest, write_manifest
from dm_memory.layers.turns import Turns

__all__ = ["EdgeFolder", "setting_of"]

_SPARE_BYTES = 64 * 1024 * 1024
"""Free space below which nothing is written: the engine maps files of 32 MB, and a page that finds no room on the disk
when it is touched ends the process with SIGBUS, past any error handling."""

_PLENTY_BYTES = 1024 * 1024 * 1024
"""Free space above which nobody has to find out what opening a collection could take."""

_MARGIN_BYTES = 8 * 1024 * 1024


class EdgeFolder:
    """A vector folder. Opens late, keeps a collection open while it is used, closes when the turn is given up.

    Args:
        path: The folder; made (0700) by the first write, never by a read.
        embedder: The model in use.
        lock_timeout: Seconds to wait for the turn.
    """

    def __init__(self, path: Path, embedder: Embedder, lock_timeout: float) -> None:
        self._path = path
        self._embedder = embedder
        self._turns = Turns(path, lock_timeout)
        self._manifest: Manifest | None = None
        self._open: dict[str, Collection] = {}
        self.rebuilding = False

    # Turns -------------------------------------------------------------------------------------------------------

    def step_aside(self) -> None:
        """Give the turn up if another process waits for it."""
        if self._turns.held and self._turns.wanted():
            self.give_up()

    def give_up(self) -> None:
        """Close what is open and give up the turn. Idempotent. Raises ``LayerError``."""
        opened, self._open, self._manifest = list(self._open.values()), {}, None
        try:
            for collection in opened:
                collection.close()
        finally:
            self._turns.give_up()

    def _take_turn(self) -> Manifest | None:
        """Take the turn and return the manifest as it is now; a folder without one is left alone."""
        if not self._turns.held:
            if not (self._path / MANIFEST).exists():
                return None
            self._turns.take()
            self._manifest = read_manifest(self._path)
        return self._manifest

    def peek(self) -> Manifest | None:
        """Return the manifest without waiting for a turn. Raises ``LayerError`` where it is damaged."""
        return self._manifest if self._turns.held else read_manifest(self._path)

    # Collections -------------------------------------------------------------------------------------------------

    def for_reading(self) -> Collection | None:
        """Return the collection that writes go to, or None where nothing was ever stored. Raises ``LayerError``."""
        manifest = self._take_turn()
        generation = manifest and self._target(manifest)
        return self._opened(generation) if generation else None

    def for_search(self) -> Collection | None:
        """Return the collection that searches ask: during a rebuild the old one, while its model is the one in use.

        Raises:
            LayerError: Class validation: the model is another one.
        """
        manifest = self._take_turn()
        if manifest is None:
            return None
        candidates = [generation for generation in (manifest.active, manifest.building) if generation]
        fitting = [generation for generation in candidates if generation.model == self._embedder.spec]
        if candidates and not fitting:
            raise self._mismatch(candidates[0].model)
        return self._opened(fitting[0]) if fitting else None

    def require_fit(self) -> None:
        """Raise ``LayerError`` (validation) where the collection that writes go to was made with another model."""
        generation = self._target(self.peek() or Manifest())
        if generation is None or (generation.setting and generation.setting == setting_of(self._embedder)):
            return
        if generation.model != self._embedder.spec:
            raise self._mismatch(generation.model)

    def _target(self, manifest: Manifest) -> Generation | None:
        """Return the collection that writes go to. Another process may have finished the rebuild this one began."""
        return (manifest.building if self.rebuilding else None) or manifest.active

    def for_writing(self) -> Collection:
        """Return the collection that writes go to, made if need be.

        Raises:
            LayerError: Class validation: it holds vectors of another model. Class quota: the disk is nearly full.
        """
        spec = self._embedder.spec
        self._prepare()
        self._turns.take()
        self._manifest = self._manifest or read_manifest(self._path)
        manifest = self._manifest or Manifest()
        generation = self._target(manifest)
        if generation is None:
            generation = self._new_generation(spec)
            self._remember(Manifest(active=generation, building=manifest.building))
        if generation.model != spec:
            raise self._mismatch(generation.model)
        return self._opened(generation)

    def _prepare(self) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self._path).free < _SPARE_BYTES:
            raise disk_full()

    def _opened(self, generation: Generation) -> Collection:
        if generation.folder not in self._open:
            if not (self._path / generation.folder / "segments").is_dir():
                raise damaged()
            self._require_room_to_open(self._path / generation.folder)
            self._open[generation.folder] = Collection(self._path / generation.folder, _vector_name(generation.model))
        return self._open[generation.folder]

    def _require_room_to_open(self, folder: Path) -> None:
        """Raise ``LayerError`` (quota) where opening could end the process.

        Loading touches every page of the engine's sparse files. Elsewhere an untouched page costs nothing to read, but
        a memory file system (tmpfs) takes room for it.
        """
        free = shutil.disk_usage(folder).free
        if free < _PLENTY_BYTES and _is_in_memory(folder) and free < _unwritten_bytes(folder) + _MARGIN_BYTES:
            raise disk_full()

    def _new_generation(self, spec: EmbeddingSpec) -> Generation:
        """Make an empty collection, open it, and return what the manifest is to say of it."""
        generation = Generation(f"c-{secrets.token_hex(4)}", setting_of(self._embedder), spec, CHUNKING_VERSION)
        folder = self._path / generation.folder
        self._open[generation.folder] = Collection(folder, _vector_name(spec), spec.dimension)
        return generation

    def _remember(self, manifest: Manifest) -> None:
        write_manifest(self._path, manifest)
        self._manifest = manifest

    def _mismatch(self, held: EmbeddingSpec) -> LayerError:
        wanted = self._embedder.spec
        return LayerError(
            f"The brand's vector database was made with {describe(held)}, the embedding model in use is"
            f" {describe(wanted)}.",
            "Sync with force to build it anew, or set DM_MEMORY_EMBEDDER back.",
            error_class=ErrorClass.VALIDATION,
            code="model-mismatch",
        )

    # Rebuilding --------------------------------------------------------------------------------------------------

    def begin_rebuild(self) -> None:
        """Start a new collection, or take up the one an interrupted rebuild left. Raises ``LayerError``."""
        spec = self._embedder.spec
        self._prepare()
        self._turns.take()
        manifest = self._sound_manifest()
        building = manifest.building
        if building and (building.model != spec or building.chunking != CHUNKING_VERSION):
            self._remove(building)
            building = None
        if building is None:
            building = self._new_generation(spec)
        self._remember(Manifest(active=manifest.active, building=building))
        self.rebuilding = True

    def finish_rebuild(self) -> None:
        """Put the new collection in the old one's place; no rebuild begun is no error. Raises ``LayerError``."""
        self.rebuilding = False
        manifest = self._take_turn()
        if manifest is None or manifest.building is None:
            return
        self._remember(Manifest(active=manifest.building))
        if manifest.active:
            self._remove(manifest.active)

    def _sound_manifest(self) -> Manifest:
        """Return the manifest without collections that can't be opened; those are put aside."""
        try:
            manifest = self._manifest or read_manifest(self._path) or Manifest()
        except LayerError:
            self._put_aside(self._path / MANIFEST)
            return Manifest()
        return Manifest(self._sound(manifest.active), self._sound(manifest.building))

    def _sound(self, generation: Generation | None) -> Generation | None:
        if generation is None:
            return None
        try:
            self._opened(generation)
        except LayerError as error:
            if error.code != damaged().code:
                raise
            self._put_aside(self._path / generation.folder)
            return None
        return generation

    def _put_aside(self, path: Path) -> None:
        if path.exists():
            path.rename(path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"))

    def _remove(self, generation: Generation) -> None:
        collection = self._open.pop(generation.folder, None)
        if collection is not None:
            # Its files go in the next line; whatever is wrong with them no longer matters.
            with suppress(LayerError):
                collection.close()
        shutil.rmtree(self._path / generation.folder)

    # Facts -------------------------------------------------------------------------------------------------------

    def used_bytes(self) -> int:
        """Return what the folder takes on the disk: the engine's files are sparse, so blocks count, not lengths."""
        return sum(_allocated(status) for status in _files_below(self._path))

    def fingerprint(self) -> str:
        """Return model and chunking in use, in words; loads the model only where the manifest can't vouch for it."""
        setting = setting_of(self._embedder)
        generations: list[Generation | None] = []
        if setting:
            with suppress(LayerError):  # a damaged manifest vouches for nothing; whoever opens it reports it
                manifest = self.peek() or Manifest()
                generations = [manifest.active, manifest.building]
        known = [generation.model for generation in generations if generation and generation.setting == setting]
        return f"{describe(known[0] if known else self._embedder.spec)}, {chunking_of(self._embedder)}"


def _files_below(folder: Path) -> Iterator[os.stat_result]:
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                yield (Path(parent) / name).stat()


def _allocated(status: os.stat_result) -> int:
    return int(getattr(status, "st_blocks", -(-status.st_size // 512))) * 512


def _unwritten_bytes(folder: Path) -> int:
    """Return how much a folder's sparse files would still take if every page of them were used."""
    return sum(max(0, status.st_size - _allocated(status)) for status in _files_below(folder))


def _is_in_memory(folder: Path) -> bool:
    """Tell whether a folder lies on tmpfs, as Linux tells in proc(5)'s mountinfo; False where that can't be read."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    return any(line.split()[2] == wanted and " - tmpfs " in line for line in lines)


def setting_of(embedder: Embedder) -> str:
    """Return the name an embedder has for itself without being loaded, or "" where it has none."""
    return str(getattr(embedder, "setting", ""))


def _vector_name(spec: EmbeddingSpec) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", spec.name.lower()).strip("-") or "dense"

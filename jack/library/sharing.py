"""The sharing side put together: folders and servers, one catalog, and a thread per server."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from jack.arr.api import ArrServer
from jack.arr.library import arr_library
from jack.library.catalog import Catalog
from jack.library.folder_source import FolderSource
from jack.library.picture_sizes import PictureReader
from jack.library.sync import ServerSync
from jack.model import connector_id
from jack.store.database import Database
from jack.store.pictures import Pictures
from jack.store.releases import Releases
from jack.support.clock import Clock


class Sharing:
    """`catalog` answers at once, with what is known from the last run; `start` keeps it fresh."""

    def __init__(
        self,
        folders: Iterable[Path],
        servers: Iterable[ArrServer],
        database: Database,
        clock: Clock,
        own_files: Sequence[Path] = (),
    ) -> None:
        releases = Releases(database)
        # One source per address: two entries of one server would remove each other's rows.
        by_id = {connector_id(server.url): server for server in servers}
        self._syncs = [
            ServerSync(arr_library(server, source), releases, clock, self._roots)
            for source, server in by_id.items()
        ]
        pictures = Pictures(database)
        self._pictures = PictureReader(pictures)
        sources = [FolderSource(folder, self._pictures) for folder in folders]
        pictures.keep_sources(source.connector_id for source in sources)
        self._has_folders = bool(sources)
        self.catalog = Catalog(releases, clock, sources, self._syncs, own_files=own_files)

    def start(self) -> None:
        """Follow every server, each in its own thread: one that is down delays no other. Another
        one looks into the files of folders.
        """
        if self._has_folders:
            self._pictures.start(self.catalog)
        for sync in self._syncs:
            sync.start()

    def stop(self, seconds: float) -> bool:
        """End all threads within `seconds` together; False when one still hangs."""
        end = time.monotonic() + seconds
        threads: list[PictureReader | ServerSync] = [self._pictures, *self._syncs]
        return all([thread.stop(max(0.0, end - time.monotonic())) for thread in threads])

    def _roots(self) -> list[str]:
        return self.catalog.roots()

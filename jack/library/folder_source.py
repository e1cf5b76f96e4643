"""A plain folder of media files as a source of releases."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from jack.library.conventions import Kind, Named, read_names
from jack.library.picture_sizes import Looks, PictureReader
from jack.library.shared import Shared, iso_time
from jack.model import MOVIES, TV, Release, connector_id
from jack.support.files import is_media, is_video, printable, shown
from jack.support.once import Once
from jack.support.release_title import (
    Quality,
    TitleFacts,
    best_quality,
    quality_of,
    release_title,
)

log = logging.getLogger(__name__)

_IGNORED_FOLDERS = frozenset(
    {"@eaDir", "#recycle", "#snapshot", "@Recycle", "lost+found", "$RECYCLE.BIN"}
)
"""Where NAS systems keep thumbnails, waste and snapshots."""
_NOT_THE_FILM = re.compile(
    r"(?:^|[-_. ])(?:trailer|sample|featurette|behind ?the ?scenes|deleted|interview|scene|short"
    r"|extra|other|(?:cd|dis[ck]|part|pt)[-_. ]?[0-9]{1,2})s?[0-9]*",
    re.IGNORECASE,
)
"""How a name ends that is none of the film, or only a part of it."""


class FolderSource:
    """Shares every media file below `folder`, by what its path says about it.

    Links that stay inside are followed to files, not to folders: such a folder is shared under its
    own name already, and a link upwards would never end.
    """

    def __init__(self, folder: Path, pictures: PictureReader | None = None) -> None:
        self.folder = folder
        self._pictures = pictures
        self.connector_id = connector_id(str(folder))
        self._said = Once()

    @property
    def name(self) -> str:
        return printable(str(self.folder))

    def scan(self) -> list[Shared]:
        """All releases, in the order of their paths. Raises OSError when `folder` is unreadable."""
        real_root = os.path.realpath(self.folder)
        shared: list[Shared] = []
        found = sorted(self._walk(real_root), key=lambda found: found[0])
        paths = [PurePath(os.path.relpath(path, real_root)) for path, _ in found]
        read = read_names(paths)
        sizes = [status.st_size for _, status in found]
        mute = {str(path) for path in _untold(zip(paths, read, sizes, strict=True))}
        looks = self._pictures.looks(self.connector_id) if self._pictures else Looks({})
        for relative, named, (path, status) in zip(paths, read, found, strict=True):
            title = relative.stem
            if str(relative) not in mute:
                title = _title(relative, named, path, status, looks)
            shared.extend(self._releases(relative, named, status, title))
        if self._pictures:
            self._pictures.take_over(self.connector_id, looks)
        return shared

    def _walk(self, real_root: str) -> Iterator[tuple[str, os.stat_result]]:
        folders = [real_root]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    visible = [entry for entry in entries if self._is_visible(entry)]
            except OSError as error:
                if folder == real_root:
                    raise
                self._complain_once(folder, f"cannot be read ({error.strerror}) and is not shared")
                continue
            for entry in visible:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    status = self._media_status(entry, real_root)
                    if status:
                        yield entry.path, status

    def _is_visible(self, entry: os.DirEntry[str]) -> bool:
        if entry.name.startswith(".") or entry.name in _IGNORED_FOLDERS:
            return False
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            # The wire is UTF-8, so no peer could ask for it by this name.
            self._complain_once(entry.path, "has a name that is not UTF-8 and is not shared")
            return False
        return True

    def _media_status(self, entry: os.DirEntry[str], real_root: str) -> os.stat_result | None:
        if not is_media(entry.name):
            return None
        try:
            if entry.is_symlink():
                target = os.path.realpath(entry.path)
                if not (_is_beneath(target, real_root) and is_media(target)):
                    return None
            status = entry.stat()
        except OSError as error:
            self._complain_once(entry.path, f"cannot be read ({error.strerror}) and is not shared")
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def _complain_once(self, path: str, what: str) -> None:
        if self._said.first(path):
            log.warning("%s %s", shown(printable(path)), what)

    def _releases(
        self, relative: PurePath, named: Named, status: os.stat_result, title: str
    ) -> Iterator[Shared]:
        """A film is one release, a file of several episodes one for each of them."""
        whole = self._release(relative, named, status, title)
        if named.kind is Kind.EPISODE:
            whole = replace(whole, series_title=named.title, air_date=named.day)
        numbers = named.episodes or named.absolutes
        for place, number in enumerate(numbers):
            suffix = ""
            if len(numbers) > 1:
                suffix = f":S{named.season:02d}E" if named.episodes else ":A"
                suffix += f"{number:02d}"
            release = replace(
                whole,
                id=self._id(Kind.EPISODE, relative, suffix),
                season=named.season,
                episode=number if named.episodes else None,
                absolute_episode=next(iter(named.absolutes[place : place + 1]), None),
            )
            yield Shared(release, self.folder, relative)
        if not numbers:
            yield Shared(whole, self.folder, relative)

    def _release(
        self, relative: PurePath, named: Named, status: os.stat_result, title: str
    ) -> Release:
        return Release(
            id=self._id(named.kind, relative, ""),
            title=title,
            filename=relative.name,
            category=MOVIES if named.kind is Kind.MOVIE else TV,
            size=status.st_size,
            imdb_id=named.ids.imdb,
            tmdb_id=named.ids.tmdb,
            tvdb_id=named.ids.tvdb,
            publish_date=iso_time(status.st_mtime),
        )

    def _id(self, kind: Kind, relative: PurePath, suffix: str) -> str:
        """Depends on the path alone, so it survives restarts, rescans and new content."""
        digest = hashlib.sha256(f"{relative.as_posix()}{suffix}".encode()).hexdigest()
        return f"{self.connector_id}:{kind.value}:{digest[:16]}"


def _title(
    relative: PurePath, named: Named, path: str, status: os.stat_result, looks: Looks
) -> str:
    """What the names of file and folders say together, and the quality: from the file's name, else
    from a folder's, else from the file itself.
    """
    quality = quality_of(relative.stem)
    if not quality.is_whole:
        quality = quality.filled_from(best_quality(reversed(relative.parts[:-1])))
    # A film without a year is read by nobody, whatever else its title says.
    if not quality.is_whole and (named.year is not None or named.kind is Kind.EPISODE):
        lines = looks.lines(str(relative), path, status)
        quality = quality.filled_from(Quality(None, lines))
    facts = TitleFacts(
        named.title,
        named.year,
        named.season,
        named.episodes,
        named.day,
        str(quality),
        named.absolutes,
    )
    return release_title(relative.stem, facts)


def _untold(found: Iterable[tuple[PurePath, Named, int]]) -> Iterator[PurePath]:
    """Files that are offered under their own names only: subtitles, and all that lies beside a film
    in the folder that is called after it. The largest file there is the film.
    """
    films: dict[PurePath, list[tuple[int, PurePath]]] = {}
    for path, named, size in found:
        is_by_folder = named.kind is Kind.MOVIE and named.is_by_folder
        if not is_video(path.name) or (is_by_folder and _ends_as_extra(path.stem)):
            yield path
        elif is_by_folder:
            films.setdefault(path.parent, []).append((size, path))
    for rivals in films.values():
        rivals.sort()
        yield from (path for _, path in rivals[:-1])


def _ends_as_extra(stem: str) -> bool:
    return any(match.end() == len(stem) for match in _NOT_THE_FILM.finditer(stem))


def _is_beneath(path: str, root: str) -> bool:
    return os.path.commonpath([path, root]) == root

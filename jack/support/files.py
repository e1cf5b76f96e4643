"""Durable writes and safe names: what the file system does and does not promise, in one place."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path

from jack.errors import PermanentError, StorageError
from jack.support.shortage import as_shortage

log = logging.getLogger(__name__)

PART_SUFFIX = ".part"
NAME_MAX_BYTES = 255
"""Longest file name of ext4, XFS, btrfs and ZFS, in bytes."""

VIDEO_EXTENSIONS = frozenset(
    ".3gp .asf .avc .avi .bin .bivx .dat .divx .dv .dvr-ms .fli .flv .ifo .img .iso .m2ts"
    " .m2v .m4v .mk3d .mkv .mov .mp4 .mpeg .mpg .nrg .nsv .nuv .ogm .ogv .pva .qt .rm .rmvb"
    " .svq3 .ts .ty .viv .vob .vp3 .webm .wmv .wtv .xvid".split()
)
SUBTITLE_EXTENSIONS = frozenset(".ass .idx .smi .srt .ssa .sub .sup .vtt".split())
POINTER_EXTENSIONS = frozenset(".asx .m3u .m3u8 .pls .ram .strm .url .wax .wvx".split())
MEDIA_EXTENSIONS = VIDEO_EXTENSIONS | SUBTITLE_EXTENSIONS
"""Lower-case, with the dot. Nothing else is fetched or shared, so a download can never become a
stub or a program. Nor are `.strm`, `.asx` and the like, which Radarr and Sonarr take for films:
they hold an address, and whoever plays one goes where the friend wants.
"""

_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_NO_HARD_LINKS = _UNSUPPORTED | {errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EACCES}
_FORBIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def safe_filename(name: str) -> str:
    """Return `name` when it is a plain media file name that is safe to create, else raise
    PermanentError.

    Refused, never repaired: a repaired name could collide with another file. Unicode categories C*
    and line or paragraph separators cover control, bidi and zero-width characters.
    """
    problem = _name_problem(name)
    if problem:
        raise PermanentError(f"unsafe file name {shown(name)}: {problem}")
    return name


def is_media(name: str) -> bool:
    """Whether a file of this name or path may be shared at all."""
    return os.path.splitext(name)[1].lower() in MEDIA_EXTENSIONS


def is_video(name: str) -> bool:
    """Whether a file of this name holds moving pictures, not a text that goes with them."""
    return os.path.splitext(name)[1].lower() in VIDEO_EXTENSIONS


def _name_problem(name: str) -> str | None:
    if not name or name in {".", ".."}:
        return "it names no file"
    if "/" in name or "\\" in name:
        return "it holds a path separator"
    if any(unicodedata.category(character) in _FORBIDDEN_CATEGORIES for character in name):
        return "it holds a control, bidirectional or undefined character"
    if name != name.strip() or name.startswith((".", "~", "-")):
        return "it starts or ends with a character that hides it or confuses tools"
    if len((name + PART_SUFFIX).encode()) > NAME_MAX_BYTES:
        return f"with {PART_SUFFIX} it is longer than {NAME_MAX_BYTES} bytes"
    extension = os.path.splitext(name)[1].lower()
    if extension in POINTER_EXTENSIONS:
        return f"a {extension} file is no film, it only says where one is"
    if extension not in MEDIA_EXTENSIONS:
        return f"the extension {shown(extension)} is neither video nor subtitle"
    return None


def shown(text: str, limit: int = 200) -> str:
    """`text` for a log line: quoted, escaped, cut, so that a hostile name cannot fake a line."""
    cut = text if len(text) <= limit else text[:limit] + "..."
    return ascii(cut)


def printable(name: str) -> str:
    """A file name in any bytes as text that every encoder accepts; foreign bytes appear as
    `\\xNN`.
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def fsync_directory(folder: Path) -> None:
    """Make a rename, link or unlink in `folder` durable. File systems that cannot are left as they
    are.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        trouble = StorageError(f"cannot open {folder} to sync it: {error.strerror}")
        raise as_shortage(error) or trouble from error
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise StorageError(f"cannot sync {folder}: {error.strerror}") from error
        log.debug("%s cannot be synced as a folder (%s); going on", folder, error.strerror)
    finally:
        os.close(descriptor)


def make_folders(folder: Path, mode: int = 0o777) -> None:
    """Make `folder`, with `mode`, and whatever is missing above it, so that a power cut does not
    take them with all that is in them. Raises OSError when that is not possible.
    """
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    os.makedirs(folder, mode, exist_ok=True)
    for each in missing:
        with contextlib.suppress(StorageError):  # a folder one may write to and not read
            fsync_directory(each.parent)


def rename_new(source: Path, target: Path) -> None:
    """Give `source` the name `target` atomically and durably; FileExistsError when that name is
    taken.

    A hard link refuses an existing name in the same step (POSIX link(2)), which rename(2) does not.
    Where links are not supported (exFAT, some network folders) a look before the rename has to do.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.rename(source, target)
        fsync_directory(target.parent)
        return
    fsync_directory(target.parent)
    if same_file(source, target):  # and nobody else's by now
        os.unlink(source)
    fsync_directory(source.parent)


def is_listed(path: Path) -> bool:
    """Whether the folder has a file of exactly this name. Where case does not matter, opening
    `film.mkv` may lead to `Film.mkv`, which is another download's. Composed and decomposed forms of
    a letter count as the same: some file systems store another one than they were given.
    """
    name = path.name
    try:
        names = os.listdir(path.parent)
    except OSError:
        return True  # a folder that may be entered and not read
    if name in names:
        return True
    composed = unicodedata.normalize("NFC", name)
    return any(unicodedata.normalize("NFC", each) == composed for each in names)


def same_file(first: Path, second: Path) -> bool:
    """Whether both names lead to one inode, symbolic links not followed; False when either is
    missing.
    """
    with contextlib.suppress(OSError):
        a, b = os.lstat(first), os.lstat(second)
        return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
    return False


class NotRegular(OSError):
    """What was to be read is a pipe, a socket or a device: it may have no end, or never begin."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EINVAL, "it is no regular file", path)


def read_regular(path: str | Path, max_bytes: int) -> bytes:
    """At most the first `max_bytes` of a regular file. Raises NotRegular for anything else, at
    once, and other OSErrors as `open` does (IsADirectoryError for a folder).
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise NotRegular(str(path))
        return file.read(max_bytes)


def _open_at_once(path: str, flags: int) -> int:
    """An opener that never waits; a FIFO that nobody writes to would block without O_NONBLOCK, and
    a terminal would become the one of this process without O_NOCTTY.
    """
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def write_whole(path: Path, data: bytes, replaces: Callable[[bytes], bool]) -> None:
    """Create `path` with `data` so that nobody ever sees half of it.

    A file that is there already is replaced only when `replaces` agrees to its content.
    Raises ValueError when it does not, OSError when the folder cannot be written to.
    """
    if os.path.lexists(path) and not (path.is_file() and replaces(path.read_bytes())):
        raise ValueError(f"{printable(str(path))} exists already and is something else")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("xb") as file:  # never one that is there
        try:
            file.write(data)
            file.flush()
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink()
            raise

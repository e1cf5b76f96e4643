"""Schema versions: a new file gets the tables of `models`; an older one each missing step once, all
in one transaction. The version stands in PRAGMA user_version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peewee import SchemaManager, SqliteDatabase

from jack.errors import StateError
from jack.store.models import TABLES

VERSION_1 = (
    """
    CREATE TABLE downloads (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        status TEXT NOT NULL CHECK (status IN ('queued', 'downloading', 'waiting', 'completed',
            'import_queued', 'imported', 'failed', 'cancelled')),
        torrent_filename TEXT NOT NULL,
        stub_fingerprint TEXT NOT NULL,
        stub_present INTEGER NOT NULL,
        peer_id TEXT NOT NULL,
        peer_name TEXT NOT NULL,
        item_id TEXT NOT NULL,
        filename TEXT NOT NULL,
        dest_path TEXT NOT NULL,
        category INTEGER NOT NULL,
        release_size INTEGER NOT NULL CHECK (release_size >= 0),
        release_json TEXT NOT NULL,
        expected_bytes INTEGER CHECK (expected_bytes > 0),
        expected_bytes_source TEXT,
        expected_bytes_mismatch INTEGER NOT NULL,
        downloaded_bytes INTEGER NOT NULL CHECK (downloaded_bytes >= 0),
        best_bytes INTEGER NOT NULL,
        etag TEXT,
        last_modified TEXT,
        attempts INTEGER NOT NULL,
        fruitless_attempts INTEGER NOT NULL,
        next_attempt_at TEXT,
        wait_reason TEXT,
        blocked_by INTEGER,
        error TEXT,
        requested TEXT,
        started_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        completed_at TEXT
    )
    """,
    "CREATE INDEX downloads_status ON downloads (status)",
    "CREATE INDEX downloads_updated_at ON downloads (updated_at DESC, id DESC)",
    "CREATE INDEX downloads_torrent_filename ON downloads (torrent_filename)",
    "CREATE INDEX downloads_dest_path ON downloads (dest_path)",
    "CREATE INDEX downloads_stub_present ON downloads (status) WHERE stub_present",
    "CREATE INDEX downloads_requested ON downloads (requested) WHERE requested IS NOT NULL",
    """
    CREATE UNIQUE INDEX downloads_one_owner_per_destination ON downloads (dest_path)
        WHERE status IN ('queued', 'downloading', 'waiting') AND blocked_by IS NULL
    """,
    """
    CREATE TABLE handovers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        download_id INTEGER NOT NULL REFERENCES downloads (id),
        server TEXT NOT NULL,
        command_id INTEGER,
        accepted_at TEXT,
        UNIQUE (download_id, server)
    )
    """,
    "CREATE INDEX handovers_open ON handovers (download_id) WHERE accepted_at IS NULL",
)

VERSION_2 = (
    """
    CREATE TABLE releases (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        release_id TEXT NOT NULL UNIQUE,
        source TEXT NOT NULL,
        owner INTEGER NOT NULL,
        category INTEGER NOT NULL,
        imdb TEXT,
        tmdb INTEGER,
        tvdb INTEGER,
        season INTEGER,
        episode INTEGER,
        published TEXT,
        path TEXT NOT NULL,
        size INTEGER NOT NULL,
        body TEXT NOT NULL,
        generation INTEGER NOT NULL
    )
    """,
    "CREATE INDEX releases_imdb ON releases (imdb) WHERE imdb IS NOT NULL",
    "CREATE INDEX releases_tmdb ON releases (tmdb, category) WHERE tmdb IS NOT NULL",
    """
    CREATE INDEX releases_tvdb ON releases (tvdb, category, season, episode)
        WHERE tvdb IS NOT NULL
    """,
    "CREATE INDEX releases_owner ON releases (source, owner)",
    "CREATE INDEX releases_newest ON releases (published DESC, id)",
    """
    CREATE TABLE release_sources (
        source TEXT NOT NULL PRIMARY KEY,
        generation INTEGER NOT NULL,
        roots TEXT NOT NULL,
        synced_at TEXT,
        history_id INTEGER,
        history_date TEXT
    )
    """,
)

VERSION_3 = (
    "ALTER TABLE downloads ADD COLUMN info_hash TEXT",
    "ALTER TABLE downloads ADD COLUMN finished_inode TEXT",
    """
    ALTER TABLE handovers ADD COLUMN state TEXT NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'imported', 'rejected', 'lost', 'elsewhere'))
    """,
    "ALTER TABLE handovers ADD COLUMN asked_at TEXT",
    "ALTER TABLE handovers ADD COLUMN asks INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE handovers ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0",
    "UPDATE handovers SET asked_at = accepted_at, asks = 1 WHERE accepted_at IS NOT NULL",
    "DROP INDEX handovers_open",
    "CREATE INDEX handovers_open ON handovers (download_id) WHERE state = 'open'",
    """
    CREATE TABLE failures (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        download_id INTEGER NOT NULL REFERENCES downloads (id),
        peer_id TEXT NOT NULL,
        item_id TEXT NOT NULL,
        failed_at TEXT NOT NULL
    )
    """,
    "CREATE INDEX failures_release ON failures (peer_id, item_id, failed_at)",
    """
    CREATE TABLE failure_reports (
        failure_id INTEGER NOT NULL REFERENCES failures (id),
        server TEXT NOT NULL,
        settled INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (failure_id, server)
    )
    """,
    "CREATE INDEX failure_reports_open ON failure_reports (failure_id) WHERE NOT settled",
    """
    CREATE TABLE reported_grabs (
        server TEXT NOT NULL,
        grabbed_id INTEGER NOT NULL,
        reported_at TEXT NOT NULL,
        PRIMARY KEY (server, grabbed_id)
    )
    """,
)

VERSION_4 = (
    """
    CREATE TABLE facts (
        name TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL
    )
    """,
)

VERSION_5 = ("ALTER TABLE downloads ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0",)

VERSION_6 = (
    # What the rows say about an episode has grown (its day, its number through all seasons): the
    # libraries are read once as a whole now, not by and by.
    "UPDATE release_sources SET synced_at = NULL",
)

VERSION_7 = (
    "ALTER TABLE downloads ADD COLUMN part_inode TEXT",
    "ALTER TABLE downloads ADD COLUMN moved_part TEXT",
    "CREATE INDEX downloads_moved_part ON downloads (moved_part) WHERE moved_part IS NOT NULL",
    "CREATE INDEX downloads_part_inode ON downloads (part_inode) WHERE part_inode IS NOT NULL",
    "ALTER TABLE downloads ADD COLUMN announced_bytes INTEGER",
)

VERSION_8 = (
    """
    CREATE TABLE pictures (
        source TEXT NOT NULL,
        path TEXT NOT NULL,
        size INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        PRIMARY KEY (source, path)
    ) WITHOUT ROWID
    """,
    # Titles say more than before: the libraries are read once as a whole now.
    "UPDATE release_sources SET synced_at = NULL",
)

VERSION_9 = (
    """
    CREATE TABLE history_marks (
        server TEXT NOT NULL PRIMARY KEY,
        record_id INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE delivery_marks (
        download_id INTEGER NOT NULL,
        server TEXT NOT NULL,
        record_id INTEGER NOT NULL,
        PRIMARY KEY (download_id, server)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE import_proofs (
        server TEXT NOT NULL,
        record_id INTEGER NOT NULL,
        download_id INTEGER NOT NULL,
        library TEXT,
        PRIMARY KEY (server, record_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX import_proofs_download ON import_proofs (download_id)",
    "ALTER TABLE handovers ADD COLUMN denied INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE downloads ADD COLUMN import_asked TEXT",
    # A stub that is refused before it has a row is a failure as well.
    """
    CREATE TABLE new_failures (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        download_id INTEGER REFERENCES downloads (id),
        peer_id TEXT NOT NULL,
        item_id TEXT NOT NULL,
        info_hash TEXT,
        failed_at TEXT NOT NULL
    )
    """,
    "INSERT INTO new_failures SELECT f.id, f.download_id, f.peer_id, f.item_id, d.info_hash,"
    " f.failed_at FROM failures f LEFT JOIN downloads d ON d.id = f.download_id",
    """
    CREATE TABLE new_failure_reports (
        failure_id INTEGER NOT NULL REFERENCES new_failures (id),
        server TEXT NOT NULL,
        settled INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (failure_id, server)
    )
    """,
    "INSERT INTO new_failure_reports SELECT * FROM failure_reports",
    "DROP TABLE failure_reports",
    "DROP TABLE failures",
    "ALTER TABLE new_failures RENAME TO failures",
    "ALTER TABLE new_failure_reports RENAME TO failure_reports",
    "CREATE INDEX failures_release ON failures (peer_id, item_id, failed_at)",
    "CREATE INDEX failure_reports_open ON failure_reports (failure_id) WHERE NOT settled",
)

VERSION_10 = (
    # Nobody reads when a server took a command, and when a grab was reported.
    """
    CREATE TABLE new_handovers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        download_id INTEGER NOT NULL REFERENCES downloads (id),
        server TEXT NOT NULL,
        command_id INTEGER,
        state TEXT NOT NULL
            CHECK (state IN ('open', 'imported', 'rejected', 'lost', 'elsewhere')),
        asked_at TEXT,
        asks INTEGER NOT NULL,
        claimed INTEGER NOT NULL,
        denied INTEGER NOT NULL,
        UNIQUE (download_id, server)
    )
    """,
    "INSERT INTO new_handovers SELECT id, download_id, server, command_id, state, asked_at, asks,"
    " claimed, denied FROM handovers",
    "DROP TABLE handovers",
    "ALTER TABLE new_handovers RENAME TO handovers",
    "CREATE INDEX handovers_open ON handovers (download_id) WHERE state = 'open'",
    """
    CREATE TABLE new_reported_grabs (
        server TEXT NOT NULL,
        grabbed_id INTEGER NOT NULL,
        PRIMARY KEY (server, grabbed_id)
    )
    """,
    "INSERT INTO new_reported_grabs SELECT server, grabbed_id FROM reported_grabs",
    "DROP TABLE reported_grabs",
    "ALTER TABLE new_reported_grabs RENAME TO reported_grabs",
)

VERSION_11 = (
    # Orders go to the running jack itself; since when a person has paused a download stays.
    "DROP INDEX downloads_requested",
    "UPDATE downloads SET requested = NULL WHERE requested IS NOT NULL",
    "ALTER TABLE downloads RENAME COLUMN requested TO paused_at",
)

MIGRATIONS: Sequence[Sequence[str]] = (
    VERSION_1,
    VERSION_2,
    VERSION_3,
    VERSION_4,
    VERSION_5,
    VERSION_6,
    VERSION_7,
    VERSION_8,
    VERSION_9,
    VERSION_10,
    VERSION_11,
)
"""Position n holds the statements that lead from version n to n + 1. Never edit one that was
released.
"""


def create(database: SqliteDatabase) -> None:
    """Make the tables, in one transaction, in a file that has none."""
    with database.atomic("IMMEDIATE"):
        if database.get_tables():
            return
        for model in TABLES:
            SchemaManager(model, database).create_all(safe=False)
        database.execute_sql(f"PRAGMA user_version = {len(MIGRATIONS):d}")


def migrate(database: SqliteDatabase, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> int:
    """Bring the schema to the newest version and return it. A crash half way leaves the old version
    whole.

    Raises StateError when the database was written by a newer jack.
    """
    newest = len(migrations)
    execute: Any = database.execute_sql
    with database.atomic("IMMEDIATE"):
        current = int(execute("PRAGMA user_version").fetchone()[0])
        if current > newest:
            raise StateError(
                f"{database.database} was written by a newer jack (schema {current}, this one"
                f" knows {newest});"
                " install that version again, put back the copy that its first start has kept"
                f" beside it (.schema-{newest}), or move the file away to start afresh"
            )
        for statements in migrations[current:]:
            for statement in statements:
                execute(statement)
        if current < newest:
            execute(f"PRAGMA user_version = {newest:d}")
    return newest


def check_version(database: SqliteDatabase) -> None:
    """Raise StateError unless the schema is exactly the one this jack knows."""
    execute: Any = database.execute_sql
    current = int(execute("PRAGMA user_version").fetchone()[0])
    if current != len(MIGRATIONS):
        raise StateError(
            f"{database.database} has schema {current}, this jack knows {len(MIGRATIONS)}; "
            "start `jack run` of this version once, or use the version that wrote it"
        )

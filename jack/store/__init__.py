"""SQLite through peewee: the rows, their guarded transitions, and the schema's versions."""

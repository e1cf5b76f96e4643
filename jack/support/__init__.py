"""Tools without a subject of their own: HTTP, files, time, logs. They know nothing of downloads."""

"""Tools without a subject of their own: HTTP, files, time, logs, and the table of all waits.
They know nothing of downloads.
"""

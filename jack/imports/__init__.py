"""Telling Radarr and Sonarr of finished and failed downloads: whom, until when, and which record of
their histories proves it.

Order of reading: `telling`, `errands`, `one_import`, `history_watch`, `failure_report`, `records`.
"""

"""Radarr and Sonarr over their API: registration, history, imports, failures, their libraries."""

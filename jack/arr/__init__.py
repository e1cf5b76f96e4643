"""Radarr and Sonarr over their API: registration, history, imports, failures, and their libraries."""

"""What this jack shares: items of its folders and of its own Radarr and Sonarr, kept in a catalog."""

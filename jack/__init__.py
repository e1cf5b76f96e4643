"""jack: friends share their media libraries through the Radarr and Sonarr they already run."""

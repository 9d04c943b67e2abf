"""What the machine keeps: links and manifests, through restarts, kills and neighbours."""

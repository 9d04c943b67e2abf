"""From what a user asks for to a manifest, by ports only."""

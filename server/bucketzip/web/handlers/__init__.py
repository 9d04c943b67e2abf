"""What each route does: parse, call the core, send."""

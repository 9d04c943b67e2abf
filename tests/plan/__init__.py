"""Planning: what a user may ask for, and which objects by which names that is."""

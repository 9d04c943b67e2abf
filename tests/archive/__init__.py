"""The pure core: bytes of records, names, manifests, and the one property above all."""

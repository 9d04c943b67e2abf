"""Other people's readers, who judge our archives."""

"""The tests, and the stand-ins they share; a package so that a test can import those of another folder."""

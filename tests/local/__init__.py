"""Archives that go to this machine itself."""

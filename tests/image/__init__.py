"""The appliance without AWS: baked by the real Packer and Ansible, and booted by the real systemd, in namespaces.

`make image-test` runs this, as root. docs/launch.md says what only AWS itself can show.
"""

#!/bin/sh
# Removes what an image must not carry: keys, identities, logs, caches. validate.sh asserts each of it.
# docs/marketplace.md names the point of the Marketplace's list that each serves.
set -eu

# Identities: each instance makes its own. machine-id has to be there and empty; missing, it would make systemd
# enable units by their presets.
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
rm -rf /var/lib/bucketzip /run/bucketzip
if command -v cloud-init >/dev/null; then cloud-init clean --logs --seed; fi

# Keys that let somebody in.
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys

# What people and programs left.
rm -f /root/.bash_history /home/*/.bash_history /root/.lesshst /home/*/.lesshst /root/.python_history /home/*/.python_history
rm -rf /root/.ansible /home/*/.ansible /root/.cache /home/*/.cache
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
journalctl --quiet --rotate || true
journalctl --quiet --vacuum-time=1s || true
rm -rf /var/log/journal/*
find /var/log -type f -not -path '/var/log/journal/*' -delete
find /var/tmp -mindepth 1 -delete
rm -f /etc/resolv.conf.bak /etc/*- /var/backups/*
# This script is in /tmp itself; the machine's own /tmp is memory, and ends with it.
sync

#!/bin/sh
# Asserts what an image must be: the mirror image of cleanup.sh, and the points of the Marketplace's list that can be
# seen in a tree of files. Takes the tree's path, by default `/`. Ends with 1 and every fault that it found.
set -u
root=${1:-}
root=${root%/}
faults=0

fault() {
	echo "validate: $1" >&2
	faults=$((faults + 1))
}

# The first argument is what is wrong with files that the rest, arguments of find, finds.
none() {
	what=$1
	shift
	found=$(find "$@" 2>/dev/null | head -n 5)
	[ -z "$found" ] || fault "$what: $(echo "$found" | tr '\n' ' ')"
}

# identities
none "SSH host keys" "$root/etc/ssh" -name 'ssh_host_*'
[ -e "$root/etc/machine-id" ] && [ ! -s "$root/etc/machine-id" ] || fault "/etc/machine-id is not an empty file"
none "secrets of one instance" "$root/var/lib/bucketzip" -mindepth 1
none "state of systemd's credentials" "$root/var/lib/systemd/credential.secret"

# keys and passwords
none "authorized keys" "$root/root" "$root/home" -name 'authorized_keys*' -size +0
none "private keys" "$root/etc" "$root/root" "$root/home" "$root/opt" "$root/srv" "$root/var" -type f \
	\( -name 'id_rsa*' -o -name 'id_ed25519*' -o -name 'id_ecdsa*' -o -name '*.ppk' \)
private=$(grep -rlE --binary-files=without-match -- '^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----' \
	"$root/etc" "$root/root" "$root/home" "$root/srv" "$root/var/lib" 2>/dev/null | head -n 5)
[ -z "$private" ] || fault "private keys: $private"
passwords=$(awk -F: '$2 !~ /^[!*]/ { print $1 }' "$root/etc/shadow")
[ -z "$passwords" ] || fault "users with a password, or an empty one: $passwords"
keys=$(grep -rlE --binary-files=without-match '\b(AKIA|ASIA)[A-Z0-9]{16}\b' \
	"$root/etc" "$root/root" "$root/home" "$root/srv" 2>/dev/null | head -n 5)
[ -z "$keys" ] || fault "keys of AWS: $keys"

# login
if [ -z "$root" ]; then
	settings=$(/usr/sbin/sshd -T 2>/dev/null || cat /etc/ssh/sshd_config.d/10-keys-only.conf)
else
	settings=$(cat "$root/etc/ssh/sshd_config.d/10-keys-only.conf")
fi
for setting in "passwordauthentication no" "kbdinteractiveauthentication no" "permitrootlogin no"; do
	echo "$settings" | grep -qix "$setting" || fault "sshd does not say: $setting"
done

# what people and programs left
none "histories" "$root/root" "$root/home" -name '.*_history' -o -name .lesshst
none "logs" "$root/var/log" -type f -size +0 -not -name 'validate*' -not -path '*/journal/*'
none "packages that were downloaded" "$root/var/cache/apt/archives" -name '*.deb'
none "lists of packages" "$root/var/lib/apt/lists" -type f -not -name lock
none "leftovers in /var/tmp" "$root/var/tmp" -mindepth 1
none "leftovers of Ansible" "$root/root" "$root/home" -name .ansible
none "proxies and other settings of the build" "$root/etc/apt/apt.conf.d" -name '*build*'

# what makes it the product
for file in opt/bucketzip/bin/bucketzip etc/systemd/system/bucketzip.socket etc/bucketzip/bucketzip.env \
	etc/nftables.conf etc/apt/apt.conf.d/20auto-upgrades etc/chrony/sources.d/amazon.sources; do
	[ -e "$root/$file" ] || fault "/$file is missing"
done
none "files that anybody may write" "$root/opt" "$root/etc" -type f -perm -o+w

[ "$faults" -eq 0 ] && echo "validate: nothing is wrong"
exit $((faults > 0))

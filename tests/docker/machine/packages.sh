#!/usr/bin/env bash
# Unpacks Docker 26 and a root file system of Debian 13 into one folder; the machine keeps nothing else.
#
#   packages.sh FOLDER
#
# For a machine on which no image registry can be reached: FOLDER/docker holds the programs of a
# daemon, FOLDER/rootfs what `docker import` makes the stand-ins of the base images from. Debian
# keyrings, apt and dpkg are all it takes from the machine.
set -euo pipefail
folder=$1
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")

# Runs one of apt's programs on lists and packages of its own: apt_of RELEASE PROGRAM ARGS…
apt_of() {
    local state=$folder/apt/$1 program=$2
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    touch "$state/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
        "http://deb.debian.org/debian $1 main" > "$state/sources.list"
    shift 2
    "$program" --quiet=2 \
        -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" \
        -o Dir::Cache="$state" -o Acquire::Retries=3 \
        -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$@"
}

# Downloads packages without what they need, and unpacks them: unpack RELEASE INTO PACKAGE…
unpack() {
    local from=$1 into=$2 packages
    shift 2
    packages=$(mktemp --directory --tmpdir="$folder")
    (cd "$packages" && apt_of "$from" apt-get download "$@")
    unpack_files "$into" "$packages"/*.deb
    rm -r "$packages"
}

unpack_files() {
    local into=$1 package
    shift
    mkdir -p "$into"
    for package; do
        # Not dpkg-deb --extract: it would replace the links /bin, /lib by folders.
        dpkg-deb --fsys-tarfile "$package" | tar --extract --keep-directory-symlink --directory "$into"
    done
}

# The daemon and its clients are those of Debian 13, which run on Debian 12 too; what they start
# has to fit the machine's own C library.
docker() {
    [ "$release" = trixie ] || apt_of "$release" apt-get update
    unpack trixie "$folder/docker" docker.io docker-cli docker-compose docker-buildx containerd
    unpack "$release" "$folder/docker" runc tini iptables \
        libip4tc2 libip6tc2 libmnl0 libnetfilter-conntrack3 libnfnetlink0 libnftnl11 \
        libseccomp2 libsystemd0 libxtables12
    ln -s iptables-nft "$folder/docker/usr/sbin/iptables"
    ln -s ip6tables-nft "$folder/docker/usr/sbin/ip6tables"
}

# What a minimal Debian has, with Python; maintainer scripts are not run, so the little that is
# needed of them is done here.
rootfs() {
    local root=$folder/rootfs
    mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
    ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root"
    apt_of trixie apt-get install --download-only --yes --no-install-recommends \
        '?essential' passwd python3 python3-venv
    unpack_files "$root" "$folder"/apt/trixie/archives/*.deb
    cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
    cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
    # The machine's certificates, because a mirror of packages may have one of its own.
    mkdir -p "$root/etc/ssl/certs"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
}

apt_of trixie apt-get update
docker
rootfs
rm -r "$folder/apt"

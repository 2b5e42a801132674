"""The names in /etc/os-release as distributions ship it, each with the family that it belongs to."""

from __future__ import annotations

OS_RELEASE = {
    "debian12": ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n', "debian"),
    "ubuntu24": ('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=noble\n', "debian"),
    "mint": ('NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', "debian"),
    "fedora43": ('NAME="Fedora Linux"\nID=fedora\nVERSION_ID=43\nPLATFORM_ID="platform:f43"\n', "fedora"),
    "centos9": ('NAME="CentOS Stream"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="9"\n', "el"),
    "rhel9": ('NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.6"\n', "el"),
    "rocky9": ('NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\n', "el"),
    "leap": ('NAME="openSUSE Leap"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "suse"),
    "tumbleweed": ('NAME="openSUSE Tumbleweed"\nID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n', "suse"),
}

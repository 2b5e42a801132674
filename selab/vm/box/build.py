"""From packages to a Vagrant box, in four stages; as root, or as a plain user in a user namespace."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from selab.errors import CommandFailed, SelabError
from selab.guest import Completed
from selab.host.cache import cache_dir
from selab.host.local import LocalHost
from selab.images.rootfs import ImageSource, as_root, build_tar, image_tar, require, tool
from selab.policy.base import keep_base
from selab.policy.toolchain import Toolchain, missing_on_host
from selab.progress import Progress
from selab.vm.box.recipe import Plan, Recipe, plan
from selab.vm.box.store import Box, box_at, building, directory_of, half_made, name_of, read_box, remove_tree

TOOLS = {"mke2fs": "e2fsprogs", "debugfs": "e2fsprogs", "qemu-img": "qemu-utils", "chroot": "coreutils"}
DISK_NEEDED = 6 << 30
"""Free bytes: the root file system twice, the disk twice, the box, and room to spare."""
STAGE_TIMEOUT = 900.0
"""Seconds for one program of a stage; the longest takes ten here."""
IMAGES = "var/lib/selab/images"
SELINUX_TYPE = "default"
FILE_CONTEXTS = f"/etc/selinux/{SELINUX_TYPE}/contexts/files/file_contexts"
RELABEL = re.compile(r"^Would relabel (/.*) from .* to (\S+)$", re.MULTILINE)
"""What `setfiles -n -v` says of a file whose label differs."""
BOX_VAGRANTFILE = """\
Vagrant.configure("2") do |config|
  config.vm.provider :libvirt do |libvirt|
    libvirt.kernel = File.join(__dir__, "vmlinuz")
    libvirt.initrd = File.join(__dir__, "initrd.img")
    libvirt.cmd_line = "%s"
  end
end
"""


def find_box(profile: str, images_dir: Path) -> Box | None:
    """The box `profile` with the images of `images_dir`, where it was built already."""
    return _existing(plan(profile, images_dir))


def box_name(profile: str, images_dir: Path) -> str:
    """What the box `profile` with the images of `images_dir` is called, whether it was built or not."""
    return name_of(profile, plan(profile, images_dir).digest)


def build_box(profile: str, images_dir: Path, progress: Progress) -> Box:
    """The box `profile` with the images of `images_dir`: the one that is there, or else built now (some minutes). Raises SelabError."""
    wanted = plan(profile, images_dir)
    if made := _existing(wanted):
        return made
    require(TOOLS)
    with building(progress):
        if made := _existing(wanted):
            return made
        check_space(cache_dir())
        box = box_at(directory_of(profile, wanted.digest), profile, wanted.digest, wanted.recipe.cmdline)
        with (
            progress.step(f"Building the box {box.name} from packages (once)", "box"),
            half_made(box) as half,
        ):
            _build(wanted, half, progress)
        return box


def _existing(wanted: Plan) -> Box | None:
    box = read_box(directory_of(wanted.profile, wanted.digest))
    return box if box and box.digest == wanted.digest else None


def check_space(directory: Path) -> None:
    """Raise SelabError where a build in `directory` would fill the disk."""
    free = shutil.disk_usage(directory).free
    if free < DISK_NEEDED:
        raise SelabError(
            "There is not enough space to build a box.",
            f"{directory} has {free / 2**30:.1f} GiB free, and building needs {DISK_NEEDED / 2**30:.0f}.",
            "Free some (`selab box list` shows older boxes), or point SELAB_CACHE elsewhere.",
        )


def _build(wanted: Plan, half: Path, progress: Progress) -> None:
    root, raw, qcow2 = half / "root", half / "disk.raw", half / "box.img"
    names = "".join(f", the image {image.name}" for image in wanted.images)
    with progress.step(f"Installing packages: the guest{names}"), ThreadPoolExecutor(1) as beside:
        stop = Event()
        tars = beside.submit(_image_tars, wanted.images, stop)
        try:
            _unpack(wanted.recipe, root)
        except BaseException:
            stop.set()
            raise
        _carry(list(zip(wanted.images, tars.result(), strict=True)), root)
    with progress.step("Labelling its files"):
        labels = _labels(root)
    if not missing_on_host():
        with progress.step("Flattening its policy"):
            _keep_policy(root, half)
    with progress.step("Making its disk"):
        _take_out(root, half)
        _write_disk(root, labels, raw, wanted.recipe.disk_gib)
        remove_tree(root)
        _run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(qcow2)], "The disk could not be converted.")
        raw.unlink()
    with progress.step("Packing the Vagrant box"):
        _pack(half, qcow2, wanted.recipe)
        qcow2.unlink()


def _image_tars(images: Sequence[ImageSource], stop: Event) -> list[Path]:
    """The images' tars, kept in the cache. Silent, since it runs beside the guest's packages: one mmdebstrap keeps only one CPU busy.

    `stop` ends the one that is being made, as a failure, and so no other is begun.
    """
    return [image_tar(image, cache_dir(), Progress(), stop) for image in images]


def _unpack(recipe: Recipe, root: Path) -> None:
    """The root file system as files of root's, or of whoever is root in our user namespace. Devices are the guest's kernel's matter."""
    tar = root.with_name("root.tar")
    build_tar(recipe.rootfs, tar)
    root.mkdir()
    extract = [
        "tar",
        "--extract",
        "--numeric-owner",
        "--same-owner",
        "--preserve-permissions",
        "--exclude=./dev/*",
    ]
    _run(
        as_root([*extract, "--file", str(tar), "--directory", str(root)]),
        "The root file system could not be unpacked.",
    )
    tar.unlink()


def _carry(images: Sequence[tuple[ImageSource, Path]], root: Path) -> None:
    """Put the images' tars into the guest, each with a .json that holds the `--change` lines for `docker import`."""
    directory = root / IMAGES
    directory.mkdir(parents=True)
    for image, tar in images:
        there = directory / image.tar_name
        shutil.copyfile(tar, there)
        there.with_suffix(".json").write_text(json.dumps({"changes": image.changes}) + "\n")


def _labels(root: Path) -> list[tuple[str, str]]:
    """Build the guest's policy with the guest's own tools, and ask them which label each file is to have."""
    _run(
        as_root([tool("chroot"), str(root), "/usr/sbin/semodule", "-B", "-n"]),
        "The guest's policy could not be built.",
    )
    asked = [tool("chroot"), str(root), "/usr/sbin/setfiles", "-n", "-v", FILE_CONTEXTS, "/"]
    labels = RELABEL.findall(_run(as_root(asked), "The guest's files could not be labelled.").text)
    if "/usr/sbin/sshd" not in dict(labels):
        raise SelabError(
            "The guest's files could not be labelled.",
            "setfiles names no label for /usr/sbin/sshd.",
            "Look into selab's log.",
        )
    return labels


def _keep_policy(root: Path, half: Path) -> None:
    """Make the flat base of the guest's policy now: from here its store need not be copied out of a slow guest."""
    there = [
        f"var/lib/selinux/{SELINUX_TYPE}/active/modules",
        "usr/share/selinux/devel",
        f"etc/selinux/{SELINUX_TYPE}/contexts",
    ]
    argv = as_root(["tar", "--create", "--file", "-", "--directory", str(root), *there])
    archive = _run(argv, "The guest's policy could not be read.").stdout
    keep_base(archive, SELINUX_TYPE, Toolchain(LocalHost(), str(half / "policy")), cache_dir())


def _write_disk(root: Path, labels: Sequence[tuple[str, str]], raw: Path, gib: int) -> None:
    """A file system without partitions, and then its labels: a plain user cannot set them on files, but can in a file system image."""
    with raw.open("wb") as disk:
        disk.truncate(gib << 30)
    # Zeroed now, where it costs nothing, instead of by the guest's kernel in the background of the first runs.
    make = [tool("mke2fs"), "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0", "-d", str(root), str(raw)]
    _run(as_root(make), "The disk's file system could not be made.")
    script = raw.with_name("labels.debugfs")
    script.write_text(
        "".join(
            f'ea_set "{path.replace(chr(34), chr(34) * 2)}" security.selinux {label}\n'
            for path, label in labels
        )
    )
    argv = [tool("debugfs"), "-w", "-f", str(script), str(raw)]
    done = _run(argv, "The labels could not be written.")
    complaints = [line for line in done.error_text.splitlines() if line and not line.startswith("debugfs ")]
    if complaints:
        raise CommandFailed("The labels could not be written.", argv, 0, "\n".join(complaints))
    script.unlink()


def _take_out(root: Path, half: Path) -> None:
    """Copy what the host needs: kernel and initrd."""
    for name, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd.img", "initrd.img-*")):
        found = sorted((root / "boot").glob(pattern))
        if not found:
            raise SelabError(
                "The guest has no kernel.", f"There is no boot/{pattern} in it.", "Look into selab's log."
            )
        shutil.copyfile(found[-1], half / name)


def _pack(half: Path, qcow2: Path, recipe: Recipe) -> None:
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": recipe.disk_gib}
    (half / "metadata.json").write_text(json.dumps(metadata) + "\n")
    (half / "info.json").write_text(
        json.dumps({"description": "Debian with SELinux, audit and Docker, built by selab"}) + "\n"
    )
    (half / "Vagrantfile").write_text(BOX_VAGRANTFILE % recipe.cmdline)
    with tarfile.open(half / "box.box", "w") as box:
        for name in ("metadata.json", "info.json", "Vagrantfile", "vmlinuz", "initrd.img", qcow2.name):
            (half / name).chmod(0o644)
            box.add(half / name, arcname=name, filter=_as_nobody)
    for name in ("metadata.json", "info.json", "Vagrantfile"):
        (half / name).unlink()
    (half / "box.box").chmod(0o644)


def _as_nobody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _run(argv: Sequence[str], what: str) -> Completed:
    return (
        LocalHost().run(argv, timeout=STAGE_TIMEOUT).expect(what, hint="The whole output is in selab's log.")
    )

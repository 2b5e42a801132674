"""Build a Vagrant box from packages, in four stages, as root or as a plain user in a user namespace."""

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
from selab.images.rootfs import as_root, build_tar, require, tool
from selab.images.source import ImageSource, image_tar
from selab.policy.base import keep_base
from selab.policy.store_archive import UDICA_TEMPLATES
from selab.policy.toolchain import Toolchain, missing_on_host
from selab.progress import Progress
from selab.vm.box.recipe import Plan, Recipe, plan
from selab.vm.box.store import Box, box_at, building, directory_of, half_made, name_of, read_box, remove_tree

TOOLS = {"mke2fs": "e2fsprogs", "debugfs": "e2fsprogs", "qemu-img": "qemu-utils", "chroot": "coreutils"}
DISK_NEEDED = 6 << 30
"""Free bytes that a build needs: the root file system twice, the disk twice, the box, and a reserve."""
STAGE_TIMEOUT = 900.0
"""Seconds for one program of a stage. The slowest takes ten on a 2-core machine."""
IMAGES = "var/lib/selab/images"
SELINUX_TYPE = "default"
FILE_CONTEXTS = f"/etc/selinux/{SELINUX_TYPE}/contexts/files/file_contexts"
RELABEL = re.compile(r"^Would relabel (/.*) from .* to (\S+)$", re.MULTILINE)
"""The line that `setfiles -n -v` prints for a file whose label differs."""
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
    """Return the box `profile` with the images of `images_dir`, or None if it has not been built."""
    return _existing(plan(profile, images_dir))


def box_name(profile: str, images_dir: Path) -> str:
    """Return the name of the box `profile` with the images of `images_dir`, whether or not it has been
    built."""
    return name_of(profile, plan(profile, images_dir).digest)


def build_box(profile: str, images_dir: Path, progress: Progress) -> Box:
    """Return the box `profile` with the images of `images_dir`. Build it if necessary, which takes some
    minutes.

    Raises SelabError.
    """
    box_plan = plan(profile, images_dir)
    if existing := _existing(box_plan):
        return existing
    require(TOOLS)
    with building(progress):
        if existing := _existing(box_plan):
            return existing
        check_space(cache_dir())
        box = box_at(
            directory_of(profile, box_plan.digest), profile, box_plan.digest, box_plan.recipe.cmdline
        )
        with (
            progress.step(f"Building the box {box.name} from packages (once)", "box"),
            half_made(box) as half,
        ):
            _build(box_plan, half, progress)
        return box


def _existing(box_plan: Plan) -> Box | None:
    box = read_box(directory_of(box_plan.profile, box_plan.digest))
    return box if box and box.digest == box_plan.digest else None


def check_space(directory: Path) -> None:
    """Raise SelabError if a build in `directory` would fill the disk."""
    free = shutil.disk_usage(directory).free
    if free < DISK_NEEDED:
        raise SelabError(
            "There is not enough space to build a box.",
            f"{directory} has {free / 2**30:.1f} GiB free, and building needs {DISK_NEEDED / 2**30:.0f}.",
            "Free some (`selab box list` shows older boxes), or point SELAB_CACHE elsewhere.",
        )


def _build(box_plan: Plan, half: Path, progress: Progress) -> None:
    root, raw, qcow2 = half / "root", half / "disk.raw", half / "box.img"
    names = "".join(f", the image {image.name}" for image in box_plan.images)
    with progress.step(f"Installing packages: the guest{names}"), ThreadPoolExecutor(1) as beside:
        stop = Event()
        tars = beside.submit(_image_tars, box_plan.images, stop)
        try:
            _unpack(box_plan.recipe, root)
        except BaseException:
            stop.set()
            raise
        _carry(list(zip(box_plan.images, tars.result(), strict=True)), root)
    with progress.step("Labelling its files"):
        labels = _labels(root)
    if not missing_on_host():
        with progress.step("Flattening its policy"):
            _keep_policy(root, half)
    with progress.step("Making its disk"):
        _take_out(root, half)
        _write_disk(root, labels, raw, box_plan.recipe.disk_gib)
        remove_tree(root)
        _run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(qcow2)], "The disk could not be converted.")
        raw.unlink()
    with progress.step("Packing the Vagrant box"):
        _pack(half, qcow2, box_plan.recipe)
        qcow2.unlink()


def _image_tars(images: Sequence[ImageSource], stop: Event) -> list[Path]:
    """Build the images' tar files and keep them in the cache.

    This runs in parallel with the guest's packages, because one mmdebstrap uses one CPU, and so it reports no
    progress. Setting `stop` ends the current build as a failure, and then no other one starts.
    """
    return [image_tar(image, cache_dir(), Progress(), stop) for image in images]


def _unpack(recipe: Recipe, root: Path) -> None:
    """Unpack the root file system as root, or as root of the user namespace. The guest's kernel creates the
    devices."""
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
    """Copy the images' tar files into the guest, each with a .json file that contains the `--change` lines
    for `docker import`."""
    directory = root / IMAGES
    directory.mkdir(parents=True)
    for image, tar in images:
        there = directory / image.tar_name
        shutil.copyfile(tar, there)
        there.with_suffix(".json").write_text(json.dumps({"changes": image.changes}) + "\n")


def _labels(root: Path) -> list[tuple[str, str]]:
    """Build the guest's policy with the guest's own tools, and let them determine the label of each file."""
    _run(
        as_root([tool("chroot"), str(root), "/usr/sbin/semodule", "-B", "-n"]),
        "The guest's policy could not be built.",
    )
    # -F: on a machine with SELinux the files have labels, whose user, role and level setfiles would keep.
    setfiles = [tool("chroot"), str(root), "/usr/sbin/setfiles", "-F", "-n", "-v", FILE_CONTEXTS, "/"]
    labels = RELABEL.findall(_run(as_root(setfiles), "The guest's files could not be labelled.").text)
    if "/usr/sbin/sshd" not in dict(labels):
        raise SelabError(
            "The guest's files could not be labelled.",
            "setfiles reports no label for /usr/sbin/sshd.",
            "See selab's log.",
        )
    return labels


def _keep_policy(root: Path, half: Path) -> None:
    """Make the flat base of the guest's policy now, so that the module store need not be copied out of a slow
    guest later."""
    there = [
        f"var/lib/selinux/{SELINUX_TYPE}/active/modules",
        "usr/share/selinux/devel",
        f"etc/selinux/{SELINUX_TYPE}/contexts",
    ]
    if (root / UDICA_TEMPLATES).is_dir():
        there.append(UDICA_TEMPLATES)
    argv = as_root(["tar", "--create", "--hard-dereference", "--file", "-", "--directory", str(root), *there])
    archive = _run(argv, "The guest's policy could not be read.").stdout
    keep_base(archive, SELINUX_TYPE, Toolchain(LocalHost(), str(half / "policy")), cache_dir())


def _write_disk(root: Path, labels: Sequence[tuple[str, str]], raw: Path, gib: int) -> None:
    """Write a file system without partitions, then its labels.

    A plain user cannot set labels on files, but can set them inside a file system image.
    """
    with raw.open("wb") as disk:
        disk.truncate(gib << 30)
    # The inode tables are zeroed here at no cost; otherwise the guest's kernel would do it during the first
    # runs.
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
    """Copy the files that libvirt boots: the kernel and the initrd."""
    for name, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd.img", "initrd.img-*")):
        candidates = sorted((root / "boot").glob(pattern))
        if not candidates:
            raise SelabError(
                "The guest has no kernel.", f"It has no file boot/{pattern}.", "See selab's log."
            )
        shutil.copyfile(candidates[-1], half / name)


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
            box.add(half / name, arcname=name, filter=_owned_by_root)
    for name in ("metadata.json", "info.json", "Vagrantfile"):
        (half / name).unlink()
    (half / "box.box").chmod(0o644)


def _owned_by_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _run(argv: Sequence[str], what: str) -> Completed:
    return (
        LocalHost(limits=None)
        .run(argv, timeout=STAGE_TIMEOUT)
        .expect(what, hint="The whole output is in selab's log.")
    )

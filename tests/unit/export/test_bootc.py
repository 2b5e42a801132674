"""The format containerfile."""

from __future__ import annotations

import json

from selab.export.bootc import containerfile

from .conftest import MaterialOf, cil, paths, text_of


def test_the_image_gets_the_modules_and_installs_them_in_one_transaction(proven: MaterialOf) -> None:
    exported = containerfile(proven(cil()))
    assert paths(exported) == ["Containerfile", "base_container.cil", "web.cil"]
    text = text_of(exported, "Containerfile")
    arguments = {
        word: json.loads(rest)
        for word, _, rest in (line.partition(" ") for line in text.splitlines())
        if word in ("COPY", "RUN")
    }
    directory = "/usr/share/selinux/packages/web/"
    assert arguments["COPY"] == ["base_container.cil", "web.cil", directory]
    assert arguments["RUN"] == [
        *("semodule", "--noreload", "-X", "200", "-i"),
        f"{directory}base_container.cil",
        f"{directory}web.cil",
    ]


def test_the_base_image_is_the_users_choice(proven: MaterialOf) -> None:
    lines = text_of(containerfile(proven(cil())), "Containerfile").splitlines()
    assert [line for line in lines if not line.startswith(("#", "COPY", "RUN"))] == [
        "ARG BASE",
        "FROM ${BASE}",
    ]


def test_no_comment_is_a_directive_of_the_parser(proven: MaterialOf) -> None:
    comments = [
        line
        for line in text_of(containerfile(proven(cil())), "Containerfile").splitlines()
        if line.startswith("#")
    ]
    assert comments and not any("=" in line for line in comments)

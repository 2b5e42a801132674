"""What `selab init` says: where to go, if anywhere, and what to do there."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.__main__ import run


@pytest.mark.parametrize(
    ("where", "hint"),
    [([], "Next: `selab run apache"), (["my lab"], "Next: `cd 'my lab' && selab run apache")],
)
def test_it_says_what_comes_then(
    where: list[str],
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run(["init", *where])
    assert hint in capsys.readouterr().err

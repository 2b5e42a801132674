"""The package itself: what `import selab` exports, and what it leaves for later."""

from __future__ import annotations

import subprocess
import sys

import pytest

import selab
from selab import api


@pytest.mark.parametrize("name", ["Inconclusive", "Result", "Selab"])
def test_a_name_of_the_python_interface_is_the_apis_own(name: str) -> None:
    assert getattr(selab, name) is getattr(api, name)


def test_a_name_of_the_api_that_is_not_exported_is_unknown() -> None:
    assert hasattr(api, "Pattern")
    with pytest.raises(AttributeError, match="module 'selab' has no attribute 'Pattern'"):
        _ = selab.Pattern


def test_the_package_alone_does_not_import_the_python_interface() -> None:
    code = "import selab, sys; selab.__version__; sys.exit('selab.api' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

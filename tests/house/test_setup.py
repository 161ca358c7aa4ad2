"""`make` on a machine that isn't ready yet."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A Python without ensurepip, as Debian's is without python3-venv, until `ready` lies beside it.
PYTHON = """#!/bin/sh
[ "$1" = -m ] && [ "$2" = venv ] || exit 0
mkdir -p .venv/bin && cp "$0" .venv/bin/python
[ -e ready ] && printf '#!/bin/sh\\n' > .venv/bin/pip && chmod +x .venv/bin/pip
"""


def test_an_environment_that_was_not_made_to_its_end_is_made_by_the_next_try(
    tmp_path: Path,
) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    command = ["make", "setup", f"PYTHON={python}"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode != 0
    (tmp_path / "ready").touch()
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0

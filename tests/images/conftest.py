"""The two images, built from their Dockerfiles, and the two services of the compose file on them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from callguard.demo.tree import cache
from tests.images.bases import base
from tests.images.engine import ROOT, Engine

RELEASES = ("bookworm", "forky")
# What Debian 12 has.
PYTHON = "3.11"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    # Not pytest's folder for temporary files, which keeps what the last runs left: an image is half a gigabyte.
    with tempfile.TemporaryDirectory(prefix="images-", dir=cache()) as folder:
        running = Engine(Path(folder))
        try:
            yield running
        finally:
            running.close()


@pytest.fixture(scope="session")
def images(engine: Engine) -> Engine:
    """The engine, with both images in it."""
    with ThreadPoolExecutor() as together:
        options = together.submit(index, engine)
        for release, tar in zip(RELEASES, together.map(base, RELEASES), strict=True):
            engine.import_base(f"debian:{release}-slim", tar)
        engine.build("callguard-asterisk", ROOT / "docker/asterisk/Dockerfile", ROOT / "docker/asterisk")
        engine.build("callguard", ROOT / "docker/callguard/Dockerfile", context(engine), *options.result())
    return engine


def index(engine: Engine) -> list[str]:
    """An index for the build, of what this machine's pip gets from its own; nothing of it stays in the image."""
    folder = engine.folder / "wheels"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary", ":all:",
         "--python-version", PYTHON, "--requirement", str(ROOT / "requirements.txt"), "--dest", str(folder)],
        check=True, capture_output=True, timeout=600,
    )  # fmt: skip
    pip = engine.folder / "pip.conf"
    pip.write_text("[install]\nno-index = true\nfind-links = /mnt\n", encoding="utf-8")
    return ["--volume", f"{folder}:/mnt:ro", "--secret", f"id=pip,src={pip}"]


def context(engine: Engine) -> Path:
    """What the checkout's .dockerignore lets through, with the wheel of this checkout and not an older one in dist/."""
    folder = engine.folder / "context"
    folder.mkdir()
    for name in ("requirements.txt", ".dockerignore"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder / "dist")],
        cwd=ROOT, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return folder

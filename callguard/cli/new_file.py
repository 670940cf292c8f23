"""Files that commands make: for their owner only, and there once they are whole."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from callguard.cli.options import STDIN
from callguard.errors import InputError

BOTH_ON_STDOUT = "goes with a file: what is made is on standard output already"


@contextmanager
def new_file(file: Path, force: bool) -> Iterator[BinaryIO]:
    """A file for its owner only, which is there once it is whole; without force none is replaced.

    ``-`` is standard output, which gets it once it is whole.

    Raises:
        InputError: it is there already, or cannot be written.
    """
    if str(file) == STDIN:
        whole = io.BytesIO()
        yield whole
        sys.stdout.buffer.write(whole.getbuffer())
        sys.stdout.buffer.flush()
        return
    if file.exists() and not force:
        raise InputError("is there already: --force replaces it", file=file)
    made: Path | None = None
    try:
        # In its own folder, so that giving it its name is one step; mkstemp makes it 0600.
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        made = Path(name)
        with os.fdopen(descriptor, "w+b") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        if force:
            made.replace(file)
        else:
            os.link(made, file)
    except FileExistsError as error:
        raise InputError("is there already: --force replaces it", file=file) from error
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=file) from error
    finally:
        if made is not None:
            made.unlink(missing_ok=True)


@contextmanager
def new_text(file: Path, force: bool) -> Iterator[TextIO]:
    """As `new_file`, in UTF-8, with line ends as they are written."""
    with new_file(file, force) as data:
        out = io.TextIOWrapper(data, encoding="utf-8", newline="")
        try:
            yield out
        finally:
            out.detach()

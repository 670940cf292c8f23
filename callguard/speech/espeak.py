"""One text to one WAV file: a program of its own, which `render` starts anew for each text.

It stands alone for two reasons. The C library may end the whole process (it does where its data are missing). And what
it says depends on what it has said before in the same process: only a fresh one gives the same bytes for the same text.

Standard input is a JSON object: ``text``, ``voice`` (a voice file of espeak-ng), ``words_per_minute``, ``file``.
Exit status, after sysexits.h: 0 done, EX_UNAVAILABLE no espeak-ng, EX_DATAERR no such voice, EX_SOFTWARE broken off.
"""

import contextlib
import json
import os
import re
import sys


def main() -> int:
    job = json.load(sys.stdin)
    try:
        import pyttsx3

        engine = pyttsx3.init("espeak")
    except (ImportError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return os.EX_UNAVAILABLE
    refused: list[Exception] = []
    begun = [0]
    engine.connect("error", lambda exception, **_: refused.append(exception))
    engine.connect("started-word", lambda location, **_: begun.append(location))
    engine.setProperty("voice", job["voice"])
    engine.setProperty("rate", job["words_per_minute"])
    engine.save_to_file(job["text"], job["file"])
    # pyttsx3 2.99's runAndWait() returns before its espeak driver has written the file; the driver's own loop ends
    # only after that. The driver prints where it wrote.
    with contextlib.redirect_stdout(sys.stderr):
        engine.startLoop()
    if refused:
        print(refused[0], file=sys.stderr)
        return os.EX_DATAERR
    if max(begun) < last_word(job["text"]):
        print(f"espeak-ng stopped at character {max(begun)} of {len(job['text'])}", file=sys.stderr)
        return os.EX_SOFTWARE
    return os.EX_OK


def last_word(text: str) -> int:
    """Where the last word begins, counted from 1 as espeak-ng counts."""
    return max((match.start() + 1 for match in re.finditer(r"\S*\w\S*", text)), default=1)


if __name__ == "__main__":
    sys.exit(main())

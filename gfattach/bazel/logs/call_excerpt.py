"""What of a log of remote calls is kept as evidence: all but the transfers.

What a server said of an action is in the calls of its Execution and ActionCache services. Those of ByteStream
and ContentAddressableStorage, a dozen for an action with new inputs, are nine tenths of a log (measured with
7.7.1: 9 kB of 11 for two genrules), and say of bytes where they went.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from gfattach.core.files import storage_error
from gfattach.core.wire.delimited import DelimitedError, messages

#: Services whose calls are kept, as the full names of methods have them.
_KEPT = (b".Execution/", b".ActionCache/", b".Capabilities/")


def keep_calls(log: Path, kept: Path) -> None:
    """Write to `kept` the calls of `log` that may prove something, in its own format.

    A log that is cut off, or none, is kept as it is. A missing one leaves nothing. Raises StorageError.
    """
    try:
        with log.open("rb", buffering=0) as file, kept.open("wb") as out:
            try:
                _copy(file, out)
            except DelimitedError:  # the verifier is to see it
                file.seek(0)
                out.seek(0)
                out.truncate()
                shutil.copyfileobj(file, out)
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_error("keep the calls of", log, error) from error


def _copy(file: BinaryIO, out: BinaryIO) -> None:
    for data, at, end in messages(file.read):
        if any(data.find(name, at, end) >= 0 for name in _KEPT):
            out.write(_length(end - at))
            out.write(data[at:end])


def _length(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))

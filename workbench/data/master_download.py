"""Fetching the instrument master's file; checking and installing it is `instruments.install_master`'s.

The library's own fetch writes into the working folder, has no time-out and answers None on failure.

Invariant: the target is a whole file or absent: a fetch that breaks off leaves nothing behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests

from workbench.core.errors import BrokerUnavailable

LIVE_COMPACT_URL = "https://images.dhan.co/api-data/api-scrip-master.csv"
LIVE_DETAILED_URL = "https://images.dhan.co/api-data/api-scrip-master-detailed.csv"
_TIMEOUTS_S = (5.0, 20.0)
_WHOLE_S = 180.0
_MAX_BYTES = 512 * 1024 * 1024
_CHUNK = 1 << 16


def download_master(url: str, target: Path) -> int:
    """Fetch a master into `target`.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    BrokerUnavailable
        No answer, an error page, too slow or too long.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    deadline = time.monotonic() + _WHOLE_S
    try:
        with requests.Session() as session:
            session.trust_env = urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1")
            with session.get(url, stream=True, timeout=_TIMEOUTS_S) as response, part.open("wb") as file:
                written = _copy(response, file.write, deadline, url)
                file.flush()
                os.fsync(file.fileno())
        part.replace(target)
    except (requests.RequestException, OSError) as error:
        raise BrokerUnavailable(
            f"the instrument master cannot be fetched from {url}: {type(error).__name__}; "
            "check the connection, or start with the last good master"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return written


def _copy(response: requests.Response, write: Callable[[bytes], int], deadline: float, url: str) -> int:
    kind = response.headers.get("content-type", "")
    if response.status_code != 200 or "html" in kind:
        raise BrokerUnavailable(f"{url} answered HTTP {response.status_code} ({kind}), no instrument master; try again")
    written = 0
    for chunk in response.iter_content(_CHUNK):
        written += write(chunk)
        if written > _MAX_BYTES or time.monotonic() > deadline:
            raise BrokerUnavailable(f"{url}: longer than {_MAX_BYTES} bytes or slower than {_WHOLE_S:g} s; try again")
    expected = response.headers.get("content-length")
    if "content-encoding" not in response.headers and expected is not None and written != int(expected):
        raise BrokerUnavailable(f"{url}: {written} of {expected} bytes came; try again")
    return written

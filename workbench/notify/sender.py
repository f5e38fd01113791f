"""The child process that talks to the services: one JSON line in, one JSON line out, until its input ends.

Invariant: an answer holds counts and the names of services, never an address.
"""

from __future__ import annotations

import json
import logging
import os
import sys

import apprise

from workbench.notify.channel import ADDRESSES

_KINDS = {"info": apprise.NotifyType.INFO, "warning": apprise.NotifyType.WARNING, "alarm": apprise.NotifyType.FAILURE}


def main() -> int:
    """Send what comes."""
    logging.disable(logging.CRITICAL)  # the library logs addresses
    services = []
    bad = 0
    for address in os.environ.get(ADDRESSES, "").split():
        service = apprise.Apprise.instantiate(address)
        if service is None:
            bad += 1
        else:
            services.append(service)
    for line in sys.stdin:
        notice = json.loads(line)
        failed = []
        for service in services:
            try:
                took = service.notify(
                    body=notice["text"],
                    title=f"workbench {notice['level']}",
                    notify_type=_KINDS.get(notice["level"], apprise.NotifyType.WARNING),
                    body_format=apprise.NotifyFormat.TEXT,
                )
            except (TypeError, ValueError, OSError):
                took = False
            if not took:
                failed.append(str(service.service_name))
        reasons = [f"{bad} addresses cannot be read"] if bad else []
        reasons += [f"refused or out of reach: {', '.join(failed)}"] if failed else []
        answer = {
            "taken": len(services) - len(failed),
            "of": len(services) + bad,
            "reason": "; ".join(reasons),
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What must be right at Dhan before anything trades there: token, its end, segments, data plan, address, clock.

`workbench doctor` shows the findings, and a live start asks for fresh ones. Reads alone are made: that reads work
proves nothing about orders, which Dhan takes only from a registered address.

Invariant: it only looks, and a thing that could not be looked at is not called right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from workbench.bootstrap.findings import Blocks, Finding
from workbench.brokers.dhan.client import DhanClient
from workbench.brokers.dhan.login import Profile, addresses_of, clock_offset_s, profile_of, token_expiry
from workbench.brokers.dhan.login_wire import LoginRefused, LoginWire
from workbench.brokers.dhan.transport import Endpoint, Fate
from workbench.core.errors import BrokerError
from workbench.core.session import IST

CLOCK_WARN_S = 2.0
CLOCK_REFUSE_S = 30.0
_DERIVATIVES = "D"
_NIFTY = {"IDX_I": [13]}
_NEW_TOKEN = "run workbench login --new, or make one at web.dhan.co and put it into DHAN_ACCESS_TOKEN"  # noqa: S105


def wall_clock() -> datetime:
    """Give this machine's time, in India."""
    return datetime.now(IST)


def examine_broker(
    wire: LoginWire,
    token: str,
    *,
    base_url: str,
    needed_until: datetime | None = None,
    delivers: bool = False,
    now: Callable[[], datetime] = wall_clock,
) -> Sequence[Finding]:
    """Ask Dhan for everything that an order needs, and compare clocks.

    Parameters
    ----------
    wire : LoginWire
    token : str
    base_url : str
        REST root, for the one price that is asked for: a data plan can be called active and give nothing.
    needed_until : datetime, optional
        Until when the token must hold: five minutes after the session's close; None: no session today.
    delivers : bool
        Shares are bought for delivery (CNC): on a later day they leave the demat account.
    now : callable
        This machine's clock, in which tokens end.
    """
    try:
        profile = profile_of(wire, token)
    except LoginRefused as error:
        ends = token_expiry(token)
        ended = f"; it ended at {ends:%Y-%m-%d %H:%M}" if ends is not None and ends <= now() else ""
        findings = [Finding.bad("token", f"Dhan refuses it: {error.said}{ended}", _NEW_TOKEN, blocks=Blocks.PAPER)]
    except BrokerError as error:
        return [_unreachable("token", error)]
    else:
        findings = [
            Finding.good("token", f"Dhan takes it, client …{wire.client_id[-3:]}"),
            _end(token, profile, needed_until, now()),
            _segments(profile),
            _data_plan(profile, DhanClient(base_url, wire.client_id, token, Endpoint.DATA)),
            _address(wire, token),
            *([_demat(profile)] if delivers else []),
        ]
    return [*findings, _clock(wire, now())]


def _end(token: str, profile: Profile, needed_until: datetime | None, now: datetime) -> Finding:
    name = "token's end"
    ends = min((each for each in (token_expiry(token), profile.token_valid_until) if each is not None), default=None)
    if ends is None or ends <= now:
        # Dhan has just taken it: a passed end is told in another clock (a simulator's day), and proves nothing.
        return Finding.good(name, "not told in this machine's time; Dhan takes the token now")
    left = f"ends {ends:%Y-%m-%d %H:%M}, {(ends - now).total_seconds() / 3600:.1f} hours left"
    if needed_until is not None and ends < needed_until:
        return Finding.bad(
            name, f"{left}: before the session is over ({needed_until:%H:%M})", _NEW_TOKEN, blocks=Blocks.LIVE
        )
    return Finding.good(name, left)


def _segments(profile: Profile) -> Finding:
    listed = ", ".join(profile.segments) or "none told"
    if profile.segments and _DERIVATIVES not in profile.segments:
        way_out = "activate futures and options at Dhan (web.dhan.co, Profile, Segments)"
        return Finding.bad("segments", f"{listed}: no derivatives (D)", way_out, blocks=Blocks.LIVE)
    return Finding.good("segments", listed)


def _demat(profile: Profile) -> Finding:
    name = "shares of another day"
    if profile.ddpi.strip().lower() == "active":
        return Finding.good(name, "DDPI is active: they can be sold")
    detail = f"DDPI is {profile.ddpi or 'not told'}: carried shares are not sold until you authorise each sale"
    way_out = "activate DDPI at Dhan (web.dhan.co, Profile), or authorise with the TPIN (eDIS) before the open"
    return Finding.bad(name, detail, way_out, blocks=Blocks.NOTHING)


def _data_plan(profile: Profile, client: DhanClient) -> Finding:
    name, way_out = (
        "data plan",
        "subscribe to the Data APIs at web.dhan.co (Profile, Access DhanHQ APIs); it is paid for",
    )
    if not profile.has_data:
        detail = f"it is {profile.data_plan or 'not told'}: no prices, no history"
        return Finding.bad(name, detail, way_out, blocks=Blocks.PAPER)
    try:
        answer = client.api.ticker_data(_NIFTY)["answer"]
    finally:
        client.transport.close()
    if answer.fate is Fate.ANSWERED and answer.status == 200:
        return Finding.good(name, "active, and a price was given")
    if answer.fate is Fate.ANSWERED and answer.status not in (429,) and answer.status < 500:
        detail = f"called active, but no price is given: {answer.reason}"
        return Finding.bad(name, detail, way_out, blocks=Blocks.PAPER)
    return Finding.bad(name, f"called active; no price came: {answer.reason}", "try again", blocks=Blocks.NOTHING)


def _address(wire: LoginWire, token: str) -> Finding:
    name = "registered address"
    try:
        found = addresses_of(wire, token)
    except BrokerError as error:
        return _unreachable(name, error, blocks=Blocks.LIVE)
    listed = ", ".join(found.registered) or f"none registered{f' ({found.said})' if found.said else ''}"
    seen = f"; Dhan sees {found.detected}" if found.detected else ""
    if found.orders_allowed is False:
        way_out = (
            "register this machine's address at web.dhan.co (Profile, Access DhanHQ APIs, static IP; it can be changed "
            "once in seven days), or trade from the registered one; reads and prices work from anywhere"
        )
        return Finding.bad(name, f"Dhan takes no orders from here: {listed}{seen}", way_out, blocks=Blocks.LIVE)
    if found.orders_allowed is None:
        return Finding.good(name, f"{listed}; Dhan does not say whether we come from there, so only an order proves it")
    return Finding.good(name, f"{listed}{seen}; orders are taken from here")


def _clock(wire: LoginWire, wall_now: datetime) -> Finding:
    name, told = "clock", wire.server_time
    if told is None:
        return Finding.bad(
            name, "Dhan's answer has no Date, so no clock to compare with", "try again", blocks=Blocks.LIVE
        )
    ahead = clock_offset_s(told, wall_now, time.monotonic())
    detail = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Dhan's"
    if abs(ahead) <= CLOCK_WARN_S:
        return Finding.good(name, f"within {CLOCK_WARN_S:.0f} s of Dhan's")
    way_out = (
        "let this machine set its clock by the network (Windows: w32tm /resync; Linux: timedatectl set-ntp true; "
        "macOS: Date & Time, set automatically)"
    )
    return Finding.bad(name, detail, way_out, blocks=Blocks.LIVE if abs(ahead) > CLOCK_REFUSE_S else Blocks.NOTHING)


def _unreachable(name: str, error: BrokerError, *, blocks: Blocks = Blocks.PAPER) -> Finding:
    detail, _, way_out = str(error).partition("; ")
    return Finding.bad(name, detail, way_out or "check the connection and try again", blocks=blocks)

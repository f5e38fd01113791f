"""From the engine's status to what is shown: pure functions, so that every word of the page is tested without a page.

Texts that come from outside (names, reasons) are made harmless here, once. What the status does not say is shown as
unknown, never as fine: a missing stop is "NONE", a missing feed age is a warning.

Invariant: nothing is computed that the engine already knows; the page adds words, colours and spaces, no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.control import words
from apps.control.killing import kill_banner
from apps.control.legs_view import legs_card
from apps.control.shapes import (
    AlarmLine,
    AlertLine,
    Banner,
    DayMoney,
    DeploymentLine,
    Figure,
    Head,
    Notice,
    PositionCard,
    Screen,
)
from apps.control.words import UNKNOWN, Tone, coloured, plain

Json = Mapping[str, Any]

STALE_FEED_S = 5.0
TOKEN_WARN_H = 3.0


_MODES = {
    "practice": ("PRACTICE", "no real money: simulated market, simulated broker"),
    "paper": ("PAPER", "no real money: Dhan's live prices, simulated orders"),
    "live": ("LIVE", "real money: orders go to Dhan"),
}
_PHASES = {
    "closed": "no session today",
    "before_open": "before the open",
    "open": "market open",
    "break": "break",
    "square_off": "square-off",
    "after_close": "after the close",
}
_GOOD_FATES = ("entered", "exited", "reversed")
_NEUTRAL_FATES = ("received", "waiting", "nothing_to_exit", "ignored", "duplicate", "queued")


def screen(status: Json, orders: Sequence[Json] = ()) -> Screen:
    """Lay out a status of ``GET /api/status`` and the orders of ``GET /live/orders``."""
    mode = str(status.get("mode", ""))
    return Screen(
        head=head(status),
        banners=banners(status, orders),
        money=day_money(status),
        used=_used(status),
        lines=lines(status),
        positions=tuple(position_card(item, mode) for item in status.get("positions") or ()),
        legs=tuple(legs_card(item) for item in status.get("structures") or ()),
        alerts=tuple(_alert_line(item) for item in status.get("alerts") or ()),
        deployments=tuple(_deployment_line(item) for item in status.get("deployments") or ()),
        notices=tuple(_notice(item) for item in reversed((status.get("notices") or [])[-6:])),
        alarms=tuple(_alarm(item) for item in (status.get("alarms") or ())[:6]),
        halted=bool(status.get("halted")),
        is_live=mode == "live",
    )


def head(status: Json) -> Head:
    """Mode in word and colour, account, clock, phase with the time that is left."""
    key = str(status.get("mode", ""))
    # A mode that this page does not know is treated as the dangerous one.
    word, meaning = _MODES.get(
        key, (key.upper() or "UNKNOWN MODE", "this page does not know this mode: take it as live")
    )
    if key == "live" and status.get("dry_run"):
        word, meaning = "LIVE, DRY RUN", "every order is written to the journal and none is sent"
    phase = status.get("phase") or {}
    name = str(phase.get("name", ""))
    return Head(
        mode=plain(word),
        mode_key=key if key in _MODES else "live",
        meaning=meaning,
        account=plain(status.get("account") or UNKNOWN),
        clock=words.clock(status.get("now")),
        day=words.calendar_day(status.get("now")),
        phase=plain(_PHASES.get(name, name or UNKNOWN)),
        countdowns=_countdowns(phase),
    )


def _countdowns(phase: Json) -> tuple[Figure, ...]:
    shown = []
    if phase.get("name") == "before_open":
        shown.append(_countdown(phase, "open", "opens"))
    for point, label in (("last_entry", "last entry"), ("square_off", "square-off")):
        shown.append(_countdown(phase, point, label))
    return tuple(shown)


def _countdown(phase: Json, point: str, label: str) -> Figure:
    at = phase.get(f"{point}_at")
    left = phase.get(f"{point}_in_s")
    if at is None:
        return Figure(label=label, value="none today")
    if left is None:
        return Figure(label=f"{label} {words.clock(at)[:5]}", value="past", tone=Tone.WARN)
    return Figure(
        label=f"{label} {words.clock(at)[:5]}",
        value=f"in {words.duration(left)}",
        tone=Tone.WARN if left < 600 else Tone.PLAIN,
    )


def banners(status: Json, orders: Sequence[Json] = ()) -> tuple[Banner, ...]:
    """What must be seen before everything else, the worst first."""
    found = [
        _naked(status),
        kill_banner(status),
        _frozen(status),
        _faults(status),
        *_unknown_orders(orders),
        _feed(status),
    ]
    if not status.get("ready"):
        reason = plain(status.get("reason") or "no reason given")
        found.append(
            Banner(tone=Tone.BAD, text=f"**ENGINE NOT READY**: {reason}. No entry is taken; see `workbench doctor`.")
        )
    if status.get("halted"):
        reason = plain(status.get("halt_reason") or "by the operator")
        found.append(
            Banner(
                tone=Tone.WARN,
                text=f"**HALTED**: {reason}. No new entries; exits and stops go on. RESUME allows entries.",
            )
        )
    socket = status.get("order_socket") or {}
    if not socket.get("up"):
        why = plain(socket.get("reason") or UNKNOWN)
        found.append(Banner(tone=Tone.WARN, text=f"**Order socket is down**: {why}. Orders are looked up one by one."))
    return tuple(item for item in found if item is not None)


def _naked(status: Json) -> Banner | None:
    naked = status.get("naked") or ()
    if not naked:
        return None
    text = f"**{len(naked)} POSITION(S) WITHOUT A STOP.** FLATTEN leaves now; or place a stop in Dhan's own app."
    return Banner(tone=Tone.BAD, text=text)


def _frozen(status: Json) -> Banner | None:
    differences = status.get("frozen") or ()
    if not differences:
        return None
    told = "; ".join(plain(item) for item in differences)
    text = f"**ACCOUNT FROZEN**, book and broker differ: {told}. See docs/runbook.md."
    return Banner(tone=Tone.BAD, text=text)


def _faults(status: Json) -> Banner | None:
    faults = status.get("faults") or ()
    if not faults:
        return None
    return Banner(tone=Tone.BAD, text="**FAULT IN THE ENGINE**: " + "; ".join(plain(item) for item in faults[-3:]))


def _unknown_orders(orders: Sequence[Json]) -> list[Banner]:
    unknown = [order for order in orders if order.get("state") == "unknown"]
    return [
        Banner(
            tone=Tone.BAD,
            text=f"**ORDER UNKNOWN**: {plain(order.get('purpose', 'order'))} {plain(order.get('side', ''))} "
            f"{words.count(order.get('quantity'))} {plain(order.get('instrument', ''))} was not answered. It is "
            "looked up and never sent again; it may be filled.",
        )
        for order in unknown
    ]


def _feed(status: Json) -> Banner | None:
    feed = status.get("feed") or {}
    if feed.get("alive"):
        return None
    why = plain(feed.get("reason") or UNKNOWN)
    return Banner(tone=Tone.BAD, text=f"**MARKET DATA IS DEAD**: {why}. No entries; stops at the broker stand.")


def day_money(status: Json) -> DayMoney:
    """P&L after charges and how much of the day's loss limit is used."""
    pnl, limits = status.get("pnl") or {}, status.get("limits") or {}
    net, limit, used = pnl.get("net"), limits.get("max_daily_loss"), limits.get("loss_used_pct")
    share = min(1.0, max(0.0, (used or 0.0) / 100))
    if used is None:
        text = f"loss limit {words.rupees(limit, paise=False)}, share used unknown"
    elif used > 0:
        text = f"{used:g} % of the day's loss limit of {words.rupees(limit, paise=False)} used"
    else:
        text = f"none of the day's loss limit of {words.rupees(limit, paise=False)} used"
    return DayMoney(
        net=words.rupees(net, sign=True),
        tone=_sign_tone(net),
        parts=(
            f"closed {words.rupees(pnl.get('realised'), sign=True)} · open {words.rupees(pnl.get('open'), sign=True)}"
            f" · charges {words.rupees(pnl.get('charges'))} are in it"
        ),
        bar_share=share,
        bar_text=text,
        bar_tone=Tone.BAD if share >= 0.8 else Tone.WARN if share >= 0.5 else Tone.GOOD,
    )


def _used(status: Json) -> tuple[Figure, ...]:
    limits = status.get("limits") or {}
    used, most = status.get("trades_used"), limits.get("max_trades_per_day")
    full = used is not None and most is not None and used >= most
    counted = UNKNOWN if used is None else f"{used} of {most}"
    return (
        Figure(label="trades used", value=counted, tone=Tone.BAD if full else Tone.PLAIN),
        Figure(label="free funds", value=words.rupees(status.get("funds"), paise=False)),
    )


def lines(status: Json) -> tuple[Figure, ...]:
    """State of the lines to the market and the broker: feed, order socket, token, alerts."""
    feed, socket = status.get("feed") or {}, status.get("order_socket") or {}
    age, hours = feed.get("age_s"), status.get("token_hours_left")
    alert_age = status.get("last_alert_age_s")
    is_practice = status.get("mode") == "practice"
    token = Figure(
        label="Dhan token",
        value="not needed" if is_practice else UNKNOWN,
        tone=Tone.PLAIN if is_practice else Tone.WARN,
    )
    if hours is not None:
        token = Figure(
            label="Dhan token", value=f"{hours:g} h left", tone=Tone.WARN if hours < TOKEN_WARN_H else Tone.GOOD
        )
    return (
        Figure(
            label="feed",
            value=f"{age:.1f} s old" if age is not None else "no quote yet",
            tone=Tone.BAD if not feed.get("alive") else Tone.WARN if age is None or age > STALE_FEED_S else Tone.GOOD,
        ),
        Figure(
            label="order socket",
            value="up" if socket.get("up") else "DOWN",
            tone=Tone.GOOD if socket.get("up") else Tone.BAD,
        ),
        token,
        Figure(label="last alert", value="none yet" if alert_age is None else f"{words.duration(alert_age)} ago"),
    )


def position_card(item: Json, mode: str) -> PositionCard:
    """One position; its stop is shown with the order that holds it, or as NONE."""
    pnl = item.get("pnl")
    marks = []
    if item.get("priced_by_model"):
        marks.append("priced: model")
    if "index_as_future" in str(item.get("key", "")):
        marks.append("synthetic_instrument")
    state = str(item.get("state", UNKNOWN))
    if state != "open":
        marks.append(_state_mark(item, state))
    stop, stop_tone = stop_line(item, mode)
    lots = words.count(item.get("lots"))
    return PositionCard(
        position_id=str(item.get("id", "")),
        title=plain(item.get("instrument", UNKNOWN)),
        size=f"{plain(item.get('side', UNKNOWN))} {lots} {'lot' if lots == '1' else 'lots'} "
        f"= {words.count(item.get('units'))} units · {plain(item.get('deployment', UNKNOWN))}",
        marks=tuple(plain(mark) for mark in marks),
        pnl=words.rupees(pnl, sign=True),
        pnl_points=words.points(item.get("pnl_points")),
        tone=_sign_tone(pnl),
        stop=stop,
        stop_tone=stop_tone,
        figures=_position_figures(item),
    )


def _position_figures(item: Json) -> tuple[Figure, ...]:
    held = item.get("minutes_held")
    risk = item.get("at_risk")
    return (
        Figure(label="entry", value=words.price(item.get("entry"))),
        Figure(label="bid / ask", value=f"{words.price(item.get('bid'))} / {words.price(item.get('ask'))}"),
        Figure(label="target", value=target_line(item)),
        Figure(
            label="at risk to the stop, before charges",
            value=words.rupees(risk),
            tone=Tone.BAD if risk is None else Tone.PLAIN,
        ),
        Figure(label="held", value=UNKNOWN if held is None else f"{held:g} min"),
    )


def target_line(item: Json) -> str:
    """TARGET price, and where it is: at the broker beside the stop, or watched by us and taken by the stop's order."""
    target, order_id = item.get("target"), item.get("target_order_id")
    if target is None:
        return "none"
    if order_id:
        return f"{words.price(target)} · at the broker beside the stop · order {plain(order_id)}"
    if item.get("protection_rule") in ("stop_and_target", "super_order"):
        why = item.get("target_watched_for")
        return f"{words.price(target)} · watched here" + (f": {plain(why)}" if why else "")
    return words.price(target)


def stop_line(item: Json, mode: str) -> tuple[str, Tone]:
    """STOP price, its order id and where it is: at the broker, watched by us, on its way, or NONE."""
    where, stop = str(item.get("protection", "none")), item.get("stop")
    order_id = plain(item.get("stop_order_id") or "no order id yet")
    level = words.price(stop)
    if not item.get("units"):
        return "no fill yet, so no stop yet", Tone.WARN
    if item.get("covers"):
        return "none: it covers a sold option and is left after it", Tone.PLAIN
    if item.get("state") == "exiting":
        return f"leaving now, was {level} · order {order_id}", Tone.WARN
    if item.get("state") == "carried":
        return f"{level} · stays over the night; the stop goes to Dhan again at the open", Tone.WARN
    if item.get("state") == "expiring":
        return "left to expire: it is booked at its settlement price", Tone.WARN
    if where == "at_broker" and stop is not None:
        broker = "at Dhan" if mode == "live" else "at Dhan (simulated)"
        return f"{level} · {broker} · order {order_id}", Tone.GOOD
    if where == "watched" and stop is not None:
        return f"{level} · watched by this engine only: it holds while the engine runs", Tone.WARN
    if where == "pending":
        return f"{level} · on its way to Dhan, not confirmed · order {order_id}", Tone.WARN
    return "NONE · nothing limits this loss but you: FLATTEN, or place a stop in Dhan's app", Tone.BAD


def _state_mark(item: Json, state: str) -> str:
    reason = item.get("exit_reason")
    return f"{state} ({reason})" if reason else state


def _alert_line(item: Json) -> AlertLine:
    fate = str(item.get("fate", UNKNOWN))
    gate, reason = item.get("gate"), item.get("reason")
    why = plain(reason or "")
    if gate:
        why = f"{plain(gate)}: {why}" if why else plain(gate)
    action = str(item.get("action") or ("refused at the door" if item.get("kind") == "turned_away" else "alert"))
    deployment = item.get("deployment") or "unknown link"
    tone = Tone.GOOD if fate in _GOOD_FATES else Tone.PLAIN if fate in _NEUTRAL_FATES else Tone.WARN
    return AlertLine(
        clock=words.clock(item.get("time")),
        what=f"{plain(deployment)} · {plain(action.replace('_', ' '))}",
        fate=plain(fate.replace("_", " ")),
        why=why,
        tone=tone,
    )


def _deployment_line(item: Json) -> DeploymentLine:
    armed, halted = bool(item.get("armed")), bool(item.get("halted"))
    source = item.get("strategy") or "alerts"
    return DeploymentLine(
        name=plain(item.get("name", UNKNOWN)),
        what=plain(
            f"{item.get('symbol', UNKNOWN)} {item.get('interval', '')} · {source} · plan {item.get('plan', UNKNOWN)}"
        ),
        word="HALTED" if halted else "armed" if armed else "NOT ARMED",
        why=plain((item.get("halt_reason") if halted else item.get("reason")) or ""),
        tone=Tone.BAD if halted else Tone.GOOD if armed else Tone.WARN,
        halted=halted,
    )


def _notice(item: Json) -> Notice:
    level = str(item.get("level", UNKNOWN))
    tones = {"info": Tone.PLAIN, "warning": Tone.WARN}
    return Notice(word=plain(level.upper()), text=plain(item.get("text", "")), tone=tones.get(level, Tone.BAD))


def _alarm(item: Json) -> AlarmLine:
    times = int(item.get("times") or 1)
    often = f" ({times} times)" if times > 1 else ""
    return AlarmLine(number=int(item.get("number") or 0), text=f"{plain(item.get('text', ''))}{often}")


def _sign_tone(value: float | None) -> Tone:
    if value is None:
        return Tone.WARN
    return Tone.GOOD if value > 0 else Tone.BAD if value < 0 else Tone.PLAIN


def stopped_screen(reason: str, *, since_s: float, had_positions: int | None) -> Banner:
    """What is said while nobody answers."""
    held = (
        "Whether positions are open is not known."
        if had_positions is None
        else f"It last showed {had_positions} open position(s)."
    )
    return Banner(
        tone=Tone.BAD,
        text=f"**ENGINE UNREACHABLE for {words.duration(since_s)}**: {plain(reason)}. {held} What is below is OLD. "
        "Stops that lie at Dhan stay there; nothing else is watched. Way out: look at the terminal of `workbench up` "
        "or start it again; to leave a position now use Dhan's own app.",
    )


def coloured_figure(figure: Figure) -> str:
    """One figure as Markdown: small label, strong value."""
    return f"{figure.label}  \n{coloured(f'**{figure.value}**', figure.tone)}"

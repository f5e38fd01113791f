"""The control page: one honest look at the engine, once a second, with HALT and FLATTEN always in view.

It is a client of the engine's API and holds nothing: closing it stops no trade. The only HTML is the fixed style below.

Invariant: no click is sent twice, and a click whose answer did not come is shown as NOT CONFIRMED.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

ROOT = str(Path(__file__).resolve().parents[2])
if ROOT not in sys.path:  # Streamlit runs this file as a script, from wherever it was started
    sys.path.insert(0, ROOT)

from apps.control import buttons, killing, shapes, view, words  # noqa: E402
from apps.control.client import Answer, Engine, Reply  # noqa: E402
from apps.control.words import Tone, coloured  # noqa: E402

STYLE = Path(__file__).with_name("style.css")
TOLD_FOR_S = 15.0


@cache
def engine() -> Engine:
    """One connection pool for all visitors of this page."""
    return Engine()


def main() -> None:
    """Draw the page; everything that changes is in the fragment."""
    st.set_page_config(page_title="workbench", page_icon="📈", layout="wide", initial_sidebar_state="collapsed")
    st.html(STYLE)
    page()


@st.fragment(run_every=1.0)
def page() -> None:
    """Ask the engine and draw what it said."""
    answer = engine().status()
    state = st.session_state
    if isinstance(answer, Reply) and isinstance(answer.body, Mapping):
        state["status"], state["seen_at"] = answer.body, time.monotonic()
        _draw(answer.body, _orders(), banner=None)
        return
    reason = "an answer that this page cannot read" if isinstance(answer, Reply) else answer.reason
    old = state.get("status")
    banner = view.stopped_screen(
        reason,
        since_s=time.monotonic() - state.setdefault("seen_at", time.monotonic()),
        had_positions=None if old is None else len(old.get("positions") or ()),
    )
    _draw(old or {"mode": "", "ready": True, "feed": {"alive": True}, "order_socket": {"up": True}}, (), banner=banner)


def _orders() -> Sequence[Mapping[str, Any]]:
    answer = engine().orders()
    return answer.body if isinstance(answer, Reply) and isinstance(answer.body, list) else ()


def _draw(status: Mapping[str, Any], orders: Sequence[Mapping[str, Any]], *, banner: shapes.Banner | None) -> None:
    shown = view.screen(status, orders)
    is_old = banner is not None
    _bar(shown, is_old=is_old)
    _told()
    for item in (banner, *(() if is_old else shown.banners)):
        if item is not None:
            (st.error if item.tone is Tone.BAD else st.warning)(item.text)
    if is_old and "status" not in st.session_state:
        return
    with st.container(key="old" if is_old else "now"):
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _alarms(shown)
            _money(shown)
            _positions(shown)
            _alerts(shown)
        with right:
            _test_buttons(shown, is_old=is_old)
            _deployments(shown, is_old=is_old)
            _notices(shown)


def _bar(shown: shapes.Screen, *, is_old: bool) -> None:
    head = shown.head
    with st.container(key="bar"):
        with st.container(key=f"mode-{'unknown' if is_old else head.mode_key}", horizontal=True, gap="small"):
            st.markdown(f"**{'OLD' if is_old else head.mode}**", width="content")
            st.markdown(f"**{head.clock}** {head.day}", width="content")
            st.markdown(f"account {head.account} · {head.meaning}", width="content")
        with st.container(key="phase", horizontal=True, gap="small"):
            st.markdown(f"**{head.phase}**", width="content")
            for item in head.countdowns:
                st.markdown(f"{item.label} {coloured(f'**{item.value}**', item.tone)}", width="content")
        with st.container(key="switches", horizontal=True, gap="small"):
            _switches(shown)


def _switches(shown: shapes.Screen) -> None:
    if shown.halted:
        st.button("RESUME", key="resume", on_click=_order, args=("resume", "Resumed"), width="stretch")
    else:
        st.button("HALT", key="halt", on_click=_order, args=("halt", "Halted"), width="stretch")
    # Opening a popover asks the server nothing, so that the question stands at once and no click can be lost.
    asked = st.session_state.setdefault("flattened", 0)
    with st.popover("FLATTEN", key=f"flatten-{asked}", width="stretch"):
        count = len(shown.positions)
        leaves = f"Leaves {count} position(s) at the market now" if count else "No position is shown; leaves any"
        st.markdown(f"{leaves}, and halts entries until you resume.")
        label = f"YES, FLATTEN {count} NOW" if count else "YES, FLATTEN"
        st.button(label, key="flatten_yes", on_click=_flatten, width="stretch")
    _kill_switch(shown)


def _kill_switch(shown: shapes.Screen) -> None:
    ordered = st.session_state.setdefault("killed", 0)
    with st.popover("KILL", key=f"kill-{ordered}", width="stretch"):
        st.markdown(killing.WHAT_IT_DOES)
        sure = not shown.is_live or st.checkbox("LIVE: I am done trading for today", key=f"kill_sure_{ordered}")
        st.button("YES, KILL", key="kill_yes", disabled=not sure, on_click=_kill, width="stretch")


def _kill() -> None:
    st.session_state["killed"] += 1  # another key closes the question
    _remember(engine().kill(), "Kill switch ordered: see how far it is")


def _flatten() -> None:
    st.session_state["flattened"] += 1  # another key closes the question
    _order("flatten", "Flatten ordered: every position is being left")


def _order(command: str, done: str, deployment: str = "") -> None:
    _remember(engine().order(command, deployment), done)


def _press(button: str, deployment: str) -> None:
    _remember(engine().press(button, deployment), f"{buttons.BUTTONS[button]} for {words.plain(deployment)} taken")


def _remember(answer: Answer, done: str) -> None:
    went_well, text = buttons.told(answer, done)
    st.session_state["told"] = (time.monotonic(), went_well, text)


def _told() -> None:
    at, went_well, text = st.session_state.get("told", (-TOLD_FOR_S, True, ""))
    if text and time.monotonic() - at < TOLD_FOR_S:
        (st.success if went_well else st.error)(text)


def _figures(items: Sequence[shapes.Figure], key: str) -> None:
    with st.container(key=f"figures-{key}", horizontal=True, gap="medium"):
        for item in items:
            st.markdown(view.coloured_figure(item), width="content")


def _alarms(shown: shapes.Screen) -> None:
    for item in shown.alarms:
        with st.container(key=f"alarm-{item.number}", horizontal=True, gap="small"):
            st.markdown(coloured(f"**ALARM** {item.text}", Tone.BAD))
            st.button("Seen", key=f"seen_{item.number}", on_click=_seen, args=(item.number,))


def _seen(number: int) -> None:
    _remember(engine().seen(number), "Alarm acknowledged")


def _money(shown: shapes.Screen) -> None:
    money = shown.money
    with st.container(border=True, key="money"):
        st.markdown(f"P&L of the day after charges  \n{coloured(f'**{money.net}**', money.tone)}")
        st.markdown(f":small[{money.parts}]")
        with st.container(key=f"loss-{money.bar_tone}"):
            st.progress(money.bar_share, text=money.bar_text)
        _figures((*shown.used, *shown.lines), "lines")


def _positions(shown: shapes.Screen) -> None:
    st.markdown(
        "#### Position" if len(shown.positions) < 2 else f"#### {len(shown.positions)} positions", anchors=False
    )
    if not shown.positions:
        st.markdown("Flat: no position, none being opened.")
    for number, legs in enumerate(shown.legs):
        with st.container(border=True, key=f"legs-{number}"):
            marks = " ".join(f":orange-badge[{mark}]" for mark in legs.marks)
            st.markdown(f"**{legs.title}** {marks}  \n{coloured(f'**{legs.pnl}**', legs.tone)} together")
            _figures(legs.figures, f"legs-{number}")
    for number, card in enumerate(shown.positions):
        with st.container(border=True, key=f"position-{card.stop_tone}-{number}"):
            marks = " ".join(f":orange-badge[{mark}]" for mark in card.marks)
            st.markdown(f"**{card.title}** {marks}  \n:small[{card.size}]")
            with st.container(key=f"pnl-{number}"):
                st.markdown(f"{coloured(f'**{card.pnl}**', card.tone)} {card.pnl_points}")
            with st.container(key=f"stop-{number}"):
                st.markdown(f"**STOP** {coloured(f'**{card.stop}**', card.stop_tone)}")
            _figures(card.figures, f"position-{number}")


def _alerts(shown: shapes.Screen) -> None:
    st.markdown("#### Last alerts", anchors=False)
    if not shown.alerts:
        st.markdown("None today.")
    with st.container(key="alerts", gap="small"):
        for line in shown.alerts:
            why = f" — {line.why}" if line.why else ""
            st.markdown(f"`{line.clock}` {line.what} → {coloured(f'**{line.fate}**', line.tone)}{why}")


def _test_buttons(shown: shapes.Screen, *, is_old: bool) -> None:
    st.markdown("#### Test buttons", anchors=False)
    raw = [str(item["name"]) for item in st.session_state.get("status", {}).get("deployments") or ()]
    if not raw or is_old:
        st.markdown("No deployment to press for.")
        return
    first = next((index for index, item in enumerate(shown.deployments) if "alerts" in item.what), 0)
    chosen = st.selectbox("for deployment", range(len(raw)), index=first, format_func=lambda index: raw[index])
    means_it = not shown.is_live or st.checkbox("LIVE: a click buys or sells with real money", key="means_it")
    with st.container(key="buttons", horizontal=True, gap="small"):
        for button in buttons.BUTTONS:
            _button(buttons.button_card(button, engine().preview(button, raw[chosen])), raw[chosen], means_it=means_it)


def _button(card: buttons.ButtonCard, deployment: str, *, means_it: bool) -> None:
    with st.container(border=True, key=f"button-{card.button}", gap="small"):
        mark = "  \n:orange-badge[priced: model]" if card.priced_by_model else ""
        details = "  \n".join(card.details)
        st.markdown(f"**{card.title}**{mark}  \n{details}")
        st.button(
            card.label,
            key=f"press_{card.button}",
            disabled=not (card.enabled and means_it),
            on_click=_press,
            args=(card.button, deployment),
            width="stretch",
        )


def _deployments(shown: shapes.Screen, *, is_old: bool) -> None:
    raw = [str(item["name"]) for item in st.session_state.get("status", {}).get("deployments") or ()]
    st.markdown("#### Deployments", anchors=False)
    with st.container(key="deployments", gap="small"):
        for number, item in enumerate(shown.deployments):
            why = f" — {item.why}" if item.why else ""
            st.markdown(f"**{item.name}** {coloured(f'**{item.word}**', item.tone)}{why}  \n:small[{item.what}]")
            if is_old or number >= len(raw):
                continue
            command, done = ("resume", "resumed") if item.halted else ("halt", "halted")
            st.button(
                "allow entries" if item.halted else "stop entries",
                key=f"{command}_{number}",
                type="tertiary",
                on_click=_order,
                args=(command, f"{item.name} {done}", raw[number]),
            )


def _notices(shown: shapes.Screen) -> None:
    if not shown.notices:
        return
    st.markdown("#### Notices", anchors=False)
    with st.container(key="notices", gap="small"):
        for item in shown.notices:
            st.markdown(f"{coloured(f'**{item.word}**', item.tone)} {item.text}")


main()

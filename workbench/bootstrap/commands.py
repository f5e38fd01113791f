"""What each command of the command line does: read the arguments, ask the right room, print text or JSON.

Those of data and research are in `research_commands`.
"""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from workbench.bootstrap import deployments as promoted
from workbench.bootstrap.alert_key import alert_key
from workbench.bootstrap.client import EngineClient
from workbench.bootstrap.desk import Desk, day
from workbench.bootstrap.printing import printed
from workbench.bootstrap.research_commands import study_of
from workbench.config import data_dir, load
from workbench.core.errors import BadInput

if TYPE_CHECKING:
    from workbench.core.deployment import Deployment


def promote(args: argparse.Namespace) -> int:
    """``workbench promote``."""
    desk = Desk()
    known = {item.name: item for item in promoted.load_all(desk.data)}.get(args.name)
    if known is not None:
        _may_become_another(known, args.account, args.symbol.upper())
    if args.alerts:
        if args.set or args.start or args.end:
            raise BadInput("--alerts has no strategy: --set, --from and --to belong to one")
        deployment = desk.promote_alerts(
            args.name, symbol=args.symbol, plan=args.plan, interval=args.interval, account=args.account
        )
    else:
        deployment = desk.promote(args.name, study_of(desk, args), account=args.account)
    view = promoted.public_view(deployment, _engine_url())
    if not args.alerts:
        from workbench.research.promote import read_manifest

        checks = read_manifest(desk.data, args.name)["checks"]
        view["checks_not_passed"] = [f"{each['name']}: {each['detail']}" for each in checks if not each["passed"]]
    if left_out := promoted.not_in_practice(deployment):
        view["note"] = left_out
    return printed(args, view)


def deployments(args: argparse.Namespace) -> int:
    """``workbench deployments``."""
    data = data_dir()
    promoted.ensure_practice(data, load().strategy)
    if args.name is None:
        views = [promoted.public_view(item, _engine_url()) for item in promoted.load_all(data)]
        return printed(args, {"deployments": views} if not args.json else views)
    deployment = promoted.load(data, args.name)
    if args.new_key:
        key = secrets.token_urlsafe(32)
        deployment = replace(deployment, key_sha256=hashlib.sha256(key.encode()).hexdigest())
        promoted.save(data, deployment)
        sys.stdout.write(f"alert key of {deployment.name}, shown once: {key}\n")
    if args.account is not None and args.account != deployment.account:
        from workbench.bootstrap.dhan_venue import refuse_beyond_practice

        _may_become_another(deployment, args.account, deployment.symbol)
        deployment = replace(deployment, account=args.account)
        if args.account != "practice":
            refuse_beyond_practice(deployment)
        promoted.save(data, deployment)
    if args.pine:
        from workbench.bootstrap.pine import alert_texts

        view = promoted.public_view(deployment, _engine_url())
        sys.stdout.write(alert_texts(deployment, str(view["webhook_url"])))
        return 0
    return printed(args, promoted.public_view(deployment, _engine_url()))


def _may_become_another(deployment: Deployment, account: str, symbol: str) -> None:
    from workbench.bootstrap.moving import refuse_while_held

    if account != deployment.account:
        refuse_while_held(deployment, data_dir(), load(), _client())
    elif symbol != deployment.symbol:
        change = f"made anew for {symbol}"
        refuse_while_held(deployment, data_dir(), load(), _client(), change=change)


def alert_test(args: argparse.Namespace) -> int:
    """``workbench alert test``: one alert through the real webhook, and what became of it."""
    key = alert_key(args.key)
    deployment = promoted.load(data_dir(), args.name)
    client = _client()
    health = client.get("/health")
    if health["mode"] != deployment.account:
        raise BadInput(
            f"{deployment.name} is on account {deployment.account}, this engine trades {health['mode']}; try another, "
            f"or: workbench deployments {deployment.name} --account {health['mode']}, then workbench up anew"
        )
    body: dict[str, Any] = {
        "strategy": deployment.name,
        "symbol": deployment.symbol,
        "side": args.side,
        "timeframe": deployment.interval,
        "price": client.get(f"/live/spot-price?symbol={quote(deployment.symbol, safe='')}")["price"],
        "timestamp": health["now"],
        "id": f"test-{secrets.token_hex(6)}",
    }
    if key:
        body["key"] = key
    return printed(args, client.post("/webhook/" + deployment.webhook_link, body))


def operate(args: argparse.Namespace) -> int:
    """``workbench halt [NAME] | resume [NAME] | flatten | unfreeze``."""
    named = {"deployment": args.deployment} if getattr(args, "deployment", None) else {}
    answer = _client().post(f"/api/{args.action}", {"reason": "command line", **named})
    return printed(args, answer if args.json else {key: value for key, value in answer.items() if key != "events"})


def positions(args: argparse.Namespace) -> int:
    """``workbench positions``: what is held now, one line each."""
    held = _client().get("/live/positions")
    if args.json:
        return printed(args, held)
    names = ("id", "deployment", "instrument", "side", "units", "entry", "last", "pnl", "stop", "state")
    rows = [{**{name: row[name] for name in names}, "protection": row["protection_word"]} for row in held]
    return printed(args, rows or "nothing is held")


def close(args: argparse.Namespace) -> int:
    """``workbench close``: leave one position."""
    path = f"/live/position/{quote(args.position, safe='')}/close"
    return printed(args, _client().post(path, {"reason": "command line", "who": "command line"}))


def kill(args: argparse.Namespace) -> int:
    """``workbench kill``: asks, orders, and stays until it is done or known not to be."""
    from workbench.bootstrap.killing import kill as order

    seen = order(_client(), confirmed=args.yes, quiet=args.json)
    if args.json:
        printed(args, seen)
    return 0 if seen["state"] == "done" else 1


def closed_by_hand(args: argparse.Namespace) -> int:
    """``workbench closed-by-hand``."""
    body = {"price": args.price, "quantity": args.quantity, "who": "command line"}
    path = f"/live/position/{quote(args.position, safe='')}/closed-by-hand"
    return printed(args, _client().post(path, body))


def settle(args: argparse.Namespace) -> int:
    """``workbench settle``."""
    body = {"symbol": args.symbol.upper(), "expiry": args.expiry, "price": args.price}
    return printed(args, _client().post("/api/settlement", body))


def backup(args: argparse.Namespace) -> int:
    """``workbench backup``."""
    from workbench.bootstrap.backing_up import backup as take

    return printed(args, take(data_dir(), Path(args.to) if args.to else None))


def restore(args: argparse.Namespace) -> int:
    """``workbench restore``."""
    from workbench.bootstrap.backing_up import restore as put_back

    return printed(args, put_back(data_dir(), Path(args.file)))


def journal(args: argparse.Namespace) -> int:
    """``workbench journal archive | list | put-back``."""
    from workbench.bootstrap import putting_away

    if args.action == "put-back":
        return printed(args, putting_away.put_back_file(data_dir(), Path(args.file)))
    return printed(args, (putting_away.archive if args.action == "archive" else putting_away.listing)(data_dir()))


def export(args: argparse.Namespace) -> int:
    """``workbench export``."""
    from workbench.bootstrap.reporting import export as export_day

    wanted = day(args.date, "--date")
    if wanted is None:
        raise BadInput("give the day: --date YYYY-MM-DD")
    return printed(args, export_day(data_dir(), wanted, Path(args.to) if args.to else None, _client()))


def notify_test(args: argparse.Namespace) -> int:
    """``workbench notify test``."""
    from workbench.bootstrap.notifying import try_out

    told = try_out(load())
    printed(args, told)
    return 0 if told["ok"] else 1


def report_daily(args: argparse.Namespace) -> int:
    """``workbench report daily``."""
    from workbench.bootstrap.reporting import daily

    wanted = day(args.date, "--date")
    if wanted is None:
        raise BadInput("give the day: --date YYYY-MM-DD")
    return printed(args, daily(data_dir(), wanted, _client()))


def doctor(args: argparse.Namespace) -> int:
    """``workbench doctor``."""
    from workbench.bootstrap.doctor import Patient, examine
    from workbench.bootstrap.places import Places
    from workbench.config import Mode
    from workbench.reference import calendar

    config = load()
    mode = Mode(args.mode) if args.mode else config.trading.mode
    readiness = examine(
        Patient(
            data=data_dir(),
            config=config,
            mode=mode,
            client=_client(),
            places=Places.of_environment(),
            calendar=calendar(),
        )
    )
    if args.json:
        printed(args, readiness.to_dict())
    else:
        sys.stdout.write("\n".join(readiness.lines()) + "\n")
    return 0 if readiness.ok else 1


def login(args: argparse.Namespace) -> int:
    """``workbench login``."""
    from workbench.bootstrap.logging_in import given_token, log_in, token_ways
    from workbench.bootstrap.places import Places

    secrets_, places = load().secrets, Places.of_environment()
    ways = token_ways(secrets_, data_dir(), rest=places.rest, auth=places.auth)
    return printed(args, log_in(ways, given_token(secrets_), new=args.new))


def up(args: argparse.Namespace) -> int:
    """``workbench up``."""
    from workbench.bootstrap.up import run

    return run(args)


def demo(args: argparse.Namespace) -> int:
    """``workbench demo``."""
    from workbench.bootstrap.journey import run

    return printed(args, run(quiet=args.json))


def simulator(args: argparse.Namespace) -> int:
    """``workbench simulator``."""
    from workbench.bootstrap.simulator_process import run

    return run(args)


def engine(args: argparse.Namespace) -> int:
    """``workbench engine``."""
    from workbench.bootstrap.engine_process import run

    return run(args)


def prove(args: argparse.Namespace) -> int:
    """``workbench prove``."""
    from workbench.bootstrap.proving import prove as run

    return run(args)


def _engine_url() -> str:
    return f"http://127.0.0.1:{load().server.engine_port}"


def _client() -> EngineClient:
    config = load()
    given = config.secrets.admin_token
    token = given.get_secret_value() if given else None
    return EngineClient(config.server.engine_port, data_dir(), token=token)

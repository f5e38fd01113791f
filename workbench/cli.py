"""The command line: reads arguments and hands them to the composition root, so that start-up stays fast.

Invariant: nothing heavy is imported before a command needs it; an expected refusal is one line and exit code 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench import __version__
from workbench.core.errors import WorkbenchError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give the exit code of the process."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
    parser = build_parser()
    args = parser.parse_args(argv)
    if not hasattr(args, "command"):
        parser.print_help()
        return 2
    from workbench.bootstrap import commands, research_commands

    try:
        run = getattr(commands, args.command, None) or getattr(research_commands, args.command)
        code = int(run(args))
        sys.stdout.flush()
        return code
    except WorkbenchError as error:
        sys.stderr.write(f"workbench: {error}\n")
        return 2
    except BrokenPipeError:
        # Whoever reads (`| head`) has read enough; the interpreter's own flush at the end is to find nothing to write.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - stays open until the end
        return 0
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(prog="workbench", description="From a notebook to a live trade at Dhan.")
    parser.add_argument("--version", action="version", version=f"workbench {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _data(commands)
    _research(commands)
    _deployments(commands)
    _running(commands)
    return parser


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def _command(commands: Commands, name: str, run: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=run)
    return parser


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _range(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="start", metavar="D", help="first day, YYYY-MM-DD")
    parser.add_argument("--to", dest="end", metavar="D", help="last day (included), YYYY-MM-DD")


def _data(commands: Commands) -> None:
    data = commands.add_parser("data", help="import and show bars").add_subparsers(metavar="ACTION", required=True)
    load = _command(data, "import", "data_import", "import bars from CSV or text files")
    load.add_argument("files", nargs="+", metavar="FILE")
    load.add_argument("--symbol", required=True)
    load.add_argument("--interval", default="1m")
    load.add_argument("--label", choices=("start", "end"), required=True, help="which end of the bar its time names")
    load.add_argument("--columns", help="names of the columns of files without a header, comma between them")
    _json(load)
    show = _command(data, "show", "data_show", "show stored bars")
    show.add_argument("symbol")
    show.add_argument("--interval", default="5m")
    _range(show)
    _json(show)
    _data_of_dhan(data)


def _data_of_dhan(data: Commands) -> None:
    fetch = _command(data, "fetch", "data_fetch", "fetch bars from Dhan; what is stored is not asked again")
    fetch.add_argument("symbols", nargs="+", metavar="SYMBOL", help="index, stock or contract, by name or key")
    fetch.add_argument("--interval", default="1m", help="1m (longer bars are made of it when read) or 1d")
    _range(fetch)
    fetch.add_argument("--again", action="store_true", help="ask also for what is stored, and tell what was revised")
    fetch.add_argument("--replace", action="store_true", help="take revised candles over (asks again)")
    _json(fetch)
    options = _command(data, "fetch-options", "data_fetch_options", "fetch an expired expiry, contract by contract")
    options.add_argument("underlying")
    options.add_argument("--expiry", required=True, metavar="D", help="YYYY-MM-DD")
    options.add_argument("--strikes", default="ATM±10", help="how far from the money")
    options.add_argument("--again", action="store_true", help="ask also for what is stored")
    _json(options)
    chain = _command(data, "chain", "data_chain", "show the option chain of an expiry, or the expiries")
    chain.add_argument("underlying")
    chain.add_argument("--expiry", metavar="D", help="YYYY-MM-DD; the nearest without it")
    chain.add_argument("--expiries", action="store_true", help="only list the expiries")
    _json(chain)


def _strategy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("strategy")
    parser.add_argument("--symbol", default="NIFTY")
    parser.add_argument("--interval", default="5m")
    _range(parser)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the strategy")
    parser.add_argument("--plan", help="plan by name, by deployment or file; none: the index as a future, by signals")
    _json(parser)


def _research(commands: Commands) -> None:
    _strategy(_command(commands, "backtest", "backtest", "fast backtest (vectorbt), priced with dated charges"))
    _strategy(_command(commands, "replay", "replay", "the live engine over history"))
    _strategy(_command(commands, "parity", "parity", "compare backtest and replay, decision by decision"))
    _strategy(_command(commands, "check", "check", "checks that a strategy must pass before promotion"))
    promote = _command(commands, "promote", "promote", "make a deployment of a strategy and a plan")
    promote.add_argument("name")
    driven = promote.add_mutually_exclusive_group(required=True)
    driven.add_argument("--strategy", help="a strategy that raises its signals; checked first")
    driven.add_argument("--alerts", action="store_true", help="only alerts (TradingView) raise its signals")
    promote.add_argument("--symbol", default="NIFTY")
    promote.add_argument("--interval", default="5m")
    promote.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    promote.add_argument("--plan", default="atm_option", help="a plan by name, by deployment, or a YAML or JSON file")
    promote.add_argument("--account", default="practice", choices=("practice", "paper", "live"))
    _range(promote)
    _json(promote)


def _deployments(commands: Commands) -> None:
    shown = _command(commands, "deployments", "deployments", "list deployments and their webhook addresses")
    shown.add_argument("name", nargs="?")
    shown.add_argument("--pine", action="store_true", help="print the alert messages for TradingView")
    shown.add_argument("--new-key", action="store_true", help="make a new alert key, shown once")
    shown.add_argument("--account", choices=("practice", "paper", "live"), help="point it at another account")
    _json(shown)
    alert = commands.add_parser("alert", help="send alerts").add_subparsers(metavar="ACTION", required=True)
    test = _command(alert, "test", "alert_test", "send one alert to the running engine, end to end")
    test.add_argument("name")
    test.add_argument("--side", choices=("BUY", "SELL"), default="BUY")
    test.add_argument("--key", metavar="-", help="read its alert key from the input; else from WORKBENCH_ALERT_KEY")
    _json(test)
    report = commands.add_parser("report", help="write reports").add_subparsers(metavar="ACTION", required=True)
    daily = _command(report, "daily", "report_daily", "write the report of a day as HTML")
    daily.add_argument("--date", required=True, metavar="D")
    _json(daily)
    export = _command(commands, "export", "export", "write a day's trades and fills as CSV and JSON")
    export.add_argument("--date", required=True, metavar="D")
    export.add_argument("--to", metavar="FOLDER", help="lay copies there")
    _json(export)
    backup = _command(commands, "backup", "backup", "copy the journals into one file; the engine may be running")
    backup.add_argument("--to", metavar="FOLDER", help="lay it there; default: backups in the data folder")
    _json(backup)
    restore = _command(commands, "restore", "restore", "put a backup's journals in place; the engine must be down")
    restore.add_argument("file", metavar="FILE")
    _json(restore)
    journal = commands.add_parser("journal", help="old days of the journal").add_subparsers(
        metavar="ACTION", required=True
    )
    for name, text in (
        ("archive", "put away all but the newest days; the engine must be down"),
        ("list", "name the archives and their days"),
        ("put-back", "put an archive's days back into the journal; the engine must be down"),
    ):
        action = _command(journal, name, "journal", text)
        action.set_defaults(action=name)
        if name == "put-back":
            action.add_argument("file", metavar="FILE")
        _json(action)
    notify = commands.add_parser("notify", help="notices to your phone").add_subparsers(metavar="ACTION", required=True)
    _json(_command(notify, "test", "notify_test", "send one notice to every address that is set"))
    doctor = _command(commands, "doctor", "doctor", "check this installation and the running workbench")
    doctor.add_argument("--mode", choices=("practice", "paper", "live"), help="default: that of workbench.yaml")
    _json(doctor)
    login = _command(commands, "login", "login", "find or make Dhan's access token and keep it in the keyring")
    login.add_argument("--new", action="store_true", help="make one though the present one is good: that one ends")
    _json(login)
    for name, text in (
        ("halt", "refuse every further entry; exits go on"),
        ("resume", "allow entries again"),
        ("flatten", "leave every position now, and halt entries"),
        ("unfreeze", "say that you have looked at the differences between broker and book"),
    ):
        operate = _command(commands, name, "operate", text)
        operate.set_defaults(action=name)
        if name in ("halt", "resume"):
            operate.add_argument("deployment", nargs="?", metavar="NAME", help="only the entries of this deployment")
        _json(operate)
    _kill(commands)
    _told(commands)


def _kill(commands: Commands) -> None:
    text = "halt, leave everything, see that all is flat, and then turn the broker's own kill switch"
    kill = _command(commands, "kill", "kill", text)
    kill.add_argument("--yes", action="store_true", help="do not ask on the terminal")
    _json(kill)


def _told(commands: Commands) -> None:
    _json(_command(commands, "positions", "positions", "list what is held now"))
    close = _command(commands, "close", "close", "leave one position")
    close.add_argument("position", help="its id, as workbench positions shows it")
    _json(close)
    by_hand = _command(commands, "closed-by-hand", "closed_by_hand", "say what you have closed in the broker's own app")
    by_hand.add_argument("position", help="id of the position, as the page shows it")
    by_hand.add_argument("--quantity", type=int, required=True, help="units")
    by_hand.add_argument("--price", required=True, help="average price, rupees a unit")
    _json(by_hand)
    settle = _command(commands, "settle", "settle", "say at which price the exchange settled contracts of an expiry")
    settle.add_argument("symbol")
    settle.add_argument("expiry", metavar="D", help="YYYY-MM-DD")
    settle.add_argument("price", help="of the underlying, rupees")
    _json(settle)


def _confirm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--confirm", metavar="TEXT", help="live only: the sentence that says you trade real money")


def _under_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--under-up", action="store_true", help="`up` holds the other end of stdin: notice its death")


def _running(commands: Commands) -> None:
    up = _command(commands, "up", "up", "start the whole workbench")
    up.add_argument("--mode", choices=("practice", "paper", "live"), default="practice")
    up.add_argument("--day", metavar="D", help="replay a recorded day of the bar store")
    up.add_argument("--seed", type=int, default=7, help="seed of the synthetic market")
    up.add_argument("--speed", default="60", help="market seconds a second, or max")
    up.add_argument("--no-panel", action="store_true", help="without the control app")
    _confirm(up)
    demo = _command(commands, "demo", "demo", "the whole journey on the shipped sample, unattended")
    _json(demo)
    _prove(commands)
    simulator = _command(commands, "simulator", "simulator", "Dhan's wire on 127.0.0.1, with a market of its own")
    simulator.add_argument("--market", default="synthetic:7", help="synthetic:SEED, recorded:SYMBOL:DAY or mirror")
    simulator.add_argument("--speed", default="1")
    simulator.add_argument("--port", type=int, help="another port than the configured one")
    simulator.add_argument("--free-run", action="store_true", help="let time run by itself, to play Dhan")
    simulator.add_argument("--faults", metavar="FILE", help="a file of faults, or seed:SEED[:RATE an hour]")
    _under_up(simulator)
    engine = _command(commands, "engine", "engine", "the engine process alone (started by up)")
    engine.add_argument("--mode", choices=("practice", "paper", "live"), default="practice")
    engine.add_argument("--began-sending", action="store_true", help="live: `up` began with orders being sent")
    _confirm(engine)
    _under_up(engine)


def _prove(commands: Commands) -> None:
    prove = _command(commands, "prove", "prove", "prove the order path by seed, by kills, and with planted bugs")
    prove.add_argument(
        "--seeds", type=int, metavar="N", help="days by seed (100); with --planted: at most, of each bug"
    )
    prove.add_argument("--kills", type=int, metavar="K", help="kills of the real engine process (0)")
    prove.add_argument("--same-day", type=int, metavar="K", help="one day with K kills beside the same day without")
    prove.add_argument("--from", dest="first", type=int, metavar="S", help="first seed")
    prove.add_argument("--seed", type=int, metavar="S", help="this one seed again")
    prove.add_argument("--verbose", action="store_true", help="with --seed: all that happened")
    prove.add_argument(
        "--out", metavar="FOLDER", help="keep results there, one line a seed; what is there is not run again"
    )
    prove.add_argument("--merge", nargs="+", metavar="FOLDER", help="lay pieces together and sum them up")
    prove.add_argument("--stop-after", type=float, metavar="SECONDS", help="begin no further seed after that time")
    prove.add_argument("--planted", nargs="*", metavar="BUG", help="plant bugs and find them; all without names")
    prove.add_argument("--plant", metavar="BUG", help="with --seed: run it with this bug planted")
    _json(prove)

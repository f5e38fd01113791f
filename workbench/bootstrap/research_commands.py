"""What the commands of data and research do: read the arguments, ask the desk, print text or JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.bootstrap.desk import Desk, day
from workbench.bootstrap.printing import printed
from workbench.core.errors import BadInput

if TYPE_CHECKING:
    from workbench.core.strategy import Strategy
    from workbench.research.market import Study


def data_import(args: argparse.Namespace) -> int:
    """``workbench data import``."""
    columns = args.columns.split(",") if args.columns else None
    report = Desk().import_files(
        [Path(file) for file in args.files],
        symbol=args.symbol,
        interval=args.interval,
        label=args.label,
        columns=columns,
    )
    return printed(args, report.to_dict())


def data_show(args: argparse.Namespace) -> int:
    """``workbench data show``."""
    from workbench.data.frames import bars_to_json

    frame = Desk().bars(args.symbol, args.interval, args.start, args.end)
    if args.json:
        return printed(args, {"symbol": args.symbol, "interval": args.interval, "bars": bars_to_json(frame)})
    sys.stdout.write(frame.to_string() + "\n")
    return 0


def data_fetch(args: argparse.Namespace) -> int:
    """``workbench data fetch``."""
    from workbench.bootstrap.history import DataDesk, FetchWish, progress_bar

    wish = FetchWish(
        names=args.symbols,
        interval=args.interval,
        start=day(args.start, "--from"),
        end=day(args.end, "--to"),
        again=args.again or args.replace,
        replace=args.replace,
    )
    with progress_bar(shown=not args.json) as progress:
        report = DataDesk.open().fetch(wish, progress)
    printed(args, report.to_dict())
    return 0 if report.whole else 1


def data_fetch_options(args: argparse.Namespace) -> int:
    """``workbench data fetch-options``."""
    from workbench.bootstrap.history import DataDesk, progress_bar, steps_of

    expiry, steps = day(args.expiry, "--expiry"), steps_of(args.strikes)
    if expiry is None:
        raise BadInput("give the day of expiry: --expiry YYYY-MM-DD")
    with progress_bar(shown=not args.json) as progress:
        desk = DataDesk.open()
        report = desk.fetch_options(args.underlying, expiry, steps=steps, again=args.again, progress=progress)
    printed(args, report.to_dict())
    return 0 if report.whole else 1


def data_chain(args: argparse.Namespace) -> int:
    """``workbench data chain``."""
    from workbench.bootstrap.history import DataDesk, chain_table

    desk, expiry = DataDesk.open(), day(args.expiry, "--expiry")
    if args.expiries:
        listed = [each.isoformat() for each in desk.expiries(args.underlying)]
        return printed(args, {"underlying": args.underlying, "expiries": listed})
    chain = desk.chain(args.underlying, expiry)
    if args.json:
        return printed(args, chain.to_dict())
    sys.stdout.write(chain_table(chain) + "\n")
    return 0


def backtest(args: argparse.Namespace) -> int:
    """``workbench backtest``."""
    desk = Desk()
    return printed(args, desk.backtest(study_of(desk, args)).to_dict())


def replay(args: argparse.Namespace) -> int:
    """``workbench replay``."""
    desk = Desk()
    return printed(args, desk.replay(study_of(desk, args)).to_dict())


def parity(args: argparse.Namespace) -> int:
    """``workbench parity``."""
    desk = Desk()
    return printed(args, desk.parity(study_of(desk, args)).to_dict())


def check(args: argparse.Namespace) -> int:
    """``workbench check``."""
    desk = Desk()
    report = desk.check(study_of(desk, args))
    printed(args, report.to_dict())
    return 0 if report.passed else 1


def _strategy(desk: Desk, args: argparse.Namespace) -> Strategy:
    values = {}
    for item in args.set:
        name, equals, value = item.partition("=")
        if not equals:
            raise BadInput(f"--set {item!r}: write name=value")
        values[name] = value
    return desk.strategy(args.strategy, values)


def study_of(desk: Desk, args: argparse.Namespace) -> Study:
    """Give the strategy that the arguments name, on the bars and with the plan that they name."""
    return desk.study(
        _strategy(desk, args),
        symbol=args.symbol,
        interval=args.interval,
        start=args.start,
        end=args.end,
        plan=args.plan,
    )

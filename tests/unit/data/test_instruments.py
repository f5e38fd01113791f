"""The instrument master: both layouts, their traps, and what is refused."""
# ruff: noqa: E501  # rows of the master stand as the broker writes them

import gzip
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workbench.core.errors import BadInput, CorruptData, UnknownName
from workbench.core.instrument import InstrumentKind, Right, Segment
from workbench.data.instruments import InstrumentMaster, count_rows, install_master, symbol_in, verify_master

if TYPE_CHECKING:
    from workbench.core.ports import InstrumentSource

COMPACT = (
    "SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,SEM_LOT_UNITS,"
    "SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,"
    "SEM_EXCH_INSTRUMENT_TYPE,SEM_SERIES,SM_SYMBOL_NAME"
)
COMPACT_ROWS = [
    "NSE,I,13,INDEX,0,NIFTY,1.0,Nifty 50,0001-01-01,,XX,0.0500,,INDEX,X,NIFTY",
    "NSE,E,2885,EQUITY,0,RELIANCE,1.0,Reliance Industries,,,,10.0000,NA,ES,EQ,RELIANCE INDUSTRIES LTD",
    "NSE,D,40001,OPTIDX,0,NIFTY-Oct2026-22700-CE,65.0,NIFTY 06 OCT 22700 CALL,2026-10-06 14:30:00,22700.00000,CE,5.0,W,OP,NA,",
    "NSE,D,40002,OPTIDX,0,NIFTY-Oct2026-22700-CE,65.0,NIFTY 13 OCT 22700 CALL,2026-10-13 14:30:00,22700.00000,CE,5.0,W,OP,NA,",
    "NSE,D,40004,OPTIDX,0,NIFTY-Oct2026-22650-PE,65.0,NIFTY 06 OCT 22650 PUT,2026-10-06 14:30:00,22650.00000,PE,5.0,W,OP,NA,",
    "NSE,D,40003,OPTIDX,0,NIFTY-Oct2026-22700-PE,65.0,NIFTY 06 OCT 22700 PUT,2026-10-06 14:30:00,22700.00000,PE,5.0,W,OP,NA,",
    "NSE,D,61471,FUTIDX,0,NIFTY-Nov2026-FUT,65.0,NIFTY NOV FUT,2026-11-23 14:30:00,-0.01000,XX,10.0000,M,FUT,,",
    "NSE,D,61284,FUTSTK,0,RELIANCE-Jul2026-FUT,500.0,RELIANCE JUL FUT,2026-07-28 14:30:00,-0.01000,XX,10.0,M,FUT,,",
    "NSE,D,50001,OPTIDX,0,NIFTYNXT50-Oct2026-60000-CE,25.0,NXT50,2026-10-27 14:30:00,60000.00000,CE,5.0,M,OP,NA,",
    "NSE,D,50002,OPTIDX,0,011NSETEST-Oct2026-100-CE,65.0,NIFTY TEST,2026-10-06 14:30:00,100.00000,CE,5.0,M,OP,NA,",
    "MCX,M,60001,FUTCOM,0,GOLD-05Dec2026-FUT,1.0,GOLD DEC FUT,2026-12-05 23:30:00,-0.01000,XX,100.0,M,FUTCOM,,",
]
DETAILED = (
    "EXCH_ID,SEGMENT,SECURITY_ID,ISIN,INSTRUMENT,UNDERLYING_SECURITY_ID,UNDERLYING_SYMBOL,SYMBOL_NAME,DISPLAY_NAME,"
    "INSTRUMENT_TYPE,SERIES,LOT_SIZE,SM_EXPIRY_DATE,STRIKE_PRICE,OPTION_TYPE,TICK_SIZE,EXPIRY_FLAG,BRACKET_FLAG,COVER_FLAG,"
    "ASM_GSM_FLAG,ASM_GSM_CATEGORY,BUY_SELL_INDICATOR,BUY_CO_MIN_MARGIN_PER,BUY_CO_SL_RANGE_MAX_PERC,"
    "BUY_CO_SL_RANGE_MIN_PERC,BUY_BO_MIN_MARGIN_PER,BUY_BO_PROFIT_RANGE_MAX_PERC,BUY_BO_PROFIT_RANGE_MIN_PERC,MTF_LEVERAGE,"
    "SM_UPPER_LIMIT,SM_LOWER_LIMIT,SM_FREEZE_QTY,"
)
FLAGS = "N,N,N,NA,A,0,0,0,0,0,0,0"
DETAILED_ROWS = [
    f"NSE,I,13,NA,INDEX,13,NIFTY,NIFTY,Nifty 50,INDEX,NA,1.0,0001-01-01,,XX,0.0500,N,{FLAGS},0,0,0,",
    f"NSE,D,35084,NA,OPTIDX,26000,NIFTY,NIFTY-Sep2026-29150-CE,NIFTY 29 SEP 29150 CALL,OP,NA,65.0,2026-09-29,29150.00000,CE,5.0000,M,{FLAGS},20.1000,0.0500,1756,",
    f"NSE,D,47317,NA,OPTIDX,26000,NIFTY,NIFTY-Sep2026-23950-CE,NIFTY 15 SEP 23950 CALL,OP,NA,65.0,2026-09-15,23950.00000,CE,5.0000,W,{FLAGS},20.1000,0.0500,1756,",
    f"BSE,D,869699,NA,OPTIDX,1,SENSEX,BSXOPT,SENSEX 17 SEP 74300 CALL,OPTIDX,NA,20.0,2026-09-17,74300.00000,CE,5.0000,W,{FLAGS},20.1000,0.0500,1000,",
    f"NSE,E,2885,INE002A01018,EQUITY,,RELIANCE,RELIANCE INDUSTRIES LTD,Reliance Industries,ES,EQ,1.0,,,,10.0000,NA,{FLAGS},0,0,0,",
    f"NSE,E,2886,INE002A01019,EQUITY,,RELIANCE,RELIANCE BOND,Reliance Bond,DBT,N1,1.0,,,,1.0000,NA,{FLAGS},0,0,0,",
]


def written(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def compact(tmp_path: Path) -> Path:
    return written(tmp_path / "compact.csv", COMPACT, COMPACT_ROWS)


@pytest.fixture
def detailed(tmp_path: Path) -> Path:
    return written(tmp_path / "detailed.csv", DETAILED, DETAILED_ROWS)


def test_only_the_chosen_underlyings_are_kept(compact: Path) -> None:
    master = InstrumentMaster.load(compact, {"NIFTY"})
    assert master.symbols() == ["NIFTY"]
    assert len(master) == 6
    source: InstrumentSource = master
    assert source.index("NIFTY").security_id == "13"


def test_ticks_are_paise_but_for_indices_and_the_clock_of_an_expiry_means_nothing(compact: Path) -> None:
    master = InstrumentMaster.load(compact, {"NIFTY", "RELIANCE"})
    index, option = master.index("NIFTY"), master.by_id(Segment.NSE_FNO, "40001")
    assert (index.tick, index.segment, index.strike, index.expiry, index.lot) == (
        Decimal("0.05"),
        Segment.IDX_I,
        None,
        None,
        1,
    )
    assert option is not None
    assert (option.tick, option.lot, option.strike, option.right) == (Decimal("0.05"), 65, Decimal(22700), Right.CE)
    assert str(option.strike) == "22700"
    assert (option.expiry, option.symbol, option.freeze) == (date(2026, 10, 6), "NIFTY", None)
    future = master.future("NIFTY", date(2026, 11, 23))
    assert future is not None
    assert (future.tick, future.strike, future.right, future.kind) == (
        Decimal("0.1"),
        None,
        None,
        InstrumentKind.FUTURE,
    )
    assert master.equity("RELIANCE").tick == Decimal("0.1")
    assert [one.lot for one in master.futures("RELIANCE")] == [500]


def test_two_weekly_contracts_of_one_trading_symbol_are_two_instruments(compact: Path) -> None:
    master = InstrumentMaster.load(compact, {"NIFTY"})
    assert master.expiries("NIFTY") == [date(2026, 10, 6), date(2026, 10, 13)]
    chain = master.options("NIFTY", date(2026, 10, 6))
    assert [(option.strike, option.right) for option in chain] == [
        (Decimal(22650), Right.PE),
        (Decimal(22700), Right.CE),
        (Decimal(22700), Right.PE),
    ]
    assert chain[1].trading_symbol == master.options("NIFTY", date(2026, 10, 13))[0].trading_symbol
    assert master.by_key("NSE_FNO:NIFTY:2026-10-13:22700:CE") == master.by_id(Segment.NSE_FNO, "40002")


def test_the_detailed_master_tells_underlying_and_freeze(detailed: Path) -> None:
    master = InstrumentMaster.load(detailed, {"NIFTY", "SENSEX", "RELIANCE"})
    option = master.by_key("NSE_FNO:NIFTY:2026-09-29:29150:CE")
    assert option is not None
    assert (option.security_id, option.freeze, option.display_name) == ("35084", 1756, "NIFTY 29 SEP 29150 CALL")
    sensex = master.by_id(Segment.BSE_FNO, "869699")
    assert sensex is not None
    assert (sensex.symbol, sensex.lot, sensex.freeze) == ("SENSEX", 20, 1000)
    assert master.equity("RELIANCE").security_id == "2885"
    assert master.dropped == {"other_series": 1}


def test_contracts_that_expired_are_dropped_and_their_ids_free(detailed: Path) -> None:
    master = InstrumentMaster.load(detailed, {"NIFTY"}, on=date(2026, 9, 16))
    assert master.expiries("NIFTY") == [date(2026, 9, 29)]
    assert master.by_id(Segment.NSE_FNO, "47317") is None
    assert master.dropped == {"expired": 1}


def test_repeated_ids_and_contracts_are_counted_and_the_first_kept(tmp_path: Path) -> None:
    twice = COMPACT_ROWS[2].replace("65.0", "75.0")
    other_id = COMPACT_ROWS[2].replace("40001", "49999")
    master = InstrumentMaster.load(written(tmp_path / "m.csv", COMPACT, [*COMPACT_ROWS, twice, other_id]), {"NIFTY"})
    assert master.dropped == {"duplicate_id": 1, "same_contract": 1}
    kept = master.by_id(Segment.NSE_FNO, "40001")
    assert kept is not None
    assert kept.lot == 65


def test_rows_that_do_not_read_are_counted_and_nothing_is_guessed(tmp_path: Path) -> None:
    option = COMPACT_ROWS[2]
    rows = [
        COMPACT_ROWS[0],
        option.replace("65.0", "0.0"),
        option.replace("22700.00000", "-0.01000").replace("40001", "1"),
        option.replace(",5.0,", ",abc,").replace("40001", "2"),
        option.replace("2026-10-06 14:30:00", "0001-01-01").replace("40001", "3"),
        option.replace(",CE,", ",XX,").replace("40001", "4"),
        "NSE,D,5,OPTIDX,0,NIFTY-Oct2026-1-CE",
    ]
    master = InstrumentMaster.load(written(tmp_path / "m.csv", COMPACT, rows), {"NIFTY"})
    assert len(master) == 1
    assert master.dropped == {"unparsable": 5, "cut_short": 1}


def test_unknown_names_get_a_near_one_and_missing_contracts_are_none(compact: Path) -> None:
    master = InstrumentMaster.load(compact, {"NIFTY", "RELIANCE"})
    with pytest.raises(UnknownName, match="unknown index 'NIFTI'; did you mean 'NIFTY'"):
        master.index("NIFTI")
    with pytest.raises(UnknownName, match="did you mean 'RELIANCE'"):
        master.equity("RELIANC")
    assert master.future("NIFTY", date(2026, 12, 29)) is None
    assert master.options("NIFTY", date(2026, 12, 29)) == ()
    assert master.by_key("NSE_FNO:NIFTY:2026-12-29:22700:CE") is None
    with pytest.raises(BadInput, match="no row of BANKNIFTY"):
        InstrumentMaster.load(compact, {"NIFTY", "BANKNIFTY"})


def test_a_good_master_passes(compact: Path, detailed: Path) -> None:
    facts = verify_master(compact, previous_rows=11, underlyings={"NIFTY"})
    assert (facts.layout, facts.rows, facts.by_segment["NSE_D"]) == ("compact", 11, 8)
    assert verify_master(detailed).layout == "detailed"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda header, rows: (header.replace("SEM_LOT_UNITS", "LOTS"), rows), "columns SEM_LOT_UNITS are missing"),
        (lambda header, rows: ("<html>", rows), "no instrument master"),
        (lambda header, rows: (header, []), "a header and no row"),
        (lambda header, rows: (header, rows[:8]), "more than 20 %"),
        (lambda header, rows: (header, [*rows, *rows[:3]]), "more than 20 %"),
        (lambda header, rows: (header, [*rows, "NSE,D,1,OPT"]), "cut short"),
        (lambda header, rows: (header, [row.replace("65.0", "0.0") for row in rows]), "not above zero"),
        (lambda header, rows: (header, [row.replace(",5.0,", ",-5,") for row in rows]), "not above zero"),
        (lambda header, rows: (header, [row.replace("RELIANCE", "RELIENCE") for row in rows]), "no row of RELIANCE"),
    ],
)
def test_a_bad_master_does_not_replace_the_good_one(tmp_path: Path, compact: Path, change: object, said: str) -> None:
    assert callable(change)
    header, rows = change(COMPACT, list(COMPACT_ROWS))
    fetched = written(tmp_path / "fetched.csv", header, rows)
    before = compact.read_bytes()
    with pytest.raises(CorruptData, match=said):
        install_master(fetched, compact, underlyings={"NIFTY", "RELIANCE"})
    assert compact.read_bytes() == before


def test_a_verified_master_takes_the_place_of_the_last_one(tmp_path: Path, compact: Path) -> None:
    fetched = written(tmp_path / "fetched.csv", COMPACT, [*COMPACT_ROWS, COMPACT_ROWS[-1]])
    assert install_master(fetched, compact).rows == 12
    assert count_rows(compact) == 12
    assert not fetched.exists()
    first = written(tmp_path / "fetched.csv", COMPACT, COMPACT_ROWS)
    assert install_master(first, tmp_path / "new" / "master.csv").rows == 11


def test_files_that_cannot_be_read_are_refused(tmp_path: Path, compact: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        InstrumentMaster.load(tmp_path / "none.csv", {"NIFTY"})
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(compact.read_bytes())[:200])
    with pytest.raises(CorruptData, match="fetch it again"):
        InstrumentMaster.load(cut, {"NIFTY"})
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorruptData, match="fetch it again"):
        verify_master(broken)


@pytest.mark.shared
def test_real_masters_of_both_layouts(shared_data: Path) -> None:
    folder = shared_data / "dhan-master"
    for name, layout, rows in (
        ("gogoaheadgo-collab-api-scrip-master.csv.gz", "compact", 23_116),
        ("devswapnil1995-api-scrip-master-detailed.csv.gz", "detailed", 9_469),
    ):
        path = folder / name
        facts = verify_master(path, underlyings={"NIFTY", "RELIANCE"})
        assert (facts.layout, facts.rows) == (layout, rows)
        master = InstrumentMaster.load(path, {"NIFTY", "BANKNIFTY", "RELIANCE", "011NSETEST"} - {"011NSETEST"})
        assert (master.index("NIFTY").security_id, master.index("BANKNIFTY").security_id) == ("13", "25")
        assert master.index("NIFTY").tick == Decimal("0.05")
        stock = master.equity("RELIANCE")
        assert (stock.security_id, stock.lot) == ("2885", 1)


@pytest.mark.shared
def test_a_derived_list_is_refused_as_no_master(shared_data: Path) -> None:
    with pytest.raises(CorruptData, match="no instrument master"):
        verify_master(shared_data / "dhan-master" / "Trade012545-api-scrip-master.csv.gz")


@pytest.mark.shared
def test_ten_thousand_real_contracts_in_the_compact_layout(shared_data: Path, tmp_path: Path) -> None:
    listed = gzip.decompress(
        (shared_data / "dhan-master" / "Trade012545-api-scrip-master.csv.gz").read_bytes()
    ).decode()
    rows = [COMPACT_ROWS[0]]
    for line in listed.splitlines()[1:]:
        segment, security_id, kind, symbol, name, expiry, strike, right = line.split(",")
        if segment == "NSE_FNO":
            day = f"{expiry[6:10]}-{expiry[3:5]}-{expiry[:2]}{expiry[10:]}:00"
            rows.append(
                f"NSE,D,{security_id},{kind},0,{symbol},75.0,{name},{day},{strike},{right or 'XX'},5.0,W,OP,NA,"
            )
    master = InstrumentMaster.load(written(tmp_path / "m.csv", COMPACT, rows), {"NIFTY"}, on=date(2025, 8, 29))
    assert master.expiries("NIFTY")[:3] == [date(2025, 9, 2), date(2025, 9, 9), date(2025, 9, 16)]
    assert [future.expiry for future in master.futures("NIFTY")] == [date(2025, 9, 30), date(2025, 10, 28)]
    chain = master.options("NIFTY", date(2025, 9, 2))
    assert len(chain) == 2 * len({option.strike for option in chain}) > 100
    for option in chain:
        assert option.display_name == f"NIFTY 02 SEP {option.strike} {'CALL' if option.right is Right.CE else 'PUT'}"


def test_an_instrument_is_found_by_key_symbol_and_the_brokers_names(compact: Path) -> None:
    master = InstrumentMaster.load(compact, {"NIFTY", "RELIANCE"})
    assert master.find("nifty").kind is InstrumentKind.INDEX
    assert master.find("RELIANCE").key == "NSE_EQ:RELIANCE"
    assert master.find("NSE_FNO:NIFTY:2026-10-06:22700:CE").security_id == "40001"
    assert master.find("nifty  06 oct 22700 call").security_id == "40001"
    assert master.find("NIFTY-Nov2026-FUT").security_id == "61471"
    with pytest.raises(BadInput, match=r"names 2 contracts; give the key of one: NSE_FNO:NIFTY:2026-10-06:22700:CE"):
        master.find("NIFTY-Oct2026-22700-CE")
    with pytest.raises(UnknownName, match="unknown instrument 'NIFTY 06 OCT 1 CALL'"):
        master.find("NIFTY 06 OCT 1 CALL")


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("nifty", "NIFTY"),
        ("NSE_FNO:NIFTY:2026-10-06:22700:CE", "NIFTY"),
        ("NIFTY-Oct2026-22700-CE", "NIFTY"),
        ("BAJAJ-AUTO-Nov2026-FUT", "BAJAJ-AUTO"),
        ("BAJAJ-AUTO", "BAJAJ-AUTO"),
        ("NIFTY 06 OCT 22700 CALL", "NIFTY"),
        ("NSE_EQ:M&M", "M&M"),
        ("INDIA VIX", "INDIA VIX"),
    ],
)
def test_the_underlying_is_known_before_a_master_is_read(name: str, symbol: str) -> None:
    assert symbol_in(name) == symbol

"""The floor: the least that an alert can cost here. A bare FastAPI route writes one fsynced row and calls ``dhanhq``.

No check of the alert, no engine, no risk, no stop. Run as ``python -m tests.bench.floor_app PORT BROKER_URL DATABASE``.
"""

from __future__ import annotations

import sqlite3
import sys

import dhanhq
import uvicorn
from fastapi import FastAPI, Request


def create_app(broker_url: str, database: str) -> FastAPI:
    """Build the app; the route blocks its loop, which costs less than a thread."""
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("CREATE TABLE IF NOT EXISTS alerts (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    context = dhanhq.DhanContext("1000000001", "token-of-the-floor")
    context.get_dhan_http().base_url = broker_url
    broker = dhanhq.dhanhq(context)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    async def health() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/alert")
    async def alert(request: Request) -> dict[str, str]:
        connection.execute("INSERT INTO alerts (body) VALUES (?)", (await request.body(),))
        broker.place_order(
            security_id="40001",
            exchange_segment="NSE_FNO",
            transaction_type="BUY",
            quantity=75,
            order_type="LIMIT",
            product_type="INTRADAY",
            price=100.5,
            trigger_price=0.0,
            tag="floor-1",
        )
        return {"status": "accepted"}

    return app


def main(argv: list[str]) -> None:
    """Serve on 127.0.0.1 until the process is ended."""
    port, broker_url, database = argv
    app = create_app(broker_url, database)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1:])

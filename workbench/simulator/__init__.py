"""Edge: an independent broker that speaks Dhan's wire over the core's matching rules.

It imports of ours only nouns and rules of a market, never the engine, its book or its positions, so that the two can be
held against each other. Calendar, contract table, charge table and recorded bars are handed in.
"""

from workbench.simulator.exchange import Simulator, SimulatorConfig
from workbench.simulator.market import Market, RecordedMarket, SyntheticMarket
from workbench.simulator.server import PORT, Application, serve, server_of

__all__ = [
    "PORT",
    "Application",
    "Market",
    "RecordedMarket",
    "Simulator",
    "SimulatorConfig",
    "SyntheticMarket",
    "serve",
    "server_of",
]

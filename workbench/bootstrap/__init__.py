"""The one composition root: joins edges and drivers, and hands them the frozen tables.

`deployments` (what is promoted), `desk` (research), `engine_process`, `simulator_process` and `up` (what runs),
`journey` (the demo), `doctor`. Nothing else in the workbench knows both an edge and a driver.
"""

"""What a store promises when things go wrong, as figures with bars: objstore's and obstore's, side by side.

Run it with ``ci/faults``. It lives beside the fault server whose scenarios it asks for, and not in `bench`, whose
servers are quick and never fail. A row is one function that gives figures for a library (`storms`, `hostile`, `waits`,
`endings`); `table` has the rows and their bars; `worker` runs one row in a process of its own, because a library may
crash or hang; `runner` starts the workers, each with a fault server of its own.
"""

"""Write, list, read and check some thousand objects in bulk, and draw how fast it went, beside other clients.

Without --store it starts an S3 server of its own on this machine and stops it at the end: versitygw, a gateway to
files, where Go could build it, else rclone, in memory, which is slow, and of which other clients refuse some replies.
With --store it works in a new folder of the store that you name, with your own credentials, and deletes what it wrote.
The other clients do the same on the same server right after, on the first of the objects and ranges: they take their
time.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.clients import AT_ONCE, Boto3, Client, Objstore, Obstore, Place
from tests.servers import S3Server, UnavailableError, rclone, versitygw

KIB, MIB = 1 << 10, 1 << 20
RANGE = 4 * KIB
TRIES = 3
SOON = 5.0
"""So many seconds are spent on a step before it is not tried again."""

T = TypeVar("T")
Told = Callable[[int, int, int], object]

COLORS = ("#3b6ea5", "#c8803a", "#8a8a8a")


@dataclass(frozen=True, slots=True)
class Rate:
    """How long one step of a client took."""

    client: str
    step: str
    operations: int
    nbytes: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.operations / self.seconds

    @property
    def mib_per_second(self) -> float:
        return self.nbytes / MIB / self.seconds


class Stopwatch:
    """Times the steps of a client, and draws a progress bar for each."""

    def __init__(self, bars: Progress, client: str, *, lenient: bool) -> None:
        self.bars = bars
        self.client = client
        self.lenient = lenient  # another client may refuse what this server answers
        self.rates: list[Rate] = []

    def step(
        self, name: str, operations: int, nbytes: int, do: Callable[[Told], T], *, again: bool = False
    ) -> T | None:
        """Time what is done with the callback that moves the step's bar; None where the client refuses it.

        What changes nothing may be done `again`: where it is soon over, the best of three times counts.
        """
        bar = self.bars.add_task(f"{self.client}: {name}", total=operations)
        try:
            result, seconds = timed(do, lambda done, total, nbytes: self.bars.update(bar, completed=done), again=again)
        except Exception as error:
            if not self.lenient:
                raise
            self.bars.console.print(f"{self.client}: {name}: {str(error).splitlines()[0]}")
            self.rates.append(Rate(self.client, name, 0, 0, math.inf))
            return None
        self.rates.append(Rate(self.client, name, operations, nbytes, seconds))
        self.bars.update(bar, completed=operations)
        return result


def timed(do: Callable[[Told], T], told: Told, *, again: bool) -> tuple[T, float]:
    """Return what comes of something, and how long it took."""
    times: list[float] = []
    while True:
        begun = time.perf_counter()
        result = do(told)
        times.append(time.perf_counter() - begun)
        if not again or len(times) == TRIES or sum(times) > SOON:
            return result, min(times)


@dataclass(frozen=True, slots=True)
class Plan:
    """The objects to write and the ranges to read, all decided beforehand."""

    folder: str
    objects: dict[str, bytes]
    big_key: str
    big: bytes
    ranges: list[tuple[str, int, int]]
    starts: list[int]

    @classmethod
    def draw(cls, arguments: argparse.Namespace, folder: str) -> Plan:
        """Draw keys, contents and ranges at random."""
        size = arguments.size * KIB
        objects = {f"{folder}/{number:06}": os.urandom(size) for number in range(arguments.objects)}
        return cls(
            folder,
            objects,
            f"{folder}/big",
            os.urandom(arguments.big * MIB),
            _ranges(list(objects), size, arguments.ranges),
            sorted(random.randrange(arguments.big * MIB - RANGE) for _ in range(arguments.ranges)),
        )

    def beginning(self, objects: int, ranges: int) -> Plan:
        """Return the same with fewer objects, and ranges of these."""
        kept = dict(list(self.objects.items())[:objects])
        size = len(next(iter(kept.values())))
        return replace(self, objects=kept, ranges=_ranges(list(kept), size, ranges), starts=self.starts[:ranges])


def _ranges(keys: list[str], size: int, count: int) -> list[tuple[str, int, int]]:
    picks = ((random.choice(keys), random.randrange(size - RANGE)) for _ in range(count))
    return [(key, start, start + RANGE) for key, start in picks]


def check(name: str, fetched: Sequence[Any] | None, expected: Iterator[bytes]) -> None:
    """Compare every byte that came with what was written."""
    if fetched is None:
        return
    for number, (got, wanted) in enumerate(zip(fetched, expected, strict=True)):
        if bytes(memoryview(got)) != wanted:
            raise SystemExit(f"{name}: result {number} differs from what was written")


def write(client: Client, plan: Plan, watch: Stopwatch) -> None:
    """Write all objects."""
    total = sum(map(len, plan.objects.values()))
    watch.step("write many", len(plan.objects), total, lambda told: client.put_many(plan.objects, told))
    watch.step("write a big one", 1, len(plan.big), lambda _: client.put(plan.big_key, plan.big))


def read_whole(client: Client, plan: Plan, watch: Stopwatch) -> None:
    """Read all objects and check them."""
    total = sum(map(len, plan.objects.values()))
    fetched = watch.step(
        "read many", len(plan.objects), total, lambda told: client.get_many(list(plan.objects), told), again=True
    )
    check("read many", fetched, iter(plan.objects.values()))
    whole = watch.step("read a big one", 1, len(plan.big), lambda _: [client.get(plan.big_key)], again=True)
    check("read a big one", whole, iter([plan.big]))


def read_ranges(client: Client, plan: Plan, watch: Stopwatch) -> None:
    """Read ranges of many objects, then of one, and check them."""
    size = len(plan.ranges) * RANGE
    fetched = watch.step(
        "ranges of many", len(plan.ranges), size, lambda told: client.get_many_ranges(plan.ranges, told), again=True
    )
    check("ranges of many", fetched, (plan.objects[key][start:end] for key, start, end in plan.ranges))
    pieces = watch.step(
        "ranges of a big one",
        len(plan.starts),
        size,
        lambda _: client.get_ranges(plan.big_key, plan.starts, RANGE),
        again=True,
    )
    check("ranges of a big one", pieces, (plan.big[start : start + RANGE] for start in plan.starts))


def list_and_delete(client: Client, plan: Plan, watch: Stopwatch) -> None:
    """List the objects, see that all are there, and delete them."""
    written = [*plan.objects, plan.big_key]
    listed = watch.step("list", len(written), 0, lambda _: client.list(plan.folder), again=True)
    if listed is not None and sorted(listed) != sorted(written):
        raise SystemExit(f"list: {len(listed)} objects are listed, {len(written)} were written")
    watch.step("delete", len(written), 0, lambda _: client.delete(written))


def print_table(console: Console, rates: list[Rate]) -> None:
    """Print the rates."""
    table = Table("client", "step", *("operations", "seconds", "operations/s", "MiB/s"))
    for column in table.columns[2:]:
        column.justify = "right"
    for rate in rates:
        speed = f"{rate.mib_per_second:,.0f}" if rate.nbytes else ""
        took = (f"{rate.seconds:.2f}", f"{rate.per_second:,.0f}") if rate.operations else ("refused", "")
        counts = (f"{rate.operations:,}", *took)
        table.add_row(rate.client, rate.step, *counts, speed)
    console.print(table)


def draw_picture(rates: list[Rate], said: str, path: Path) -> None:
    """Draw operations a second, and MiB a second where large objects move, a bar for each client and step."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6.5), layout="constrained")
    many = [rate for rate in rates if rate.step not in ("write a big one", "read a big one")]
    draw_bars(left, "operations a second, logarithmic", many, lambda rate: rate.per_second)
    moved = [rate for rate in rates if rate.step.startswith(("write", "read"))]
    draw_bars(right, "MiB a second", moved, lambda rate: rate.mib_per_second)
    left.set_xscale("log")
    left.legend(loc="lower center", bbox_to_anchor=(1.0, -0.12), ncols=3, frameon=False)
    figure.suptitle(said, fontsize=9)
    figure.savefig(path, dpi=120)


def draw_bars(axes: Axes, title: str, rates: list[Rate], value: Callable[[Rate], float]) -> None:
    """Draw a group of labelled bars for each step, the first on top."""
    steps = list(dict.fromkeys(rate.step for rate in rates))
    clients = list(dict.fromkeys(rate.client for rate in rates))
    height = 0.8 / len(clients)
    for number, client in enumerate(clients):
        own = {rate.step: value(rate) for rate in rates if rate.client == client}
        at = [place + (number - (len(clients) - 1) / 2) * height for place in range(len(steps))]
        bars = axes.barh(at, [own[step] for step in steps], height, label=client, color=COLORS[number])
        axes.bar_label(bars, [f"{own[step]:,.0f}" if own[step] else "" for step in steps], padding=3, fontsize=8)
        for place, step in zip(at, steps, strict=True):
            if not own[step]:
                axes.text(0.01, place, "refused", transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set_yticks(range(len(steps)), steps)
    axes.set_title(title)
    axes.margins(x=0.2)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.xaxis.set_visible(False)
    axes.invert_yaxis()


def describe(place: Place, arguments: argparse.Namespace, rates: list[Rate]) -> str:
    """Say what was measured, for the picture."""
    objects, ranges = min(arguments.peer_objects, arguments.objects), min(arguments.peer_ranges, arguments.ranges)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    sizes = f"{arguments.objects:,} objects of {arguments.size} KiB, one of {arguments.big} MiB"
    others = f"the others: {AT_ONCE} requests at a time, {objects:,} of the objects, {ranges:,} of the ranges"
    refused = not all(rate.operations for rate in rates)
    return (
        f"{place.server}, bucket {place.bucket!r}; {machine}\n"
        f"{sizes}, {arguments.ranges:,} ranges of {RANGE // KIB} KiB; {others}\n"
        f"every byte was compared; of what was read in {SOON:.0f} s or less, the best of {TRIES} times"
        + refused
        * "; refused: the client does not take this server's replies"
    )


@contextmanager
def open_place(arguments: argparse.Namespace) -> Iterator[Place]:
    """Yield the place that was named, or one on a server of our own."""
    folder = f"objstore-demo-{uuid.uuid4().hex[:8]}"
    if arguments.store:
        url = urlsplit(arguments.store)
        folder = "/".join(filter(None, [url.path.strip("/"), folder]))
        server = arguments.endpoint or "Amazon S3"
        yield Place(server, url.netloc, folder, arguments.endpoint, arguments.region)
        return
    with ExitStack() as stack:
        said, server = start_server(stack)
        yield Place(
            f"{said}, on this machine",
            server.make_bucket("demo-bucket"),
            folder,
            server.endpoint,
            server.region,
            server.access_key_id,
            server.secret_access_key,
        )


def start_server(stack: ExitStack) -> tuple[str, S3Server]:
    """Start a server that runs until the end; say which."""
    try:
        return "versitygw (S3 over files, a new connection for each request)", stack.enter_context(versitygw())
    except UnavailableError:
        return "rclone serve s3, in memory", stack.enter_context(rclone())


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", metavar="s3://BUCKET/PREFIX", help="a store of yours; the environment has its keys")
    parser.add_argument("--endpoint", metavar="URL", help="the address of that store, where it is not AWS's")
    parser.add_argument("--region", help="the region of that store")
    parser.add_argument("--objects", type=int, default=4_000, help="how many objects (%(default)s)")
    parser.add_argument("--size", type=int, default=64, metavar="KIB", help="the size of each, KiB (%(default)s)")
    parser.add_argument("--big", type=int, default=128, metavar="MIB", help="the size of a big one, MiB (%(default)s)")
    parser.add_argument("--ranges", type=int, default=20_000, help="how many ranges of 4 KiB (%(default)s)")
    parser.add_argument("--peer-objects", type=int, default=1_000, help="objects for the others (%(default)s)")
    parser.add_argument("--peer-ranges", type=int, default=2_000, help="ranges for the others (%(default)s)")
    parser.add_argument("--picture", type=Path, default=Path("demo-rates.png"), help="where to draw (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Run the demo."""
    arguments = parse_arguments()
    console = Console()
    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    rates: list[Rate] = []
    with open_place(arguments) as place, Progress(*columns, console=console) as bars:
        whole = Plan.draw(arguments, place.folder)
        less = whole.beginning(arguments.peer_objects, arguments.peer_ranges)
        clients: list[tuple[Client, Plan]] = [(Objstore(place), whole), (Obstore(place), less), (Boto3(place), less)]
        for client, plan in clients:
            watch = Stopwatch(bars, client.name, lenient=client is not clients[0][0])
            for act in (write, read_whole, read_ranges, list_and_delete):
                act(client, plan, watch)
            rates += watch.rates
    print_table(console, rates)
    said = describe(place, arguments, rates)
    draw_picture(rates, said, arguments.picture)
    console.print(said)
    console.print(f"Every byte was right. The picture is in {arguments.picture.absolute()}")


if __name__ == "__main__":
    main()

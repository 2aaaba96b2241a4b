"""Write, list, read and check some thousand objects in bulk, and draw how fast it went.

Without --store it starts an S3 server of its own on this machine (rclone, in memory) and stops it at the end. With
--store it works in a new folder of the store that you name, with your own credentials, and deletes what it wrote.
"""

from __future__ import annotations

import argparse
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from objstore import Bytes
from objstore.store import S3Store
from tests.servers import rclone

KIB, MIB = 1 << 10, 1 << 20
RANGE = 4 * KIB


@dataclass(frozen=True, slots=True)
class Rate:
    """How long one step took."""

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
    """Times the steps, and draws a progress bar for each."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.rates: list[Rate] = []

    @contextmanager
    def step(self, name: str, operations: int, nbytes: int = 0) -> Iterator[Callable[[int, int, int], None]]:
        """Time the block; yields the callback that moves the step's bar."""
        bar = self.bars.add_task(name, total=operations)
        begun = time.perf_counter()
        yield lambda done, total, nbytes: self.bars.update(bar, completed=done)
        self.rates.append(Rate(name, operations, nbytes, time.perf_counter() - begun))
        self.bars.update(bar, completed=operations)


@dataclass(frozen=True, slots=True)
class Plan:
    """The objects to write and the ranges to read, all decided beforehand."""

    objects: dict[str, bytes]
    big_key: str
    big: bytes
    ranges: list[tuple[str, int, int]]
    starts: list[int]

    @classmethod
    def draw(cls, arguments: argparse.Namespace) -> Plan:
        """Draw keys, contents and ranges at random."""
        folder = f"objstore-demo-{uuid.uuid4().hex[:8]}"
        size = arguments.size * KIB
        objects = {f"{folder}/{number:06}": os.urandom(size) for number in range(arguments.objects)}
        keys = list(objects)
        picks = ((random.choice(keys), random.randrange(size - RANGE)) for _ in range(arguments.ranges))
        return cls(
            objects,
            f"{folder}/big",
            os.urandom(arguments.big * MIB),
            [(key, start, start + RANGE) for key, start in picks],
            sorted(random.randrange(arguments.big * MIB - RANGE) for _ in range(arguments.ranges)),
        )


def check(name: str, fetched: list[Bytes], expected: Iterator[bytes]) -> None:
    """Compare every byte that came with what was written."""
    for number, (got, wanted) in enumerate(zip(fetched, expected, strict=True)):
        if bytes(memoryview(got)) != wanted:
            raise SystemExit(f"{name}: result {number} differs from what was written")


def write(store: S3Store, plan: Plan, watch: Stopwatch) -> None:
    """Write all objects."""
    total = sum(map(len, plan.objects.values()))
    with watch.step("put_many", len(plan.objects), total) as progress:
        store.put_many(plan.objects, progress=progress)
    with watch.step("put, in parts", 1, len(plan.big)):
        store.put(plan.big_key, plan.big)


def read_whole(store: S3Store, plan: Plan, watch: Stopwatch) -> None:
    """Read all objects and check them."""
    total = sum(map(len, plan.objects.values()))
    with watch.step("get_many", len(plan.objects), total) as progress:
        fetched = store.get_many(list(plan.objects), progress=progress)
    check("get_many", fetched, iter(plan.objects.values()))
    with watch.step("get, in parallel", 1, len(plan.big)):
        whole = store.get(plan.big_key).bytes()
    check("get", [whole], iter([plan.big]))


def read_ranges(store: S3Store, plan: Plan, watch: Stopwatch) -> None:
    """Read ranges of many objects, then of one, and check them."""
    count = len(plan.ranges)
    with watch.step("get_many, ranges", count, count * RANGE) as progress:
        fetched = store.get_many(plan.ranges, progress=progress)
    check("get_many", fetched, (plan.objects[key][start:end] for key, start, end in plan.ranges))
    with watch.step("get_ranges", count, count * RANGE):
        pieces = store.get_ranges(plan.big_key, starts=plan.starts, lengths=[RANGE] * count)
    check("get_ranges", pieces, (plan.big[start : start + RANGE] for start in plan.starts))


def list_and_delete(store: S3Store, plan: Plan, watch: Stopwatch) -> None:
    """List the objects, see that all are there, and delete them."""
    written = [*plan.objects, plan.big_key]
    with watch.step("list", len(written)):
        listed = [row["path"] for page in store.list(plan.big_key.partition("/")[0] + "/") for row in page]
    if sorted(listed) != sorted(written):
        raise SystemExit(f"list: {len(listed)} objects are listed, {len(written)} were written")
    with watch.step("delete", len(written)):
        store.delete(written)


def print_table(console: Console, rates: list[Rate]) -> None:
    """Print the rates."""
    table = Table("step", *("operations", "seconds", "operations/s", "MiB/s"))
    for column in table.columns[1:]:
        column.justify = "right"
    for rate in rates:
        speed = f"{rate.mib_per_second:,.0f}" if rate.nbytes else ""
        table.add_row(rate.step, f"{rate.operations:,}", f"{rate.seconds:.2f}", f"{rate.per_second:,.0f}", speed)
    console.print(table)


def draw_picture(rates: list[Rate], path: Path) -> None:
    """Draw operations a second and MiB a second, one bar for each step that has them."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    draw_bars(
        left, "operations a second, logarithmic", {rate.step: rate.per_second for rate in rates if rate.operations > 1}
    )
    draw_bars(right, "MiB a second", {rate.step: rate.mib_per_second for rate in rates if rate.nbytes})
    left.set_xscale("log")
    figure.savefig(path, dpi=120)


def draw_bars(axes: Axes, title: str, values: dict[str, float]) -> None:
    """Draw one labelled bar for each value, the first on top."""
    bars = axes.barh(list(values), list(values.values()), color="#3b6ea5")
    axes.bar_label(bars, [f"{value:,.0f}" for value in values.values()], padding=3)
    axes.set_title(title)
    axes.margins(x=0.2)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.xaxis.set_visible(False)
    axes.invert_yaxis()


@contextmanager
def open_store(arguments: argparse.Namespace) -> Iterator[S3Store]:
    """Yield the store that was named, or one on a server of our own."""
    if arguments.store:
        url = urlsplit(arguments.store)
        given = {"endpoint": arguments.endpoint, "region": arguments.region}
        named = {name: value for name, value in given.items() if value}
        yield S3Store(url.netloc, prefix=url.path.strip("/") or None, config=named)
        return
    with rclone() as server:
        yield S3Store(
            server.make_bucket("demo-bucket"),
            endpoint=server.endpoint,
            region=server.region,
            access_key_id=server.access_key_id,
            secret_access_key=server.secret_access_key,
            client_options={"allow_http": True},
        )


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
    parser.add_argument("--picture", type=Path, default=Path("demo-rates.png"), help="where to draw (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Run the demo."""
    arguments = parse_arguments()
    console = Console()
    plan = Plan.draw(arguments)
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with open_store(arguments) as store, Progress(*columns, console=console) as bars:
        watch = Stopwatch(bars)
        for act in (write, read_whole, read_ranges, list_and_delete):
            act(store, plan, watch)
    print_table(console, watch.rates)
    draw_picture(watch.rates, arguments.picture)
    console.print(f"Every byte was right. The picture is in {arguments.picture.absolute()}")


if __name__ == "__main__":
    main()

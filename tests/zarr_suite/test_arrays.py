"""Arrays, groups and data sets in our stores, by way of zarr and xarray."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("zarr", reason="zarr, which needs Python 3.12, is not installed")

import numpy
import zarr
from zarr.errors import ZarrUserWarning

from objstore.store import Store as ObjectStore
from objstore.zarr import Store

VALUES = numpy.arange(60 * 80, dtype="f4").reshape(60, 80)


def test_round_trip(place: ObjectStore) -> None:
    written = zarr.create_array(Store(place), name="group/array", data=VALUES, chunks=(7, 9))
    read = zarr.open_array(Store(place, read_only=True), path="group/array", mode="r")
    numpy.testing.assert_array_equal(read[:], VALUES)
    numpy.testing.assert_array_equal(read.oindex[[3, 50], 11::8], VALUES[[3, 50], 11::8])
    assert written.nbytes_stored() == sum(meta["size"] for meta in place.list("group/array").collect())


@pytest.mark.parametrize("pipeline", ["BatchedCodecPipeline", "FusedCodecPipeline"])
def test_shards(place: ObjectStore, pipeline: str) -> None:
    """Chunks are read out of shards as ranges, by either pipeline, the asynchronous and the synchronous one."""
    with zarr.config.set({"codec_pipeline.path": f"zarr.core.codec_pipeline.{pipeline}"}):
        array = zarr.create_array(Store(place), data=VALUES, chunks=(5, 5), shards=(30, 40))
        assert len(place.list("c").collect()) == 4
        numpy.testing.assert_array_equal(array[:], VALUES)
        numpy.testing.assert_array_equal(array[8:31, 2:70:11], VALUES[8:31, 2:70:11])
        array[10:20, 35:45] = 0
        expected = VALUES.copy()
        expected[10:20, 35:45] = 0
        numpy.testing.assert_array_equal(array[:], expected)


def test_a_shard_that_is_gone(place: ObjectStore) -> None:
    array = zarr.create_array(Store(place), data=VALUES, chunks=(5, 5), shards=(30, 40), fill_value=-1)
    place.delete("c/1/1")
    assert (array[40:42, 50:60] == -1).all()
    assert array[0, 1] == 1


def test_hierarchy(place: ObjectStore) -> None:
    """Nodes are found, overwritten and deleted with all that is below them."""
    root = zarr.create_group(Store(place))
    root.create_array("a/b/array", data=VALUES)
    root.create_group("a/other", attributes={"name": "value"})
    assert sorted(key for key, _ in root.members(max_depth=None)) == ["a", "a/b", "a/b/array", "a/other"]
    assert root["a/other"].attrs["name"] == "value"
    root.create_array("a/b/array", data=VALUES[:2], overwrite=True)
    assert root["a/b/array"].shape == (2, 80)
    del root["a"]
    assert [meta["path"] for meta in place.list().collect()] == ["zarr.json"]


def test_of_writers_at_once_one_writes(place: ObjectStore) -> None:
    store = Store(place)
    values = [zarr.core.buffer.cpu.Buffer.from_bytes(b"%d" % number) for number in range(20)]

    async def race() -> None:
        await asyncio.gather(*(store.set_if_not_exists("key", value) for value in values))
        first = place.get("key").bytes()
        await store.set_if_not_exists("key", values[0] + values[1])
        assert place.get("key").bytes() == first

    asyncio.run(race())


def test_consolidated_metadata(place: ObjectStore) -> None:
    root = zarr.create_group(Store(place))
    for name in ("a", "b"):
        root.create_array(name, data=VALUES)
    with pytest.warns(ZarrUserWarning, match="Consolidated"):
        zarr.consolidate_metadata(Store(place))
    consolidated = zarr.open_consolidated(Store(place, read_only=True), mode="r")
    place.delete(["a/zarr.json", "b/zarr.json"])
    assert sorted(consolidated.array_keys()) == ["a", "b"]
    numpy.testing.assert_array_equal(consolidated["b"][:], VALUES)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_xarray(place: ObjectStore, zarr_format: int) -> None:
    """A data set goes in, is added to, and comes back equal; lazily, too."""
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    pieces = xarray.Dataset(
        {"rain": (("time", "x"), VALUES)}, {"time": numpy.arange(60), "x": numpy.linspace(0, 1, 80)}, {"title": "test"}
    )
    pieces.isel(time=slice(0, 40)).to_zarr(Store(place), zarr_format=zarr_format, consolidated=False, mode="w")
    pieces.isel(time=slice(40, None)).to_zarr(Store(place), consolidated=False, append_dim="time")
    with xarray.open_zarr(Store(place, read_only=True), consolidated=False, chunks=None) as found:
        xarray.testing.assert_identical(found.isel(time=[3, 50]).compute(), pieces.isel(time=[3, 50]))
        xarray.testing.assert_identical(found.compute(), pieces)

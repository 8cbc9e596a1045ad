"""The drivers: the simulated plant, and Modbus/TCP against pymodbus' own server over a real socket."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from flexlond.assets.drivers.modbus import Device, ModbusDriver, Register
from flexlond.assets.drivers.port import DriverError, plausible
from flexlond.assets.drivers.simulated import SimulatedDriver
from flexlond.assets.plant import Battery, Chiller, Reading, follow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BATTERY = Battery("bess", 50.0, 60.0, 200.0)
CHILLER = Chiller("hall", 40.0, 30.0, 14.0, 22.0, heat_kw=(80.0,))
NOW = 1_790_000_000


# ---- simulated


async def test_the_simulation_follows_the_plant_model() -> None:
    driver = SimulatedDriver(BATTERY, 100.0, lease=3600.0)
    await driver.read(NOW)
    await driver.send(-30.0, NOW)
    after = await driver.read(NOW + 1800)
    assert after.kw == -30.0
    assert after.level == pytest.approx(
        follow(BATTERY, 100.0, np.array([-30.0]), np.array([0.5]))[0]
    )
    assert after.at == NOW + 1800


async def test_a_set_point_ends_with_its_lease() -> None:
    driver = SimulatedDriver(BATTERY, 100.0, lease=60.0)
    await driver.send(50.0, NOW)
    later = await driver.read(NOW + 3600)
    assert later.kw == 0.0
    assert later.level == pytest.approx(100.0 + 50.0 * 0.95 / 60)


async def test_release_ends_it_at_once_and_a_clock_that_goes_back_changes_nothing() -> None:
    driver = SimulatedDriver(BATTERY, 100.0, lease=3600.0)
    await driver.send(50.0, NOW)
    await driver.release(NOW + 36)
    there = await driver.read(NOW + 600)
    assert there.level == pytest.approx(100.0 + 50.0 * 0.95 / 100)
    assert (await driver.read(NOW)).level == there.level


async def test_a_full_battery_takes_nothing_and_an_empty_one_gives_nothing() -> None:
    full = SimulatedDriver(BATTERY, 199.9, lease=1e6)
    await full.send(50.0, NOW)
    assert (await full.read(NOW + 3600)).level == pytest.approx(200.0)
    empty = SimulatedDriver(BATTERY, 1.0, lease=1e6)
    await empty.send(-60.0, NOW)
    read = await empty.read(NOW + 3600)
    assert read.level == pytest.approx(0.0, abs=1e-9)
    assert read.kw == pytest.approx(0.0, abs=1e-9)


async def test_a_chiller_holds_its_band_by_itself_and_protects_itself() -> None:
    driver = SimulatedDriver(CHILLER, 18.0, lease=7200.0)
    assert (await driver.read(NOW)).level == 18.0
    alone = await driver.read(NOW + 3600)
    assert alone.level == pytest.approx(18.0)
    assert alone.kw == pytest.approx(20.0)  # 80 kW of heat at a COP of 4
    await driver.send(0.0, NOW + 3600)
    warm = await driver.read(NOW + 3600 + 7000)
    assert warm.level == pytest.approx(22.0)
    await driver.send(40.0, NOW + 3600 + 7000)
    cooled = await driver.read(NOW + 3600 + 14000)
    assert cooled.level == pytest.approx(22.0 - 80.0 / 30.0 * 7000 / 3600)
    await driver.send(40.0, NOW + 3600 + 14000)
    assert (await driver.read(NOW + 3600 + 21000)).level == pytest.approx(14.0)


async def test_a_set_point_beyond_its_rating_is_not_sent() -> None:
    driver = SimulatedDriver(BATTERY, 100.0)
    with pytest.raises(DriverError, match=r"70 kW is outside -60 to 50"):
        await driver.send(70.0, NOW)
    with pytest.raises(DriverError, match="nan kW"):
        await driver.send(float("nan"), NOW)


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (Reading(NOW, 6553.5, 0.0), "level register"),
        (Reading(NOW, 100.0, -3276.8), "power register"),
        (Reading(NOW, float("nan"), 0.0), "level register"),
        (Reading(NOW, 100.0, float("nan")), "power register"),
    ],
)
def test_what_cannot_be_is_no_reading(reading: Reading, words: str) -> None:
    with pytest.raises(DriverError, match=words):
        plausible(BATTERY, reading, "it")


# ---- Modbus


LEVEL = Register(100, "uint16", scale=0.1, table="input")
POWER = Register(200, "int32", scale=-0.001)  # W, positive out of the battery
SETPOINT = Register(300, "int16", scale=-0.1)
LEASE = Register(310, "uint16")


@asynccontextmanager
async def server(level: int = 1234, watts: int = -20_000) -> AsyncIterator[int]:
    """A device with unit 7 on a free port; its level and power registers hold raw values."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    words = [(watts >> 16) & 0xFFFF, watts & 0xFFFF]
    holding = [
        SimData(200, values=words, datatype=DataType.REGISTERS),
        SimData(300, values=[0], datatype=DataType.REGISTERS),
        SimData(310, values=[0], datatype=DataType.REGISTERS),
        SimData(320, values=[5, 5], datatype=DataType.REGISTERS, readonly=True),
    ]
    device = SimDevice(
        7,
        simdata=(
            [SimData(0, datatype=DataType.BITS)],
            [SimData(0, datatype=DataType.BITS)],
            holding,
            [SimData(100, values=[level], datatype=DataType.REGISTERS)],
        ),
    )
    running = ModbusTcpServer(device, address=("127.0.0.1", port))
    await running.listen()
    try:
        yield port
    finally:
        await running.shutdown()


def device(port: int, *, write: bool = True, **changed: object) -> Device:
    made = Device(
        "127.0.0.1",
        LEVEL,
        POWER,
        port=port,
        unit=7,
        timeout=1.0,
        write=write,
        setpoint=SETPOINT,
        lease=LEASE,
        lease_seconds=90.0,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


async def raw(port: int, register: Register) -> float:
    reader = ModbusDriver(BATTERY, device(port))
    try:
        return await reader._raw(register, "level")
    finally:
        await reader.close()


async def test_it_reads_level_and_power_by_address_type_and_scale() -> None:
    async with server() as port:
        driver = ModbusDriver(BATTERY, device(port))
        reading = await driver.read(NOW)
        await driver.close()
    assert reading == Reading(NOW, pytest.approx(123.4), pytest.approx(20.0))  # type: ignore[arg-type]


async def test_a_set_point_is_written_with_its_lease_and_neutral_on_release() -> None:
    async with server() as port:
        driver = ModbusDriver(BATTERY, device(port))
        assert driver.writes
        await driver.send(-30.0, NOW)
        assert await raw(port, SETPOINT) == 300
        assert await raw(port, LEASE) == 90
        await driver.release(NOW)
        assert await raw(port, SETPOINT) == 0
        assert await raw(port, LEASE) == 0
        await driver.close()


async def test_without_write_nothing_is_ever_written() -> None:
    async with server() as port:
        driver = ModbusDriver(BATTERY, device(port, write=False))
        assert not driver.writes
        with pytest.raises(DriverError, match="write = true"):
            await driver.send(10.0, NOW)
        await driver.release(NOW)
        assert await raw(port, SETPOINT) == 0
        assert await raw(port, LEASE) == 0
        await driver.close()


async def test_an_implausible_register_is_an_error_and_no_reading() -> None:
    async with server(level=65535) as port:
        driver = ModbusDriver(BATTERY, device(port))
        with pytest.raises(DriverError, match=r"says 6553.5 kWh, outside"):
            await driver.read(NOW)
        await driver.close()


async def test_a_register_that_is_not_there_says_where() -> None:
    async with server() as port:
        driver = ModbusDriver(BATTERY, device(port, level=Register(999)))
        with pytest.raises(
            DriverError, match=rf"level could not be read at holding register 999 of .*:{port}"
        ):
            await driver.read(NOW)
        await driver.close()


async def test_a_set_point_that_does_not_take_is_an_error() -> None:
    async with server() as port:
        driver = ModbusDriver(BATTERY, device(port, setpoint=Register(320), lease=None))
        with pytest.raises(DriverError, match="setpoint could not be written"):
            await driver.send(10.0, NOW)
        await driver.close()


async def test_a_value_that_does_not_fit_its_register_is_not_written() -> None:
    async with server() as port:
        fine = Register(300, "int16", scale=0.001)
        driver = ModbusDriver(BATTERY, device(port, setpoint=fine, lease=None))
        with pytest.raises(DriverError, match="does not fit the setpoint register"):
            await driver.send(45.0, NOW)
        assert await raw(port, SETPOINT) == 0
        await driver.close()


async def test_it_comes_back_after_the_device_was_away() -> None:
    async with server() as port:
        driver = ModbusDriver(BATTERY, device(port))
        await driver.read(NOW)
    with pytest.raises(DriverError):
        await driver.read(NOW + 30)
    with pytest.raises(DriverError, match="no connection"):
        await driver.read(NOW + 60)
    again = ModbusTcpServer(
        SimDevice(7, simdata=[SimData(0, values=[100] * 400, datatype=DataType.REGISTERS)]),
        address=("127.0.0.1", port),
    )
    await again.listen()
    try:
        driver._device = replace(driver._device, level=Register(1), power=Register(2, scale=0.1))
        assert (await driver.read(NOW + 90)).level == 100.0
    finally:
        await driver.close()
        await again.shutdown()


async def test_a_silent_device_costs_no_more_than_the_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        driver = ModbusDriver(BATTERY, device(silent.getsockname()[1], timeout=0.5))
        async with asyncio.timeout(30):
            with pytest.raises(DriverError, match="level could not be read"):
                await driver.read(NOW)
        await driver.close()

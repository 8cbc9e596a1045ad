"""An asset on Modbus/TCP: two registers that are read, and where the site allows it one that is set.

Law: what a register means is configuration: value = raw x scale + offset. A set-point is only ever written
with `write`; first the lease (the seconds after which the asset falls back by itself, where it has such a
register), then the power, which is read back: an answer is no effect. A failed call drops the connection, and
the next one opens a new one. No call lasts longer than `timeout` for each register. Without `write` nothing
is ever written.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient

from flexlond.assets.drivers.port import DriverError, plausible, within_rating
from flexlond.assets.plant import Reading

if TYPE_CHECKING:
    from flexlond.assets.plant import Asset

_DONE = {"read": "read", "write": "written"}
Type = Literal["int16", "uint16", "int32", "uint32", "float32"]


@dataclass(frozen=True, slots=True)
class Register:
    """Where a value stands: value = raw x scale + offset."""

    address: int  # as on the wire, from 0
    type: Type = "int16"
    scale: float = 1.0
    offset: float = 0.0
    table: Literal["holding", "input"] = "holding"
    word_order: Literal["big", "little"] = "big"


@dataclass(frozen=True, slots=True)
class Device:
    """How an asset is reached and what its registers are."""

    host: str
    level: Register  # kWh stored, or degrees C
    power: Register  # kW, positive into the asset
    port: int = 502
    unit: int = 1  # the device's id behind a gateway
    timeout: float = 2.0  # s
    write: bool = False
    setpoint: Register | None = None
    lease: Register | None = None  # s; counted down by the asset
    lease_seconds: float = 120.0
    neutral_kw: float = 0.0  # the set-point with which the asset is left to itself


class ModbusDriver:
    """AssetDriver on pymodbus."""

    def __init__(self, asset: Asset, device: Device) -> None:
        self._asset, self._device = asset, device
        self._client: AsyncModbusTcpClient | None = None
        self._lock = asyncio.Lock()

    @property
    def writes(self) -> bool:
        """Whether set-points are allowed and there is a register for them."""
        return self._device.write and self._device.setpoint is not None

    @property
    def _where(self) -> str:
        return f"Modbus device {self._device.unit} at {self._device.host}:{self._device.port}"

    async def read(self, now: int) -> Reading:
        """Level and power."""
        async with self._lock:
            level = await self._get(self._device.level, "level")
            kw = await self._get(self._device.power, "power")
        return plausible(self._asset, Reading(now, level, kw), self._where)

    async def send(self, kw: float, now: int) -> None:
        """Lease first, then the power, then read it back."""
        del now  # the asset counts the lease by its own clock
        await self._set(within_rating(self._asset, kw), self._device.lease_seconds)

    async def release(self, now: int) -> None:
        """Write the neutral set-point and end the lease."""
        del now
        if self.writes:
            await self._set(self._device.neutral_kw, 0.0)

    async def close(self) -> None:
        """Drop the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _set(self, kw: float, lease: float) -> None:
        device = self._device
        if not self.writes or device.setpoint is None:
            raise DriverError(
                f"{self._asset.name}: set-points are not allowed; set write = true and a setpoint register"
            )
        # Ending a lease comes last: until the neutral set-point is there it still guards.
        order = [(device.setpoint, kw, "setpoint")]
        if device.lease is not None:
            order.insert(0 if lease > 0 else 1, (device.lease, lease, "lease"))
        ready = [(one, self._encoded(one, value, name), name) for one, value, name in order]
        async with self._lock:
            for register, words, name in ready:
                await self._put(register, words, name)

    async def _connected(self) -> AsyncModbusTcpClient:
        client = self._client
        if client is not None and client.connected:
            return client
        await self.close()
        device = self._device
        client = AsyncModbusTcpClient(
            device.host, port=device.port, timeout=device.timeout, retries=0, reconnect_delay=0
        )
        try:
            async with asyncio.timeout(device.timeout):
                connected = await client.connect()
        except (OSError, TimeoutError, ModbusException):
            connected = False
        if not connected:
            client.close()
            raise DriverError(
                f"{self._asset.name}: no connection to {self._where}: "
                "check host and port, and that nothing else holds its only connection"
            )
        self._client = client
        return client

    async def _get(self, register: Register, name: str) -> float:
        raw = await self._raw(register, name)
        return raw * register.scale + register.offset

    async def _raw(self, register: Register, name: str) -> float:
        words = await self._words(register, name)
        kind = AsyncModbusTcpClient.DATATYPE[register.type.upper()]
        value = AsyncModbusTcpClient.convert_from_registers(
            words, kind, word_order=register.word_order
        )
        assert isinstance(value, (int, float))  # noqa: S101 - of one value of a number's type
        return float(value)

    async def _words(self, register: Register, name: str) -> list[int]:
        client = await self._connected()
        count = client.DATATYPE[register.type.upper()].value[1]
        ask = (
            client.read_holding_registers
            if register.table == "holding"
            else client.read_input_registers
        )
        try:
            async with asyncio.timeout(self._device.timeout):
                answer = await ask(register.address, count=count, device_id=self._device.unit)
        except (OSError, TimeoutError, ModbusException) as error:
            raise await self._failed("read", register, name, error) from error
        if answer.isError() or len(answer.registers) != count:
            raise await self._failed("read", register, name, answer)
        return list(answer.registers)

    def _encoded(self, register: Register, value: float, name: str) -> list[int]:
        """The words of `value`; DriverError where the register cannot hold it."""
        raw = (value - register.offset) / register.scale
        exact: int | float = raw if register.type == "float32" else round(raw)
        kind = AsyncModbusTcpClient.DATATYPE[register.type.upper()]
        try:
            return AsyncModbusTcpClient.convert_to_registers(
                exact, kind, word_order=register.word_order
            )
        except (struct.error, OverflowError) as error:
            raise DriverError(
                f"{self._asset.name}: {value:g} does not fit the {name} register "
                f"({register.type}, scale {register.scale:g}): nothing was written"
            ) from error

    async def _put(self, register: Register, words: list[int], name: str) -> None:
        client = await self._connected()
        try:
            async with asyncio.timeout(self._device.timeout):
                answer = await client.write_registers(
                    register.address, words, device_id=self._device.unit
                )
        except (OSError, TimeoutError, ModbusException) as error:
            raise await self._failed("write", register, name, error) from error
        if answer.isError():
            raise await self._failed("write", register, name, answer)
        if name == "setpoint":
            seen = await self._words(register, name)
            if seen != words:
                raise DriverError(
                    f"{self._asset.name}: {self._where} took the set-point {words} and shows {seen}: "
                    "is it in remote control?"
                )

    async def _failed(self, what: str, register: Register, name: str, why: object) -> DriverError:
        await self.close()
        reason = str(why) or type(why).__name__
        return DriverError(
            f"{self._asset.name}: {name} could not be {_DONE[what]} at {register.table} register "
            f"{register.address} of {self._where} ({reason}): check address, table and unit"
        )

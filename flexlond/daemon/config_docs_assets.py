"""What each key of [[assets]] and [[power_caps]] means: a part of config_docs.py.

Law: as config_docs.py.
"""

from __future__ import annotations

from flexlond.daemon.config_key_doc import KeyDoc

_REGISTERS = {
    "assets[].level": "Modbus register of the level: kWh stored, or degrees C.",
    "assets[].power": "Modbus register of the power, in kW after its scale, positive into the asset.",
    "assets[].setpoint": "Modbus register of the power that is asked for, in kW after its scale.",
    "assets[].lease": (
        "Modbus register that takes the seconds for which a set-point holds; the asset counts them down and "
        "falls back by itself at 0."
    ),
}

_REGISTER = {
    "address": KeyDoc(
        "", "As on the wire, from 0 (40001 in a manual is 0); -1: there is none.", "100"
    ),
    "type": KeyDoc("", "How the value is coded; 32 bits take two registers.", '"int16"'),
    "scale": KeyDoc(
        "", "value = raw x scale + offset; negative where the device counts the other way.", "0.1"
    ),
    "offset": KeyDoc("", "Added after the scale.", "0.0"),
    "table": KeyDoc("", "Which table it stands in; what is written is in holding.", '"holding"'),
    "word_order": KeyDoc("", "Which word of a 32-bit value comes first.", '"big"'),
}

ASSET_SECTIONS = {
    "assets[]": (
        "Batteries and chilled stores beside the cluster, planned together with the jobs. kW are electric, "
        "positive into the asset. [How to](../how-to/assets.md)."
    ),
    **_REGISTERS,
    "power_caps[]": (
        "GPU nodes whose power could be capped. It is checked and nothing more: there is a simulated driver "
        "only, and nothing sets caps yet. [How a driver is added](../how-to/cap-gpu-power.md)."
    ),
}

ASSET_DOCS: dict[str, KeyDoc] = {
    "assets[].name": KeyDoc("", "A name of your own, as it is shown.", '"battery"'),
    "assets[].kind": KeyDoc("", "What it is.", '"battery"'),
    "assets[].driver": KeyDoc(
        "", "simulated: the plant model run forward, for trials; modbus: Modbus/TCP.", '"modbus"'
    ),
    "assets[].max_age": KeyDoc(
        "s", "An asset whose last reading is older is left out of the plan.", "120.0"
    ),
    "assets[].lease_seconds": KeyDoc(
        "s",
        "How long a set-point lasts that is not renewed; longer than two cycles, or it lapses between them.",
        "120.0",
    ),
    "assets[].charge_kw": KeyDoc("kW", "battery: the most it takes.", "250.0"),
    "assets[].discharge_kw": KeyDoc("kW", "battery: the most it gives.", "250.0"),
    "assets[].capacity_kwh": KeyDoc("kWh", "battery: what it holds when full.", "500.0"),
    "assets[].reserve_kwh": KeyDoc("kWh", "battery: kept back, never planned with.", "100.0"),
    "assets[].charge_efficiency": KeyDoc("", "battery: kWh stored per kWh taken.", "0.95"),
    "assets[].discharge_efficiency": KeyDoc(
        "", "battery: kWh given per kWh out of the store.", "0.95"
    ),
    "assets[].wear_gbp_per_kwh": KeyDoc(
        "GBP/kWh", "battery: what a kWh in or out costs in wear.", "0.02"
    ),
    "assets[].max_kw": KeyDoc("kW", "chiller: the most it draws.", "120.0"),
    "assets[].min_kw": KeyDoc(
        "kW", "chiller: the least at which it runs; below it is off.", "20.0"
    ),
    "assets[].inertia_kwh_per_k": KeyDoc(
        "kWh/K", "chiller: the heat that warms its store by one degree.", "60.0"
    ),
    "assets[].conductance_kw_per_k": KeyDoc(
        "kW/K", "chiller: heat that comes in per degree between ambient and store.", "1.5"
    ),
    "assets[].ambient_c": KeyDoc("C", "chiller: the temperature around the store.", "25.0"),
    "assets[].cop": KeyDoc("", "chiller: kW of heat moved per kW of electricity.", "4.0"),
    "assets[].low_c": KeyDoc("C", "chiller: never colder.", "16.0"),
    "assets[].high_c": KeyDoc("C", "chiller: never warmer.", "22.0"),
    "assets[].heat_kw": KeyDoc(
        "kW", "chiller: the heat load: one figure, or 24 by hour of the day in UTC.", "[150.0]"
    ),
    "assets[].start_level": KeyDoc(
        "kWh or C", "simulated: where it begins at each start of the daemon.", "200.0"
    ),
    "assets[].host": KeyDoc("", "modbus: the device's address.", '"192.0.2.10"'),
    "assets[].port": KeyDoc("", "modbus: its TCP port.", "502"),
    "assets[].unit": KeyDoc("", "modbus: the device's id behind a gateway.", "1"),
    "assets[].timeout": KeyDoc("s", "modbus: one register takes no longer.", "2.0"),
    "assets[].write": KeyDoc(
        "", "modbus: whether set-points may be written at all; they are in act mode only.", "false"
    ),
    "assets[].falls_back": KeyDoc(
        "",
        "modbus: the asset has a time-out of its own after which a set-point that is not renewed lapses.",
        "true",
    ),
    "assets[].neutral_kw": KeyDoc(
        "kW",
        "modbus: the set-point by which the asset is left to itself, written when flexlond stops.",
        "0.0",
    ),
    **{f"{section}.{key}": doc for section in _REGISTERS for key, doc in _REGISTER.items()},
    "power_caps[].name": KeyDoc("", "A name of your own.", '"h200"'),
    "power_caps[].partitions": KeyDoc(
        "", "The partitions whose nodes may be capped; no other node ever is.", '["gpu"]'
    ),
    "power_caps[].curve": KeyDoc(
        "W, share",
        "Measured points: the cap of a whole node and its relative speed under it, rising to 1.0.",
        "[[1400.0, 0.62], [2100.0, 0.87], [2800.0, 1.0]]",
    ),
    "power_caps[].driver": KeyDoc("", "What sets the caps.", '"simulated"'),
    "power_caps[].lease_seconds": KeyDoc(
        "s", "A cap that is not renewed for so long lapses by itself.", "120.0"
    ),
}

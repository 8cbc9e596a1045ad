"""One identity at work: key, trust, journal, node, pump, client and server, opened and closed together.

Law: nothing listens before journal and key are there. It binds its port itself, so that a taken port is an
error with a text and not the end of the process. A key that others may read is refused. Whatever cannot be had
is a MarketError that says what to do. The secret is never shown. Durations are seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from flexlond.agents.market.port import Place
from flexlond.beckn.http.dedi import Dedi
from flexlond.beckn.http.pump import Pump
from flexlond.beckn.http.sender import Sender
from flexlond.beckn.http.server import Front, server
from flexlond.beckn.journal.database import JournalError
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.node.node import Node
from flexlond.beckn.node.settings import Identity, NodeSettings
from flexlond.beckn.trust.keys import BadKeyError, SecretKey
from flexlond.beckn.trust.registry import TrustFile, TrustFileError
from flexlond.beckn.trust.signature import Signer, Switches
from flexlond.beckn.trust.sources import Sources
from flexlond.beckn.wire.actions import Role
from flexlond.daemon.config_checks_market import port_of
from flexlond.host.credentials import NoCredentialError, credential

if TYPE_CHECKING:
    import uvicorn

    from flexlond.beckn.node.desk import Business
    from flexlond.model.market_settings import IdentitySettings

_BACKLOG = 128
_OTHERS = 0o077  # of a file's mode: what others than the owner may


class MarketError(Exception):
    """An identity cannot be set up; the text says why and what to do."""


class Stall:
    """One identity from its opening to its close."""

    def __init__(
        self, name: str, chosen: IdentitySettings, state_dir: Path, business: Business
    ) -> None:
        """Open journal, key and trust file. Raises MarketError."""
        self.name, self.chosen = name, chosen
        self.role = Role(chosen.role)
        signer, file = signer_of(name, chosen), trust_of(name, chosen)
        try:
            self._journal = Journal(journal_of(name, chosen, state_dir), self.role)
        except JournalError as error:
            raise MarketError(f"{name}: {error}") from None
        self._client = httpx.AsyncClient()
        beyond = None
        if chosen.registry_url:
            beyond = Dedi(self._client, chosen.registry_url, registry=chosen.registry_name)
        self._registry = Sources(file, beyond)
        us = Identity(self.role, signer, chosen.uri)
        self.node = Node(us, node_settings(chosen), self._journal, business)
        self._pump = Pump(
            self.node, Sender(self.node, self._registry, self._client, time.time), time.time
        )
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None

    def place(self) -> Place:
        """What its agent gets of it."""
        return Place(self.node, self._registry, self._pump.wake)

    def listen(self) -> None:
        """Bind the port. Raises MarketError."""
        address, port = self.chosen.listen, port_of(self.chosen)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((address, port))
            bound.listen(_BACKLOG)
        except OSError as error:
            bound.close()
            raise MarketError(
                f"{self.name}: cannot listen on {address} port {port} ({error.strerror}): free it, or set "
                f"market.identity.{self.name}.port"
            ) from None
        self._socket = bound
        front = Front(
            self.node,
            self._registry,
            prefix=urlsplit(self.chosen.uri).path,
            wake=self._pump.wake,
        )
        self._server = server(front, address, port)

    @property
    def port(self) -> int:
        """The port on which it listens; 0 before `listen`."""
        return int(self._socket.getsockname()[1]) if self._socket else 0

    async def run(self) -> None:
        """Serve and pump until cancelled, or until one of the two fails."""
        if self._server is None or self._socket is None:
            raise RuntimeError("listen first")
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        pumping = asyncio.create_task(self._pump.run())
        try:
            done, _ = await asyncio.wait((serving, pumping), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            raise MarketError(f"{self.name}: it stopped serving; the log says why")
        finally:
            self._server.should_exit = True
            self._pump.stop()
            await asyncio.gather(serving, pumping, return_exceptions=True)

    def take(self, chosen: IdentitySettings) -> None:
        """Take over key, trust file and switches. Raises MarketError; then nothing changed."""
        signer, file = signer_of(self.name, chosen), trust_of(self.name, chosen)
        self._registry.use(file)
        self.node.use_key(signer)

    def prune(self, now: float) -> None:
        """Forget what ended long ago."""
        self._journal.prune(now - self.chosen.keep_days * 86_400)

    async def close(self) -> None:
        """Close everything; what was promised stays in the journal."""
        with contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.close()
        await self._client.aclose()
        self._journal.close()


def journal_of(name: str, chosen: IdentitySettings, state_dir: Path) -> Path:
    """Where its journal is."""
    return Path(chosen.journal) if chosen.journal else state_dir / f"market-{name}.db"


def signer_of(name: str, chosen: IdentitySettings) -> Signer:
    """Its key. Raises MarketError."""
    try:
        path = credential(chosen.key) if chosen.key else Path(chosen.key_file)
        # systemd's own copies are readable by its user only, through an ACL that the mode does not show
        if not chosen.key and path.stat().st_mode & _OTHERS:
            raise MarketError(
                f"{name}: {path} can be read by others: chmod 600 {path}, and make a new key if anybody else "
                "may have read it (flexlond keygen)"
            )
        return Signer(chosen.subscriber, chosen.key_id, SecretKey.of_file(path))
    except (NoCredentialError, BadKeyError) as error:
        raise MarketError(f"{name}: {error}") from None
    except OSError as error:
        raise MarketError(
            f"{name}: {chosen.key_file}: {error.strerror}; make it with flexlond keygen"
        ) from None


def trust_of(name: str, chosen: IdentitySettings) -> TrustFile | None:
    """Its trust file, if it has one. Raises MarketError."""
    if not chosen.trust_file:
        return None
    try:
        return TrustFile(Path(chosen.trust_file))
    except TrustFileError as error:
        raise MarketError(f"{name}: {error}") from None


def node_settings(chosen: IdentitySettings) -> NodeSettings:
    """The switches as the node takes them."""
    return NodeSettings(
        network_id=chosen.network_id,
        networks=frozenset(chosen.networks),
        signatures=Switches(
            old_label=chosen.old_label,
            record_key_id=chosen.record_key_id,
            strict_binding=chosen.strict_binding,
            skew=chosen.skew,
        ),
        strict_two_phase=chosen.strict_two_phase,
        strict_duplicates=chosen.strict_duplicates,
        request_ttl=chosen.request_ttl,
        callback_ttl=chosen.callback_ttl,
        draft_seconds=chosen.draft_seconds,
        quote_seconds=chosen.quote_seconds,
        answer_seconds=chosen.answer_seconds,
        rate_per_second=chosen.rate_per_second,
        burst=chosen.burst,
    )

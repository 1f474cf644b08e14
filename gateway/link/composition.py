"""Everything that one process of the link is made of, from its configuration: keys, access, peers, sockets, streams.

    Configuration ─┬─► key service ─► Keyring ─► Refresher            (a thread of its own)
                   ├─► AccessFiles ─► Access                          who may come, who may read what
                   ├─► Peer × peers ─► Acceptor ─► Transport          what speaks
                   └─► StreamServer ◄─ Outgoing        Incoming       what is said

Hard rule: what cannot be had is one line at the start; nothing here is made later.
"""

import os
from pathlib import Path

from gateway import clock
from gateway.config import Configuration
from gateway.errors import CapabilityError, ConfigurationError
from gateway.instance import Instance
from gateway.link.incoming import Incoming
from gateway.link.keys import static_key
from gateway.link.keys.key_address import open_key_service
from gateway.link.keys.keyring import Keyring
from gateway.link.keys.keyring_refresher import KeyringRefresher
from gateway.link.outgoing import InstanceSource, Outgoing
from gateway.link.peers.acceptor import Acceptor, Pending
from gateway.link.peers.peer import Peer
from gateway.link.peers.peer_settings import PeerSettings, RekeySettings
from gateway.link.rights.access_files import FOLDER, AccessFiles, AccessPaths
from gateway.link.rights.counter_file import ProcessCounter
from gateway.link.rights.journal import REFUSED, Attempt
from gateway.link.rights.token_keys import DerivedKeys
from gateway.link.rights.token_source import Issuer, TokenSource
from gateway.link.rights.tokens import Method
from gateway.link.streams.record_layouts import layouts
from gateway.link.streams.stream_asking import Tokens
from gateway.link.streams.stream_server import StreamServer
from gateway.link.transport import Transport
from gateway.link_sections import LinkPeer, key_of
from gateway.sections import host_and_port

MILLISECOND_NS = 1_000_000
MINUTE_NS = 60_000_000_000
BOOT_BYTES = 16


class Composition:
    """The parts, made and joined."""

    def __init__(self, instance: Instance, configuration: Configuration):
        """Raises GatewayError: what is missing, and the mend."""
        self.instance, self.settings = instance, configuration.link
        self.folder = configuration.link_state_folder / FOLDER
        self.known = self.settings.known()
        self.names = {peer.node: name for name, peer in self.known.items()}
        self.boot_id = os.urandom(BOOT_BYTES)
        nodes = tuple(self.names)
        self.keyring = Keyring(open_key_service(self.settings.key_service), self.settings.node, nodes)
        self.refresher = KeyringRefresher(self.keyring, self.now_ns)
        keys = DerivedKeys(self.keyring)
        paths = AccessPaths(
            configuration.link_state_folder, _path(self.settings.roles_file), _path(self.settings.addresses_file)
        )
        self.files = AccessFiles(self.settings.node, paths, keys, key_of(self.settings.signer), self.now_ns())
        self.access = self.files.access
        self.refused_files = self.files.poll(self.now_ns())  # before anybody can call
        self._counter = ProcessCounter(self.boot_id)
        self._keys = keys
        private = static_key.read_private(_path(self.settings.key_file))
        self.peers = {peer.node: self._peer(peer, private) for peer in self.known.values()}
        self.acceptor = Acceptor(self.peers, lambda address: self.access.admit(address, self.now_ns()), self._refused)
        self.transport = self._transport()
        self.source = InstanceSource(instance, self.settings.node)
        self.server = StreamServer(self.source, self.access)
        self.outgoing = Outgoing(instance, self.server, self.folder, self.source)
        self.incoming = {peer.node: self._incoming(name, peer) for name, peer in self.known.items() if peer.mirror}

    def now_ns(self) -> int:
        """The instance's clock."""
        return clock.now_ns(self.instance.clock_address)

    def _peer(self, peer: LinkPeer, private: bytes) -> Peer:
        settings = self.settings
        rekey = RekeySettings(settings.rekey_frames, settings.rekey_mib << 20, settings.rekey_minutes * MINUTE_NS)
        return Peer(
            PeerSettings(
                node=settings.node,
                remote_node=peer.node,
                initiator=settings.calls(peer),
                boot_id=self.boot_id,
                private_key=private,
                remote_public_key=key_of(peer.public_key),
                layouts=layouts(),
                rekey=rekey,
                heartbeat_ns=settings.heartbeat_ms * MILLISECOND_NS,
                suspect_ns=settings.suspect_ms * MILLISECOND_NS,
            ),
            self.keyring,
            os.urandom,
        )

    def _refused(self, pending: Pending) -> None:
        """A handshake that failed is an attempt, too."""
        attempt = Attempt("handshake", REFUSED, pending.refused or "", pending.node, pending.address)
        self.access.attempted(attempt, self.now_ns())

    def _transport(self) -> Transport:
        called = {peer.node: host_and_port(peer.address) for peer in self.known.values() if self.settings.calls(peer)}
        listen = host_and_port(self.settings.listen) if self.settings.listen else None
        try:
            return Transport(self.peers, self.acceptor, called, listen, self.now_ns)
        except OSError as problem:
            where = f"link.listen = {self.settings.listen!r}"
            raise CapabilityError(f"{where}: {problem.strerror}; choose an address of this host that is free") from None

    def _incoming(self, name: str, peer: LinkPeer) -> Incoming:
        return Incoming(self.instance, name, self.peers[peer.node], self._tokens(peer.node), peer.mirror, self.folder)

    def _tokens(self, audience: int) -> Tokens:
        """Tokens in our own name, with the roles that the signed file gives us now."""

        def token(stream: str, method: Method, binding: bytes, payload: bytes, now_ns: int) -> bytes:
            roles = self.access.roles
            bits = roles.bits_of(self.settings.principal) if roles is not None else 0
            if not bits:
                raise ConfigurationError(f"link.principal = {self.settings.principal!r} has no role in link.roles_file")
            source = TokenSource(Issuer(self.settings.principal, bits), self._keys, self._counter)
            return source.token(stream, audience, binding, now_ns, method, payload)

        return token

    def close(self) -> None:
        """Ends everything that was begun."""
        for incoming in self.incoming.values():
            incoming.close()
        self.outgoing.close()
        self.transport.close()
        self.refresher.close()
        self.keyring.close()
        self.files.close()


def _path(text: str) -> Path:
    return Path(text).expanduser()

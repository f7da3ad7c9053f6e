"""Where a server can listen: which ports of an address are free."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

LOOPBACK = "127.0.0.1"


def free_port(host: str = LOOPBACK) -> int:
    """Return a port of `host` that nobody uses now."""
    with _socket(host) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def bind(host: str, port: int) -> None:
    """Raise OSError where no server can listen at the port; 0 asks about the address alone."""
    with _socket(host) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen at the port."""
    with contextlib.suppress(OSError, OverflowError):
        bind(host, port)
        return True
    return False


def is_loopback(host: str) -> bool:
    """Whether this machine alone reaches `host`, a name or an address without a port."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)

"""Which connections go through a proxy, and what an operator is told when it fails.

The libraries' own look at the environment is not used: aiohttp's (`trust_env`) has no proxy for wss
but WSS_PROXY, reads ~/.netrc, and has no exception for this machine; Slack's SDK knows neither
NO_PROXY nor that exception.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

import aiohttp

from core.errors import Barred, Unreachable

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class Proxies:
    """HTTPS_PROXY (for https and wss), HTTP_PROXY (for http and ws) and NO_PROXY; empty: unset.

    A proxy's address may hold a user and a password.
    """

    https: str = field(default="", repr=False)
    http: str = field(default="", repr=False)
    spared: str = ""

    def of(self, url: str) -> str | None:
        """The proxy that leads to an address; None: it is reached directly, as all of this machine
        and all that NO_PROXY names.
        """
        parts = urlsplit(url)
        proxy = self.https if _variable(parts) == "HTTPS_PROXY" else self.http
        host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme)
        if not proxy or _here(host):
            return None
        names = self.spared.lower().replace(",", " ").split()
        return None if any(_named(name, host, port) for name in names) else proxy

    def trouble(self, url: str, error: Exception) -> Unreachable | None:
        """What to tell of an error on the way to an address; None when no proxy has a part in it.

        It names no password; the error itself holds the one in the proxy's address.
        """
        proxy, parts = self.of(url), urlsplit(url)
        if proxy is None:
            return None
        variable, host = _variable(parts), parts.hostname
        via = f"the proxy {urlsplit(proxy).netloc.rpartition('@')[2]} ({variable})"
        match error:
            case aiohttp.ClientHttpProxyError(status=407):
                return Barred(
                    f"{via} does not accept our user and password (407): write what it wants into "
                    f"{variable}, as http://user:password@host:port, and restart"
                )
            case aiohttp.ClientHttpProxyError():
                return Unreachable(
                    f"{via} refuses the way to {host} ({error.status}): have it let through, or "
                    "name it in NO_PROXY where it can be reached without"
                )
            case aiohttp.ClientConnectorCertificateError():
                why = getattr(error.certificate_error, "verify_message", "")
                return Unreachable(
                    f"through {via} came a certificate for {host} that is not trusted ({why}): if "
                    "it is the proxy's own, name the file of its authority in SSL_CERT_FILE"
                )
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientConnectorDNSError():
                return Unreachable(f"{via} can't be reached: is it up, and {variable} right?")
            case TimeoutError():
                return Unreachable(
                    f"nothing came back from {host} through {via} in time: is the proxy up, and "
                    "does it let that through?"
                )
        return None


DIRECT = Proxies()
"""There is none."""


def _variable(parts: SplitResult) -> str:
    return "HTTPS_PROXY" if parts.scheme in ("https", "wss") else "HTTP_PROXY"


def _here(host: str) -> bool:
    """Whether it is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _named(name: str, host: str, port: int | None) -> bool:
    """Whether one entry of NO_PROXY means this host: `*`, an address, a network as 10.0.0.0/8, or a
    name, with all below it and perhaps for one port only.
    """
    if name == "*":
        return True
    try:
        return ip_address(host) in ip_network(name.strip("[]"), strict=False)
    except ValueError:  # one of them is a name, or has a port
        name, _, only = name.partition(":")
    name = name.lstrip("*.")
    return only in ("", str(port)) and (host == name or host.endswith(f".{name}"))

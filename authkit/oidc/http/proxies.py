"""Which proxy of the environment leads to a host: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`.

`NO_PROXY` is read as golang.org/x/net/http/httpproxy does, which Vault uses: names with their subdomains,
addresses and networks (`10.0.0.0/8`), each with a port or without.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult
from urllib.request import getproxies_environment

__all__ = ["find_proxy"]

_ENTRY = re.compile(r"\[?(?P<host>[^\[\]]*?)\]?(?::(?P<port>[0-9]+))?")
_PORTS = {"http": 80, "https": 443}


def find_proxy(url: SplitResult) -> str:
    """Return the URL of the proxy to take to this one, which may hold credentials; empty for none."""
    proxies = getproxies_environment()
    proxy = proxies.get(url.scheme) or proxies.get("all", "")
    host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    if any(_is_meant(each.strip().lower(), host, port) for each in proxies.get("no", "").split(",")):
        return ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _is_meant(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY is about this host."""
    if entry == "*":
        return True
    network = _parse_network(entry)
    if network is not None:
        address = _parse_network(host)
        return address is not None and address.version == network.version and address[0] in network
    found = _ENTRY.fullmatch(entry)
    if found is None or not found["host"] or found["port"] not in (None, str(port)):
        return False
    name = found["host"].removeprefix("*")
    return host.endswith(name if name.startswith(".") else f".{name}") or host == name


def _parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None

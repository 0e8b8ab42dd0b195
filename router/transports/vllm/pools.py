"""The pools of a client: one for each of its own hosts, and for any with several addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from router.transports.access import Access, Reachable
from router.transports.discovery import Served
from router.transports.vllm.pool import Pool
from router.transports.vllm.replica import Reading


def pools_of(
    hosts: Mapping[str, Reachable],
    access: Access,
    served: Mapping[str, Served],
    *,
    clock: Callable[[], float],
    forget: Callable[[str, str], object],
) -> dict[str, Pool]:
    """A pool by host, for one's own and those with several base URLs; it is told what was found.

    `forget` is called with a host and the URL of one of its replicas whose cache is empty again.
    """
    pools: dict[str, Pool] = {}
    for name, host in hosts.items():
        urls = access.base_urls_of(name, host)
        if len(urls) > 1 or (urls and name in served):
            emptied = _forgetting(forget, name)
            pool = pools[name] = Pool(name, urls, clock=clock, forget=emptied)
            for url, found in served[name].replicas.items() if name in served else ():
                if found.problem:
                    pool.polled(url, Reading(refused=True))
                else:
                    pool.serving(url, frozenset(found.models))
    return pools


def headers_of(
    hosts: Mapping[str, Reachable], access: Access, pools: Mapping[str, Pool]
) -> dict[str, dict[str, str]]:
    """What a watcher sends to the replicas of each pool: their key, where there is one.

    Raises:
        ConfigError: a key cannot be one.
    """
    keys = {name: access.key(name, hosts[name]) for name in pools}
    return {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items() if key}


def _forgetting(forget: Callable[[str, str], object], host: str) -> Callable[[str], object]:
    return lambda url: forget(host, url)

"""Ctrl-C on `centroute vllm serve --run`: the server is gone, and it says so."""

import httpx
import pytest


def test_ctrl_c_stops_the_server(server, bare):
    """It was asked once, ended in order, and nobody listens any more."""
    assert httpx.get(f"{bare.url}/models").status_code == 200
    assert bare.stop() == 0
    assert bare.text.endswith("stopped\n")
    assert "ready: export VLLM_BASE_URL=" in bare.text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{bare.url}/models")

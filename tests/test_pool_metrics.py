"""What a server says of itself in /metrics, read from recordings of real servers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.transports.vllm.metrics import Metrics, read_metrics

DATA = Path(__file__).parent / "data" / "metrics"


def read(name):
    return read_metrics((DATA / f"{name}.prom").read_text("utf-8"))


def test_vllm_as_recorded():
    """vLLM 0.32.0 with 96 blocks of 32 tokens: 3 of 6 requests run, 3 wait for room."""
    assert read("vllm-0.32.0") == Metrics(
        engine="vllm",
        running=3,
        waiting=3,
        kv_usage=0.9789473684210527,
        input_tokens=5525,
        cached_tokens=1792,
        output_tokens=211,
        prefilled_tokens=970,
        prefill_seconds=0.3892507909986307,
        block_tokens=32,
        capacity_tokens=96 * 32,
        keeps=True,
        started_at=1795351168.25,
    )


def test_llamacpp_as_recorded():
    """llama.cpp counts prompts without their cached tokens; ours include them."""
    found = read("llamacpp-b11549")
    assert (found.engine, found.running, found.waiting) == ("llamacpp", 2, 2)
    assert (found.input_tokens, found.cached_tokens, found.output_tokens) == (149 + 123, 123, 32)
    assert (found.prefilled_tokens, found.prefill_seconds) == (149, 1.18373)
    assert found.block_tokens is found.capacity_tokens is found.started_at is None


def test_sglang_as_documented():
    """Workers of one engine count once, priorities are parts of the whole, sources add up."""
    found = read("sglang-docs")
    assert (found.engine, found.running, found.waiting, found.kv_usage) == (
        "sglang",
        162,
        28,
        0.37,
    )
    assert (found.input_tokens, found.cached_tokens, found.output_tokens) == (6000, 4500, 1234)
    assert (found.block_tokens, found.capacity_tokens) == (16, 32768)
    assert found.started_at == 1795351100.0


def test_sglang_with_underscores_and_gauges():
    """From 0.5.4 on the names may begin with sglang_, from 0.5.11 on sizes are gauges."""
    text = "sglang_num_running_reqs 2\nsglang:page_size 64\nsglang:num_pages 10\n"
    found = read_metrics(text)
    assert (found.engine, found.running) == ("sglang", 2)
    assert (found.block_tokens, found.capacity_tokens) == (64, 640)


def test_several_engines_of_one_server_add_up():
    """Data parallelism: requests and room are summed, of shares in use the fullest counts."""
    text = "\n".join(
        f'vllm:num_requests_running{{engine="{i}"}} {i + 1}\n'
        f'vllm:kv_cache_usage_perc{{engine="{i}"}} 0.{i + 1}\n'
        f'vllm:cache_config_info{{engine="{i}",block_size="16",num_gpu_blocks="100"}} 1.0'
        for i in range(2)
    )
    found = read_metrics(text)
    assert (found.running, found.kv_usage, found.capacity_tokens) == (3, 0.2, 3200)


def test_a_server_that_keeps_no_prefixes_says_so():
    """`enable_prefix_caching` of its configuration."""
    text = 'vllm:cache_config_info{enable_prefix_caching="False",block_size="16"} 1.0'
    found = read_metrics(text)
    assert (found.keeps, found.block_tokens, found.capacity_tokens) == (False, 16, None)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("vllm:num_requests_running 3.0 1795351168000", 3),
        ('vllm:num_requests_running{a="x}y \\" 9",model_name="m"} 3', 3),
        ("vllm:num_requests_running NaN", None),
        ("vllm:num_requests_running +Inf", None),
        ("vllm:num_requests_running -1", None),
        ("vllm:num_requests_running 1e300", None),
        ("vllm:num_requests_running many", None),
        ("vllm:num_requests_running", None),
        ("vllm:num_requests_running{", None),
        ("# vllm:num_requests_running 3", None),
        ("vllm:num_requests_running_extra 3", None),
        ("", None),
    ],
)
def test_a_sample_is_read_or_left_out(line, value):
    """Time stamps and odd labels are no hindrance; what is no count is not one."""
    assert read_metrics(line).running == value


def test_old_names_and_percent():
    """vLLM before v1 had another name for the cache in use, some servers tell it in percent."""
    assert read_metrics("vllm:gpu_cache_usage_perc 0.55").kv_usage == 0.55
    assert read_metrics("vllm:gpu_cache_usage_perc 55.0").kv_usage == 0.55


@given(st.text(max_size=300), st.integers(0, 15000), st.integers(0, 200))
def test_junk_never_raises(junk, at, cut):
    """Whatever stands there: text of another kind, a recording that is cut or overwritten."""
    text = (DATA / "vllm-0.32.0.prom").read_text("utf-8")
    read_metrics(junk)
    found = read_metrics(text[:at] + junk + text[at + cut :])
    assert found.kv_usage is None or 0 <= found.kv_usage <= 1

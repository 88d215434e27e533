# SPDX-License-Identifier: Apache-2.0
"""Token ids of many texts, for the pre-tokenizers smollm, gpt-2, llama-bpe and qwen2."""

import json

from gguf import GGUFReader
from tokenizers import Regex, pre_tokenizers

from smollm import (
    FIXTURES,
    argument_parser,
    bpe_tokenizer,
    encode_plain,
    smollm_pre_tokenizer,
    transformers_tokenizer,
)
from texts import INVALID_UTF8, all_texts, some_texts

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
QWEN2 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA_BPE = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def split_by(expression):
    """Matches and the stretches between them are pieces; bytes become letters afterwards."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(expression), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def pieces_of(tokenizer, text):
    """What the pre-tokenizer cuts the text into."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    spans = [span for _, span in backend.pre_tokenizer.pre_tokenize_str(text)]
    pieces = [text[start:end] for start, end in spans]
    assert "".join(pieces) == text, repr(text)
    return pieces


def row_of(tokenizer, text, source):
    ids = encode_plain(tokenizer, text)
    return {**source, "ids": ids, "pieces": pieces_of(tokenizer, text)}


def write_rows(name, tokenizer, texts):
    rows = [row_of(tokenizer, text, {"text": text}) for text in texts]
    rows += [
        row_of(tokenizer, raw.decode(errors="replace"), {"bytes_hex": raw.hex()})
        for raw in INVALID_UTF8
    ]
    path = FIXTURES / name
    path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    print(f"{path.name}: {len(rows)} rows")


def main():
    arguments = argument_parser(__doc__).parse_args()
    fields = GGUFReader(arguments.model).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = fields["tokenizer.ggml.merges"].contents()

    tokenizer = transformers_tokenizer(arguments.model)
    rebuilt = bpe_tokenizer(tokens, merges, smollm_pre_tokenizer())
    for text in all_texts():
        assert encode_plain(tokenizer, text) == rebuilt.encode(text).ids, repr(text)

    write_rows("tokens_smollm.jsonl", tokenizer, all_texts())
    gpt2 = bpe_tokenizer(tokens, merges, split_by(GPT2))
    write_rows("tokens_gpt2.jsonl", gpt2, some_texts())
    llama = bpe_tokenizer(tokens, merges, split_by(LLAMA_BPE), ignore_merges=True)
    write_rows("tokens_llama_bpe.jsonl", llama, some_texts())
    qwen2 = bpe_tokenizer(tokens, merges, split_by(QWEN2))
    write_rows("tokens_qwen2.jsonl", qwen2, some_texts())


if __name__ == "__main__":
    main()

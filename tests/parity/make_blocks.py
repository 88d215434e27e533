# SPDX-License-Identifier: Apache-2.0
"""Random blocks of every GGUF type that is read, with the values gguf-py dequantises them to."""

import json

import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

from smollm import FIXTURES

TYPES = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
SCALE_OFFSETS = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}  # fmt: skip
BLOCKS_PER_TYPE = 3
FLOATS_PER_BLOCK = 32  # F16 and BF16 have blocks of one element: take as many as the others have


def random_half_bytes(generator):
    """A random finite float16 of either sign, subnormals among them, as two bytes."""
    exponent = generator.integers(0, 31)
    bits = generator.integers(0, 2) << 15 | exponent << 10 | generator.integers(0, 1024)
    return numpy.frombuffer(int(bits).to_bytes(2, "little"), dtype=numpy.uint8)


def random_block(name, generator):
    quantization = GGMLQuantizationType[name]
    _, size = GGML_QUANT_SIZES[quantization]
    if name in ("F16", "BF16"):
        size *= FLOATS_PER_BLOCK
    block = generator.integers(0, 256, size, dtype=numpy.uint8)
    if name == "F16":
        block = numpy.concatenate([random_half_bytes(generator) for _ in range(FLOATS_PER_BLOCK)])
    if name == "BF16":
        exponent_is_full = (block[1::2] & 0x7F == 0x7F) & (block[0::2] & 0x80 != 0)
        block[1::2][exponent_is_full] ^= 0x40
    for offset in SCALE_OFFSETS.get(name, []):
        block[offset : offset + 2] = random_half_bytes(generator)
    values = dequantize(block, quantization).astype(numpy.float32).ravel()
    assert numpy.isfinite(values).all()
    return {"hex": block.tobytes().hex(), "values": [float(f"{value:.9g}") for value in values]}


def main():
    generator = numpy.random.default_rng(20241)
    blocks = {
        name: [random_block(name, generator) for _ in range(BLOCKS_PER_TYPE)] for name in TYPES
    }
    path = FIXTURES / "blocks.json"
    path.write_text(json.dumps(blocks, separators=(",", ":")).replace("}],", "}],\n") + "\n")
    print(f"{path.name}: {sum(map(len, blocks.values()))} blocks")


if __name__ == "__main__":
    main()

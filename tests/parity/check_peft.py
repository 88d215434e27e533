# SPDX-License-Identifier: Apache-2.0
"""peft loads the PEFT folders and answers as advisor does; messages.json gives the same prompt."""

import json

import torch
import transformers
from peft import PeftModel

from exports import INPUTS, Table, arguments, find, probabilities
from smollm import load_model, transformers_tokenizer

TOLERANCE = 2e-4  # float32 sums in another order


def log_softmax_of(model):
    @torch.no_grad()
    def log_softmax(ids, among):
        batch = torch.tensor([ids])
        logits = model(input_ids=batch, attention_mask=torch.ones_like(batch)).logits[0, -1]
        return torch.log_softmax(logits[among].double(), dim=-1).tolist()

    return log_softmax


def check_folder(export, tokenizer, model_path, table):
    model = PeftModel.from_pretrained(load_model(model_path, torch.float32), export.folder).eval()
    answers = [tokenizer.encode(text, add_special_tokens=False) for text in export.answers()]

    def answer(text):
        prompt = tokenizer.encode(export.prompt(text), add_special_tokens=False)
        return probabilities(log_softmax_of(model), prompt, answers)

    expected = export.expected()
    table.add(export.folder.name, expected, [answer(text) for text in INPUTS], TOLERANCE)
    with model.disable_adapter():
        table.control(expected, [answer(text) for text in INPUTS], TOLERANCE)


def check_messages(export, tokenizer, table):
    """The conversation, in the template of the model, is the text of prompt.txt."""
    messages = json.loads((export.folder / "messages.json").read_text())["messages"]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    same = text == (export.folder / "prompt.txt").read_text()
    table.good &= same
    print(f"{export.folder.name:32} messages.json and prompt.txt {'agree' if same else 'DIFFER'}")


def main():
    given = arguments(__doc__)
    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers_tokenizer(given.model)
    table = Table()
    for export in find(given, "peft"):
        check_folder(export, tokenizer, given.model, table)
    for export in find(given, "prompt"):
        check_messages(export, tokenizer, table)
    table.finish()


if __name__ == "__main__":
    main()

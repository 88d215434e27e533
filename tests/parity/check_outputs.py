#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what the program writes with the programs it is written for.

    pip install jsonschema lm_eval pytablewriter
    python3 tests/parity/check_outputs.py ADVISOR STUDY

- The schemas in reports/schema are valid themselves (jsonschema, draft 2020-12), and by them what
  the commands print that need no data but STUDY.
- `--format lm-eval`: the hashes of every sample are those of lm-evaluation-harness (hash_string of
  json.dumps with indent=2 and ensure_ascii=False), the standard error is its mean_stderr of the
  samples, its file helpers find results and samples, and its make_table prints every task.

Without lm_eval the hashes and errors are still checked, from its definitions written out below. Run
with jsonschema 4.26 and lm_eval 0.4.13.
"""
import hashlib
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

try:
    from lm_eval import utils as harness
except ImportError:
    harness = None

SCHEMAS = pathlib.Path(__file__).parents[2] / "reports" / "schema"


def hash_string(string):
    return hashlib.sha256(string.encode("utf-8")).hexdigest()


def check_schema(advisor, study):
    for path in SCHEMAS.glob("*.schema.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))
    rows = [("report", ["report", study]), ("profile", ["profile", "demo:tickets"]),
            ("advice", ["advise", "demo:tickets"]), ("list", ["list", "techniques", "lora"])]
    rows += [("list", ["list", topic]) for topic in ("techniques", "formats", "metrics", "rules",
                                                     "facts")]
    for name, words in rows:
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
        out = subprocess.run([advisor, *words, "--json"], check=True, capture_output=True)
        jsonschema.Draft202012Validator(schema).validate(json.loads(out.stdout))
    print("schemas: valid")


def check_samples(path, result):
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    scores = []
    for line in lines:
        dump = json.dumps(line["doc"], indent=2, ensure_ascii=False)
        assert line["doc_hash"] == hash_string(dump), (path, line["doc_id"])
        assert line["prompt_hash"] == hash_string(line["arguments"]["gen_args_0"]["arg_0"])
        assert line["target_hash"] == hash_string(str(line["target"]))
        assert line["filtered_resps"] == line["resps"][0]
        scores.append(line[line["metrics"][0]])
    mean = sum(scores) / len(scores)
    spread = math.sqrt(sum((s - mean) ** 2 for s in scores) / (len(scores) - 1) / len(scores))
    metric = lines[0]["metrics"][0]
    assert abs(result[f"{metric},none"] - mean) < 1e-9, (path, mean)
    assert abs(result[f"{metric}_stderr,none"] - spread) < 1e-9, (path, spread)
    assert result["sample_len"] == len(lines)
    hashes = "".join(s["doc_hash"] + s["prompt_hash"] + s["target_hash"] for s in lines)
    return len(lines), hash_string(hashes)


def check_folder(folder):
    files = [str(path) for path in folder.iterdir()]
    results = [path for path in files if "results_" in path]
    if harness:
        assert harness.get_results_filenames(files) == results
        assert len(harness.get_sample_results_filenames(files)) == len(files) - 1
    assert len(results) == 1
    document = json.loads(pathlib.Path(results[0]).read_text(encoding="utf-8"))
    count = 0
    for task, result in document["results"].items():
        path = next(folder.glob(f"samples_{task}_*.jsonl"))
        number, hashed = check_samples(path, result)
        assert document["task_hashes"][task] == hashed
        assert document["n-samples"][task]["effective"] == number
        count += number
    if harness:
        table = harness.make_table(document)
        assert all(task in table for task in document["results"]), table
    return count


def main():
    advisor, study = sys.argv[1:]
    check_schema(advisor, study)
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([advisor, "report", study, "--format", "lm-eval", "-o", out], check=True)
        folders = sorted(pathlib.Path(out).iterdir())
        counts = [check_folder(folder) for folder in folders]
    print(f"lm-eval: {len(folders)} folders, {sum(counts)} samples",
          "read by its own functions" if harness else "(lm_eval is not installed)")


if __name__ == "__main__":
    main()

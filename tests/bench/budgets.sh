#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Whether a budget is kept: studies of the built-in tickets with ten budgets, each begun anew, and
# one line for each,
#
#   advisor overrun_20s SECONDS GOAL met|missed
#
# where SECONDS is what the whole run took beyond its budget, by the clock, and GOAL what it may:
# one micro-batch of training on one thread, and 0.3 s for the report. A micro-batch is counted as
# 512 tokens, each as long as 2.4 of answering, whose speed is measured first (techniques/trainer.c
# and advisor/pace.c have the numbers).
#
#   tests/bench/budgets.sh PROGRAM [MODEL]
#
# BUDGETS names other budgets, in seconds. The ten take 32 minutes. Exit status: 0 all met, 1 not,
# 2 a study failed.
set -eu

program=$1
model=${2:+--model "$2"}
budgets=${BUDGETS:-20 30 45 60 90 120 180 300 420 600}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
all_met=0

# number KEY FILE: the first value of a key in a report.
number() {
    sed -n "s/.*\"$1\": *\([-0-9.e+]*\).*/\1/p" "$2" | head -n 1
}

# One micro-batch and the report.
# shellcheck disable=SC2086  # two words or none
"$program" recommend demo:tickets $model --budget 10m --study "$folder/plan.db" --dry-run \
    --format json --quiet >"$folder/plan" || exit 2
goal=$(awk -v answer="$(number seconds_per_answer "$folder/plan")" -v threads="$(nproc)" \
    -v tokens="$(number tokens_per_example "$folder/plan")" \
    'BEGIN { printf "%.2f", 512 * 2.4 * threads * answer / tokens + 0.3 }')

for budget in $budgets; do
    began=$(date +%s.%N)
    # shellcheck disable=SC2086
    "$program" recommend demo:tickets $model --budget "${budget}s" --study "$folder/$budget.db" \
        --format json --quiet >"$folder/report" || exit 2
    ended=$(date +%s.%N)
    line=$(awk -v began="$began" -v ended="$ended" -v budget="$budget" -v goal="$goal" 'BEGIN {
        over = ended - began - budget
        printf "advisor overrun_%ss %.2f %s %s", budget, over, goal, over <= goal ? "met" : "missed"
    }')
    echo "$line"
    case $line in *missed) all_met=1 ;; esac
done
exit $all_met

# SPDX-License-Identifier: Apache-2.0
"""What peers.py and study.py share: where the peers are installed, the processes they run in, how
busy the machine is besides, and how a figure is printed."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARITY = HERE.parent / "parity"
REQUIREMENTS = (HERE / "peers.txt", PARITY / "requirements.txt")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "advisor"
VENV = Path(os.environ.get("PEERS_VENV") or CACHE / "peers")
PYTHON = VENV / "bin" / "python"


def install():
    """Makes the virtual environment unless it holds what is asked for."""
    wanted = "".join(path.read_text() for path in REQUIREMENTS)
    stamp = VENV / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say = f"peers: installing PyTorch, transformers, peft and llama.cpp into {VENV}"
    print(f"{say}; llama.cpp is compiled, which takes minutes", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    subprocess.run(
        [PYTHON, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS[0]],
        stdout=sys.stderr,
        check=True,
        env={**os.environ, "CMAKE_ARGS": "-DGGML_NATIVE=ON"},
    )
    stamp.write_text(wanted)


def serve(answers):
    """Answers each line of standard input, a command and its arguments, with a line of JSON."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    for line in sys.stdin:
        command, *arguments = line.split()
        print(json.dumps(answers[command](*arguments)), file=out, flush=True)


class Worker:
    """A process that answers each line with a line of JSON."""

    def __init__(self, log, *command):
        self.log = log
        with log.open("a") as errors:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        if failure:
            self.process.terminate()
        self.process.stdin.close()
        self.process.wait()

    def ask(self, *words):
        try:
            print(*words, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # the missing answer says it
        answer = self.process.stdout.readline()
        if not answer:
            last = self.log.read_text(errors="replace").splitlines()[-20:]
            sys.exit("\n".join([*last, f"peers: no answer to {' '.join(map(str, words))}"]))
        return json.loads(answer)

    def forget_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak(self):
        """The most bytes the process has held since then."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])

    def ticks(self):
        """Of all processors, that it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")")[1].split()
        return int(fields[11]) + int(fields[12])


class Children:
    """The processes of this one that have ended, as if they were one worker."""

    def ticks(self):
        times = os.times()
        return (times.children_user + times.children_system) * os.sysconf("SC_CLK_TCK")


class Others:
    """What part of the processors went to others than these workers meanwhile."""

    def __init__(self, *workers):
        self.workers = workers

    def __enter__(self):
        self.start = self.read()
        return self

    def __exit__(self, *_):
        busy, idle, own = (now - then for now, then in zip(self.read(), self.start))
        self.share = max(busy - own, 0) / max(busy + idle, 1)

    def tell(self):
        advice = "; too much for the figures that follow" if self.share > 0.05 else ""
        comment(f"others took {100 * self.share:.0f} % of the processors{advice}")

    def read(self):
        """Ticks of all processors: busy, idle, and those of the workers."""
        user, nice, system, idle, wait, *rest = map(
            int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
        )
        own = sum(worker.ticks() for worker in self.workers)
        return user + nice + system + sum(rest), idle + wait, own


def comment(text):
    print(f"# {text}", flush=True)


def figure(name, value, sign, goal):
    if goal is None:
        print(f"{name} {value:.3g} - -", flush=True)
        return
    met = value >= goal if sign == ">=" else value <= goal
    print(f"{name} {value:.3g} {sign}{goal:.3g} {'met' if met else 'missed'}", flush=True)

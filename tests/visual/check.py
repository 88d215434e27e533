#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens HTML reports in headless Chromium and looks at them.

    tests/visual/check.py [--out FOLDER] [--browser chromium] PAGE.html ...

For each page, at widths of 360, 768 and 1280 pixels, light and dark, and once for print:

- the console is clean, nothing throws, nothing is asked for but the page itself;
- no script ran: the title is the page's own, and no dialog opened;
- the page is not wider than its window, and nothing but a scrolling table is;
- no two labels of a picture overlap, and none leaves its picture;
- letters and marks stand out from what is behind them (WCAG 2.1: 4.5, marks 3).

Screenshots go to FOLDER, for a pair of eyes. Needs Python's own library and a Chromium; talks to it
over --remote-debugging-pipe. Exit status 1 when something was found.
"""
import argparse
import base64
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile

WIDTHS = (360, 768, 1280)

# What is looked at inside the page; returns a list of findings.
LOOK = r"""
(() => {
  const found = [];
  const shown = e => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0; };
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) found.push(`the page is ${wide} pixels wider than its window`);
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('.skip, .hidden, .switch input, svg, pre') || (e.closest('.scroll') && getComputedStyle(e.closest('.scroll')).overflowX === 'auto') || !shown(e)) continue;
    const b = e.getBoundingClientRect();
    if (b.right > document.documentElement.clientWidth + 1)
      found.push(`<${e.tagName.toLowerCase()} class="${e.className}"> reaches to ${b.right}`);
  }
  for (const svg of document.querySelectorAll('svg[role=img]')) {
    if (!shown(svg)) continue;
    const name = svg.getAttribute('aria-labelledby'), frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(e => [e.textContent, e.getBoundingClientRect()]);
    for (const [i, [a, p]] of texts.entries()) {
      if (p.left < frame.left - 1 || p.right > frame.right + 1 || p.top < frame.top - 1 ||
          p.bottom > frame.bottom + 1) found.push(`${name}: "${a}" leaves the picture`);
      for (const [b, q] of texts.slice(i + 1)) {
        const w = Math.min(p.right, q.right) - Math.max(p.left, q.left);
        const h = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
        if (w > 1 && h > 3) found.push(`${name}: "${a}" and "${b}" overlap by ${w.toFixed()} x ${h.toFixed()}`);
      }
    }
    if (!svg.querySelector('title') || !svg.querySelector('desc'))
      found.push(`${name}: no title or description`);
  }
  const part = c => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
  const parse = s => { const m = s.match(/[\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const light = ([r, g, b]) => .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
  const over = (top, back) => [0, 1, 2].map(i => top[i] * top[3] + back[i] * (1 - top[3]));
  const behind = e => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    let color = parse(getComputedStyle(document.body).backgroundColor);
    for (const layer of layers.reverse()) color = [...over(layer, color), 1];
    return color;
  };
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const seen = new Set();
  const judge = (e, color, least, what) => {
    const ratio = contrast(color, behind(e));
    const key = `${what} ${e.tagName} ${e.getAttribute('class') || ''}`;
    if (ratio < least && !seen.has(key)) { seen.add(key); found.push(`${key}: contrast ${ratio.toFixed(2)}`); }
  };
  for (const e of document.querySelectorAll('body *:not(svg):not(svg *)')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (own && shown(e) && !e.closest('.hidden, .none'))
      judge(e, parse(getComputedStyle(e).color), 4.5, 'text');
  }
  for (const e of document.querySelectorAll('svg[role=img] text, svg .mark'))
    if (shown(e)) judge(e.ownerSVGElement.parentElement, parse(getComputedStyle(e).fill),
                        e.tagName === 'text' ? 4.5 : 3, (e.getAttribute('class') || '').split(' ').pop() + ' ' + (e.getAttribute('class') || ''));
  if (document.scripts.length) found.push('the page has a script');
  return found;
})()
"""


class Browser:
    """Chromium behind a pair of pipes; messages are JSON ended by a zero byte."""

    def __init__(self, program):
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()
        self.folder = tempfile.TemporaryDirectory()

        def wire():  # through numbers above, since a pipe may have 3 or 4 itself
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_read, to_write)]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        # pylint: disable=subprocess-popen-preexec-fn
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--no-first-run", f"--user-data-dir={self.folder.name}", "--remote-debugging-pipe",
             "about:blank"],
            preexec_fn=wire, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.number, self.rest, self.events, self.session = 0, b"", [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(domain + ".enable")

    def message(self):
        while b"\0" not in self.rest:
            got = os.read(self.read_end, 1 << 20)
            if not got:
                raise RuntimeError("the browser went away")
            self.rest += got
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.write_end, json.dumps(request).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, event):
        while not any(e.get("method") == event for e in self.events):
            self.events.append(self.message())

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def close(self):
        self.process.terminate()
        self.process.wait()


def complaints(events, url):
    """What the browser said while it showed the page."""
    for event in events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Log.entryAdded":
            yield "console: " + params["entry"]["text"]
        elif method == "Runtime.consoleAPICalled":
            yield "console: " + json.dumps(params["args"])
        elif method == "Runtime.exceptionThrown":
            yield "exception: " + params["exceptionDetails"]["text"]
        elif method == "Page.javascriptDialogOpening":
            yield "dialog: " + params["message"]
        elif method == "Network.requestWillBeSent":
            asked = params["request"]["url"]
            if asked not in (url, "data:,"):
                yield "asks for " + asked[:80]


def show(browser, url, width, scheme, media):
    browser.events.clear()
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                 deviceScaleFactor=1, mobile=False)
    browser.call("Emulation.setEmulatedMedia", media=media,
                 features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call("Page.navigate", url=url)
    browser.wait("Page.loadEventFired")


def picture(browser, path):
    size = browser.call("Page.getLayoutMetrics")["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
    data = browser.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
    path.write_bytes(base64.b64decode(data))


def panes(browser, path):
    """The other choices of the switch."""
    findings = []
    for choice in ("cost-request", "cost-memory"):
        there = browser.value(f"""(e => {{ if (e) e.checked = true; return !!e; }})
                                  (document.getElementById('{choice}'))""")
        if there:
            findings += [f"{choice}: {finding}" for finding in browser.value(LOOK)]
            picture(browser, path.with_name(f"{path.stem}-{choice}.png"))
    return findings


def look(browser, page, out):
    url = page.resolve().as_uri()
    found = []
    views = [(w, s, "screen") for w in WIDTHS for s in ("light", "dark")] + [(768, "light", "print")]
    for width, scheme, media in views:
        show(browser, url, width, scheme, media)
        view = f"{width}-{scheme}" if media == "screen" else media
        findings = list(browser.value(LOOK))
        path = out / f"{page.stem}-{view}.png"
        picture(browser, path)
        if media == "screen" and scheme == "light":
            findings += panes(browser, path)
        findings += complaints(browser.events, url)
        if browser.value("document.title") == "taken":
            findings.append("a script of the user ran")
        found += [f"{page.name} {view}: {finding}" for finding in findings]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/visual"))
    parser.add_argument("--browser", default="chromium")
    options = parser.parse_args()
    missing = [str(page) for page in options.pages if not page.is_file()]
    if missing:
        parser.error("there is no " + ", ".join(missing))
    options.out.mkdir(parents=True, exist_ok=True)
    browser = Browser(options.browser)
    try:
        found = [finding for page in options.pages for finding in look(browser, page, options.out)]
    finally:
        browser.close()
    print("\n".join(found) if found else f"{len(options.pages)} pages: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

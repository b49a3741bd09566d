#!/usr/bin/env python3
"""Popular real packages through `belljar npm` and `belljar pip`, one at a time.

Called by `./dev popular [npm|pip] [PKG…]`. Prints one row a package; ends with
1 if one is not SAFE. No part of CI: it needs what the clients' registries have
today. Traces are kept in target/popular, to look at what was found.
"""

import json
import os
import subprocess
import sys
import time

POPULAR = {
    "npm": "left-pad express lodash chalk axios react typescript esbuild eslint webpack".split(),
    "pip": "requests numpy flask pandas click pytest django pyyaml rich cryptography".split(),
}
COLUMNS = "{:<8} {:<16} {:<10} {:>7} {:>8} {:>6} {}"


def chosen(words):
    """Way and package of each run."""
    ways = [words.pop(0)] if words and words[0] in POPULAR else list(POPULAR)
    if words and len(ways) != 1:
        sys.exit("name the way first: ./dev popular npm PKG…")
    return [(way, package) for way in ways for package in words or POPULAR[way]]


def scripts(report):
    """Which package brought which lifecycle script, or what built it."""
    found = report.get("installed") or {}
    rows = [f"{row['package']} {row['script']}" + ("" if row["ran"] else " (not run)") for row in found.get("scripts", [])]
    return ", ".join(rows) or "none"


def why(report):
    return "; ".join(reason["text"] for reason in report["reasons"])[:300]


def one(belljar, folder, way, package):
    trace = os.path.join(folder, f"{way}-{package.replace('/', '_')}.bjt")
    started = time.monotonic()
    command = [belljar, way, "--headless", "--allow-degraded", "--format", "json", "-o", trace, package]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    took = f"{time.monotonic() - started:.0f}"
    try:
        report = json.loads(ran.stdout)
    except ValueError:
        print(COLUMNS.format(way, package, f"exit {ran.returncode}", took, "", "", ran.stderr.strip().splitlines()[-1:]), flush=True)
        return False
    events, flows = report["integrity"]["events"], report["network"]["flows"]
    failed = [f"{phase['name']}: {phase['status']}" for phase in report["phases"] if phase["status"] != "exit 0"]
    print(COLUMNS.format(way, package, report["verdict"], took, events, flows, scripts(report)), flush=True)
    if report["verdict"] != "SAFE":
        print(f"         {why(report)}", flush=True)
    if failed:
        print(f"         failed: {', '.join(failed)}", flush=True)
    return report["verdict"] == "SAFE" and not failed


def main():
    belljar, folder, *words = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    print(COLUMNS.format("way", "package", "verdict", "seconds", "events", "flows", "lifecycle scripts"), flush=True)
    results = [one(belljar, folder, way, package) for way, package in chosen(words)]
    print(f"{sum(results)} of {len(results)} SAFE and whole")
    return 0 if all(results) else 1


sys.exit(main())

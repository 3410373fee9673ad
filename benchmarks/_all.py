"""All benchmarks, one after the other."""

from pathlib import Path

from _bench import main

if __name__ == "__main__":
    files = sorted(Path(__file__).resolve().parent.glob("[!_]*.py"))
    raise SystemExit(main(*map(str, files)))

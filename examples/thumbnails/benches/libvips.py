"""The peer of the thumbnail benchmark: the same thumbnails by libvips, inside this process.

Install it with:  python3 -m pip install "pyvips[binary]"

Alone, it prints the CPU milliseconds of each file it is given:
    python3 examples/thumbnails/benches/libvips.py photographs/*.jpg
Without files it serves a benchmark: a path a line on stdin, the milliseconds a line on stdout.
"""

import os
import statistics
import sys
import time

# One thread, as ours; libvips reads this when it is loaded.
os.environ["VIPS_CONCURRENCY"] = "1"

try:
    import pyvips
except (ImportError, OSError) as missing:
    sys.exit(f'libvips is not here ({missing}); try: python3 -m pip install "pyvips[binary]"')

ROUNDS = 7

# libvips keeps results of equal operations, which would make every round but the first free.
pyvips.cache_set_max(0)


def cpu_milliseconds(data):
    """Makes one thumbnail, and returns what it cost."""
    started = time.process_time()
    thumbnail = pyvips.Image.thumbnail_buffer(data, 100, height=100, size="down")
    thumbnail.jpegsave_buffer(Q=75)
    return (time.process_time() - started) * 1000


def read(path):
    with open(path, "rb") as file:
        return file.read()


def serve():
    """Answers each path with the cost of its thumbnail. Files are read once, outside the time."""
    version = ".".join(str(pyvips.version(part)) for part in range(3))
    print(f"libvips {version}", flush=True)
    files = {}
    for line in sys.stdin:
        path = line.rstrip("\n")
        if path not in files:
            files[path] = read(path)
        print(f"{cpu_milliseconds(files[path]):.4f}", flush=True)


def report(paths):
    for path in paths:
        data = read(path)
        median = statistics.median(cpu_milliseconds(data) for _ in range(ROUNDS))
        print(f"{median:8.2f} ms  {path}")


if sys.argv[1:]:
    report(sys.argv[1:])
else:
    serve()

"""The browser of the tests: ``python -m tests.browser.chromium`` makes sure that there is one.

A Chromium or Chrome of the system is taken where there is one. Where there is none, root on Debian
gets the distribution's, and everybody else the one that Playwright downloads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# It renders without a graphics card, and looks up nothing on its own.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str | None:
    """The path of the system's browser; None for Playwright's own."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _version(path: str | None) -> str | None:
    """What the browser says it is, from a page it has opened; None if it does not start."""
    from playwright.sync_api import Error, sync_playwright

    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            browser.new_page().goto("about:blank")
            version = browser.version
            browser.close()
    except Error:
        return None
    return version


def _run(*command: str) -> bool:
    sys.stdout.write(f"$ {' '.join(command)}\n")
    sys.stdout.flush()
    return subprocess.run(command, check=False).returncode == 0


def _from_debian() -> bool:
    if not Path("/etc/debian_version").exists() or os.geteuid() != 0:
        return False
    return _run("apt-get", "update", "-qq") and _run(
        "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"
    )


def _from_playwright() -> bool:
    return _run(sys.executable, "-m", "playwright", "install", "chromium")


def main() -> int:
    for get in (None, _from_debian, _from_playwright):
        if get is not None and not get():
            continue
        path = executable()
        if version := _version(path):
            sys.stdout.write(f"Browser tests use {path or 'Playwright’s Chromium'}, {version}.\n")
            return 0
    sys.stderr.write(
        "No Chromium that starts, and none could be installed: install chromium or google-chrome, "
        "or run 'python -m playwright install --with-deps chromium'.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())

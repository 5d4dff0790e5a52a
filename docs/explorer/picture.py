"""Takes the screenshots of the explorer for its page, with the installed Chromium.

    python docs/explorer/picture.py [SITE]

SITE is the folder of a built explorer, by default ``build/explorer``.
"""

from __future__ import annotations

import functools
import io
import shutil
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

PICTURES = Path(__file__).parent.parent / "pictures"
SIZE = {"width": 1280, "height": 900}


def main(site: Path) -> None:
    """Adds a beard and sunglasses to a face, and takes a screenshot in light and in dark mode."""
    from playwright.sync_api import expect, sync_playwright

    serve = functools.partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        for label in ("Sunglasses", "Beard"):
            page.get_by_role("button", name=f"{label} on").click()
            expect(page.get_by_role("status")).to_contain_text(f"{label} turned on")
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
        for scheme, name in (("light", "explorer"), ("dark", "explorer_dark")):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(500)
            image = Image.open(io.BytesIO(page.screenshot()))
            image.save(PICTURES / f"{name}.webp", quality=85, method=6)
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/explorer"))

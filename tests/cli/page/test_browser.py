"""The page in a headless browser: dropped and recorded videos, wide and narrow, and nothing from other machines."""

import shutil
import sys

import pytest

from .conftest import MAX_MB

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH")]
CAMERA = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
WAIT = 45_000  # milliseconds


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    sandbox = [] if sys.platform != "linux" else ["--no-sandbox"]  # root has none
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CAMERA, *sandbox])
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 400])
def page(browser, url, request):
    """The page in a window of some width; at the end, nothing came from elsewhere and nothing sticks out."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 900}, permissions=["camera", "microphone"]
    )
    page = context.new_page()
    page.set_default_timeout(WAIT)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    yield page
    assert asked and not [other for other in asked if not other.startswith((url, "blob:", "data:"))]
    assert page.evaluate("document.documentElement.scrollWidth") <= request.param
    context.close()


def drop(page, video):
    page.locator("input[type=file]").set_input_files(video)


def recognize(page, labels):
    page.get_by_label("Labels, separated by commas").fill(labels)
    page.get_by_role("button", name="Recognize").click()


def test_dropped_video_is_answered(page, ask, long_film):
    labels = "a star moving left, showing a red disc"
    drop(page, long_film)
    page.locator("video").wait_for()
    page.get_by_label("Seconds of a window").fill("4")
    recognize(page, labels)
    page.locator(".timeline-row").first.wait_for()
    found, _, _, _ = ask(long_film, labels, 4)
    best = max(found, key=found.get)
    assert page.get_by_test_id("label-output-value").inner_text().strip() == best
    shares = [int(share.removesuffix("%")) for share in page.locator(".confidence").all_inner_texts()]
    assert shares == pytest.approx(sorted((100 * p for p in found.values()), reverse=True), abs=1)
    rows = page.locator(".timeline-row").all_inner_texts()
    assert "a star moving left" in rows[0] and "showing a red disc" in rows[-1]
    assert page.locator("img[src*='.png']").evaluate("image => image.naturalWidth > 4 * 64")
    assert page.get_by_text("A video of 20.0 s: decoding").is_visible()


@pytest.mark.slow  # on a busy machine the browser's recorder does not always start
def test_recorded_video_is_answered(page):
    page.get_by_label("Capture from camera").click()
    page.get_by_title("grant webcam access").click()
    page.get_by_label("start recording").click()
    page.wait_for_timeout(2000)
    page.get_by_role("button").filter(has_text="Stop").click()
    page.get_by_label("Clear").wait_for()
    recognize(page, "showing a red disc, a star moving left")
    page.get_by_text("A video of").wait_for()
    assert page.get_by_test_id("label-output-value").inner_text().strip() in (
        "showing a red disc",
        "a star moving left",
    )


def test_bad_uploads_are_told(page, tmp_path):
    text, large = tmp_path / "text.mp4", tmp_path / "large.mp4"
    text.write_text("no video" * 100)
    drop(page, text)
    recognize(page, "running, jumping")
    page.get_by_text("text.mp4 is no video").wait_for()
    page.reload()
    large.write_bytes(b"0" * ((MAX_MB << 20) + 1))
    drop(page, large)
    page.get_by_text("exceed the maximum").wait_for()


def test_missing_video_is_told(page):
    recognize(page, "running, jumping")
    page.get_by_text("Drop a video first, or record one.").wait_for()
